"""One journal entry as one line: when, which, what."""

from typing import assert_never

import click

from appliance.cli.terminal import clip, columns, compact, printable
from appliance.cli.units import clock_time, span
from runtime.domain.command import (
    RUN_TIMER,
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
    EVENTS,
    CancelRequested,
    RunMigrated,
    RunStarted,
    SignalReceived,
    StepFailed,
    StepSucceeded,
    SubrunStarted,
    TimerFired,
)
from runtime.domain.journal import Body, Entry
from runtime.domain.plan import Plan
from runtime.planners.tree.planner import AGAIN, TIMERS

COLORS = {
    "step.succeeded": "green",
    "step.failed": "red",
    "signal.awaited": "yellow",
    "cancel.requested": "yellow",
}


def entry_line(entry: Entry) -> str:
    """`14:03:12.345    4  step.succeeded  search  80 ms  {"hits": …`; events bright, commands indented."""
    kind = entry.body.TYPE
    color = COLORS.get(kind)
    if isinstance(entry.body, FinishRun):
        color = {"succeeded": "green", "failed": "red"}.get(entry.body.status, "yellow")
    name = kind if isinstance(entry.body, EVENTS) else f"  {kind}"
    head = f"{click.style(clock_time(entry.at_us), dim=True)} {entry.seq:>4}  {click.style(f'{name:<18}', fg=color)}"
    return f"{head} {clip(printable(summary(entry.body)), max(20, columns() - 38))}".rstrip()


def summary(body: Body) -> str:
    """What an entry says, on one line."""
    match body:
        case RunStarted():
            by = f" by {body.actor}" if body.actor else ""
            return f"{body.workflow}{by}  {compact(body.input)}"
        case StepSucceeded():
            return f"{body.step}  {span(body.duration_ms)}  {compact(body.output)}"
        case StepFailed():
            return f"{body.step}{_attempt(body.attempt)}  {body.error.code}  {body.error.message}"
        case SignalReceived():
            by = f" by {body.actor}" if body.actor else ""
            return f"{body.name}{by}  {compact(body.payload)}"
        case RunMigrated():
            by = f" by {body.actor}" if body.actor else ""
            return f"{body.workflow}{by}  {body.definition}"
        case SubrunStarted():
            return f"{body.step}  {body.run}"
        case TimerFired():
            return _timer(body.timer)
        case CancelRequested():
            by = f" by {body.actor}" if body.actor else ""
            return f"{body.reason or 'no reason given'}{by}"
        case _:
            return decided(body)


def decided(body: Command) -> str:
    """What a command wants done, on one line."""
    match body:
        case StartStep():
            delay = f" in {span(body.delay_ms)}" if body.delay_ms else ""
            agent = f" ({body.agent})" if body.agent else ""
            return f"{_via(body.via)}{body.step}{agent}{_attempt(body.attempt)}{delay}{_because(body.why)}"
        case AwaitSignal():
            limit = f" for {span(body.timeout_ms)}" if body.timeout_ms else ""
            return f"{_via(body.via)}{body.step} waits for {body.signal!r}{limit}{_because(body.why)}"
        case SetTimer():
            return f"{_timer(body.timer)} in {span(body.delay_ms)}"
        case StopStep():
            return body.step
        case KeepTree():
            return body.memory.statuses
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


def _planned(plan: Plan) -> str:
    """`by a model: search → answer`."""
    told = plan.strategy or " → ".join(step.name for step in plan.steps)
    return {"model": "by the model", "person": "by a person", "fallback": "the sub-plan"}[plan.source] + (
        f": {printable(told)}" if told else ""
    )


def _attempt(number: int) -> str:
    return f" attempt {number}" if number > 1 else ""


def _because(why: str) -> str:
    return f"  because {compact(why)}" if why else ""


def _via(states: tuple[str, ...]) -> str:
    return "".join(f"{state} → " for state in states)


def _timer(name: str) -> str:
    if name.startswith(AGAIN):
        return "another tick of the tree"
    if name.startswith(TIMERS):
        return f"time limit of node {name.removeprefix(TIMERS)} of the tree"
    return "time limit of the run" if name == RUN_TIMER else f"time limit of {name}"
