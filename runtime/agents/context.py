"""What an agent may reach while it acts, narrowed to its own specification."""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from runtime.domain.audit import AuditEntry, tool_entry
from runtime.domain.canonical import Json, encode
from runtime.domain.chat import ChatReply, ChatRequest, EmbedReply, EmbedRequest
from runtime.domain.egress import APPLIANCE, CostBound, Sender
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.workflow import AgentSpec
from runtime.errors import AgentFlowError, Refused
from runtime.ports import HttpAccess, ModelAccess, Record, Task, Tool, nothing_recorded

Reserve = Callable[[Sender, CostBound], Awaitable[Callable[[CostBound], Awaitable[None] | None]]]
"""Sets aside what a call can cost, or raises Refused; the answer takes what was spent, and gives the rest back."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Those that have no effect (RFC 9110, 9.2.1)."""

log = logging.getLogger(__name__)


async def nothing_reserved(sender: Sender, bound: CostBound) -> Callable[[CostBound], None]:
    """Where nobody counts what is spent."""
    return lambda _spent: None


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

    def __init__(self, http: HttpAccess, sender: Sender, *, is_dry: bool) -> None:
        self._http = http
        self._sender = sender
        self._is_dry = is_dry

    async def send(self, request: HttpRequest, *, sender: Sender = APPLIANCE) -> HttpReply:
        """Send one request; the sender is the task's, whatever an agent says.

        Raises Refused in a what-if for one that may have an effect.
        """
        if self._is_dry and request.method not in SAFE_METHODS:
            raise Refused(
                "what_if.side_effect",
                f"{self._sender.purpose} would send {request.method}, which may have an effect, and a what-if has "
                "none; allow it with --live-tools",
            )
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
        tool_price: Callable[[str], int] = lambda _tool: 0,
        reserve: Reserve = nothing_reserved,
        record: Record = nothing_recorded,
        is_dry: bool = False,
        memory_price: Callable[[str, str], int] = lambda _layer, _operation: 0,
    ) -> None:
        """`tool_price`: micro-dollars of a call to a tool, `memory_price` of an operation on memory.
        `record`: keeps a line of the audit log. `is_dry`: nothing
        may have an effect: tools are not called, and requests that may have one are refused."""
        self._memory_price = memory_price
        self._task = task
        self._spec = spec
        self._sender = sender
        self._tools = tools
        self._tool_price = tool_price
        self._reserve = reserve
        self._record = record
        self._calls: Counter[str] = Counter()
        self.folder = folder
        self.models: ModelAccess = ModelsFor(models, sender)
        self.http: HttpAccess = _Http(http, sender, is_dry=is_dry)
        self._is_dry = is_dry
        self.rehearsed: list[str] = []
        """Tools that were not called because nothing may have an effect."""

    async def call_tool(self, tool: str, arguments: dict[str, Json]) -> Json:
        """Call a tool of the agent's `tools:` list. Raises Refused for any other, and where no budget has room.

        The audit log says so before the tool does anything, and how it ended.
        """
        passage, outcome, size_bytes = secrets.token_hex(8), "cancelled", 0
        bound = CostBound(usd_micros=self._tool_price(tool), item=f"tool:{tool}")
        try:
            granted = self._granted(tool)
            if self._is_dry:
                self.rehearsed.append(tool)
                return rehearsal(granted)
            settle, spent = await self._reserve(self._sender, bound), CostBound()
        except Refused as refused:
            await self._record(tool_entry("tool.refused", tool, self._sender, passage=passage, outcome=refused.code))
            raise
        try:
            await self._record(tool_entry("tool.called", tool, self._sender, passage=passage))
            answer = await granted.call(arguments, idempotency_key=self._key(tool), tenant=self._task.tenant)
            spent, outcome = bound, "ok"  # a call that fails has had no effect, and costs nothing
            size_bytes = len(encode(answer))
            return answer
        except AgentFlowError as error:
            outcome = error.code
            raise
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            settling = settle(spent)
            if settling is not None:
                await asyncio.shield(_ended(settling))
            settled = tool_entry(
                "tool.settled", tool, self._sender, passage=passage, outcome=outcome, size_bytes=size_bytes
            )
            await asyncio.shield(asyncio.ensure_future(_written(self._record, settled)))

    def _granted(self, tool: str) -> Tool:
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
        return granted

    async def pay_for_memory(self, layer: str, operation: str) -> None:
        """Pay for an operation on a layer of memory before it is done. Raises Refused where no budget has room."""
        bound = CostBound(usd_micros=self._memory_price(layer, operation), item=f"memory:{layer}")
        settling = (await self._reserve(self._sender, bound))(bound)
        if settling is not None:
            await asyncio.shield(_ended(settling))

    def _key(self, tool: str) -> str:
        """A later attempt makes the same calls in the same order, so the n-th call is the same one."""
        self._calls[tool] += 1
        number = self._calls[tool]
        return f"{self._task.idempotency_key}/{tool}" + (f"~{number}" if number > 1 else "")


def rehearsal(tool: Tool) -> Json:
    """What a tool answers that is not called: its `dry_answer` where it has one, else `{"dry_run": true}`."""
    answer: Json = getattr(tool, "dry_answer", None)
    return {"dry_run": True} if answer is None else answer


async def _ended(settling: Awaitable[None]) -> None:
    await settling


async def _written(record: Record, settled: AuditEntry) -> None:
    """The last line of a call; the tool has had its effect, and its answer is not taken from whoever asked."""
    try:
        await record(settled)
    except AgentFlowError as error:
        log.error("how tool call %s ended is not in the audit log: %s", settled.passage, error.code)
