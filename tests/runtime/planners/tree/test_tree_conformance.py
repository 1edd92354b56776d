"""The tree against recordings of the engine whose semantics it has: BehaviorTree.CPP v4, tick by tick."""

import json
from pathlib import Path

from appliance.loader import load_tree
from runtime.engine.trace import Call, Trace, trace
from tests.shared import shared


def test_every_recorded_trace_is_reproduced(tmp_path: Path) -> None:
    """Each call of a leaf, each answer of the root, and what halting calls, from the XML on."""
    recorded = json.loads(shared("conformance/behavior_tree/btcpp_traces_sample.json").read_text())["cases"]
    different = [case["id"] for case in recorded if _said(case, tmp_path / "tree.xml") != (case["ticks"], case["halt"])]
    assert len(recorded) >= 241
    assert [] == different


def _said(case: dict[str, object], file: Path) -> tuple[object, object]:
    file.write_text(str(case["tree"]))
    leaves, ticks = case["leaves"], case["ticks"]
    assert isinstance(leaves, dict)
    assert isinstance(ticks, list)
    return _spelt(trace(load_tree(file), leaves, ticks=len(ticks)))


def _spelt(found: Trace) -> tuple[object, object]:
    return [{"root": ticked.root, "log": _calls(ticked.log)} for ticked in found.ticks], _calls(found.halt)


def _calls(calls: tuple[Call, ...]) -> list[list[str]]:
    return [[call.leaf, call.what, call.letter] if call.letter else [call.leaf, call.what] for call in calls]
