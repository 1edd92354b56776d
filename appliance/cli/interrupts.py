"""Other ways to be told to end than Ctrl-C, for commands that clean up behind themselves."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """Have SIGTERM and SIGHUP interrupt as Ctrl-C does; what is ignored, as under nohup, stays so.

    Does nothing outside the main thread, which alone may say what signals do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = {number: was for number, was in before.items() if was is not None and was != signal.SIG_IGN}
    for number in taken:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, was in taken.items():
            signal.signal(number, was)


def _interrupt(*_: object) -> None:
    """As Ctrl-C; also where that is ignored, as in the background of a shell script."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)
