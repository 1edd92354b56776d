"""What a vision_model agent lacks is said before a run."""

from pathlib import Path

import pytest

from appliance.loader import check, check_bytes
from appliance.loading.site import ANY_SITE, Site
from tests.runtime.agents.picture_samples import PNG

HEAD = "name: x\nagents:\n  look:\n    type: vision_model\n"
SEEING = "    model: {provider: scripted, answers: [fine]}\n"


def told(more: str, site: Site = ANY_SITE) -> list[tuple[str, int, str]]:
    found = check_bytes((HEAD + more).encode(), site=site).problems
    return [(each.code, each.line, each.severity) for each in found]


def test_a_model_or_a_service_is_enough() -> None:
    assert [] == told(SEEING)
    assert [] == told("    model: {endpoint: 'http://localhost:9000/score'}\n")
    assert [] == told("    model: vllm/eyes\n", Site(servers=frozenset({"vllm"})))
    assert [] == told("    model: local/eyes\n", Site(models=frozenset({"local/eyes"}))), "a route leads to a server"


@pytest.mark.parametrize(
    ("more", "code", "line", "severity"),
    [
        ("", "vision.no_model", 4, "refusal"),
        ("    model: local/smollm2-135m-instruct\n", "vision.no_model", 5, "refusal"),
        (f"{SEEING}    config: {{readr: inbox}}\n", "key.unknown", 6, "error"),
        (f"{SEEING}    config: {{reader: inbox}}\n", "vision.reader", 6, "error"),
        (f"{SEEING}    config: {{folder: pictures}}\n", "file.not_found", 6, "error"),
        (f"{SEEING}    tools: [create_ticket]\n", "agent.tools", 6, "warning"),
        (
            f"{SEEING}    tools: [create_ticket]\n    config: {{reader: create_ticket, folder: a}}\n",
            "key.conflict",
            7,
            "error",
        ),
    ],
)
def test_what_is_missing_or_wrong_has_its_line(more: str, code: str, line: int, severity: str) -> None:
    assert (code, line, severity) in told(more)


def test_pictures_of_the_project_are_part_of_the_definition(tmp_path: Path) -> None:
    (tmp_path / "workflow.yaml").write_text(f"{HEAD}{SEEING}    config: {{folder: pictures}}\n")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(PNG)
    workflow = check(tmp_path).workflow
    assert workflow is not None
    assert ["pictures/a.png"] == list(workflow.files)
