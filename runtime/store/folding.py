"""Folds the write-ahead log into the file while the writer goes on: in a thread and by a connection of its own.

A checkpoint inside a commit holds up whoever waits for that commit, for as long as the disk takes to write and sync up
to 16 MiB. Here it is passive: it waits for nobody, and nobody for it. Under steady writing it never quite catches up
with the log's end, which alone lets the log begin again; then the writer does the small rest, behind `REST_PAGES`.
https://www.sqlite.org/wal.html#ckpt
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

log = logging.getLogger(__name__)

PAGES = 4_000
"""Pages in the log that are worth a checkpoint and its two syncs: 16 MiB."""
REST_PAGES = 12_000
"""Pages of a log behind which the writer folds in what is left: 48 MiB, below the size to which a log is cut."""
PAUSE_S = 0.25
"""Before each look at a log that grows; a short command is done by then."""


class Folding:
    """A thread that looks at the log after there were commits."""

    def __init__(self, open_file: Callable[[], sqlite3.Connection]) -> None:
        self._open_file = open_file
        self._grown = Event()
        self._ended = Event()
        self._thread = Thread(target=self._work, name="af-folding", daemon=True)

    def start(self) -> None:
        """Begin; the file is opened when there may be something to do."""
        self._thread.start()

    def note(self) -> None:
        """There was a commit. From any thread; costs nothing."""
        self._grown.set()

    def stop(self) -> None:
        """End after what is under way, and close the connection. Safe to call twice, and before `start`."""
        self._ended.set()
        self._grown.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        try:
            while not self._ended.is_set():  # looked at behind `clear`, which may undo what `stop` has set
                self._grown.wait()
                if self._ended.wait(PAUSE_S):
                    break
                self._grown.clear()
                connection = connection or self._open_file()
                _fold(connection)
        except Exception:  # the writer folds in more then, and tells what is wrong with the file
            log.debug("the log is folded in by the writer from here on", exc_info=True)
        finally:
            if connection is not None:
                with suppress(Exception):
                    connection.close()


def _fold(connection: sqlite3.Connection) -> None:
    """One passive checkpoint, where there is enough to do. `NOOP` only tells how long the log is (SQLite 3.51)."""
    _busy, pages, folded = connection.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
    if pages - folded >= PAGES:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
