"""What an agent may reach while it acts, narrowed to its own specification."""

from collections import Counter
from collections.abc import Mapping

from runtime.domain.canonical import Json
from runtime.domain.chat import ChatReply, ChatRequest, EmbedReply, EmbedRequest
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.workflow import AgentSpec
from runtime.errors import Refused
from runtime.ports import HttpAccess, ModelAccess, Task, Tool


class ModelsFor:
    """The models on one sender's behalf. Implements ModelAccess."""

    def __init__(self, models: ModelAccess, sender: Sender) -> None:
        self._models = models
        self._sender = sender

    async def complete(self, request: ChatRequest, *, sender: Sender = APPLIANCE) -> ChatReply:
        """Ask a chat model; the sender is this one's, whatever an agent says."""
        return await self._models.complete(request, sender=self._sender)

    async def embed(self, request: EmbedRequest, *, sender: Sender = APPLIANCE) -> EmbedReply:
        """Embed texts; as above."""
        return await self._models.embed(request, sender=self._sender)


class _Http:
    """HTTP on behalf of one task. Implements HttpAccess."""

    def __init__(self, http: HttpAccess, sender: Sender) -> None:
        self._http = http
        self._sender = sender

    async def send(self, request: HttpRequest, *, sender: Sender = APPLIANCE) -> HttpReply:
        """Send one request; the sender is the task's, whatever an agent says."""
        return await self._http.send(request, sender=self._sender)


class AgentContext:
    """One task's view of the house."""

    def __init__(
        self,
        task: Task,
        spec: AgentSpec,
        *,
        sender: Sender,
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
        self.models: ModelAccess = ModelsFor(models, sender)
        self.http: HttpAccess = _Http(http, sender)

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
