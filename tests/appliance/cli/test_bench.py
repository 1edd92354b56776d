"""`af bench` says whether the promises are kept, and its exit code does too."""

import pytest

from appliance.bench import engine
from appliance.bench.engine import Goal, Result
from tests.appliance.cli.conftest import Af


@pytest.mark.parametrize(("measured", "exit_code", "mark"), [(0.2, 0, "✓"), (0.5, 1, "✗")])
def test_a_promise_that_is_not_kept_fails(
    af: Af, monkeypatch: pytest.MonkeyPatch, measured: float, exit_code: int, mark: str
) -> None:
    """The measuring itself takes minutes and has tests of its own."""
    goal = Goal(name="s of CPU for af --help", value=measured, limit=0.35)
    result = Result(rows={"floor": {"x": 1.0}, "agentflow": {"x": 2.0, "y": 1234.5}}, goals=[goal], notes=["no peers"])
    monkeypatch.setattr(engine, "bench", lambda **_: result)
    said = af("bench", "engine")
    assert exit_code == said.code
    assert f"≤ 0.35       {measured}  {mark}" in said.out
    assert "no peers" in said.err
