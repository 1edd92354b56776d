"""What an agent may reach while it acts, narrowed to its own specification."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from runtime.domain.canonical import Json
from runtime.domain.chat import ChatReply, ChatRequest, EmbedReply, EmbedRequest
from runtime.domain.egress import APPLIANCE, CostBound, Sender
from runtime.domain.event import ToolUse
from runtime.domain.exec_profile import Outcome, Program
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.tool import ToolSpec
from runtime.domain.workflow import AgentSpec
from runtime.errors import NotFound, Refused
from runtime.policies.permissions import Caller, ToolRules
from runtime.ports import HttpAccess, ModelAccess, SessionAccess, Task, Tool
from runtime.tools.call import Asked, AsKept, Reserve, ToolCalls, as_it_is, nothing_reserved

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Those that have no effect (RFC 9110, 9.2.1)."""


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
        tool_calls: ToolCalls | None = None,
        uses: list[ToolUse] | None = None,
        as_kept: AsKept = as_it_is,
        rules: Sequence[ToolRules] = (),
        is_dry: bool = False,
        memory_price: Callable[[str, str], int] = lambda _layer, _operation: 0,
    ) -> None:
        """`tool_price`: micro-dollars of a call to a tool, `memory_price` of an operation on memory.
        `tool_calls`: makes the calls. `uses` is told of each. `as_kept`: what of the run its journal may have.
        `rules`: who may call what. `is_dry`: nothing may have an effect: tools are not called, and requests that may
        have one are refused."""
        self._memory_price = memory_price
        self._task = task
        self._spec = spec
        self._sender = sender
        self._tools = tools
        self._tool_price = tool_price
        self._reserve = reserve
        self._rules = rules
        self._tool_calls = tool_calls or ToolCalls(reserve=reserve)
        self._uses = [] if uses is None else uses
        self._as_kept = as_kept
        self._calls: Counter[str] = Counter()
        self.folder = folder
        self.models: ModelAccess = ModelsFor(models, sender)
        self.http: HttpAccess = _Http(http, sender, is_dry=is_dry)
        self._is_dry = is_dry
        self.bound: asyncio.Timeout | None = None
        """The time of the task; it stands still while a program of the agent's own is compiled."""
        self.rehearsed: list[str] = []
        """Tools that were not called because nothing may have an effect."""
        self.session: SessionAccess | None = None
        """Set where the agent remembers what was said."""

    def offered(self) -> Sequence[ToolSpec]:
        """The tools of the agent's `tools:` list that are there."""
        return [found.spec for name in self._spec.tools if (found := self._there(name)) is not None]

    async def call_tool(self, tool: str, arguments: dict[str, Json]) -> Json:
        """Call a tool of the agent's `tools:` list. Raises Refused for any other, and where a rule or budget says no.

        The audit log says so before the tool does anything, and how it ended.
        """
        asked = Asked(
            tool=tool,
            arguments=arguments,
            key=self._key(tool),
            caller=Caller(
                tenant=self._sender.tenant,
                role=self._sender.role,
                agent=self._spec.id,
                agent_role=self._spec.role,
                agent_tools=self._spec.tools,
                workflow=self._task.workflow,
            ),
            sender=self._sender,
            price_micros=self._tool_price(tool),
            rules=self._rules,
            is_dry=self._is_dry,
        )
        result = await self._tool_calls.call(asked, self._find, note=self._uses.append, as_kept=self._as_kept)
        if self._is_dry:
            self.rehearsed.append(tool)
        return result.output

    def _there(self, tool: str) -> Tool | None:
        try:
            return self._tools.get(tool)
        except NotFound:  # of a kind that this version does not have
            return None

    def _find(self, tool: str) -> Tool:
        found = self._tools.get(tool)
        if found is None:
            raise Refused(
                "tool.unknown", f"no tool is called {tool!r} here; there are: {', '.join(sorted(self._tools))}"
            )
        return found

    async def run_program(self, own: ToolSpec, runs: Program, content: bytes, *, stdin: bytes = b"") -> Outcome:
        """Run a program of the agent's own; it can have no effect, so a what-if runs it too."""
        profile = self._tool_calls.profiles.of_own(own, runs, self._sender, rules=self._rules)
        with _paused(self.bound):
            await self._tool_calls.make_ready(profile, content, sender=self._sender)
        return await self._tool_calls.run_own(profile, content, stdin=stdin, sender=self._sender)

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


@contextmanager
def _paused(bound: asyncio.Timeout | None) -> Iterator[None]:
    """Have a time limit stand still meanwhile."""
    until = None if bound is None else bound.when()
    if bound is None or until is None or bound.expired():
        yield
        return
    clock = asyncio.get_running_loop().time
    left = until - clock()
    bound.reschedule(None)
    try:
        yield
    finally:
        bound.reschedule(clock() + left)


async def _ended(settling: Awaitable[None]) -> None:
    await settling
