"""One model worker as a child process: its command line, its clean environment, and the pipe to it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from models.wire import AnyAsk, Call, Chunk, Final, Said
from runtime.errors import Unavailable
from runtime.sandbox import children

_KEPT_VARIABLES = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ")
_OWN_VARIABLES = {
    "GGML_NO_BACKTRACE": "1",  # an abort would start a debugger otherwise
    "GOMP_SPINCOUNT": "0",  # waiting threads sleep: spinning ones starve each other on a busy machine
    "OMP_WAIT_POLICY": "passive",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from models.worker import main; main(int(sys.argv[2]))"
)
_LINE_BYTES = 64 * 1_048_576  # 256 vectors of 4,096 dimensions are 5.6 MB in base64
_LOG_BYTES = 1_048_576


class WorkerProcess:
    """A running worker. Once it has ended it stays ended."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path | None) -> None:
        self._process = process
        self._log = log
        self._call_id = 0
        self._answer: asyncio.Future[Final] | None = None
        self._on_text: Callable[[str], None] = _ignore
        self._reader = asyncio.create_task(self._read())
        self.was_killed = False
        """Whether we ended it ourselves."""

    @classmethod
    async def spawn(cls, log: Path | None) -> "WorkerProcess":
        """Start a worker with nothing loaded. Raises Unavailable when no process can be started."""
        try:
            with open(os.devnull if log is None else _rotated(log), "ab") as errors:
                process = await children.started(  # in a session of its own: Ctrl-C is the host's to handle
                    *_command(), stderr=errors, env=_environment(), limit=_LINE_BYTES
                )
        except OSError as error:
            raise Unavailable(
                "model.worker_not_started", f"no model worker could be started: {error.strerror or error}"
            ) from None
        return cls(process, log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it can still answer."""
        return not self._reader.done()

    def ask(self, call_id: int, ask: AnyAsk, on_text: Callable[[str], None]) -> asyncio.Future[Final]:
        """Put one question; the future gets the answer, or Unavailable when the worker dies over it."""
        self._call_id = call_id
        self._on_text = on_text
        self._answer = asyncio.get_running_loop().create_future()
        if self.is_alive:
            self.tell(Call(call_id, ask))
        else:
            self._answer.set_exception(self._obituary())
        return self._answer

    def tell(self, call: Call) -> None:
        """Send a line without waiting for anything."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(msgspec.json.encode(call) + b"\n")

    async def kill(self) -> None:
        """End it at once; returns when it is gone."""
        self.was_killed = True
        if self._process.returncode is None:
            self._process.kill()
        await asyncio.wait({self._reader})
        if self._answer is not None:
            self._answer.exception()  # nobody may be waiting for it any more

    async def stop(self, patience_s: float) -> None:
        """Let it end by itself, then kill it."""
        self.was_killed = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        await asyncio.wait({self._reader}, timeout=patience_s)
        await self.kill()

    async def _read(self) -> None:
        """Hand out answers until the worker's output ends, which is when it dies."""
        assert self._process.stdout is not None
        decode = msgspec.json.Decoder(Said).decode
        try:
            async for line in self._process.stdout:
                self._hand_out(decode(line))
        except ValueError:  # not a line of ours: something else writes to the pipe, and nothing can be trusted
            self._process.kill()
        await self._process.wait()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(self._obituary())
        await self._close_pipe()

    async def _close_pipe(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
            with suppress(OSError):  # what was on its way is lost with the worker
                await self._process.stdin.wait_closed()

    def _hand_out(self, said: Said) -> None:
        if said.id != self._call_id or self._answer is None or self._answer.done():
            return
        if isinstance(said.answer, Chunk):
            self._on_text(said.answer.text)
        else:
            self._answer.set_result(said.answer)

    def _obituary(self) -> Unavailable:
        if self.was_killed:
            return Unavailable("model.stopped", "the model was stopped before it had answered")
        code = self._process.returncode or 0
        manner = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with status {code}"
        where = f"; {self._log} may say why" if self._log else ""
        return Unavailable(
            "model.worker_died",
            f"the model worker {manner} before it answered{where}. The next call starts a new one",
            signal=_signal_name(-code) if code < 0 else "",
        )


def _command() -> list[str]:
    """Start the worker with our own import path, ours first: a project's `models.py` must not stand in for this one."""
    ours = str(Path(__file__).resolve().parents[1])
    paths = [ours, *(path for path in sys.path if path and path != ours)]
    flags = ["-I", "-S", *(["-B"] if sys.dont_write_bytecode else [])]
    return [sys.executable, *flags, "-c", _BOOT, json.dumps(paths), str(os.getpid())]


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, **_OWN_VARIABLES}


def _rotated(log: Path) -> Path:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".old.log"))
    return log


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _ignore(_text: str) -> None:
    pass
