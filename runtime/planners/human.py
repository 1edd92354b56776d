"""Tasks for people in a plan: where it would have an agent of that kind act, a person is asked instead. Pure.

The plans themselves know nothing of it: to them a task that was answered is a step that succeeded, and one that expired
without a decision is a step that failed.
"""

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from runtime.domain.command import AwaitSignal, Command, SetTimer, StartStep, StopStep
from runtime.domain.event import ErrorInfo, SignalReceived, StepFailed, StepSucceeded
from runtime.domain.human import Terms, is_expiry, parts_of, step_of, timers_at
from runtime.domain.ids import AgentId, StepId, state_of
from runtime.domain.run import RunState
from runtime.domain.workflow import Workflow, attempt_limits


def people_asked(workflow: Workflow, state: RunState, commands: Sequence[Command]) -> Sequence[Command]:
    """The same commands, with a task in place of every step that people do."""
    if not any(_terms(workflow, command) is not None for command in commands):
        return commands
    return list(_asking(workflow, state, commands))


def levelled(state: RunState, timer: str) -> list[Command]:
    """What follows when a task's timer has come due: those of the level that it came to are set."""
    step = state.steps.get(StepId(step_of(timer)))
    if step is None or not step.task or step.step not in state.open or parts_of(timer)[0] != "escalate":
        return []
    return _timers(step.task.terms, step.task.level, step.step)


def answered(state: RunState, event: SignalReceived) -> StepSucceeded | None:
    """What an answer to a task is to a plan; None: it answered none."""
    step = None if state.last is None else state.steps[state.last]
    if step is None or not step.task or step.signal != event.name or step.ended_us != state.at_us:
        return None
    return StepSucceeded(step=step.step, output=step.output, attempt=step.attempt)


def expired(state: RunState, timer: str) -> StepSucceeded | StepFailed | None:
    """What the end of a task's time is to a plan, an answer or a failure; None: the timer did not end it."""
    step = state.steps.get(StepId(step_of(timer)))
    if step is None or not is_expiry(timer):
        return None
    if step.status == "succeeded":
        return StepSucceeded(step=step.step, output=step.output, attempt=step.attempt)
    return StepFailed(step=step.step, error=step.error or ErrorInfo("human.expired", ""), attempt=step.attempt)


def _asking(workflow: Workflow, state: RunState, commands: Iterable[Command]) -> Iterator[Command]:
    taken = set(state.awaited())
    for command in commands:
        terms = _terms(workflow, command)
        if isinstance(command, StartStep) and terms is not None:
            name = state_of(command.step)
            signal = name if name not in taken else command.step
            yield AwaitSignal(
                step=command.step,
                signal=signal,
                via=command.via,
                why=command.why,
                agent=command.agent,
                attempt=command.attempt,
                terms=terms,
            )
            yield from _timers(terms, 0, command.step)
            taken.add(signal)
            continue
        if isinstance(command, AwaitSignal):
            taken.add(command.signal)
        elif isinstance(command, StopStep) and command.step in state.steps:
            taken.discard(state.steps[command.step].signal)
        yield command


def _terms(workflow: Workflow, command: Command) -> Terms | None:
    """The terms of a task that a command begins; None: it is none for people."""
    if not isinstance(command, StartStep):
        return None
    agent = command.agent or AgentId(state_of(command.step))
    spec = workflow.agents.get(agent)
    if spec is None or spec.terms is None:
        return None
    expires_ms = attempt_limits(workflow, state_of(command.step), agent).timeout_ms
    return replace(spec.terms, expires_ms=expires_ms)


def _timers(terms: Terms, level: int, step: StepId) -> list[Command]:
    return [SetTimer(timer=timer, delay_ms=delay_ms) for timer, delay_ms in timers_at(terms, level, step).items()]
