"""The appliance's end of the host process: starts it, sends orders, and waits for how each ended."""

import asyncio
import contextlib
import itertools
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from runtime.errors import Unavailable
from runtime.sandbox import children
from runtime.sandbox.wasm.wire import Cancel, Ended, Forget, Frames, Order, framed

ENDED_WITHIN_S = 5.0
"""How long the end of a call may take once it was asked for."""
_BLOCK = 262_144
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from importlib import import_module; "
    "module, _, name = sys.argv[2].partition(':'); getattr(import_module(module), name)(*json.loads(sys.argv[3]))"
)
_KEPT_VARIABLES = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ")
_ENDED = msgspec.msgpack.Decoder(Ended)

log = logging.getLogger(__name__)


def command(function: str, *arguments: Sequence[str]) -> list[str]:
    """Start one of our functions (`module:name`) in a Python of its own, with our own import path, ours first."""
    ours = str(Path(__file__).resolve().parents[3])
    paths = [ours, *(path for path in sys.path if path and path != ours)]
    flags = ["-I", "-S", *(["-B"] if sys.dont_write_bytecode else [])]
    return [sys.executable, *flags, "-c", _BOOT, json.dumps(paths), function, json.dumps(arguments)]


def environment() -> dict[str, str]:
    """What such a process is told of ours."""
    return {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}


class Link:
    """One host process. When it is gone, all that waits raises Unavailable, and another Link takes its place."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: dict[int, asyncio.Future[Ended]] = {}
        self._numbers = itertools.count(1)
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._drain())]
        self._is_open = True

    @classmethod
    async def started(cls, nothing: Path) -> "Link":
        """Start a host; `nothing`: the compiled `canaries.NOTHING`. Raises Unavailable where none starts."""
        try:
            process = await children.started(
                *command("runtime.sandbox.wasm.host:main", [str(nothing)]), env=environment(), cwd="/", limit=_BLOCK
            )
        except OSError as error:
            raise Unavailable("sandbox.does_not_start", f"the host of wasm does not start: {error}") from error
        return cls(process)

    @property
    def is_open(self) -> bool:
        """Whether it takes orders."""
        return self._is_open and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Of the host process."""
        return self._process.pid

    def next_id(self) -> int:
        """A number for an order."""
        return next(self._numbers)

    async def ended(self, order: Order) -> Ended:
        """Have it run, and wait for its end; cancelling ends it first. Raises Unavailable where the host is gone."""
        answer: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._waiting[order.id] = answer
        try:
            await self._send(framed(order))
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            await self._give_up(order, answer)
            raise
        finally:
            self._waiting.pop(order.id, None)

    async def forget(self, module: str) -> None:
        """Have it let go of a compiled module."""
        await self._send(framed(Forget(module)))

    async def stop(self) -> None:
        """End the host and all that it runs. Safe to call twice."""
        self._is_open = False
        with contextlib.suppress(ConnectionError, RuntimeError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), ENDED_WITHIN_S)
        except TimeoutError:
            children.kill(self._process)
            await self._process.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _give_up(self, order: Order, answer: "asyncio.Future[Ended]") -> None:
        with contextlib.suppress(Unavailable):
            await self._send(framed(Cancel(order.id)))
            await asyncio.wait([answer], timeout=ENDED_WITHIN_S)
        if answer.done() and not answer.cancelled():
            answer.exception()  # nobody waits for it any more
        elif not answer.done():
            children.kill(self._process)  # the kernel ends what it runs

    async def _send(self, message: bytes) -> None:
        sink = self._process.stdin
        assert sink is not None, "it is a pipe"
        if not self.is_open:
            raise _gone()
        try:
            sink.write(message)
            await sink.drain()
        except (ConnectionError, RuntimeError):
            raise _gone() from None

    async def _listen(self) -> None:
        source = self._process.stdout
        assert source is not None, "it is a pipe"
        frames = Frames()
        try:
            while block := await source.read(_BLOCK):
                for frame in frames.fed(block):
                    ended = _ENDED.decode(frame)
                    waiting = self._waiting.get(ended.id)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(ended)
        except (ValueError, msgspec.DecodeError):
            children.kill(self._process)
        finally:
            self._is_open = False
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(_gone())

    async def _drain(self) -> None:
        source = self._process.stderr
        assert source is not None, "it is a pipe"
        while block := await source.read(_BLOCK):
            log.warning("host of wasm: %s", block.decode("utf-8", "replace").rstrip())


def _gone() -> Unavailable:
    return Unavailable(
        "sandbox.driver_vanished", "the host of wasm ended before the program did; the program may have run in part"
    )
