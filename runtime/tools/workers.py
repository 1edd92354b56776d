"""Worker processes for the Python functions of a project: one call at a time each, ended with a call that is given up.

A call that is cancelled or runs out of time kills its worker, so the work really stops; the next call starts a fresh
one. Knows nothing of agents and tools.
"""

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from runtime.domain.canonical import MAX_DEPTH, Json, parse
from runtime.errors import AgentFlowError, Invalid, StepFailure, Unavailable
from runtime.sandbox import children
from runtime.tools import user_code

MAX_LINE_BYTES = 16 * 1_048_576
"""One message of a worker; more than a step's output may have."""
_ENDING_S = 1.0
KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ")

Serve = Callable[[str, dict[str, Json]], Awaitable[Json]]
"""Makes a call of a tool that a function asks for."""

log = logging.getLogger(__name__)


class Workers:
    """The workers of one function."""

    def __init__(self, folder: str, handler: str, *, who: str, confinement: bytes = b"") -> None:
        """`handler`: `file.py:function`. `who`: whose it is, for refusals, such as `agent 'sum'`.

        `confinement`: a seccomp program that every worker puts on before it loads the project's file.
        """
        self._file, _, self._function = handler.partition(":")
        self._folder = folder
        self._who = who
        self._confinement = confinement
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()

    async def start(self) -> None:
        """Start the first worker, so that a module that does not load is known before a call waits for it."""
        self._idle.append(await self._spawn())

    async def stop(self) -> None:
        """End every worker. Safe to call twice."""
        workers, self._all = self._all, set()
        self._idle.clear()
        for worker in workers:
            await worker.kill()

    async def call(
        self, given: Json, context: dict[str, Any], *, serve: Serve | None = None, by_name: bool = False
    ) -> Json:
        """Run the function once, as `f(given, ctx)`, or `by_name` as `f(**given)`, with `ctx` where it takes one.

        Raises Unavailable, and StepFailure with the kind and place of what the function raises.
        """
        worker = await self._free_worker()
        try:
            message = {"function": self._function, "input": given, "context": context, "by_name": by_name}
            output = await worker.call(message, serve)
        except AgentFlowError as error:
            if isinstance(error, Unavailable):
                await self._drop(worker)
            else:
                self._idle.append(worker)
            raise
        except BaseException:  # cancelled or out of time: the function may still be running
            await self._drop(worker)
            raise
        self._idle.append(worker)
        return output

    async def _free_worker(self) -> "_Worker":
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                return worker
            await self._drop(worker)  # it died between two calls, which is no fault of the next one
        return await self._spawn()

    async def _spawn(self) -> "_Worker":
        worker = _Worker(await _start_process())
        self._all.add(worker)
        try:
            functions = await worker.load(self._folder, self._file, self._confinement)
        except BaseException:
            await self._drop(worker)
            raise
        if self._function not in functions:
            await self._drop(worker)
            raise Invalid(
                "custom.no_function",
                f"{self._who}: {self._file} has no function {self._function!r}",
            )
        return worker

    async def _drop(self, worker: "_Worker") -> None:
        self._all.discard(worker)
        await worker.kill()


class _Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._log = asyncio.create_task(self._copy_log())

    async def load(self, folder: str, file: str, confinement: bytes) -> list[str]:
        """Import the file; the names of its functions."""
        answer = await self._ask({"folder": folder, "file": file, "confinement": confinement.hex(), "sdk": _sdk()})
        if "error" in answer:
            error = answer["error"]
            raise Invalid("custom.does_not_load", f"{file} does not load: {error['message']}")
        return [str(name) for name in answer["ready"]]

    async def call(self, message: dict[str, Any], serve: Serve | None) -> Json:
        """Run one call, serving the tools that it asks for meanwhile."""
        answer = await self._ask(message)
        while "tool" in answer:
            answer = await self._ask(await _served(answer, serve))
        if "error" in answer:
            error = answer["error"]
            raise StepFailure(str(error["code"]), str(error["message"]), retryable=bool(error["retryable"]))
        result: Json = answer["result"]
        return result

    @property
    def is_alive(self) -> bool:
        """Whether the process is there to take a call."""
        return self._process.returncode is None

    async def kill(self) -> None:
        """End the process and those it has started, whatever they are doing."""
        if self.is_alive:
            children.kill(self._process)
        await self._process.wait()
        self._log.cancel()

    async def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        source, sink = self._process.stdout, self._process.stdin
        assert source is not None, "it is a pipe"
        assert sink is not None, "it is a pipe"
        try:
            sink.write(json.dumps(message).encode() + b"\n")
            await sink.drain()
            line = await source.readline()
        except ConnectionError:
            line = b""
        except ValueError:  # a line beyond the limit
            raise Unavailable(
                "custom.answer_too_large",
                f"the user's code sent over {MAX_LINE_BYTES:,} bytes at once, which is the limit of an answer and of "
                "the arguments of a tool",
                retryable=False,
            ) from None
        if not line:
            end = await self._end()
            raise Unavailable("custom.worker_died", f"the worker process of the user's code {end}")
        answer = parse(line, max_depth=MAX_DEPTH + 5)
        if not isinstance(answer, dict):
            raise Unavailable("custom.worker_garbled", "the worker process of the user's code sent what is no message")
        return answer

    async def _end(self) -> str:
        """How the process ended that closed its pipe; it is given a moment to do so."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENDING_S):
                code = await self._process.wait()
                return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code} in a call"
        return "closed its pipe"

    async def _copy_log(self) -> None:
        assert self._process.stderr is not None, "it is a pipe"
        while block := await self._process.stderr.read(65_536):
            log.debug("user code: %s", block.decode("utf-8", "replace").rstrip())


def _sdk() -> str:
    """Where the module of users lies, which nothing here imports."""
    found = importlib.util.find_spec("agentflow")
    return (found.origin or "") if found else ""


async def _start_process() -> asyncio.subprocess.Process:
    environment = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    return await children.started(  # in a session of its own: a Ctrl-C at the terminal is the appliance's to handle
        sys.executable,
        "-I",
        "-S",  # not even the packages that the appliance is installed beside
        str(Path(user_code.__file__)),
        env=environment,
        limit=MAX_LINE_BYTES,
    )


async def _served(request: dict[str, Any], serve: Serve | None) -> dict[str, Any]:
    if serve is None:
        return {"error": {"code": "tool.not_granted", "message": "a tool calls no other tools"}}
    try:
        return {"result": await serve(str(request["tool"]), request["arguments"])}
    except AgentFlowError as error:
        return {"error": {"code": error.code, "message": error.message}}
