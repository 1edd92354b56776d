"""Processes to be killed, each forked from one that has imported everything already: to import takes longest.

    python -m tests.faults.nest MODULE

Reads a line of JSON for each of them: the FIFO that is its standard output, and what `run` of the module is called
with. Says its process id, and then what it ended with.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from signal import SIGKILL
from typing import IO


class Child:
    """One of these processes."""

    def __init__(self, pid: int, out: IO[str], ended: IO[str]) -> None:
        self._pid = pid
        self._ended = ended
        self.out = out
        """What it prints."""

    def kill(self) -> None:
        """With SIGKILL, in the middle of whatever it does. Only before `wait`: until then it is there."""
        os.kill(self._pid, SIGKILL)

    def wait(self) -> int:
        """What it ended with; minus the signal's number where one ended it."""
        return int(self._ended.readline())


class Nest:
    """The process that they are forked from."""

    def __init__(self, module: str, folder: Path) -> None:
        """`folder`: for the FIFO."""
        self._module = module
        self._fifo = folder / "out"

    def start(self) -> None:
        """Have it import the module."""
        os.mkfifo(self._fifo)
        command = [sys.executable, "-m", "tests.faults.nest", self._module]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop(self) -> None:
        """End it."""
        self._process.communicate()

    @contextmanager
    def child(self, *arguments: str) -> Iterator[Child]:
        """A process that calls the module's `run` with these; wait for it before the next one."""
        asked, said = self._process.stdin, self._process.stdout
        assert asked is not None
        assert said is not None
        print(json.dumps([str(self._fifo), *arguments]), file=asked, flush=True)
        pid = int(said.readline())
        with self._fifo.open() as out:
            yield Child(pid, out, said)


def main(module: str) -> None:
    """Fork one process after the other, until nobody asks for more."""
    run = import_module(module).run
    for line in sys.stdin:
        fifo, *arguments = json.loads(line)
        pid = os.fork()
        if pid == 0:
            out = os.open(fifo, os.O_WRONLY)
            os.dup2(out, 1)
            os.close(out)
            try:
                run(*arguments)
                sys.stdout.flush()
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
