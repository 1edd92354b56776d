"""Two runs beside each other: the document of `af runs compare`, `af what-if` and the HTTP API."""

from collections.abc import Sequence

import msgspec

from appliance.runs.views import UsageView, WhatIfView, usage_view, what_if_view
from runtime.domain.history import Change
from runtime.domain.ids import DefinitionHash, RunId
from runtime.domain.journal import Entry
from runtime.domain.run import RunState, StepState, fold
from runtime.domain.units import USD_MICROS
from runtime.engine.compare import Comparison, Parting, StepPair, Verdict, compare, spent
from runtime.engine.reading import entries_of
from runtime.ports import StateStore


class SideView(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two runs."""

    run_id: RunId
    workflow: str
    definition_hash: DefinitionHash
    status: str
    path: list[str]
    usage: UsageView
    """What such a run takes."""
    spent: UsageView
    """What it has spent itself: less where answers of another run were taken."""
    duration_ms: int
    """Of its steps together, without waiting."""
    what_if: WhatIfView | None
    """Where it asks what would have been."""


class StepSideView(msgspec.Struct, frozen=True, kw_only=True):
    """One step in one of the runs."""

    status: str
    agent: str | None
    attempt: int
    duration_ms: int
    usage: UsageView
    error: str | None
    """The code of its error, where it failed."""
    reused: bool
    """Whether the answer was another run's."""
    is_other_input: bool
    """Whether that was an answer to something else."""


class StepPairView(msgspec.Struct, frozen=True, kw_only=True):
    """One step in both."""

    step: str
    verdict: Verdict
    left: StepSideView | None
    right: StepSideView | None


class ComparisonView(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs; differences are those of the right one from the left one."""

    left: SideView
    right: SideView
    is_equal: bool
    """Whether they came to the same, in every step and in the end."""
    parting: Parting | None
    """The first entries that say something else."""
    steps: list[StepPairView]
    input_changes: list[Change]
    output_changes: list[Change]
    tokens_difference: int
    """Input and output together."""
    cost_usd_difference: float
    cost_usd_micros_difference: int


async def comparison_view(store: StateStore, left: RunId, right: RunId) -> ComparisonView:
    """The document of two runs. Raises NotFound and Corrupt."""
    of_left, of_right = await entries_of(store, left), await entries_of(store, right)
    return compared(left, of_left, right, of_right)


def compared(
    left: RunId, left_entries: Sequence[Entry], right: RunId, right_entries: Sequence[Entry]
) -> ComparisonView:
    """The same of two journals."""
    one, other = fold(left, left_entries), fold(right, right_entries)
    found = compare(one, left_entries, other, right_entries)
    micros = other.usage.cost_usd_micros - one.usage.cost_usd_micros
    return ComparisonView(
        left=_side(one),
        right=_side(other),
        is_equal=_is_equal(one, other, found),
        parting=found.parting,
        steps=[_pair(pair) for pair in found.steps],
        input_changes=list(found.input_changes),
        output_changes=list(found.output_changes),
        tokens_difference=_tokens(other) - _tokens(one),
        cost_usd_difference=micros / USD_MICROS,
        cost_usd_micros_difference=micros,
    )


def _is_equal(one: RunState, other: RunState, found: Comparison) -> bool:
    return found.parting is None and one.status == other.status and all(each.verdict == "equal" for each in found.steps)


def _side(state: RunState) -> SideView:
    return SideView(
        run_id=state.run,
        workflow=state.workflow,
        definition_hash=state.definition,
        status=state.status,
        path=list(state.path),
        usage=usage_view(state.usage),
        spent=usage_view(spent(state)),
        duration_ms=sum(step.duration_ms for step in state.steps.values()),
        what_if=what_if_view(state) or None,
    )


def _pair(pair: StepPair) -> StepPairView:
    return StepPairView(step=pair.step, verdict=pair.verdict, left=_step_side(pair.left), right=_step_side(pair.right))


def _step_side(step: StepState | None) -> StepSideView | None:
    if step is None:
        return None
    return StepSideView(
        status=step.status,
        agent=step.agent,
        attempt=step.attempt,
        duration_ms=step.duration_ms,
        usage=usage_view(step.usage),
        error=step.error.code if step.status == "failed" and step.error else None,
        reused=bool(step.reused),
        is_other_input=step.reused is not msgspec.UNSET and step.reused.is_other_input,
    )


def _tokens(state: RunState) -> int:
    return state.usage.input_tokens + state.usage.output_tokens
