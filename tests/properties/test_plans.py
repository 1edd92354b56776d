"""Planners over any machine and any course of events: pure, replayable, and never stuck."""

import copy
import json
from functools import partial

import msgspec
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from appliance.loader import check_bytes, from_document
from runtime.domain.canonical import Json
from runtime.domain.command import Command, FinishRun, SetTimer, StartStep, StopStep
from runtime.domain.event import (
    CancelRequested,
    ErrorInfo,
    Event,
    RunStarted,
    SignalReceived,
    StepFailed,
    StepSucceeded,
    TimerFired,
)
from runtime.domain.ids import AgentId, RunId, StepId
from runtime.domain.journal import Entry, read, write
from runtime.domain.run import RunState, apply, fold
from runtime.domain.workflow import Workflow
from runtime.engine.replay import replay
from runtime.engine.simulate import script_of, simulate
from runtime.errors import Invalid
from runtime.planners.lifecycle import planner_for
from runtime.ports import Planner
from tests.properties.plans import AGENTS, DECISIONS, WAITS, WORKFLOWS, document_of
from tests.properties.values import VALUES, is_same

RUN = RunId("r-01kafx8m7q0000000000000001")
OUTPUTS: st.SearchStrategy[Json] = VALUES | st.sampled_from(
    [1, 1.0, "x", {"n": 1}, {"n": 1.0}, {"n": 0.25}, {"n": True}, {"n": []}]
)
ERRORS = st.builds(ErrorInfo, st.just("x.broke"), st.just("it broke"), st.booleans())
MOST_EVENTS = 30

thorough = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def what_can_happen(state: RunState, outputs: st.SearchStrategy[Json] = OUTPUTS) -> st.SearchStrategy[Event]:
    """An event that the engine would take now."""
    coming: list[st.SearchStrategy[Event]] = []
    for step in map(state.steps.__getitem__, state.open):
        if step.status == "waiting":
            coming.append(outputs.map(partial(_signalled, step.signal)))
            continue
        succeeded = partial(_succeeded, step=step.step, attempt=step.attempt)
        failed = partial(_failed, step=step.step, attempt=step.attempt)
        coming += [outputs.map(succeeded), ERRORS.map(failed)] * 3
    coming += [st.just(TimerFired(timer=timer)) for timer in state.timers]
    return st.one_of(*coming, st.just(CancelRequested(reason="enough")))


def _signalled(name: str, payload: Json) -> Event:
    return SignalReceived(name=name, payload=payload)


def _succeeded(output: Json, *, step: StepId, attempt: int) -> Event:
    return StepSucceeded(step=step, attempt=attempt, output=output)


def _failed(error: ErrorInfo, *, step: StepId, attempt: int) -> Event:
    return StepFailed(step=step, attempt=attempt, error=error)


def course(
    data: st.DataObject, planner: Planner, workflow: Workflow, outputs: st.SearchStrategy[Json] = OUTPUTS
) -> list[Entry]:
    """The journal of a run through a random course of events, each decision checked on the way."""
    state, journal = RunState(run=RUN), list[Entry]()
    event: Event = RunStarted(workflow=workflow.name, definition=workflow.hash, input=data.draw(OUTPUTS))
    while not state.is_final and len(journal) < 2 * MOST_EVENTS:
        at_us = state.at_us + data.draw(st.integers(0, 10**7))
        event = read(write(RUN, Entry(state.seq + 1, at_us, event))).body  # type: ignore[assignment]  # an event
        journal.append(Entry(state.seq + 1, at_us, event))
        apply(state, journal[-1])
        for command in decided(planner, state, event):
            journal.append(Entry(state.seq + 1, at_us, command))
            apply(state, journal[-1])
        assert state.is_final or state.open, "the run is stuck"
        assert (state.status == "waiting") == (
            bool(state.open) and all(state.steps[step].status == "waiting" for step in state.open)
        )
        if not state.is_final:
            event = data.draw(what_can_happen(state, outputs))
    return journal


def decided(planner: Planner, state: RunState, event: Event) -> list[Command]:
    """What the planner decides, twice alike and without touching the state."""
    before = copy.deepcopy(state)
    commands = list(planner.decide(state, event))
    assert commands == list(planner.decide(state, event))
    assert is_same(msgspec.to_builtins(before), msgspec.to_builtins(state))
    return commands


@given(WORKFLOWS)
@thorough
def test_a_machine_is_read_from_its_document_as_it_was_meant(workflow: Workflow) -> None:
    """And once more from what is stored, with the same hash."""
    checked = check_bytes(json.dumps(document_of(workflow)).encode())
    assert checked.workflow is not None, [str(problem) for problem in checked.problems]
    assert workflow.fsm == checked.workflow.fsm
    assert (workflow.timeout_ms, workflow.max_steps) == (checked.workflow.timeout_ms, checked.workflow.max_steps)
    stored = from_document(checked.workflow.document, "")
    assert (checked.workflow.hash, checked.workflow.fsm) == (stored.hash, stored.fsm)


