"""What may begin: how large an input may be, what it has to look like, and workflows that load but may not run."""

from runtime.domain import canonical
from runtime.domain.canonical import Json
from runtime.domain.schema import Schema
from runtime.domain.workflow import Workflow
from runtime.errors import Invalid, Refused

MAX_INPUT_BYTES = 10 * 1_048_576
"""Canonical bytes of a run's input or a signal's payload."""


def kept(value: Json, what: str) -> Json:
    """The value as the journal gives it back, inside the entry that holds it. Raises Invalid when it is too large."""
    inside, size = canonical.kept({"value": value})
    if size > MAX_INPUT_BYTES:
        raise Invalid(f"run.{what}_too_large", f"the {what} has {size:,} bytes; the limit is {MAX_INPUT_BYTES:,}")
    return inside["value"]  # type: ignore[index,call-overload]  # it is the mapping above


def check_input(workflow: Workflow, value: Json) -> None:
    """Raise Invalid for an input that the workflow's schema does not allow."""
    fault = Schema(workflow.input_schema).fault(value) if workflow.input_schema is not None else ""
    if fault:
        raise Invalid(
            "run.input_invalid", f"the input does not fit input_schema of workflow {workflow.name!r}: {fault}"
        )


def check_runnable(workflow: Workflow) -> None:
    """Raise Refused for a workflow that loads and may not run here, with every reason."""
    refusals = [str(problem) for problem in workflow.problems if problem.severity == "refusal"]
    if refusals:
        listing = "\n".join(f"  {refusal}" for refusal in refusals)
        raise Refused("workflow.refused", f"workflow {workflow.name!r} loads but may not run here:\n{listing}")
