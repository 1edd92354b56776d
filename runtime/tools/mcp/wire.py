"""Between a server and the library: every message counted, lists of tools kept as they were said.

Whatever comes from a server is foreign. A line is bounded before it is held in memory, and what goes beyond what is
accepted is one fault, by which the connection ends. The library is told of names
and input schemas alone: it would check answers with patterns that take for ever.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import anyio
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest, JSONRPCResponse, jsonrpc_message_adapter
from pydantic import ValidationError

from runtime.domain.canonical import Json
from runtime.errors import AgentFlowError, Invalid, StepFailure, Unavailable
from runtime.sandbox.lasting import Running
from runtime.tools.mcp.mapping import descriptor_of

MAX_STRAY_LINES = 100
"""Lines on stdout that are no messages, between two questions: some programs print a greeting there."""
STDERR_TAIL = 2_000
STOP_S = 2.0

_LIMITS = {
    "time": "it had run for its lives_s",
    "memory": "it asked for more than its memory_bytes",
    "cpu": "it had used up its cores for its lives_s",
}

log = logging.getLogger(__name__)


class Watch:
    """What is seen of one connection."""

    def __init__(self, server: str, max_reply_bytes: int) -> None:
        self.server = server
        self.max_reply_bytes = max_reply_bytes
        self.fault: AgentFlowError | None = None
        """Why the connection is of no use any more."""
        self.listed: list[Json] = []
        """The entries of the last list of tools, page after page, as the server said them."""
        self.set_aside: dict[str, AgentFlowError] = {}
        """What the guard or the door said to one request, by the text that the library's error has in its place."""
        self._listing: set[int | str] = set()
        self._since_asked = 0

    def asks(self, message: object) -> None:
        """A message of ours is on its way."""
        self._since_asked = 0
        if isinstance(message, JSONRPCRequest) and message.method == "tools/list":
            self._listing.add(message.id)
            if not (message.params or {}).get("cursor"):
                self.listed = []

    def takes(self, size: int) -> None:
        """So many bytes came. Raises StepFailure when there are too many for what was asked."""
        self._since_asked += size
        if self._since_asked > 2 * self.max_reply_bytes:
            raise self.fail(
                "mcp.flooded",
                f"MCP server {self.server!r} sent more than {2 * self.max_reply_bytes:,} bytes that nobody asked for; "
                "it was stopped",
            )

    def hears(self, message: object) -> None:
        """A message of the server; a list of tools loses what the library must not see."""
        if isinstance(message, JSONRPCResponse) and message.id in self._listing:
            self._listing.discard(message.id)
            tools = message.result.get("tools")
            if isinstance(tools, list):
                self.listed += tools
                # one entry that the library does not take would cost all the others
                message.result["tools"] = [
                    {"name": tool["name"], "inputSchema": tool["inputSchema"]} for tool in tools if _is_callable(tool)
                ]

    def sets_aside(self, error: AgentFlowError) -> str:
        """Keep what was said to one request; the text that stands for it."""
        name = f"refused-{len(self.set_aside)}"
        self.set_aside[name] = error
        return name

    def fail(self, code: str, message: str) -> AgentFlowError:
        """The first fault is the one that is told."""
        if self.fault is None:
            self.fault = StepFailure(code, message, retryable=False)
        return self.fault


@asynccontextmanager
async def watched(transport: AbstractAsyncContextManager[TransportStreams], watch: Watch) -> AsyncIterator[Any]:
    """A transport of the library's own, with everything on it seen by `watch`."""
    async with transport as (reading, writing):
        yield _Reading(reading, watch), _Writing(writing, watch)


class _Seen:
    """A stream of the library's, and what it knows of whose context a message was sent in."""

    def __init__(self, inner: Any, watch: Watch) -> None:  # noqa: ANN401  # one of the library's streams
        self._inner = inner
        self._watch = watch

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the stream has
        return getattr(self._inner, name)

    async def __aenter__(self) -> "_Seen":
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> bool | None:  # noqa: ANN401  # as the stream takes it
        ended: bool | None = await self._inner.__aexit__(*raised)
        return ended


