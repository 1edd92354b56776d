"""How long a run may take before it counts as late, by its definition, and who is told."""

import logging

from runtime.domain.run import RunState
from runtime.domain.workflow import Workflow

log = logging.getLogger(__name__)


def late_by_ms(workflow: Workflow, state: RunState) -> int | None:
    """By how much a run that has ended is over its promise; None where it has not ended, is in time, or has none.

    What a what-if took says nothing.
    """
    if not (workflow.sla_ms and state.is_final) or state.what_if:
        return None
    over_us = state.ended_us - state.started_us - workflow.sla_ms * 1_000
    return None if over_us <= 0 else -(-over_us // 1_000)


def tell_late(workflow: Workflow, state: RunState) -> None:
    """Warn in the log of a run that ended late."""
    late_ms = late_by_ms(workflow, state)
    if late_ms is not None:
        took_ms = workflow.sla_ms + late_ms
        log.warning(
            "run %s of workflow %s took %d ms; its sla_response_time is %d ms",
            state.run,
            workflow.name,
            took_ms,
            workflow.sla_ms,
        )
