"""What conditions and templates read of a run."""

import pytest

from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId, RunId, StepId
from runtime.domain.run import RunState, StepState, StepStatus
from runtime.planners.scope import scope


def visited(*statuses: StepStatus) -> RunState:
    """A run that entered the state `a` so often; each visit that succeeded answered with its number."""
    state = RunState(run=RunId("r-1"), visits={"a": len(statuses)})
    for number, status in enumerate(statuses, 1):
        step = StepId("a" if number == 1 else f"a~{number}")
        output: Json = {"n": number} if status == "succeeded" else None
        state.steps[step] = StepState(
            step=step, agent=AgentId("a"), attempt=1, status=status, output=output, scheduled_us=0, due_us=0
        )
    return state


@pytest.mark.parametrize(
    ("statuses", "latest"),
    [
        (("succeeded",), 1),
        (("succeeded", "succeeded"), 2),
        (("succeeded", "running"), 1),
        (("succeeded", "succeeded", "failed"), 2),
        (("succeeded", "failed", "running"), 1),
    ],
)
def test_a_visit_that_goes_on_or_failed_does_not_take_back_what_was_said(
    statuses: tuple[StepStatus, ...], latest: int
) -> None:
    """A loop that counts reads what its own last round answered."""
    found = scope(visited(*statuses), ["steps", "a"])
    assert {"steps": {"a": {"n": latest}}, "a": {"n": latest}} == found


def test_a_state_that_never_answered_has_no_output() -> None:
    assert {"steps": {}} == scope(visited("failed", "running"), ["steps", "a"])