@given(WORKFLOWS, st.data())
@thorough
def test_every_course_of_events_decides_purely_and_replays(workflow: Workflow, data: st.DataObject) -> None:
    """Through the loader's workflow, with another planner, from the journal's own bytes."""
    journal = course(data, planner_for(workflow), workflow)
    loaded = check_bytes(json.dumps(document_of(workflow)).encode()).workflow
    assert loaded is not None
    found = replay(RUN, [read(write(RUN, entry)) for entry in journal], planner_for(loaded))
    assert found.divergence is None
    assert is_same(msgspec.to_builtins(fold(RUN, journal)), msgspec.to_builtins(found.state))


@given(WORKFLOWS, st.data())
@thorough
def test_a_changed_command_is_found_at_its_place(workflow: Workflow, data: st.DataObject) -> None:
    """Whichever command, whatever of it: the first difference is named by its sequence number."""
    journal = course(data, planner_for(workflow), workflow)
    commands = [place for place, entry in enumerate(journal) if isinstance(entry.body, Command)]
    place = data.draw(st.sampled_from(commands))
    forged = [*journal]
    forged[place] = msgspec.structs.replace(journal[place], body=data.draw(other_than(journal[place].body)))  # type: ignore[arg-type]
    assert journal[place].seq == divergence(forged, workflow)


@given(WORKFLOWS, st.data())
@thorough
def test_a_command_that_is_missing_or_too_many_is_found_at_its_place(workflow: Workflow, data: st.DataObject) -> None:
    """A decision is kept whole or not at all."""
    journal = course(data, planner_for(workflow), workflow)
    place = data.draw(st.sampled_from([n for n, entry in enumerate(journal) if isinstance(entry.body, Command)]))
    stop = msgspec.structs.replace(journal[place], body=StopStep(step=StepId("none")))
    for forged in ([*journal[:place], *journal[place + 1 :]], [*journal[:place], stop, *journal[place:]]):
        numbered = [msgspec.structs.replace(entry, seq=seq) for seq, entry in enumerate(forged, 1)]
        assert place + 1 == divergence(numbered, workflow)


@given(
    WORKFLOWS,
    OUTPUTS,
    st.dictionaries(st.sampled_from(AGENTS), st.text("SF", min_size=1)),
    st.fixed_dictionaries({wait: st.text("SF", max_size=3).map("{}F".format) for wait in WAITS}),
)
@thorough
def test_equal_simulations_are_equal_documents_and_replay(
    workflow: Workflow, given: Json, steps: dict[str, str], waits: dict[str, str]
) -> None:
    """Times and ids included, whatever the script does."""
    script = script_of({**steps, **waits})  # every wait is left alone in the end, or its answers might lead back to it
    try:
        first, second = (simulate(workflow, given, script) for _ in range(2))
    except Invalid as endless:
        assume(endless.code != "simulation.endless")  # a wait whose time limit leads back to it
        raise
    assert msgspec.json.encode(first) == msgspec.json.encode(second)
    assert first.state.is_final or first.state.open
    entries = [
        Entry(beat.seq + offset, beat.at_us, body)
        for beat in first.beats
        for offset, body in enumerate((beat.event, *beat.commands))
    ]
    kept = [read(write(first.state.run, entry)) for entry in entries]
    found = replay(first.state.run, kept, planner_for(workflow))
    assert found.divergence is None
    assert is_same(msgspec.to_builtins(first.state), msgspec.to_builtins(found.state))


def divergence(journal: list[Entry], workflow: Workflow) -> int:
    """Where replay finds the first difference."""
    found = replay(RUN, journal, planner_for(workflow)).divergence
    assert found is not None
    assert f"entry {found.seq}" in str(found)
    return found.seq


def other_than(command: Command) -> st.SearchStrategy[Command]:
    """The command with one of its fields changed, or another one."""
    changes: dict[str, object] = {
        "step": StepId("other"),
        "agent": AgentId("other"),
        "signal": "other",
        "timer": "other",
        "state": "other",
        "why": "other",
        "via": (*DECISIONS, "other"),
        "attempt": 99,
        "delay_ms": 98_765,
        "timeout_ms": 98_765,
        "status": "cancelled" if getattr(command, "status", "") != "cancelled" else "failed",
        "error": ErrorInfo("other.code", "other"),
    }
    fields = [field for field in command.__struct_fields__ if field in changes]
    changed = st.sampled_from(fields).map(lambda field: msgspec.structs.replace(command, **{field: changes[field]}))
    others: list[Command] = [
        StartStep(step=StepId("other")),
        SetTimer(timer="other", delay_ms=1),
        FinishRun(status="failed", state="other"),
    ]
    return changed | st.sampled_from(others)
