"""Runs as people and programs see them: the documents of `af run --json`, `af runs` and the HTTP API.

Written once, so that the command line and the API never disagree. Money is in US dollars, times are
RFC 3339 UTC text, durations are milliseconds. Nothing here reads a store.
"""

from collections.abc import Iterable

import msgspec

from runtime.costs.calibration import whole_usage
from runtime.domain.canonical import Json
from runtime.domain.event import Answers, ErrorInfo, Reused, Usage
from runtime.domain.ids import DefinitionHash, RunId, StepId, state_of
from runtime.domain.journal import rfc3339
from runtime.domain.run import RunState, RunStatus, StepState, StepStatus
from runtime.domain.units import USD_MICROS
from runtime.domain.workflow import Workflow
from runtime.engine.answer import answer_of
from runtime.engine.promises import late_by_ms
from runtime.errors import AgentFlowError
from runtime.ports import RunKind, RunSummary


class UsageView(msgspec.Struct, frozen=True):
    """Tokens and money."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


class ErrorView(msgspec.Struct, frozen=True):
    """Why a step or a run failed."""

    code: str
    """Stable, such as `step.timeout`."""
    message: str
    retryable: bool


class WithinView(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a step that waits for somebody."""

    run_id: RunId
    signals: list[str]
    """What it waits for, in runs of its own steps too."""


class TaskWithinView(msgspec.Struct, frozen=True, kw_only=True):
    """A task for people that a run of a step waits with."""

    run_id: RunId
    """The run that it is a step of, which may be a part of a part."""
    step: StepId
    signal: str
    roles: list[str]
    """Who may do it; empty: anybody, or the assignee alone."""
    decisions: list[str]


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """The latest attempt at one step. `result` once it succeeded, `error` once it failed, neither before."""

    step: StepId
    agent: str | None
    """None: a step that waits for a signal, and is no agent's task."""
    status: StepStatus
    attempt: int
    started_at: str
    """When the attempt was due to start."""
    duration_ms: int
    usage: UsageView
    """Of all attempts together."""
    result: Json | msgspec.UnsetType = msgspec.UNSET
    error: ErrorView | msgspec.UnsetType = msgspec.UNSET
    signal: str | msgspec.UnsetType = msgspec.UNSET
    """The signal that the step waits or waited for."""
    roles: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Who may do the task for people that it is; empty: anybody, or the assignee alone."""
    decisions: list[str] | msgspec.UnsetType = msgspec.UNSET
    """What may be decided in it."""
    why: str | msgspec.UnsetType = msgspec.UNSET
    """Why it waits, where the plan did not mean to: what was wrong with a model's plan, or what failed."""
    evidence: dict[str, Json] | msgspec.UnsetType = msgspec.UNSET
    """What answered: backend, model, engine fingerprint, scores."""
    runs: list[RunId] | msgspec.UnsetType = msgspec.UNSET
    """The runs that the step has of its own."""
    waits: list[WithinView] | msgspec.UnsetType = msgspec.UNSET
    """Those of them that wait for somebody, while all that are under way do."""
    reused: Reused | msgspec.UnsetType = msgspec.UNSET
    """Where its answer was taken from, in a what-if."""


class ParentView(msgspec.Struct, frozen=True, kw_only=True):
    """The step that a run is a part of."""

    run_id: RunId
    step: StepId


class WhatIfView(msgspec.Struct, frozen=True, kw_only=True):
    """What a run supposes that asks what would have been."""

    run_id: RunId
    """The run that it sets out from."""
    at: int
    """The entry up to which things were taken as they stand."""
    answers: Answers
    live_tools: bool
    values: Json
    """What is supposed: `changes`, each [step, path, value], and `script`."""


