"""`af triggers` where no server has the data folder."""

from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af

REPORT = """\
name: report
agents:
  say: {type: llm, prompt: x, model: {provider: scripted, answers: [hello]}}
triggers:
  - name: nightly
    schedule: {cron: "0 3 * * *", timezone: Europe/Berlin}
  - http_endpoint: {path: /chat}
  - file_drop: {folder: inbox, pattern: "*.csv"}
"""


@pytest.fixture
def published(data_folder: Path) -> None:
    folder = data_folder / "workflows" / "report"
    folder.mkdir(parents=True)
    (folder / "workflow.yaml").write_text(REPORT)


def test_without_published_workflows_there_are_none(af: Af) -> None:
    """Templates start nothing by themselves."""
    found = af("triggers", "list")
    assert (0, True) == (found.code, "there are none" in found.out)


@pytest.mark.usefixtures("published")
def test_triggers_are_listed_fired_paused_and_go_on(af: Af) -> None:
    listed = af("triggers", "list")
    assert 0 == listed.code
    for words in ("0 3 * * * Europe/Berlin", "POST /hooks/report/chat", "*.csv in inbox"):
        assert words in listed.out
    run = af("triggers", "fire", "report", "nightly", "--json").document["run_id"]
    assert "succeeded" == af("runs", "show", str(run), "--json").document["status"]
    assert True is af("triggers", "pause", "report", "nightly", "--json").document["is_paused"]
    assert "paused" in af("triggers", "list").out
    resumed = af("triggers", "resume", "report", "nightly", "--json").document
    assert (False, True) == (resumed["is_paused"], str(resumed["next_at"]).endswith(":00:00.000000Z"))
    events = [line["event"] for line in af("audit", "list", "--json").document["lines"]]  # type: ignore[attr-defined]
    assert ["trigger.resumed", "trigger.paused"] == [event for event in events if event.startswith("trigger.")]


@pytest.mark.usefixtures("published")
def test_a_trigger_that_is_not_there_is_named(af: Af) -> None:
    found = af("triggers", "pause", "report", "nightli")
    assert (2, True) == (found.code, "trigger.unknown" in found.err and "af triggers list" in found.err)


@pytest.mark.usefixtures("published")
def test_a_list_is_as_wide_as_its_terminal(af: Af, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = data_folder / "workflows" / "report" / "workflow.yaml"
    file.write_text(REPORT.replace("/chat", f"/{'long' * 40}"))
    monkeypatch.setattr("appliance.cli.terminal.columns", lambda: 80)
    lines = af("triggers", "list").out.splitlines()
    assert (4, True) == (len(lines), all(len(line) <= 80 for line in lines))
