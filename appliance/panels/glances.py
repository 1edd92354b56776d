"""Runs at a glance: what each does, waits for, or failed with, for a list that holds no journals."""

import msgspec

from runtime.domain.ids import RunId
from runtime.domain.run import RunState
from runtime.domain.units import USD_MICROS

MOST_RUNS = 50


class GlanceView(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    run_id: RunId
    status: str
    doing: str
    """The step that runs, or `step: signal` of one that waits, or the step that failed, or the final state."""
    error: str
    """Code of what it failed with; empty: it has not."""
    tokens: int
    cost_usd: float


class GlancesView(msgspec.Struct, frozen=True, kw_only=True):
    """Those of the runs that were asked for which are there, in the order asked."""

    runs: list[GlanceView]


def glance_of(state: RunState) -> GlanceView:
    """One run's line."""
    usage = state.usage
    return GlanceView(
        run_id=state.run,
        status=state.status,
        doing=_doing(state),
        error=state.error.code if state.error else "",
        tokens=usage.input_tokens + usage.output_tokens,
        cost_usd=usage.cost_usd_micros / USD_MICROS,
    )


def _doing(state: RunState) -> str:
    if state.open:
        step = state.steps[next(reversed(state.open))]
        awaited = [step.signal] if step.signal else [signal for wait in step.waits or () for signal in wait.signals]
        return f"{step.step}: {', '.join(dict.fromkeys(awaited))}" if awaited else step.step
    if state.status == "failed" and state.last_failed is not None:
        return state.last_failed
    return state.path[-1] if state.path else ""
