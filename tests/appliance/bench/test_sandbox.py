"""What the bench of sandboxes promises, and that its battery is a battery."""

from appliance.bench.hostile import ATTEMPTS
from appliance.bench.sandbox import _promises


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
