"""What-if: a run that sets out from another one's journal, with something changed.

The new run has a journal of its own. It begins with what happened in the other one up to some entry, decided again, and
goes on from there: wherever an agent is asked what it was asked before, the recorded answer is taken, and everything
else is asked anew. Tools and requests have no effect unless that is wanted.
"""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from runtime.domain.canonical import Json, parse
from runtime.domain.event import (
    EVENTS,
    CancelRequested,
    ErrorInfo,
    Event,
    Reused,
    RunMigrated,
    RunStarted,
    SignalReceived,
    StepFailed,
    StepSucceeded,
    SubrunStarted,
    SubrunsWaiting,
    WhatIf,
)
from runtime.domain.ids import AgentId, StepId, state_of
from runtime.domain.journal import Entry
from runtime.domain.run import RunState, StepState
from runtime.domain.workflow import Workflow, agent_of
from runtime.engine.recording import Answer, Asked, Recording, asked, asks_model, person_key, shown_to_person
from runtime.engine.simulate import Fails, Script, script_of
from runtime.errors import Invalid

INPUT = "input"
"""In place of a step: what the run is given."""
RESULT = "result"
SIDE_EFFECT = "what_if.side_effect"
"""The code of a request that a what-if does not send."""

Perform = Callable[[], Awaitable[Event]]
Restore = Callable[[Json], Awaitable[Json]]
"""Puts values back in place of a run's own pseudonyms."""
IsCurrent = Callable[[RunState, Event], bool]


class Change(msgspec.Struct, frozen=True, array_like=True):
    """One value that is supposed to be another."""

    step: str
    """A step, or `input`."""
    path: tuple[str, ...]
    """The keys that lead to it within the step's result, or the input; none: the whole of it."""
    value: Json


def change_of(text: str, value: Json) -> Change:
    """Read `STEP.result.FIELD`, `STEP.result` or `input.FIELD`. Raises Invalid."""
    step, _, rest = text.partition(".")
    keys = tuple(rest.split(".")) if rest else ()
    if step == INPUT and all(keys):
        return Change(INPUT, keys, value)
    if not step or keys[:1] != (RESULT,) or not all(keys):
        raise Invalid(
            "what_if.change", f"a change names a value as STEP.result.FIELD, or input.FIELD; found {text[:100]!r}"
        )
    return Change(step, keys[1:], value)


def changes_of(what_if: WhatIf) -> list[Change]:
    """The changes that a journal keeps."""
    found = what_if.values.get("changes", []) if isinstance(what_if.values, dict) else []
    return [msgspec.convert(each, Change) for each in found] if isinstance(found, list) else []


def changed(value: Json, changes: Sequence[Change]) -> Json:
    """The value with these changes, in order; keys that are not there are made. Raises Invalid for no such place."""
    for change in changes:
        value = _put(value, change.path, change)
    return value


