"""The determinism benchmark: its interval, its shares, and a run of it with a model that needs no weights."""

from pathlib import Path

import pytest

from appliance.bench import determinism
from appliance.bench.determinism import bench, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # computed with the closed form of Wilson (1927), z = 1.959964, in decimal arithmetic of 30 digits
        (20, 20, 0.8388748, 1.0),
        (90, 90, 0.9590644, 1.0),
        (15, 20, 0.5312991, 0.8881383),
        (0, 20, 0.0, 0.1611252),
        (81, 263, 0.2552885, 0.3662096),
    ],
)
def test_the_interval_is_wilsons(successes: int, trials: int, low: float, high: float) -> None:
    found = wilson(successes, trials)
    assert pytest.approx((low, high), abs=1e-6) == found


def test_every_planner_decides_alike_alone_at_once_and_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With few runs; the model's plan is scripted, the processes and the kills are real."""
    monkeypatch.setattr(determinism, "KILLS", 1)
    kinds = ("behavior_tree", "llm")
    monkeypatch.setattr(determinism, "PLANNERS", {kind: determinism.PLANNERS[kind] for kind in kinds})
    plan = '{provider: scripted, answers: {".*": {json: {steps: [{name: search, agent: search}]}}}}'
    told: list[str] = []
    found = bench(runs=2, at_once=4, model=plan, folder=tmp_path, models=tmp_path, report=told.append)
    assert all(goal.is_met for goal in found.goals), found
    assert len(kinds) * len(determinism.WAYS) == len(told)
    for kind in kinds:
        assert (2, 4, 2, 1) == tuple(
            found.rows[kind][figure] for figure in ("alone, runs", "at once, runs", "killed, runs", "different digests")
        )
    assert not [note for note in found.notes if "did not succeed" in note]
    assert [] == list(tmp_path.iterdir())


def test_the_share_is_of_the_digest_that_is_the_most_frequent_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill that changed every decision the same way would not hide behind its own majority."""
    ways = {"alone": ["a", "a", "a", "b"], "at once": ["a"] * 4, "killed": ["b", "b"]}
    monkeypatch.setattr(
        determinism, "_runs", lambda file, wanted, way, data, models: {"digests": ways[way], "statuses": ["succeeded"]}
    )
    found = bench(runs=4, at_once=4, model="m", folder=tmp_path, models=tmp_path, report=lambda _: None)
    row = found.rows["fsm"]
    assert (75.0, 100.0, 0.0, 70.0, 2) == tuple(
        row[figure] for figure in ("alone, %", "at once, %", "killed, %", "all, %", "different digests")
    )
    assert not found.goals[0].is_met
