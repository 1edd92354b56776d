"""A definition says how long its runs may take, and those that take longer say so."""

import json
from pathlib import Path

import pytest

from appliance.loader import check_bytes
from tests.appliance.cli.conftest import Af


@pytest.mark.parametrize(
    ("promise", "sla_ms"),
    [
        ("policies: {sla_response_time: 500ms}", 500),
        ("workflow: {sla: 60s}", 60_000),
        ("workflow: {sla: 60s}\npolicies: {sla_response_time: 1s}", 1_000),
        ("workflow: {sla: 99.9%}", 0),
        ("", 0),
    ],
)
def test_a_promise_is_a_time(promise: str, sla_ms: int) -> None:
    """A share of runs is kept, and has no effect."""
    workflow = check_bytes(f"name: w\nagents: {{a: {{type: llm}}}}\n{promise}\n".encode()).workflow
    assert workflow is not None
    assert sla_ms == workflow.sla_ms
    assert ("%" in promise) == bool(workflow.problems)


@pytest.mark.parametrize(("promise", "is_late"), [("1ms", True), ("1h", False)])
def test_a_run_that_took_longer_is_late(af: Af, greet: Path, data_folder: Path, promise: str, is_late: bool) -> None:
    """In its document, in what is shown of it, and in the log, once; it has succeeded all the same."""
    greet.write_text(
        greet.read_text().replace("{text: done, delay_ms: 60000}", "{text: done, delay_ms: 10}")
        + f"policies: {{sla_response_time: {promise}}}\n"
    )
    run = af("run", greet, "--input", '{"message": "slow"}', "--json").document
    assert ("succeeded", is_late) == (run["status"], "late_ms" in run)
    assert is_late == (", late by " in af("runs", "show", "last").out)
    log = data_folder / "logs" / "af.log"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    told = [line for line in lines if "sla_response_time" in str(line)]
    assert int(is_late) == len(told)
    assert all(str(run["run_id"]) in str(line) for line in told)
