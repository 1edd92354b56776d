"""What the bench of sandboxes promises, and that its battery is a battery."""

from pathlib import Path

import pytest

from appliance.bench.guest import TEXT
from appliance.bench.hostile import ATTEMPTS
from appliance.bench.sandbox import ANSWER, STDIN, _of_wasm, _promises
from runtime.sandbox.wasm.driver import Wasm


def test_a_promise_is_for_what_was_measured_alone() -> None:
    rows = {"python3 -I": {"of bare Python": 1.0}, "process": {"of bare Python": 0.6, "ms, median": 20.0}}
    goals = _promises(rows)
    assert [("process: a start, of bare Python's", 0.6, False)] == [
        (each.name, each.value, each.is_met) for each in goals
    ]
    assert _promises({**rows, "wasm": {"of bare Python": 0.1, "ms, median": 4.0}})[1].is_met


def test_every_attempt_is_a_program() -> None:
    """One that does not compile gets out of nothing and proves nothing."""
    assert 60 < len(ATTEMPTS)
    for name, source in ATTEMPTS.items():
        compile(source, name, "exec")


async def test_the_guest_that_is_measured_answers_as_the_others_do(tmp_path: Path) -> None:
    driver = Wasm(tmp_path / "compiled")
    try:
        if not (report := await driver.probe()).is_usable:
            pytest.skip(f"{report.driver}: {report.reason}")
        assert (ANSWER, ()) == ((await driver.run_text(TEXT, stdin=STDIN)).stdout, driver.prepared())
        notes: list[str] = []
        assert ["wasm"] == list(_of_wasm(driver, notes))
        assert ["javascript", "python"] == [word for word in ("javascript", "python") if word in " ".join(notes)]
    finally:
        await driver.stop()
