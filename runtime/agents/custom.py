"""The `custom` agent: a Python function of the project's folder, run in a worker process of its own.

A worker serves one call at a time. A call that is cancelled or runs out of time kills its worker, so the work
really stops; the next call starts a fresh one.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from runtime.agents import user_code
from runtime.domain.canonical import MAX_DEPTH, Json, parse
from runtime.domain.ids import TenantId
from runtime.domain.secret import Reference
from runtime.domain.workflow import AgentSpec
from runtime.errors import AgentFlowError, Invalid, StepFailure, Unavailable
from runtime.ports import StepContext, StepResult, Task

MAX_LINE_BYTES = 16 * 1_048_576
"""One message of a worker; more than a step's output may have."""
KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ")

Reveal = Callable[[TenantId, Reference, str], Awaitable[str]]
"""A tenant's secret → its value; for no host, so that it goes to this machine's own code."""

log = logging.getLogger(__name__)


class CustomAgent:
    """Calls `handler: file.py:function` with the task's input and a context."""

    def __init__(self, spec: AgentSpec, *, folder: str, confinement: bytes = b"", reveal: Reveal | None = None) -> None:
        """`confinement`: a seccomp program that every worker puts on before it loads the project's file.

        `reveal`: gives the values of secrets, which go to the worker with each call, on its pipe alone.
        """
        file, _, function = str(spec.config.get("handler", "")).partition(":")
        if not file or not function:
            raise Invalid("custom.no_handler", f"agent {spec.id!r} needs 'handler', such as actions.py:compose")
        self._spec = spec
        self._folder = folder
        self._confinement = confinement
        self._reveal = reveal
        named = spec.config.get("secrets", [])
        self._secrets = [str(name) for name in named] if isinstance(named, list) else []
        self._file = file
        self._function = function
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()

    async def start(self) -> None:
        """Start the first worker, so that a module that does not load is known before a task waits for it."""
        self._idle.append(await self._spawn())

    async def stop(self) -> None:
        """End every worker."""
        workers, self._all = self._all, set()
        self._idle.clear()
        for worker in workers:
            await worker.kill()

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Run the function once."""
        secrets = await self._revealed(task)
        worker = await self._free_worker()
        try:
            output = await worker.call(self._function, task, ctx, secrets)
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
        return StepResult(output=output)

    async def _revealed(self, task: Task) -> dict[str, str]:
        """The values of the secrets that the agent is granted, as they are now."""
        if not self._secrets:
            return {}
        if self._reveal is None:
            raise Unavailable("secret.no_store", f"agent {self._spec.id!r} needs secrets, and nothing gives any here")
        return {name: await self._reveal(task.tenant, Reference(name), "") for name in self._secrets}

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
                f"agent {self._spec.id!r}: {self._file} has no function {self._function!r}",
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
        answer = await self._ask({"folder": folder, "file": file, "confinement": confinement.hex()})
        if "error" in answer:
            error = answer["error"]
            raise Invalid("custom.does_not_load", f"{file} does not load: {error['message']}")
        return [str(name) for name in answer["ready"]]

    async def call(self, function: str, task: Task, ctx: StepContext, secrets: dict[str, str]) -> Json:
        """Run one call, serving the tools that it asks for meanwhile."""
        context = {
            "run_id": task.run,
            "step": task.step,
            "attempt": task.attempt,
            "idempotency_key": task.idempotency_key,
            "secrets": secrets,
        }
        answer = await self._ask({"function": function, "input": task.input, "context": context})
        while "tool" in answer:
            answer = await self._ask(await _serve_tool(answer, ctx))
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
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)  # it leads a session of its own
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
        except (ConnectionError, ValueError):  # ValueError: a line beyond the limit
            line = b""
        if not line:
            raise Unavailable("custom.worker_died", "the worker process of the user's code died or flooded its pipe")
        answer = parse(line, max_depth=MAX_DEPTH + 5)
        if not isinstance(answer, dict):
            raise Unavailable("custom.worker_garbled", "the worker process of the user's code sent what is no message")
        return answer

    async def _copy_log(self) -> None:
        assert self._process.stderr is not None, "it is a pipe"
        while block := await self._process.stderr.read(65_536):
            log.debug("user code: %s", block.decode("utf-8", "replace").rstrip())


async def _start_process() -> asyncio.subprocess.Process:
    environment = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",  # not even the packages that the appliance is installed beside
        str(Path(user_code.__file__)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        limit=MAX_LINE_BYTES,
        start_new_session=True,  # a Ctrl-C at the terminal stops the appliance, which then stops its workers
    )


async def _serve_tool(request: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    try:
        return {"result": await ctx.call_tool(str(request["tool"]), request["arguments"])}
    except AgentFlowError as error:
        return {"error": {"code": error.code, "message": error.message}}
