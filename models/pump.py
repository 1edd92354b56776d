"""Work that somebody else may end: calls that are broken off when a backend stops, streams that are read ahead."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any, Generic, TypeVar

from runtime.errors import Unavailable

Result = TypeVar("Result")
Piece = TypeVar("Piece")

AHEAD = 64
"""Pieces of a stream that are read before anybody wants them; then its server waits."""


class Calls:
    """What is being asked of one server."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def stop(self) -> None:
        """Break off everything; those who asked hear of it as Unavailable."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def ask(self, work: Coroutine[Any, Any, Result], model: str) -> Result:
        """The result of the work. Cancelling this cancels it, and waits until it has let go of everything."""
        task = self._watched(asyncio.create_task(work))
        try:
            await asyncio.wait({task})
        finally:
            await _end(task)
        if task.cancelled():
            raise _stopped(model)
        return task.result()

    async def stream(self, source: AsyncGenerator[Piece, None], model: str) -> AsyncIterator[Piece]:
        """The pieces of the source, read a little ahead. Whoever stops reading ends the source."""
        pump = Pump(source, ahead=AHEAD)
        self._watched(pump.task)
        try:
            async for piece in pump.pieces():
                yield piece
        finally:
            await _end(pump.task)
        if pump.task.cancelled():
            raise _stopped(model)
        pump.task.result()

    def _watched(self, task: asyncio.Task[Result]) -> asyncio.Task[Result]:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class Pump(Generic[Piece]):
    """Reads a source in a task of its own."""

    def __init__(self, source: AsyncGenerator[Piece, None], *, ahead: int | None) -> None:
        """`ahead`: pieces to read before they are wanted; None: any number."""
        self._read: deque[Piece] = deque()
        self._room = None if ahead is None else asyncio.Semaphore(ahead)
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._run(source))
        """Ends with the source, or as it does."""
        self.task.add_done_callback(lambda _task: self._news.set())

    async def pieces(self) -> AsyncIterator[Piece]:
        """What was read and will be; ends when the task has."""
        while self._read or not self.task.done():
            if not self._read:
                self._news.clear()
                await self._news.wait()
                continue
            piece = self._read.popleft()
            if self._room is not None:
                self._room.release()
            yield piece

    async def _run(self, source: AsyncGenerator[Piece, None]) -> None:
        async with aclosing(source):
            async for piece in source:
                if self._room is not None:
                    await self._room.acquire()
                self._read.append(piece)
                self._news.set()


async def pumped(source: AsyncGenerator[Piece, None]) -> AsyncGenerator[Piece, None]:
    """The pieces of a source that runs to its end whether they are taken or not. Closing this ends the source."""
    pump = Pump(source, ahead=None)
    try:
        async for piece in pump.pieces():
            yield piece
        await pump.task
    finally:
        await _end(pump.task)


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _stopped(model: str) -> Unavailable:
    return Unavailable("model.stopped", f"model {model!r} was stopped in the middle of an answer")
