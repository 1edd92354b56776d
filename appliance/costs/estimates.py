"""How near the estimates of past runs were to what these took, by workflow."""

import logging
import statistics
from collections.abc import AsyncIterator

import msgspec

from appliance.runs.views import tokens_error_ratio
from runtime.costs.calibration import whole_usage
from runtime.domain.run import RunState, fold
from runtime.engine.reading import entries_of
from runtime.errors import Corrupt
from runtime.ports import StateStore

MOST_RUNS = 2_000
"""Runs that are looked at, the newest of the period."""
PAGE = 500

log = logging.getLogger(__name__)


class AccuracyView(msgspec.Struct, frozen=True, kw_only=True):
    """The estimates of one workflow's runs against what they took."""

    workflow: str
    runs: int
    """With an estimate, and ended or waiting for a person."""
    tokens_median_error_ratio: float
    """Median of how far off `p50` was, of what the run took."""
    within_p95_ratio: float
    """Share of the runs that took no more tokens than `p95`."""


async def accuracy(store: StateStore, between_us: tuple[int, int], *, tenant: str = "") -> list[AccuracyView]:
    """By workflow, in the order of the names; of one tenant's runs, or of all."""
    errors: dict[str, list[tuple[float, bool]]] = {}
    async for state in estimated(store, between_us, tenant):
        error = tokens_error_ratio(state)
        if error is not None and state.estimate:
            usage = whole_usage(state)
            took = usage.input_tokens + usage.output_tokens
            errors.setdefault(state.workflow, []).append((abs(error), took <= state.estimate.tokens_p95))
    return [
        AccuracyView(
            workflow=workflow,
            runs=len(found),
            tokens_median_error_ratio=round(statistics.median(error for error, _ in found), 6),
            within_p95_ratio=round(sum(is_within for _, is_within in found) / len(found), 6),
        )
        for workflow, found in sorted(errors.items())
    ]


async def estimated(store: StateStore, between_us: tuple[int, int], tenant: str) -> AsyncIterator[RunState]:
    """The states of the period's runs that have an estimate; of others only the first entry is read."""
    looked_at, before = 0, None
    while looked_at < MOST_RUNS and (page := await store.runs(limit=PAGE, before=before)):
        for summary in page:
            before = summary.run
            if summary.created_us < between_us[0]:
                return
            if summary.created_us >= between_us[1] or (tenant and summary.tenant != tenant):
                continue
            looked_at += 1
            first = await store.read(summary.run, limit=1)
            if first and b'"estimate":' in first[0].data:
                try:
                    yield fold(summary.run, await entries_of(store, summary.run))
                except Corrupt as error:  # of one damaged run the others' costs are told all the same
                    log.error("run %s is left out of the estimates: %s", summary.run, error.code)
