"""The tree against recordings of the engine whose semantics it has: BehaviorTree.CPP v4, tick by tick."""

import json
from pathlib import Path

import pytest

from appliance.loader import load_tree
from runtime.engine.trace import Call, Trace, TracedTick, trace
from tests.shared import shared


def test_every_recorded_trace_is_reproduced(tmp_path: Path) -> None:
    """Each call of a leaf, each answer of the root, and what halting calls, from the XML on."""
    recorded = json.loads(shared("conformance/behavior_tree/btcpp_traces_sample.json").read_text())["cases"]
    different = [case["id"] for case in recorded if _said(case, tmp_path / "tree.xml") != (case["ticks"], case["halt"])]
    assert len(recorded) >= 241
    assert [] == different


SUBTREE = (
    '<root main_tree_to_execute="M"><BehaviorTree ID="M">{}</BehaviorTree>'
    '<BehaviorTree ID="T"><L0/></BehaviorTree></root>'
)


@pytest.mark.parametrize(
    ("tree", "leaves", "ticks"),
    [
        (
            SUBTREE.format('<WhileDoElse><SubTree ID="T"/><L1/><L2/></WhileDoElse>'),
            {"L0": "SSFF", "L1": "R", "L2": "RS"},
            ["R L0:S L1:R", "R L0:S L1:r", "R L0:F L1:halt L2:R", "S L0:F L2:s"],
        ),
        (
            SUBTREE.format('<IfThenElse><SubTree ID="T"/><L1/></IfThenElse>'),
            {"L0": "FRS", "L1": "S"},
            ["F L0:F", "R L0:R", "S L0:s L1:S", "S L0:S L1:S"],
        ),
        (
            "<AsyncSequence><L0/><L1/><L2/></AsyncSequence>",
            {"L0": "S", "L1": "RS", "L2": "F"},
            ["R L0:S", "R L1:R", "F L1:s L2:F", "R L0:S", "R L1:S"],
        ),
        (
            "<AsyncFallback><L0/><L1/><L2/></AsyncFallback>",
            {"L0": "F", "L1": "F", "L2": "S"},
            ["R L0:F", "R L1:F", "S L2:S", "R L0:F"],
        ),
        (
            "<Parallel><AsyncSequence><L0/><L1/></AsyncSequence><L2/></Parallel>",
            {"L0": "S", "L1": "S", "L2": "RF"},
            ["R L0:S L2:R", "F L1:S L2:f", "F L0:S L2:F"],
        ),
    ],
)
def test_nodes_that_the_recordings_lack_do_as_in_the_engine(
    tree: str, leaves: dict[str, str], ticks: list[str], tmp_path: Path
) -> None:
    """Recorded from version 4.8 as well. A leaf alone in a subtree is asked again, as it is not without one.

    A capital letter: the leaf was started; a small one: it was running.
    """
    file = tmp_path / "tree.xml"
    file.write_text(tree)
    assert ticks == [_shortly(tick) for tick in trace(load_tree(file), leaves, ticks=len(ticks)).ticks]


def _shortly(tick: TracedTick) -> str:
    calls = [
        f"{call.leaf}:{call.letter.lower() if call.what == 'running' else call.letter or call.what}"
        for call in tick.log
    ]
    return " ".join([tick.root[0], *calls])


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
