"""A tool of a server as agents call it: `SERVER.TOOL`."""

from runtime.domain.canonical import Json
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.errors import Unavailable
from runtime.ports import ToolContext
from runtime.tools.registry import ToolServices


class McpTool:
    """Hands calls to the server; what may be called there is decided there, at each call."""

    def __init__(self, spec: ToolSpec, services: ToolServices) -> None:
        self.spec = spec
        self._servers = services.servers
        self._server, _, self._tool = spec.id.partition(".")

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        """Call it. Raises as `McpServers.call` does."""
        if self._servers is None:
            raise Unavailable("mcp.closed", f"tool {self.spec.id!r} is one of a server, and none is open here")
        return await self._servers.call(
            self._server, self._tool, call.arguments, sender=ctx.sender, key=call.idempotency_key
        )