class _Reading(_Seen):
    def __aiter__(self) -> "_Reading":
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        return self._saw(await self._inner.__anext__())

    async def receive(self) -> SessionMessage | Exception:
        return self._saw(await self._inner.receive())

    def _saw(self, each: SessionMessage | Exception) -> SessionMessage | Exception:
        if isinstance(each, SessionMessage):
            self._watch.hears(each.message)
        return each


class _Writing(_Seen):
    async def send(self, each: SessionMessage) -> None:
        self._watch.asks(each.message)
        await self._inner.send(each)


@asynccontextmanager
async def over_pipes(running: Running, watch: Watch) -> AsyncIterator[Any]:
    """Messages as lines on a program's stdin and stdout; the program is stopped at the end."""
    inward, reading_end = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    writing_end, outward = anyio.create_memory_object_stream[SessionMessage](0)
    errors = asyncio.create_task(_tail(running))

    async def come() -> None:
        async with inward:
            async for line in _lines(running, watch):
                try:
                    message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                except (ValidationError, ValueError):
                    watch.fail("mcp.bad_message", f"MCP server {watch.server!r} sent a message that is no JSON-RPC")
                    break
                watch.hears(message)
                await inward.send(SessionMessage(message))
            if watch.fault is None:
                watch.fault = await _died(running, watch, errors)

    async def go() -> None:
        async with outward:
            async for each in outward:
                watch.asks(each.message)
                running.stdin.write(each.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
                await running.stdin.drain()

    try:
        async with anyio.create_task_group() as group, reading_end, writing_end:
            group.start_soon(_quietly, come)
            group.start_soon(_quietly, go)
            yield reading_end, writing_end
            group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            try:
                await running.stop(within_s=STOP_S)
            finally:
                errors.cancel()


async def _lines(running: Running, watch: Watch) -> AsyncIterator[bytes]:
    """Lines that look like messages. Sets the watch's fault and ends for what goes beyond what is accepted."""
    strays = 0
    held = bytearray()
    while piece := await running.stdout.read(65_536):
        try:
            watch.takes(len(piece))
        except AgentFlowError:
            return
        held += piece
        whole: list[bytearray] = []
        if b"\n" in piece:  # a long line is not looked through again with every piece of it
            *whole, held = held.split(b"\n")
        if len(held) > watch.max_reply_bytes:
            watch.fail(
                "mcp.reply_too_large",
                f"MCP server {watch.server!r} sent a message of more than the {watch.max_reply_bytes:,} bytes that are "
                "accepted; it was stopped. max_reply_bytes of the server raises the limit",
            )
            return
        for line in whole:
            if line.lstrip().startswith(b"{"):
                yield bytes(line)
                continue
            strays += bool(line.strip())
            if strays > MAX_STRAY_LINES:
                watch.fail(
                    "mcp.no_protocol",
                    f"MCP server {watch.server!r} prints lines on stdout that are no messages of the protocol; is it "
                    "started with the right arguments?",
                )
                return


async def _died(running: Running, watch: Watch, errors: "asyncio.Task[bytes]") -> AgentFlowError:
    code: int | None = None
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_S):
            code = await running.ended()
    await asyncio.wait({errors}, timeout=0.2)
    how = f"ended with code {code}"
    if code is None:
        how = "closed its stdout"
    elif running.killed_for in _LIMITS:
        how = f"was ended: {_LIMITS[running.killed_for]}"
    elif code < 0:
        how = f"was ended by signal {-code}"
    said = errors.result().decode(errors="replace").strip().splitlines() if errors.done() else []
    last = "".join(letter if letter.isprintable() else " " for letter in said[-1])[-300:] if said else "nothing"
    log.warning("MCP server %s %s", watch.server, how)
    return Unavailable("mcp.server_died", f"MCP server {watch.server!r} {how}; the last it said on stderr: {last}")


async def _tail(running: Running) -> bytes:
    """The last that a program said on stderr."""
    kept = b""
    while piece := await running.stderr.read(8_192):
        kept = (kept + piece)[-STDERR_TAIL:]
    return kept


def _is_callable(tool: Json) -> bool:
    try:
        return descriptor_of(tool).input_schema.get("type") == "object"
    except Invalid:
        return False


async def _quietly(work: Any) -> None:  # noqa: ANN401  # a coroutine function
    """The other side may be gone at any time; whoever waits for it learns of it by the end of its stream."""
    try:
        await work()
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        return
