"""Traces: a behaviour tree ticked again and again, each leaf answering by its own script.

The form is that of the recordings of BehaviorTree.CPP v4 that the tree is held to. No agent, clock or store is
touched; time limits never pass.
"""

from collections.abc import Mapping

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.tree import TreeNode
from runtime.errors import Invalid
from runtime.planners.tree.frame import FAILURE, IDLE, RUNNING, SKIPPED, SUCCESS, Act, Frame, Status
from runtime.planners.tree.tick import NEW, Tree, compile_tree, halt_frame, tick_frame

LETTERS: Mapping[str, Status] = {"S": SUCCESS, "F": FAILURE, "R": RUNNING}
_SPELT = {status: letter for letter, status in LETTERS.items()}
_WORDS = {IDLE: "IDLE", RUNNING: "RUNNING", SUCCESS: "SUCCESS", FAILURE: "FAILURE", SKIPPED: "SKIPPED"}


class Call(msgspec.Struct, frozen=True):
    """What a tick did with a leaf."""

    leaf: str
    what: str
    """`start`, `running` or `halt`."""
    letter: str = ""
    """What it answered; empty for a halt."""


class TracedTick(msgspec.Struct, frozen=True):
    """One tick."""

    root: str
    log: tuple[Call, ...]


class Trace(msgspec.Struct, frozen=True):
    """Every tick, and what halting the tree then called."""

    ticks: tuple[TracedTick, ...]
    halt: tuple[Call, ...]


def trace(root: TreeNode, script: Mapping[str, str], *, ticks: int) -> Trace:
    """Tick a tree so often. Each call of a leaf takes the next letter of its script, the last one again and again.

    A leaf without a script succeeds; conditions are leaves like actions.
    """
    tree = compile_tree(root, is_scripted=True)
    turns: dict[str, int] = {}

    def letter(leaf: str) -> str:
        letters = script.get(leaf, "S")
        turn = turns.get(leaf, 0)
        turns[leaf] = turn + 1
        return letters[min(turn, len(letters) - 1)]

    def answer(frame: Frame, index: int) -> Status:
        return LETTERS[letter(tree.nodes[index].leaf)]

    frame = Frame(NEW, len(tree.nodes), answer=answer, holds=lambda text: letter(text) == "S")
    traced = []
    for _ in range(ticks):
        frame.begin()
        status = tick_frame(tree, frame)
        traced.append(TracedTick(_WORDS[status], _calls(tree, frame.acts)))
    frame.begin()
    halt_frame(tree, frame)
    return Trace(tuple(traced), _calls(tree, frame.acts))


def letters_of(document: Json) -> dict[str, str]:
    """Read {leaf: "RRS"}. Raises Invalid, naming the leaf."""
    if not isinstance(document, dict):
        raise Invalid("outcomes.not_a_mapping", "outcomes must be a mapping from leaf to letters, such as answer: RRS")
    script: dict[str, str] = {}
    for leaf, letters in document.items():
        if not isinstance(letters, str) or not letters or not set(letters) <= LETTERS.keys():
            raise Invalid("outcomes.letters", f"leaf {leaf!r} must have a row of the letters S, F and R, such as RRS")
        script[leaf] = letters
    return script


def _calls(tree: Tree, acts: list[Act]) -> tuple[Call, ...]:
    return tuple(
        Call(tree.nodes[act.node].leaf, act.what, "" if act.what == "halt" else _SPELT[act.status])
        for act in acts
        if act.what not in ("arm", "disarm")
    )