class EstimateView(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was expected to take before it began."""

    tokens_p50: int
    """Input and output together; half of such runs take less."""
    tokens_p95: int
    cost_usd_p50: float
    cost_usd_p95: float
    learned_from_runs: int
    """0: it rests on the definition alone."""
    tokens_error_ratio: float | None
    """By how much of what it took the estimate's `p50` is off, above 0 where it was too high; null before the end."""


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    run_id: RunId
    workflow: str
    definition_hash: DefinitionHash
    status: RunStatus
    minimised: bool | msgspec.UnsetType = msgspec.UNSET
    """True where pseudonyms stand in the journal in place of people's data."""
    part_of: ParentView | msgspec.UnsetType = msgspec.UNSET
    """Where another run asked for this one."""
    what_if: WhatIfView | msgspec.UnsetType = msgspec.UNSET
    """Where it asks what would have been: its answers mean nothing to anybody else."""
    output: Json = None
    path: list[str] = []
    """States in the order in which they were entered."""
    steps: list[StepView] = []
    """In the order in which they were first scheduled."""
    usage: UsageView = UsageView()
    estimate: EstimateView | msgspec.UnsetType = msgspec.UNSET
    """Where somebody asked before the run."""
    started_at: str | msgspec.UnsetType = msgspec.UNSET
    ended_at: str | msgspec.UnsetType = msgspec.UNSET
    """Absent while the run is not final."""
    error: ErrorView | msgspec.UnsetType = msgspec.UNSET
    """Why the run failed or was cancelled."""
    awaiting: list[str] | msgspec.UnsetType = msgspec.UNSET
    """The signals that it waits for, itself or in runs of its steps."""
    tasks_within: list[TaskWithinView] | msgspec.UnsetType = msgspec.UNSET
    """The tasks for people among what runs of its steps wait for; the first of them."""
    late_ms: int | msgspec.UnsetType = msgspec.UNSET
    """By how much it is over the `sla_response_time` of its definition, where it is."""


class RunLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a list of runs."""

    run_id: RunId
    workflow: str
    definition_hash: DefinitionHash
    status: str
    created_at: str
    updated_at: str
    entries: int
    """Journal entries so far."""
    kind: RunKind = "run"
    """`what_if`: it asks what would have been; `imported`: it came from elsewhere, and is only looked at."""
    origin: str | None = None
    """Of a what-if the run that it sets out from; of an imported run where it came from."""


def run_view(state: RunState, workflow: Workflow | None = None) -> RunView:
    """The document of a run at one point of its journal; its definition, where given, says what the output is."""
    output, error = _output(state, workflow)
    error = state.error or error
    return RunView(
        run_id=state.run,
        workflow=state.workflow,
        definition_hash=state.definition,
        status=state.status,
        minimised=state.is_minimised,
        part_of=ParentView(run_id=state.parent.run, step=state.parent.step) if state.parent else msgspec.UNSET,
        what_if=what_if_view(state),
        output=output,
        path=list(state.path),
        steps=[_step_view(step) for step in state.steps.values()],
        usage=usage_view(state.usage),
        estimate=_estimate_view(state),
        started_at=rfc3339(state.started_us),
        ended_at=rfc3339(state.ended_us) if state.is_final else msgspec.UNSET,
        error=_error_view(error) if error else msgspec.UNSET,
        awaiting=state.awaits() or msgspec.UNSET,
        late_ms=(late_by_ms(workflow, state) if workflow else None) or msgspec.UNSET,
    )


def what_if_view(state: RunState) -> WhatIfView | msgspec.UnsetType:
    """What a run supposes; not set for any other."""
    found = state.what_if
    if not found:
        return msgspec.UNSET
    return WhatIfView(
        run_id=found.run, at=found.at, answers=found.answers, live_tools=found.live_tools, values=found.values
    )


def accepted_view(run: RunId, workflow: Workflow) -> RunView:
    """The document of a run that was made durable a moment ago and has not been looked at since."""
    return RunView(run_id=run, workflow=workflow.name, definition_hash=workflow.hash, status="running")


def run_lines(summaries: Iterable[RunSummary]) -> list[RunLine]:
    """The lines of a list of runs, in the order given."""
    return [
        RunLine(
            run_id=summary.run,
            workflow=summary.workflow,
            definition_hash=summary.definition,
            status=summary.status,
            created_at=rfc3339(summary.created_us),
            updated_at=rfc3339(summary.updated_us),
            entries=summary.seq,
            kind=summary.kind,
            origin=summary.origin or None,
        )
        for summary in summaries
    ]


def usage_view(usage: Usage) -> UsageView:
    """Tokens as they are, money in dollars."""
    return UsageView(usage.input_tokens, usage.output_tokens, usage.cost_usd_micros / USD_MICROS)


def tokens_error_ratio(state: RunState) -> float | None:
    """By how much of what a run took its estimate is off; None where it has none, has not ended, or took nothing."""
    usage = whole_usage(state)
    took = usage.input_tokens + usage.output_tokens
    if not state.estimate or not took or not (state.is_final or state.status == "waiting"):
        return None
    return (state.estimate.tokens_p50 - took) / took


def _estimate_view(state: RunState) -> EstimateView | msgspec.UnsetType:
    if not state.estimate:
        return msgspec.UNSET
    found = state.estimate
    return EstimateView(
        tokens_p50=found.tokens_p50,
        tokens_p95=found.tokens_p95,
        cost_usd_p50=found.usd_micros_p50 / USD_MICROS,
        cost_usd_p95=found.usd_micros_p95 / USD_MICROS,
        learned_from_runs=found.runs,
        tokens_error_ratio=tokens_error_ratio(state),
    )


def _output(state: RunState, workflow: Workflow | None) -> tuple[Json, ErrorInfo | None]:
    """What a run answered, and why it could not be said where the workflow's own `output:` cannot be rendered."""
    if workflow is None:
        return state.output, None
    try:
        return answer_of(workflow, state), None
    except AgentFlowError as failure:
        return None, ErrorInfo(failure.code, f"'output:' of workflow {workflow.name!r}: {failure.message}")


def _step_view(step: StepState) -> StepView:
    return StepView(
        step=step.step,
        agent=None if step.signal and not step.task else step.agent or state_of(step.step),
        status="waiting" if step.waits else step.status,
        attempt=step.attempt,
        started_at=rfc3339(step.due_us),
        duration_ms=step.duration_ms,
        usage=usage_view(step.usage),
        result=step.output if step.status == "succeeded" else msgspec.UNSET,
        error=_error_view(step.error) if step.status == "failed" and step.error else msgspec.UNSET,
        signal=step.signal or msgspec.UNSET,
        roles=[*step.task.terms.roles_at(step.task.level)] if step.task else msgspec.UNSET,
        decisions=[*step.task.terms.decisions] if step.task else msgspec.UNSET,
        why=(step.why if step.status == "waiting" else "") or msgspec.UNSET,
        evidence=step.evidence or msgspec.UNSET,
        runs=step.runs,
        waits=[WithinView(run_id=wait.run, signals=list(wait.signals)) for wait in step.waits or ()] or msgspec.UNSET,
        reused=step.reused,
    )


def _error_view(error: ErrorInfo) -> ErrorView:
    return ErrorView(error.code, error.message, error.retryable)
