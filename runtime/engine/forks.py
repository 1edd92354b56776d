"""Makes ready what a what-if goes by: the journal that it sets out from, read and recorded."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from runtime.domain.canonical import kept
from runtime.domain.event import RunStarted, WhatIf
from runtime.domain.ids import DefinitionHash, RunId, StepId, state_of
from runtime.domain.journal import Entry
from runtime.domain.run import RunState, fold
from runtime.domain.workflow import Workflow
from runtime.engine.recording import Answer, Recording, answers_of, event_at, last_result
from runtime.engine.what_if import INPUT, Change, Fork, changes_of
from runtime.errors import AgentFlowError, Invalid
from runtime.memory.short_term import started_in

MAX_PARTS = 200
"""Runs of steps whose answers are looked at."""

Entries = Callable[[RunId], Awaitable[list[Entry]]]
"""A run's journal, with what its pseudonyms stand for."""


class Forks:
    """Reads the runs that what-ifs set out from."""

    def __init__(self, entries: Entries, definitions: Callable[[DefinitionHash], Awaitable[Workflow]]) -> None:
        self._entries = entries
        self._definitions = definitions

    async def begin(
        self, workflow: Workflow, what_if: WhatIf, *, actor: str, role: str, is_minimised: bool
    ) -> tuple[RunStarted, Fork]:
        """The first entry of a new what-if, and what it goes by. Raises NotFound and Invalid."""
        entries = await self._entries(what_if.run)
        origin = fold(what_if.run, entries)
        what_if = msgspec.structs.replace(what_if, at=_point(what_if, origin, entries, workflow))
        last = event_at(entries, entries[-1].seq)
        if what_if.at >= last and not changes_of(what_if) and workflow.hash == origin.definition:
            raise Invalid(
                "what_if.nothing",
                f"nothing would be different: say what is supposed, or an entry of {what_if.run} before entry {last}",
            )
        fork = Fork(
            what_if,
            Recording(await self._answers(what_if.run, entries)),
            prefix=[entry for entry in entries if entry.seq <= what_if.at],
            is_same=workflow.hash == origin.definition and not any(each.step == INPUT for each in changes_of(what_if)),
        )
        given = kept(fork.given(origin.input))[0]
        is_minimised = bool(origin.is_minimised) or is_minimised
        started = RunStarted(
            workflow=workflow.name,
            definition=workflow.hash,
            input=given,
            tenant=origin.tenant,
            actor=actor,
            minimised=is_minimised,
            session=started_in(workflow, given, origin.session or "") if is_minimised else "",
            role=role,
            what_if=what_if,
        )
        return started, fork

    async def of(self, state: RunState) -> Fork | None:
        """What a what-if goes by that is taken up again; None for any other run."""
        if not state.what_if:
            return None
        fork_entries = await self._entries(state.run)
        started = fork_entries[0].body
        assert isinstance(started, RunStarted), "a journal starts with it"
        assert started.what_if is not None, "the state says so"
        return await self.recorded(started.what_if, but=state)

    async def recorded(self, what_if: WhatIf, *, but: RunState | None = None) -> Fork:
        """What goes by the answers of the origin alone, those left out that `but` has already taken."""
        try:
            answers = await self._answers(what_if.run, await self._entries(what_if.run))
        except AgentFlowError:  # the origin is gone; what it said can't be taken any more
            answers = []
        recording = Recording(answers)
        for step in but.steps.values() if but is not None else ():
            if step.reused:
                recording.drop(step.reused)
        return Fork(what_if, recording)

    async def _answers(self, run: RunId, entries: Sequence[Entry]) -> list[Answer]:
        """The answers of a run and of the runs of its steps."""
        state = fold(run, entries)
        try:
            workflow = await self._definitions(state.definition)
        except AgentFlowError:  # its answers have no keys then
            workflow = None
        found = answers_of(run, entries, workflow)
        parts = [part for step in state.steps.values() for part in step.runs or ()]
        for part in parts[:MAX_PARTS]:
            try:
                found += await self._answers(part, await self._entries(part))
            except AgentFlowError:
                continue
        return found


def part_of_what_if(state: RunState) -> WhatIf | None:
    """What a run supposes that is a part of this one: the same, with nothing changed of its own."""
    if not state.what_if:
        return None
    values = state.what_if.values
    script = values.get("script") if isinstance(values, dict) else None
    return msgspec.structs.replace(state.what_if, at=0, values={"script": script} if script else None)


def _point(what_if: WhatIf, origin: RunState, entries: Sequence[Entry], workflow: Workflow) -> int:
    """The entry up to which things are taken as they stand. Raises Invalid for a change of what there is not."""
    changes = changes_of(what_if)
    known = {*origin.steps, *_states_of(workflow)}
    for change in changes:
        if change.step != INPUT and change.step not in known and state_of(StepId(change.step)) not in known:
            there = ", ".join(sorted(known))
            raise Invalid("what_if.change", f"run {origin.run!r} has no step {change.step!r}; there are: {there}")
    bounds = [_result_of(change, entries, what_if.at) for change in changes]
    if not what_if.at:
        return min(bounds, default=1)
    if not 1 <= what_if.at <= entries[-1].seq:
        raise Invalid(
            "run.no_such_point",
            f"run {origin.run!r} has the entries 1 to {entries[-1].seq}, and no entry {what_if.at}",
        )
    return event_at(entries, what_if.at)


def _result_of(change: Change, entries: Sequence[Entry], at: int) -> int:
    """The entry that a change is about; the last one where the step has not ended by then."""
    if change.step == INPUT:
        return 1
    return last_result([entry for entry in entries if not at or entry.seq <= at], change.step) or entries[-1].seq


def _states_of(workflow: Workflow) -> set[str]:
    """What steps of a run may be called."""
    machines = [workflow.fsm, *((workflow.llm.execution, workflow.llm.fallback) if workflow.llm else ())]
    named = {name for machine in machines if machine is not None for name in machine.states}
    leaves = {node.leaf for node in workflow.tree.nodes()} if workflow.tree is not None else set()
    return named | leaves | set(workflow.agents)
