"""Every project that `af init` offers is one that loads: a new user begins with it."""

import json
import shutil
from pathlib import Path

import pytest

from appliance.cli.demo import kinds_of_models
from appliance.cli.templates import HIDDEN, QUESTIONS, Template, known_templates
from appliance.loader import check
from appliance.loader import load as load_workflow
from appliance.scenarios.format import FILE
from appliance.scenarios.reading import read_suite
from runtime.domain.schema import Schema
from runtime.registry import SUBRUN_AGENTS, load

TEMPLATES = known_templates()
BROUGHT = "text,category\nwhere is my card,card\nhow much is it,price\n"
"""Stands for a file that a user has to bring, of which the README tells."""


def test_there_are_templates() -> None:
    assert {"support", "guests"} <= {template.name for template in TEMPLATES}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_a_template_is_valid_and_what_it_names_is_there(template: Template, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(template.folder, project, ignore=HIDDEN)
    files = [file for file in project.rglob("*.yaml") if "\nagents:" in file.read_text(encoding="utf-8")]
    assert files, "it has no workflow"
    for file in files:
        checked = check(file)
        for missing in [problem for problem in checked.problems if problem.code == "file.not_found"]:
            name = missing.message.split("'")[1]
            assert f"`{name}`" in (project / "README.md").read_text(encoding="utf-8"), f"nobody says that {name} is due"
            (project / name).write_text(BROUGHT, encoding="utf-8")
            checked = check(file)
        assert [] == [str(problem) for problem in checked.problems], "a warning, too, is of what is not there"
        assert checked.workflow is not None
        for agent in checked.workflow.agents.values():
            assert agent.type in SUBRUN_AGENTS or load(f"agent.{agent.type}")


def test_templates_are_small_and_text() -> None:
    """They are in every copy of the program, and read by people."""
    files = [file for template in TEMPLATES for file in template.folder.rglob("*") if "__pycache__" not in file.parts]
    texts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    assert sum(map(len, texts)) < 300_000


WITH_QUESTIONS = [template for template in TEMPLATES if (template.folder / QUESTIONS).is_file()]


@pytest.mark.parametrize("template", WITH_QUESTIONS, ids=lambda template: template.name)
def test_what_a_template_asks_itself_fits_its_schema(template: Template) -> None:
    """`af init`, `af demo` and scenarios hand these inputs to a run."""
    schema = load_workflow(template.folder).input_schema
    assert schema is not None
    lines = (template.folder / QUESTIONS).read_text(encoding="utf-8").splitlines()
    inputs = [*map(json.loads, lines), *(each.input for each in read_suite(template.folder / FILE).scenarios)]
    assert [] == [fault for each in inputs if (fault := Schema(schema).fault(each))]
    assert {"support", "content-pipeline", "devops-deployment", "fraud-detection", "content-moderation"} == {
        each.name for each in WITH_QUESTIONS
    }


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("support", {"chat", "embedding"}),
        ("content-pipeline", {"chat", "embedding"}),
        ("content-moderation", {"embedding"}),
        ("devops-deployment", {"chat"}),
        ("fraud-detection", set()),
    ],
)
def test_the_demo_knows_which_models_a_template_asks(name: str, kinds: set[str]) -> None:
    """It says beforehand which one is missing; a template that asks none runs where there is none."""
    (template,) = [each for each in WITH_QUESTIONS if each.name == name]
    assert kinds == kinds_of_models(load_workflow(template.folder))
