"""What a journal entry says, as one text for people. Pure.

It quotes what runs hold as it stands: who shows it on a screen takes control characters out first.
"""

import json
from typing import assert_never

from runtime.domain.canonical import Json
from runtime.domain.command import (
    RUN_TIMER,
    TREE_AGAIN,
    TREE_TIMERS,
    AwaitSignal,
    Command,
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
)
from runtime.domain.human import is_expiry, parts_of, step_of
from runtime.domain.journal import Body
from runtime.domain.plan import Plan
from runtime.domain.units import span


def told(body: Body) -> str:
    """What an entry says."""
    match body:
        case RunStarted():
            return f"{body.workflow}{_by(body.actor)}  {_compact(body.input)}"
        case StepSucceeded():
            return f"{body.step}  {span(body.duration_ms)}  {_compact(body.output)}"
        case StepFailed():
            return f"{body.step}{_attempt(body.attempt)}  {body.error.code}  {body.error.message}"
        case SignalReceived():
            return f"{body.name}{_by(body.actor)}  {_compact(body.payload)}"
        case RunMigrated():
            return f"{body.workflow}{_by(body.actor)}  {body.definition}"
        case SubrunStarted():
            return f"{body.step}  {body.run}"
        case SubrunsWaiting():
            return f"{body.step}  {_waits(body.waits)}"
        case TimerFired():
            return _timer(body.timer)
        case TaskMoved():
            to = f" to {body.person}" if body.how == "assigned" else ""
            return f"{body.step} {body.how}{to}{_by(body.actor)}{f'  {body.note}' if body.note else ''}"
        case TaskTold():
            went = ", ".join(f"{channel} {code}" for channel, code in body.channels.items())
            return f"{body.step}  {body.notice}  {went}".rstrip()
        case CancelRequested():
            return f"{body.reason or 'no reason given'}{_by(body.actor)}"
        case _:
            return decided(body)


def decided(body: Command) -> str:
    """What a command wants done."""
    match body:
        case StartStep():
            delay = f" in {span(body.delay_ms)}" if body.delay_ms else ""
            agent = f" ({body.agent})" if body.agent else ""
            return f"{_via(body.via)}{body.step}{agent}{_attempt(body.attempt)}{delay}{_because(body.why)}"
        case AwaitSignal():
            limit = f" for {span(body.timeout_ms)}" if body.timeout_ms else ""
            if body.terms is not None:
                people = " or ".join(body.terms.roles_at(0)) or body.terms.assignee or "anybody"
                return f"{_via(body.via)}{body.step} is a task for {people}{_attempt(body.attempt)}{_because(body.why)}"
            return f"{_via(body.via)}{body.step} waits for {body.signal!r}{limit}{_because(body.why)}"
        case SetTimer():
            return f"{_timer(body.timer)} in {span(body.delay_ms)}"
        case StopStep():
            return body.step
        case KeepTree():
            return _tree(body.memory.statuses)
        case KeepPlan():
            return f"{_planned(body.plan)}{_because(body.why)}"
        case Listen():
            return ", ".join(body.signals)
        case Replan():
            return body.why
        case FinishRun():
            state = f" in {body.state}" if body.state else ""
            error = f"  {body.error.code}  {body.error.message}" if body.error else ""
            return f"{_via(body.via)}{body.status}{state}{_because(body.why)}{error}"
        case _:
            assert_never(body)


def _tree(statuses: str) -> str:
    """`5 running, 2 succeeded, 1 failed of 22 nodes`; the letters themselves are in the journal."""
    counts = {"running": statuses.count("r"), "succeeded": statuses.count("s"), "failed": statuses.count("f")}
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"{told or 'none under way'} of {len(statuses)} nodes"


def _planned(plan: Plan) -> str:
    """`by a model: search → answer`."""
    way = plan.strategy or " → ".join(step.name for step in plan.steps)
    return {"model": "by the model", "person": "by a person", "fallback": "the sub-plan"}[plan.source] + (
        f": {way}" if way else ""
    )


def _attempt(number: int) -> str:
    return f" attempt {number}" if number > 1 else ""


def _because(why: str) -> str:
    return f"  because {_compact(why)}" if why else ""


def _via(states: tuple[str, ...]) -> str:
    return "".join(f"{state} → " for state in states)


def _timer(name: str) -> str:
    if step := step_of(name):
        kind, level, number = parts_of(name)
        if is_expiry(name):
            return f"time limit of task {step}"
        return f"reminder {number} of task {step}" if kind == "remind" else f"escalation {level + 1} of task {step}"
    if name.startswith(TREE_AGAIN):
        return "another tick of the tree"
    if name.startswith(TREE_TIMERS):
        return f"time limit of node {name.removeprefix(TREE_TIMERS)} of the tree"
    return "time limit of the run" if name == RUN_TIMER else f"time limit of {name}"


def _by(actor: str) -> str:
    return f" by {actor}" if actor else ""


def _compact(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _waits(waits: tuple[SubrunWait, ...]) -> str:
    if not waits:
        return "goes on"
    return "; ".join(f"{wait.run} waits for {' or '.join(map(repr, wait.signals))}" for wait in waits)
