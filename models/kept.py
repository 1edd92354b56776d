"""Answers that need not be asked for again: equal questions in flight are asked once, and their answers kept a while.

Only what would come out the same is kept: temperature 0. A key names the tenant, everything of the question, those
who may answer it, and their redaction; where values were exchanged, the run too, whose pseudonyms they are. Whoever
gets a kept answer has been checked before by whoever asks here.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from hashlib import sha256
from time import monotonic
from typing import Any

import msgspec
from msgspec.structs import replace

from runtime.domain.chat import ChatReply, ChatRequest
from runtime.errors import Refused

Ask = Callable[[], Coroutine[Any, Any, ChatReply]]

_encoder = msgspec.json.Encoder(order="deterministic")


class _Flight:
    """A question that is being asked, and how many wait for its answer."""

    def __init__(self, task: asyncio.Task[ChatReply]) -> None:
        self.task = task
        self.waiting = 0


class _Kept(msgspec.Struct, frozen=True):
    reply: ChatReply
    at_s: float
    size_bytes: int


class KeptAnswers:
    """Answers by key. For one event loop."""

    def __init__(self, *, ttl_s: float, max_bytes: int, now: Callable[[], float] = monotonic) -> None:
        """`ttl_s`: 0 keeps nothing; equal questions in flight are asked once all the same."""
        self._ttl_s = ttl_s
        self._max_bytes = max_bytes
        self._now = now
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._flights: dict[bytes, _Flight] = {}
        self._size_bytes = 0

    async def answer(self, key: bytes, ask: Ask) -> ChatReply:
        """The answer to a question. A caller that is cancelled leaves the others theirs; the last one ends it.

        What policy or a budget refuses to one is not refused to the others: they ask for themselves.
        """
        if (kept := self.find(key)) is not None:
            return kept
        flight = self._flights.get(key)
        is_joined = flight is not None
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(self._fly(key, ask)))
        flight.waiting += 1
        try:
            reply = await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            if flight.waiting == 1:
                self._land(key, flight.task)  # at once: nobody may join what is ending
                flight.task.cancel()
                await asyncio.gather(flight.task, return_exceptions=True)
            raise
        except Refused:
            if not is_joined:
                raise
            return await ask()
        finally:
            flight.waiting -= 1
        return _marked(reply, "an equal question's answer") if is_joined else reply

    def find(self, key: bytes) -> ChatReply | None:
        """A kept answer that is not too old."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        age_s = self._now() - kept.at_s
        if age_s >= self._ttl_s:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return _marked(kept.reply, f"kept for {age_s:.0f} s")

    def keep(self, key: bytes, reply: ChatReply) -> None:
        """Keep an answer; those used longest ago make room for it."""
        if self._ttl_s <= 0:
            return
        size_bytes = len(msgspec.json.encode(reply)) + len(key)
        if key in self._kept:
            self._drop(key)
        self._kept[key] = _Kept(reply, self._now(), size_bytes)
        self._size_bytes += size_bytes
        while self._size_bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Forget everything that is kept."""
        self._kept.clear()
        self._size_bytes = 0

    async def _fly(self, key: bytes, ask: Ask) -> ChatReply:
        try:
            reply = await ask()
            self.keep(key, reply)
            return reply
        finally:
            self._land(key, asyncio.current_task())

    def _land(self, key: bytes, task: asyncio.Task[Any] | None) -> None:
        """A flight is over, unless another one of its key has begun since."""
        flight = self._flights.get(key)
        if flight is not None and flight.task is task:
            del self._flights[key]

    def _drop(self, key: bytes) -> None:
        self._size_bytes -= self._kept.pop(key).size_bytes


def key_of(request: ChatRequest, *parts: str) -> bytes:
    """Equal for equal questions. `parts`: whatever else must be equal."""
    return sha256(_encoder.encode((parts, request))).digest()


def _marked(reply: ChatReply, how: str) -> ChatReply:
    return replace(reply, route=f"{how}; {reply.route or f'{reply.backend} {reply.model}'}", usage="kept")
