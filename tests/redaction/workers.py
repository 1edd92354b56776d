"""Ends a worker that finds names at a moment that does not depend on how fast the machine is."""

import array
import fcntl
import os
import signal
import termios
import threading
import time

PATIENCE_S = 60


def end_once_asked(pid: int, number: signal.Signals) -> None:
    """Stop the worker at once, so that it answers nothing more, and signal it when a question waits in its pipe."""
    os.kill(pid, signal.SIGSTOP)
    threading.Thread(target=_signal_once_asked, args=(pid, number), daemon=True).start()


def _signal_once_asked(pid: int, number: signal.Signals) -> None:
    pipe = os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    waiting = array.array("i", [0])
    until = time.monotonic() + PATIENCE_S
    while not waiting[0] and time.monotonic() < until:
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)
        time.sleep(0.005)
    os.close(pipe)
    os.kill(pid, number)
