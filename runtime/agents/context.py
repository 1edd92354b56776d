"""What an agent may reach while it acts, narrowed to its own specification."""

from collections import Counter
from collections.abc import Mapping

from runtime.domain.canonical import Json
from runtime.domain.workflow import AgentSpec
from runtime.errors import Refused
from runtime.ports import HttpAccess, ModelAccess, Task, Tool


class AgentContext:
    """One task's view of the house."""

    def __init__(
        self,
        task: Task,
        spec: AgentSpec,
        *,
        folder: str,
        models: ModelAccess,
        http: HttpAccess,
        tools: Mapping[str, Tool],
    ) -> None:
        self._task = task
        self._spec = spec
        self._tools = tools
        self._calls: Counter[str] = Counter()
        self.folder = folder
        self.models = models
        self.http = http

    async def call_tool(self, tool: str, arguments: dict[str, Json]) -> Json:
        """Call a tool of the agent's `tools:` list. Raises Refused for any other."""
        if tool not in self._spec.tools:
            raise Refused(
                "tool.not_granted",
                f"agent {self._spec.id!r} of workflow {self._task.workflow!r} called tool {tool!r}, which its 'tools:' "
                f"does not grant (granted: {', '.join(self._spec.tools) or 'none'}); add it there to allow it",
            )
        granted = self._tools.get(tool)
        if granted is None:
            raise Refused(
                "tool.unknown", f"no tool is called {tool!r} here; there are: {', '.join(sorted(self._tools))}"
            )
        self._calls[tool] += 1
        # a later attempt makes the same calls in the same order, so the n-th call is the same one
        number = self._calls[tool]
        key = f"{self._task.idempotency_key}/{tool}" + (f"~{number}" if number > 1 else "")
        return await granted.call(arguments, idempotency_key=key, tenant=self._task.tenant)