class Fork:
    """What a live what-if goes by."""

    def __init__(
        self, what_if: WhatIf, recording: Recording, *, prefix: Sequence[Entry] = (), is_same: bool = True
    ) -> None:
        """`prefix`: the origin's entries that are to be taken as they stand. `is_same`: whether the definition is."""
        self.what_if = what_if
        self._recording = recording
        self._changes = changes_of(what_if)
        self._prefix = [entry for entry in prefix if isinstance(entry.body, EVENTS)]
        self._is_same = is_same
        values = what_if.values if isinstance(what_if.values, dict) else {}
        self._outcomes: Script = script_of(values.get("script") or {}) if what_if.answers == "scripted" else {}
        self._turns: dict[str, int] = {}

    def given(self, value: Json) -> Json:
        """The input as it is supposed to be."""
        return changed(value, self._of(INPUT))

    async def next_event(
        self, workflow: Workflow, state: RunState, is_current: IsCurrent, restore: Restore
    ) -> Event | None:
        """What happened next in the origin; None once that is not what would happen here."""
        while self._prefix:
            entry = self._prefix.pop(0)
            event = entry.body
            if isinstance(event, RunStarted | SubrunStarted | SubrunsWaiting | RunMigrated):
                continue
            if isinstance(event, CancelRequested) or not is_current(state, event):  # type: ignore[arg-type]  # an event
                break
            if not await self._is_equal(workflow, state, event, entry.seq, restore):  # type: ignore[arg-type]
                break
            self._recording.drop(Reused(run=self.what_if.run, seq=entry.seq))
            return self._marked(state, event, entry.seq)  # type: ignore[arg-type]  # an event
        self._prefix.clear()
        return None

    async def attempt(
        self, workflow: Workflow, state: RunState, step: StepState, *, perform: Perform, restore: Restore
    ) -> Event:
        """One attempt at a step: the recorded answer to the same question, else what was asked for."""
        changes, name = self._of(step.step), state_of(step.step)
        if any(not change.path for change in changes):
            return StepSucceeded(step=step.step, output=changed(None, changes), attempt=step.attempt)
        spec = agent_of(workflow, step.agent or AgentId(name))
        answer = self._recording.take(await _key(workflow, state, step, restore), state.workflow, name)
        if answer is not None:
            return self._reused(step, answer, changes)
        if changes and not self._recording.has_answer(state.workflow, name):
            return StepSucceeded(step=step.step, output=changed({}, changes), attempt=step.attempt)
        if name in self._outcomes:
            return self._scripted(step, name, changes)
        if self.what_if.answers != "live" and asks_model(spec):
            return self._stood_in(state, step, changes)
        event = await perform()
        if isinstance(event, StepFailed) and event.error.code == SIDE_EFFECT:
            stands_in = self._recording.take_any(state.workflow, name)
            return event if stands_in is None else self._reused(step, stands_in, changes, is_other_input=True)
        if isinstance(event, StepSucceeded) and changes:
            return msgspec.structs.replace(event, output=changed(event.output, changes))
        return event

    async def signal(self, state: RunState, restore: Restore) -> SignalReceived | None:
        """What a person answered to the same question; None where nobody did, or the question is another one."""
        for signal, step in state.awaited().items():
            key = person_key(signal, await restore(shown_to_person(state, step)))
            answer = self._recording.take(key, state.workflow, state_of(step))
            if answer is not None:
                payload = changed(answer.output, self._of(step))
                return SignalReceived(name=signal, payload=payload, actor=f"as in {answer.reused.run}")
        return None

    def _of(self, step: str) -> list[Change]:
        return [change for change in self._changes if change.step == step]

    async def _is_equal(self, workflow: Workflow, state: RunState, event: Event, seq: int, restore: Restore) -> bool:
        """Whether an answer of the origin is one to what is asked here."""
        if self._is_same or not isinstance(event, StepSucceeded | StepFailed):
            return True
        step = state.steps[event.step]
        key = await _key(workflow, state, step, restore)
        return self._recording.is_answer_to(key, Reused(run=self.what_if.run, seq=seq))

    def _marked(self, state: RunState, event: Event, seq: int) -> Event:
        """The event with what is supposed of it; behind one that is changed, nothing is taken as it stands."""
        reused = Reused(run=self.what_if.run, seq=seq)
        if isinstance(event, SignalReceived):
            changes = self._of(state.awaited().get(event.name, StepId("")))
            return self._last(msgspec.structs.replace(event, payload=changed(event.payload, changes)), changes)
        if isinstance(event, StepSucceeded):
            changes = self._of(event.step)
            replaced = msgspec.structs.replace(event, output=changed(event.output, changes), reused=reused)
            return self._last(replaced, changes)
        if isinstance(event, StepFailed):
            changes = self._of(event.step)
            if changes and not self._recording.has_answer(state.workflow, state_of(event.step)):
                answered = StepSucceeded(step=event.step, output=changed({}, changes), attempt=event.attempt)
                return self._last(answered, changes)
            return msgspec.structs.replace(event, reused=reused)
        return event

    def _last(self, event: Event, changes: Sequence[Change]) -> Event:
        if changes:
            self._prefix.clear()
        return event

    def _reused(
        self, step: StepState, answer: Answer, changes: Sequence[Change], *, is_other_input: bool = False
    ) -> StepSucceeded:
        return StepSucceeded(
            step=step.step,
            output=changed(answer.output, changes),
            attempt=step.attempt,
            usage=answer.usage,
            duration_ms=answer.duration_ms,
            evidence=answer.evidence,
            reused=msgspec.structs.replace(answer.reused, is_other_input=is_other_input),
        )

    def _scripted(self, step: StepState, name: str, changes: Sequence[Change]) -> Event:
        """The next outcome of the script, the last one again and again."""
        outcomes, turn = self._outcomes[name], self._turns.get(name, 0)
        self._turns[name] = turn + 1
        outcome = outcomes[min(turn, len(outcomes) - 1)]
        if isinstance(outcome, Fails):
            return StepFailed(step=step.step, error=outcome.error, attempt=step.attempt)
        return StepSucceeded(step=step.step, output=changed(outcome.output, changes), attempt=step.attempt)

    def _stood_in(self, state: RunState, step: StepState, changes: Sequence[Change]) -> Event:
        """What takes a model's place that may not be asked."""
        name = state_of(step.step)
        answer = self._recording.take_any(state.workflow, name) if self.what_if.answers == "recorded" else None
        if answer is not None:
            return self._reused(step, answer, changes, is_other_input=True)
        said = {
            "recorded": ("what_if.not_recorded", f"nothing was recorded that step {step.step!r} could answer with"),
            "scripted": ("what_if.not_scripted", f"the script says nothing of state {name!r}, which asks a model"),
            "live": ("", ""),
        }[self.what_if.answers]
        error = ErrorInfo(said[0], f"{said[1]}; let the models answer: --with live")
        return StepFailed(step=step.step, error=error, attempt=step.attempt)


async def _key(workflow: Workflow, state: RunState, step: StepState, restore: Restore) -> str:
    """The key of what a step's agent is asked, over what pseudonyms stand for."""
    spec, question = asked(workflow, state, step.step, step.agent)
    restored = await restore({"data": question.data, "given": question.given})
    assert isinstance(restored, dict), "restoring keeps the shape"
    return Asked(agent=question.agent, data=restored["data"], given=restored["given"]).key(spec)  # type: ignore[arg-type]  # it keeps the shape


def plain(value: Json) -> Json:
    """JSON of a text where it is some, else the text: what was typed behind an `=`."""
    if not isinstance(value, str):
        return value
    try:
        return parse(value)
    except Invalid:
        return value


def _put(value: Json, path: Sequence[str], change: Change) -> Json:
    if not path:
        return change.value
    key, *rest = path
    if isinstance(value, list):
        if not key.isdecimal() or int(key) >= len(value):
            raise Invalid(
                "what_if.change", f"{change.step!r} has {len(value)} items where {key!r} was named; they count from 0"
            )
        number = int(key)
        return [*value[:number], _put(value[number], rest, change), *value[number + 1 :]]
    if value is not None and not isinstance(value, dict):
        raise Invalid(
            "what_if.change", f"there is no {key!r} within a value of {change.step!r} that is no mapping and no list"
        )
    inside = value or {}
    return {**inside, key: _put(inside.get(key), rest, change)}
