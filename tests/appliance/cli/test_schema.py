"""`af schema`: what editors are told of workflow files."""

import re
from pathlib import Path

import pytest

from appliance.loader import check_bytes
from appliance.loading.node import plain
from appliance.loading.report import Report
from appliance.loading.yaml_reader import read_documents
from runtime.domain.canonical import Json, parse
from runtime.domain.schema import Schema
from tests.appliance.cli.conftest import Af

APPLIANCE = Path("appliance")
DOCS, TEMPLATES = APPLIANCE / "docs", APPLIANCE / "templates"
FENCE = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
EXAMPLES = [
    *(path.read_text() for path in sorted(TEMPLATES.glob("*/workflow.yaml"))),
    *(block for page in sorted(DOCS.glob("*.md")) for block in FENCE.findall(page.read_text())),
]


@pytest.fixture
def schema(af: Af) -> dict[str, Json]:
    found = parse(af("schema").out)
    assert isinstance(found, dict)
    return found


def document(text: str) -> Json:
    return plain(read_documents(text, Report(), file="x")[0])


def test_all_workflows_of_the_manual_and_the_templates_fit(schema: dict[str, Json]) -> None:
    """What loads must not be marked as wrong while it is written."""
    compiled, fitting = Schema(schema), 0
    for text in EXAMPLES:
        checked = check_bytes(text.encode())
        if checked.kind == "workflow" and checked.is_valid:
            assert "" == compiled.fault(document(text)), text
            fitting += 1
    assert fitting >= 12


@pytest.mark.parametrize(
    "text",
    [
        "name: x\nagents: {a: {type: llm}}\npolices: {}",
        "name: x\nagents: {a: {type: llmm}}",
        "name: x\nagents: {a: {type: llm, concurrency: 0}}",
        "name: x\nagents: {a: {type: llm, retry: {max_atempts: 2}}}",
        "name: x\nagents: {a: {type: llm}}\ntriggers: [{schedule: {missed: none}}]",
        "name: x\nagents: {}\nplanner: {}",
    ],
)
def test_slips_are_marked(schema: dict[str, Json], text: str) -> None:
    assert Schema(schema).fault(document(text))
    assert not check_bytes(text.encode()).is_valid


def test_keys_have_the_words_of_the_manual(schema: dict[str, Json]) -> None:
    properties = schema["properties"]
    assert isinstance(properties, dict)
    undescribed = [key for key, each in properties.items() if isinstance(each, dict) and "description" not in each]
    assert [] == undescribed
    agents = properties["agents"]["additionalProperties"]["properties"]  # type: ignore[call-overload,index]
    assert "`" not in agents["prompt"]["description"] != ""  # type: ignore[call-overload,index,operator]
