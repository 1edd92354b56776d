"""The child program that holds one model: reads calls from standard input, writes answers to standard output.

It is started by models.host as `python -I -S -c …` with the parent's import path, so it runs the same in a checkout
and from the single file. It exits when its standard input closes, and dies with its parent.
It must never write anything but answers to standard output, nor open a connection.
"""

import ctypes
import os
import queue
import resource
import signal
import sys
import threading
import traceback
from typing import BinaryIO

import msgspec

from models.engine import Engine
from models.wire import Call, Cancel, Cancelled, Chunk, Final, Said, Stopped, failure
from runtime.errors import AgentFlowError

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main(parent: int) -> None:
    """Serve calls until standard input closes. `parent` is the process to die with."""
    _die_with(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Worker(sys.stdin.buffer, _take_standard_output()).serve()


class Worker:
    """Answers calls in order; a second thread reads, so that a cancel is seen while the first one computes."""

    def __init__(self, calls: BinaryIO, answers: BinaryIO) -> None:
        self._calls = calls
        self._answers = answers
        self._inbox: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._engine = Engine()

    def serve(self) -> None:
        """Never returns; the reading thread ends the process."""
        threading.Thread(target=self._read, name="calls", daemon=True).start()
        while True:
            call = self._inbox.get()
            self._say(call, self._answer(call))
            self._cancelled.discard(call.id)

    def _read(self) -> None:
        decode = msgspec.json.Decoder(Call).decode
        for line in self._calls:
            call = decode(line)
            if isinstance(call.ask, Cancel):
                self._cancelled.add(call.ask.call)
            else:
                self._inbox.put(call)
        os._exit(0)  # the engines' own clean-up at interpreter exit crashes more often than it helps

    def _answer(self, call: Call) -> Final:
        try:
            return self._engine.answer(
                call.ask, lambda chunk: self._say(call, chunk), lambda: call.id in self._cancelled
            )
        except Stopped:
            return Cancelled()
        except Exception as error:  # the edge of the worker: everything becomes an answer
            if not isinstance(error, AgentFlowError):
                _log_without_values(error)
            return failure(error)

    def _say(self, call: Call, answer: Chunk | Final) -> None:
        self._answers.write(msgspec.json.encode(Said(call.id, answer)) + b"\n")
        self._answers.flush()


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before the line above
        os._exit(0)


def _take_standard_output() -> BinaryIO:
    """Keep the answers' pipe to ourselves; whatever else prints goes to standard error, which is the log."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _log_without_values(error: Exception) -> None:
    """Where it happened, but not the exception's text, which may quote a prompt."""
    print(f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}", file=sys.stderr, flush=True)
