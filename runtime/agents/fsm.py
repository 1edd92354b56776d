"""The `fsm` agent: a state machine of its own that only decides, over what the run has found so far.

Its states run no agents: each leads on by its conditions or `on_success`, until a final state is reached. The name of
that state is the decision. The same data always gives the same one.
"""

from runtime.domain.canonical import Json
from runtime.domain.command import FinishRun
from runtime.domain.event import RunStarted
from runtime.domain.ids import DefinitionHash, RunId, StepId
from runtime.domain.run import RunState, StepState
from runtime.domain.workflow import AgentSpec, Workflow
from runtime.errors import Invalid, StepFailure
from runtime.planners.fsm import FsmPlanner
from runtime.ports import StepContext, StepResult, Task


class FsmAgent:
    """Walks its machine; the output is `{decision, path}`."""

    def __init__(self, spec: AgentSpec) -> None:
        if spec.fsm is None:
            raise Invalid("fsm.no_planner", f"agent {spec.id!r} of type fsm needs a 'planner' of type fsm")
        self._spec = spec
        self._planner = FsmPlanner(Workflow(name=spec.id, hash=DefinitionHash(""), fsm=spec.fsm))

    async def start(self) -> None:
        """Nothing to get ready."""

    async def stop(self) -> None:
        """Nothing to release."""

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Decide. Raises StepFailure when a condition errs or the machine waits for somebody."""
        (command,) = self._planner.decide(
            _view(task), RunStarted(workflow="", definition=DefinitionHash(""), input=None)
        )
        if not isinstance(command, FinishRun):
            raise StepFailure(
                "fsm.not_pure", f"agent {self._spec.id!r}: state {command!r} waits; such an agent only decides"
            )
        if command.error is not None:
            raise StepFailure(command.error.code, command.error.message)
        path: list[Json] = [*command.via, command.state]
        return StepResult(output={"decision": command.state, "path": path})


def _view(task: Task) -> RunState:
    """A state in which conditions find every output by its name, then the last output, then the task's input."""
    state = RunState(run=RunId(task.run), status="running", input=task.input)
    outputs = task.data.get("steps")
    for name, output in outputs.items() if isinstance(outputs, dict) else ():
        state.visits[name] = 1
        state.steps[StepId(name)] = _answered(name, output)
    state.last = StepId("response")
    state.steps[state.last] = _answered("response", task.data.get("response"))
    return state


def _answered(name: str, output: Json) -> StepState:
    step = StepId(name)
    return StepState(step=step, agent=None, attempt=1, status="succeeded", scheduled_us=0, due_us=0, output=output)
