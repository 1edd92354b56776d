"""One worker as a child process: its command line, its clean environment, and the pipes to it, each with a deadline."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic

import msgspec

from redaction.names.rules import Span
from redaction.names.wire import Ask, Said

_KEPT_VARIABLES = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ")
_OWN_VARIABLES = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TLDEXTRACT_CACHE": "",  # no list of domains is kept on disk,
    "TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS": "",  # or fetched
}
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from redaction.names.worker import main; main(int(sys.argv[2]))"
)
_READ_BYTES = 262_144
_LINE_BYTES = 16 * 1_048_576
_ENTITIES = frozenset({"PERSON", "LOCATION"})


class WorkerFailed(Exception):
    """The worker did not answer as it must; it is of no use any more. The text says how, and holds no value."""


class WorkerProcess:
    """A running worker, used by one thread at a time."""

    def __init__(self) -> None:
        """Start it. Raises WorkerFailed when no process can be started."""
        self._asked = 0
        try:
            self._process = subprocess.Popen(
                _command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                bufsize=0,
                start_new_session=True,  # Ctrl-C in the terminal is the host's to handle
            )
        except OSError as error:
            raise WorkerFailed(f"could not be started: {error.strerror or error}") from None
        assert self._process.stdin is not None, "it is a pipe"
        assert self._process.stdout is not None, "it is a pipe"
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it is there to take a call."""
        return self._process.poll() is None

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until the model is loaded and has passed its test. Raises WorkerFailed."""
        said = self._hear(0, monotonic() + timeout_s)
        if said.failure:
            raise WorkerFailed(f"could not load its model ({said.failure})")

    def find(self, texts: tuple[str, ...], timeout_s: float) -> tuple[tuple[Span, ...], ...]:
        """People and places of each text. Raises WorkerFailed."""
        deadline = monotonic() + timeout_s
        self._asked += 1
        self._send(msgspec.json.encode(Ask(self._asked, texts)) + b"\n", deadline)
        said = self._hear(self._asked, deadline)
        if said.failure:
            raise WorkerFailed(f"failed with {said.failure}")
        if len(said.spans) != len(texts) or not all(map(_fits, texts, said.spans)):
            raise WorkerFailed("answered what does not fit the question")
        return said.spans

    def kill(self) -> None:
        """End it at once; whoever waits for its answer is told. Returns when it is gone."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it and give the pipes back. For the one thread that uses it."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None, "it is a pipe"
            pipe.close()

    def _send(self, message: bytes, deadline: float) -> None:
        rest = memoryview(message)
        while rest:
            self._wait(self._to, select.POLLOUT, deadline)
            try:
                rest = rest[os.write(self._to, rest) :]
            except BlockingIOError:
                continue
            except OSError:
                raise WorkerFailed(self._manner_of_death()) from None

    def _hear(self, asked: int, deadline: float) -> Said:
        line = bytearray()
        while not line.endswith(b"\n"):
            self._wait(self._from, select.POLLIN, deadline)
            block = os.read(self._from, _READ_BYTES)
            if not block:
                raise WorkerFailed(self._manner_of_death())
            line += block
            if len(line) > _LINE_BYTES:
                raise WorkerFailed("answered without an end")
        try:
            said = msgspec.json.decode(line, type=Said)
        except msgspec.DecodeError:
            raise WorkerFailed("answered what is no answer") from None
        if said.id != asked:
            raise WorkerFailed("answered another question")
        return said

    def _wait(self, pipe: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(pipe, event)
        if not poll.poll(max(0.0, deadline - monotonic()) * 1_000):
            raise WorkerFailed("did not answer in time")

    def _manner_of_death(self) -> str:
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            return "closed its pipe"
        return f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with status {code}"


def _fits(text: str, spans: tuple[Span, ...]) -> bool:
    return all(0 <= start < end <= len(text) and entity in _ENTITIES for start, end, entity in spans)


def _command() -> list[str]:
    """Start the worker with our own import path, ours first: a project's `redaction.py` must not stand in for ours."""
    ours = str(Path(__file__).resolve().parents[2])
    paths = [ours, *(path for path in sys.path if path and path != ours)]
    flags = ["-I", "-S", *(["-B"] if sys.dont_write_bytecode else [])]
    return [sys.executable, *flags, "-c", _BOOT, json.dumps(paths), str(os.getpid())]


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, **_OWN_VARIABLES}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
