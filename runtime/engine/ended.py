"""What the log says of a run that failed: which one, where and why, in names and codes, never in its data."""

import logging

from runtime.domain.ids import state_of
from runtime.domain.run import RunState

log = logging.getLogger(__name__)


def tell_ended(state: RunState) -> None:
    """Write down that a run failed; others, and those that only suppose something, leave no record."""
    if state.status != "failed" or state.error is None or state.what_if:
        return
    facts: dict[str, object] = {"run": state.run, "workflow": state.workflow, "code": state.error.code}
    where = ""
    failed = next((step for step in reversed(state.steps.values()) if step.error == state.error), None)
    if failed is not None:
        facts |= {"step": failed.step, "agent": failed.agent or state_of(failed.step)}
        where = f" in step {failed.step!r}"
    log.warning(
        "run %s of workflow %r failed%s: %s; see: af runs why %s",
        state.run,
        state.workflow,
        where,
        state.error.code,
        state.run,
        extra=facts,
    )
