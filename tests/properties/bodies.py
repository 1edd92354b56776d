"""Everything that a journal can hold, with fields as they come."""

from hypothesis import strategies as st

from runtime.domain.command import (
    AwaitSignal,
    FinishRun,
    KeepPlan,
    KeepTree,
    Listen,
    Replan,
    SetTimer,
    StartStep,
    StopStep,
)
from runtime.domain.event import (
    CancelRequested,
    ErrorInfo,
    Reused,
    RunMigrated,
    RunStarted,
    SignalReceived,
    StepFailed,
    StepSucceeded,
    SubrunStarted,
    SubrunsWaiting,
    SubrunWait,
    TaskMoved,
    TaskTold,
    TimerFired,
    ToolUse,
    Usage,
    WhatIf,
)
from runtime.domain.exec_profile import Used
from runtime.domain.human import Level, Terms
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId, TenantId
from runtime.domain.journal import Body
from runtime.domain.plan import Plan, PlanStep
from runtime.domain.tree import TreeMemory
from tests.properties.values import TEXTS, VALUES

_COUNTS = st.integers(0, 2**40)
_STEPS = TEXTS.map(StepId)
_AGENTS = st.none() | TEXTS.map(AgentId)
_USAGES = st.builds(Usage, _COUNTS, _COUNTS, _COUNTS)
_ERRORS = st.builds(ErrorInfo, TEXTS, TEXTS, st.booleans())
_VIA = st.lists(TEXTS, max_size=3).map(tuple)
_ATTEMPTS = st.integers(1, 100)
_REUSED = st.none() | st.builds(Reused, run=TEXTS.map(RunId), seq=_COUNTS, is_other_input=st.booleans())
_WHAT_IFS = st.none() | st.builds(
    WhatIf,
    run=TEXTS.map(RunId),
    at=_COUNTS,
    answers=st.sampled_from(["recorded", "scripted", "live"]),
    live_tools=st.booleans(),
    values=VALUES,
)
_CALLS = st.lists(
    st.builds(
        ToolUse,
        tool=TEXTS,
        outcome=TEXTS,
        arguments=TEXTS,
        profile=TEXTS,
        driver=TEXTS,
        is_cached=st.booleans(),
        cost_usd_micros=_COUNTS,
        wall_ms=_COUNTS,
        used=st.none() | st.builds(Used, _COUNTS, _COUNTS, _COUNTS),
    ),
    max_size=2,
).map(tuple)
_MEMORIES = st.builds(TreeMemory, TEXTS, st.lists(st.lists(_COUNTS, min_size=3, max_size=3), max_size=3))

BODIES: st.SearchStrategy[Body] = st.one_of(
    st.builds(
        RunStarted,
        workflow=TEXTS,
        definition=TEXTS.map(DefinitionHash),
        input=VALUES,
        tenant=TEXTS.map(TenantId),
        actor=TEXTS,
        what_if=_WHAT_IFS,
        traceparent=TEXTS,
    ),
    st.builds(
        StepSucceeded,
        step=_STEPS,
        output=VALUES,
        attempt=_ATTEMPTS,
        usage=_USAGES,
        duration_ms=_COUNTS,
        evidence=st.none() | st.dictionaries(TEXTS, VALUES, max_size=2),
        reused=_REUSED,
        calls=_CALLS,
    ),
    st.builds(
        StepFailed,
        step=_STEPS,
        error=_ERRORS,
        attempt=_ATTEMPTS,
        usage=_USAGES,
        duration_ms=_COUNTS,
        reused=_REUSED,
        calls=_CALLS,
    ),
    st.builds(SubrunStarted, step=_STEPS, run=TEXTS.map(RunId)),
    st.builds(
        SubrunsWaiting,
        step=_STEPS,
        attempt=_ATTEMPTS,
        waits=st.lists(st.builds(SubrunWait, TEXTS.map(RunId), _VIA), max_size=2).map(tuple),
    ),
    st.builds(
        RunMigrated,
        workflow=TEXTS,
        definition=TEXTS.map(DefinitionHash),
        previous=TEXTS.map(DefinitionHash),
        actor=TEXTS,
        tree=st.none() | _MEMORIES,
        timers=st.dictionaries(TEXTS, TEXTS, max_size=2),
    ),
    st.builds(TimerFired, timer=TEXTS),
    st.builds(SignalReceived, name=TEXTS, payload=VALUES, actor=TEXTS, role=TEXTS),
    st.builds(
        TaskMoved,
        step=_STEPS,
        how=st.sampled_from(["taken", "assigned", "returned"]),
        person=TEXTS,
        actor=TEXTS,
        role=TEXTS,
        note=TEXTS,
    ),
    st.builds(TaskTold, step=_STEPS, notice=TEXTS, channels=st.dictionaries(TEXTS, TEXTS, max_size=2)),
    st.builds(CancelRequested, reason=TEXTS, actor=TEXTS),
    st.builds(StartStep, step=_STEPS, agent=_AGENTS, attempt=_ATTEMPTS, delay_ms=_COUNTS, via=_VIA, why=TEXTS),
    st.builds(
        AwaitSignal,
        step=_STEPS,
        signal=TEXTS,
        timeout_ms=_COUNTS,
        via=_VIA,
        why=TEXTS,
        agent=_AGENTS,
        attempt=_ATTEMPTS,
        terms=st.none()
        | st.builds(
            Terms,
            role=TEXTS,
            backup=TEXTS,
            assignee=TEXTS,
            decisions=_VIA,
            chain=st.lists(st.builds(Level, TEXTS, _COUNTS), max_size=2).map(tuple),
            reminders_ms=st.lists(_COUNTS, max_size=2).map(tuple),
            channels=_VIA,
            expires_ms=_COUNTS,
            on_expiry=TEXTS,
        ),
    ),
    st.builds(SetTimer, timer=TEXTS, delay_ms=_COUNTS),
    st.builds(StopStep, step=_STEPS),
    st.builds(
        KeepTree,
        memory=_MEMORIES,
        stopped=_VIA,
    ),
    st.builds(Listen, signals=_VIA),
    st.builds(Replan, trigger=TEXTS, strategy=TEXTS, state=TEXTS, to=TEXTS, why=TEXTS),
    st.builds(
        KeepPlan,
        plan=st.builds(
            Plan,
            source=st.sampled_from(["model", "person", "fallback"]),
            strategy=TEXTS,
            steps=st.lists(
                st.builds(PlanStep, name=TEXTS, agent=TEXTS, visit=_ATTEMPTS, input=VALUES, after=_VIA), max_size=3
            ).map(tuple),
        ),
        why=TEXTS,
    ),
    st.builds(
        FinishRun,
        status=st.sampled_from(["succeeded", "failed", "cancelled"]),
        state=TEXTS,
        error=st.none() | _ERRORS,
        via=_VIA,
        why=TEXTS,
    ),
)
