"""A journal as beats: each event with what was decided on it. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from runtime.domain.command import AwaitSignal, Command, FinishRun, KeepPlan, KeepTree, StartStep
from runtime.domain.event import EVENTS, Event, StepFailed, StepSucceeded
from runtime.domain.ids import StepId, step_id
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
    """Beat → earlier ones whose failures had a share in what was decided on it, beside the event itself."""
    trees, plans = _kept_by_trees(beats), _done_without(beats)
    return {number: (*trees[number], *plans[number]) for number in range(len(beats))}


def _done_without(beats: Sequence[Beat]) -> Mapping[int, tuple[int, ...]]:
    """Failures of steps that a model's plan goes on without, where what comes after them is begun."""
    counted: dict[int, tuple[int, ...]] = {}
    after: dict[StepId, list[StepId]] = {}
    failed: dict[StepId, int] = {}
    for number, beat in enumerate(beats):
        if isinstance(beat.event, StepFailed):
            failed[beat.event.step] = number
        elif isinstance(beat.event, StepSucceeded):
            failed.pop(beat.event.step, None)
        for kept in (each for each in beat.commands if isinstance(each, KeepPlan)):
            ids = {step.name: step_id(step.name, step.visit) for step in kept.plan.steps}
            after = {ids[step.name]: [ids[name] for name in step.after] for step in kept.plan.steps}
        begun = [each.step for each in beat.commands if isinstance(each, StartStep)]
        needed = [before for step in begun for before in after.get(step, ())]
        counted[number] = tuple(failed[step] for step in needed if step in failed)
    return counted


def _kept_by_trees(beats: Sequence[Beat]) -> Mapping[int, tuple[int, ...]]:
    """Failures that a tree had kept in mind until they made a node above fail, or the run.

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
