"""A journal as beats: each event with what was decided on it. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from runtime.domain.command import AwaitSignal, Command, FinishRun, KeepTree, StartStep
from runtime.domain.event import EVENTS, Event
from runtime.domain.journal import Entry

_FAILED = "f"
"""How a tree's memory spells a node that failed."""


class Beat(msgspec.Struct, frozen=True):
    """An event and what was decided on it."""

    seq: int
    at_us: int
    event: Event
    commands: tuple[Command, ...]

    @property
    def failing(self) -> FinishRun | None:
        """The end that was decided on here, where it is none of success."""
        last = self.commands[-1] if self.commands else None
        return last if isinstance(last, FinishRun) and last.status != "succeeded" else None


def beats_of(entries: Sequence[Entry]) -> list[Beat]:
    """The beats of a journal, in order."""
    beats: list[Beat] = []
    for entry in entries:
        if isinstance(entry.body, EVENTS):
            beats.append(Beat(entry.seq, entry.at_us, entry.body, ()))
        elif beats:
            beats[-1] = msgspec.structs.replace(beats[-1], commands=(*beats[-1].commands, entry.body))
    return beats


def counted_along(beats: Sequence[Beat]) -> Mapping[int, tuple[int, ...]]:
    """Beat → earlier ones whose failures a tree had kept in mind until they made a node above fail, or the run.

    A parallel waits for the others of its children; what makes it fail then is not the last of them alone.
    """
    counted: dict[int, tuple[int, ...]] = {}
    kept: dict[int, int] = {}  # node that has failed → the beat in which it did
    before = ""
    for number, beat in enumerate(beats):
        memory = next((each.memory.statuses for each in beat.commands if isinstance(each, KeepTree)), None)
        after = before if memory is None else memory
        fell = [node for node, letter in enumerate(after) if letter == _FAILED != before[node : node + 1]]
        told = [
            at
            for node, at in kept.items()
            if beat.failing or (after[node : node + 1] != _FAILED and any(above < node for above in fell))
        ]
        counted[number] = tuple(dict.fromkeys(at for at in told if not _goes_on(beats[at])))
        kept = {node: kept.get(node, number) for node, letter in enumerate(after) if letter == _FAILED}
        before = after
    return counted


def _goes_on(beat: Beat) -> bool:
    """Whether something was begun in its place."""
    return any(isinstance(command, StartStep | AwaitSignal) for command in beat.commands)
