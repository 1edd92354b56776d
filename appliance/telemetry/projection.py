"""Metrics of runs as a projection of journal rows: what replay reads again is never counted twice.

Decodes only the few fields that it counts, so that following the journal stays cheap.
"""

from collections.abc import Callable

import msgspec

from appliance.telemetry.metrics import Metrics
from runtime.domain.command import FinishRun
from runtime.domain.event import NO_USAGE, WHAT_IF, Reused, RunStarted, StepFailed, StepSucceeded, Usage, WhatIf
from runtime.domain.ids import RunId
from runtime.domain.journal import Row
from runtime.domain.units import USD_MICROS

OLDER = "(started before)"
"""Stands for the workflow of a run that this process did not see start."""


class _Started(msgspec.Struct, frozen=True):
    workflow: str
    what_if: WhatIf | None = None


class _Ended(msgspec.Struct, frozen=True):
    duration_ms: int = 0
    usage: Usage = NO_USAGE
    reused: Reused | None = None


class _Finished(msgspec.Struct, frozen=True):
    status: str


class _OpenRun(msgspec.Struct, frozen=True):
    workflow: str
    started_us: int


_started = msgspec.json.Decoder(_Started)
_ended = msgspec.json.Decoder(_Ended)
_finished = msgspec.json.Decoder(_Finished)


class RunMetrics:
    """Counts rows. Remembers the runs that are open, and forgets each when it ends."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._open: dict[RunId, _OpenRun] = {}
        self._count: dict[str, Callable[[Row], None]] = {
            RunStarted.TYPE: self._run_started,
            StepSucceeded.TYPE: self._step_ended,
            StepFailed.TYPE: self._step_ended,
            FinishRun.TYPE: self._run_finished,
        }

    def project(self, row: Row) -> None:
        """Count one row."""
        self._metrics.events.labels(row.type).inc()
        if count := self._count.get(row.type):
            count(row)

    def _run_started(self, row: Row) -> None:
        started = _started.decode(row.data)
        workflow = started.workflow if started.what_if is None else f"{WHAT_IF}{started.workflow}"
        self._open[row.run] = _OpenRun(workflow, row.at_us)
        self._metrics.runs_started.labels(workflow).inc()

    def _step_ended(self, row: Row) -> None:
        ended = _ended.decode(row.data)
        if ended.reused is not None:  # it was counted when it happened
            return
        workflow = self._workflow(row.run)
        outcome = "succeeded" if row.type == StepSucceeded.TYPE else "failed"
        self._metrics.steps.labels(workflow, outcome).inc()
        self._metrics.step_seconds.labels(workflow).observe(ended.duration_ms / 1000)
        self._metrics.tokens.labels("input").inc(ended.usage.input_tokens)
        self._metrics.tokens.labels("output").inc(ended.usage.output_tokens)
        self._metrics.cost.inc(ended.usage.cost_usd_micros / USD_MICROS)

    def _run_finished(self, row: Row) -> None:
        workflow = self._workflow(row.run)
        self._metrics.runs_finished.labels(workflow, _finished.decode(row.data).status).inc()
        if run := self._open.pop(row.run, None):
            self._metrics.run_seconds.labels(workflow).observe((row.at_us - run.started_us) / 1_000_000)

    def _workflow(self, run: RunId) -> str:
        known = self._open.get(run)
        return known.workflow if known else OLDER
