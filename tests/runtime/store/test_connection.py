"""Connections that work in a thread of their own: how they end."""

import asyncio
import sqlite3
import threading
import weakref

import pytest

from runtime.store.connection import connect


class Opened(sqlite3.Connection):
    """One that can be seen to be gone."""


async def test_who_leaves_while_the_file_is_opened_leaves_no_thread() -> None:
    """It would speak to an event loop that is closed by then, and keep the file open."""
    begun, goes_on = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []
    opened: list[weakref.ref[Opened]] = []

    def open_file() -> sqlite3.Connection:
        threads.append(threading.current_thread())
        begun.set()
        goes_on.wait()
        connection = Opened(":memory:")
        opened.append(weakref.ref(connection))
        return connection

    connecting = asyncio.create_task(connect(open_file))
    await asyncio.to_thread(begun.wait)
    connecting.cancel()
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert [False] == [thread.is_alive() for thread in threads]
    assert [None] == [each() for each in opened]
