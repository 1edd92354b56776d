"""Tools that a definition declares, called by an agent: what runs, where, and what is told of it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af

DESK = """
name: desk
tool_registry:
  tools:
    total: {type: code, language: python, file: total.py, idempotent: true, cache: 10m, cost_per_call: 0.01}
    loud: {type: code, language: bash, code: "printf 1"}
agents:
  sum: {type: custom, handler: "actions.py:act", tools: [total, loud, run]}
"""
TOTAL = "import json, sys\nprint(json.dumps({'total': sum(json.load(sys.stdin)['lines'])}))\n"
ACT = "def act(task, ctx):\n    return [ctx.tool(each['tool'], each['with']) for each in task]\n"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "total.py").write_text(TOTAL)
    (tmp_path / "actions.py").write_text(ACT)
    path = tmp_path / "desk.yaml"
    path.write_text(DESK)
    return path


def calls(tool: str, *arguments: object) -> str:
    return json.dumps([{"tool": tool, "with": each} for each in arguments])


def test_a_program_of_the_project_runs_in_a_sandbox_and_is_told_of(af: Af, desk: Path) -> None:
    """The second of two equal calls is answered from what is kept, and costs nothing."""
    if shutil.which("bwrap") is None:
        pytest.skip("there is no bwrap on PATH")
    lines = {"lines": [1, 2, 39]}
    run = af("run", desk, "--input", calls("total", lines, lines), "--json").document
    assert (2 * [{"total": 42}], 0.01) == (run["output"], run["usage"]["cost_usd"])  # type: ignore[index]
    [done] = [json.loads(line) for line in af("logs", "last", "--json").out.splitlines() if "step.succeeded" in line]
    first, second = done["data"]["calls"]
    assert ("total", "ok", "sandbox.bubblewrap", 10_000) == (
        first["tool"], first["outcome"], first["driver"], first["cost_usd_micros"],
    )  # fmt: skip
    assert (True, first["profile"], first["arguments"]) == (
        second["is_cached"], second["profile"], second["arguments"],
    )  # fmt: skip
    assert first["used"]["output_bytes"] == len('{"total": 42}\n')
    assert first["used"]["memory_bytes"] > 1_000_000, "a Python holds more"
    assert "used" not in second, "nothing ran"
    shown = af("runs", "show", "last").out
    assert re.search(r"total +sum .* 14 B  sandbox.bubblewrap\n +total .* –  cache\n", shown), shown
    lines_told = af("audit", "list", "--event", "tool.", "--json").document["lines"]
    assert {first["profile"]} == {line["policy"] for line in lines_told}  # type: ignore[attr-defined]


def test_the_operator_declares_tools_for_every_workflow(af: Af, desk: Path, data_folder: Path) -> None:
    """What the operator's file forbids, no workflow allows; the step's failure has the call, too."""
    data_folder.mkdir(parents=True, exist_ok=True)
    rules = "tool_registry: {tools: {run: {type: code, language: python, permissions: [files.read:/etc/ssl]}}}\n"
    (data_folder / "tools.yaml").write_text(rules + "tool_security: {filesystem_access: none}\n")
    desk.write_text(DESK + "tool_security: {filesystem_access: read_only}\n")
    refused = af("run", desk, "--input", calls("run", {"code": "print(1)"}), "--json")
    error = refused.document["error"]
    assert ("tool.denied", True) == (error["code"], "filesystem_access is none" in error["message"])  # type: ignore[index]
    [failed] = [json.loads(line) for line in af("logs", "last", "--json").out.splitlines() if "step.failed" in line]
    assert ("run", "tool.denied") == (failed["data"]["calls"][0]["tool"], failed["data"]["calls"][0]["outcome"])


def test_a_tool_that_is_wrong_is_named_with_its_line(af: Af, desk: Path) -> None:
    desk.write_text(DESK.replace("language: bash, code", "language: perl, code").replace("idempotent: true, ", ""))
    found = af("validate", desk)
    assert (2, True, True) == (
        found.code,
        "expected one of python, bash" in found.err + found.out,
        "idempotent: true" in found.err + found.out,
    )


def test_a_model_calls_a_tool_and_replay_asks_nobody_again(af: Af, tmp_path: Path) -> None:
    """The calls stand in the journal; a replay decides from them."""
    path = tmp_path / "front.yaml"
    path.write_text("""
name: front
agents:
  answer:
    type: llm
    prompt: "Help: {{ input.message }}"
    tools: [create_ticket]
    model:
      provider: scripted
      name: front
      answers: [{tool_calls: [{name: create_ticket, arguments: {subject: card}}]}, I have opened a ticket.]
""")
    assert 0 == af("validate", path).code
    run = af("run", path, "--input", '{"message": "my card"}', "--json").document
    assert ({"text": "I have opened a ticket."}, "succeeded") == (run["output"], run["status"])
    [done] = [json.loads(line) for line in af("logs", "last", "--json").out.splitlines() if "step.succeeded" in line]
    assert [("create_ticket", "ok")] == [(each["tool"], each["outcome"]) for each in done["data"]["calls"]]
    assert 0 == af("replay", "last", "--check").code
    events = [line["event"] for line in af("audit", "list", "--event", "tool.", "--json").document["lines"]]  # type: ignore[attr-defined]
    assert ["tool.settled", "tool.called"] == events, "nothing was called again"


def test_a_run_in_a_role_may_call_what_the_role_may(af: Af, desk: Path, data_folder: Path) -> None:
    data_folder.mkdir(parents=True, exist_ok=True)
    (data_folder / "tools.yaml").write_text(
        "tool_registry: {rbac: {roles: {clerk: {allowed_tools: [create_ticket]}}}}\n"
    )
    desk.write_text(DESK.replace("[total, loud, run]", "[create_ticket]"))
    ticket = calls("create_ticket", {"subject": "card"})
    assert 0 == af("run", desk, "--as", "clerk", "--input", ticket).code
    refused = af("run", desk, "--input", ticket, "--json")
    assert (3, "tool.not_for_role") == (refused.code, refused.document["error"]["code"])  # type: ignore[index]
