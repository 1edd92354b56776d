"""The `database` agent: asks the tools that it names, each with the task's input, and answers with the rows."""

from collections.abc import Mapping

from runtime.domain.canonical import Json
from runtime.domain.workflow import AgentSpec
from runtime.errors import Invalid
from runtime.ports import StepContext, StepResult, Task


class DatabaseAgent:
    """Calls its tools one after the other. Of one tool the output is its answer; of several, tool → answer."""

    def __init__(self, spec: AgentSpec) -> None:
        if not spec.tools:
            raise Invalid(
                "agent.no_tools",
                f"agent {spec.id!r} of type database needs 'tools', the names of tools of type database that it asks",
            )
        self._spec = spec

    async def start(self) -> None:
        """Nothing to get ready."""

    async def stop(self) -> None:
        """Nothing to release."""

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Ask. Raises what the tools raise; the first failure ends the step."""
        if not isinstance(task.input, dict):
            raise Invalid(
                "tool.arguments",
                f"agent {self._spec.id!r}: the input of its tools must be an object of arguments; set 'input'",
            )
        takes = {spec.id: spec.input_schema for spec in ctx.offered()}
        answers: dict[str, Json] = {}
        for tool in self._spec.tools:
            answers[tool] = await ctx.call_tool(tool, self._given(task.input, takes.get(tool, {})))
        return StepResult(output=answers if len(answers) > 1 else next(iter(answers.values())))

    def _given(self, found: dict[str, Json], schema: Mapping[str, Json]) -> dict[str, Json]:
        """The arguments of a tool: `input` as it stands; of a run's input, which nobody wrote for it, what it takes."""
        taken = schema.get("properties")
        takes_more = schema.get("additionalProperties") is not False
        if self._spec.input is not None or takes_more or not isinstance(taken, dict):
            return found
        return {key: value for key, value in found.items() if key in taken}
