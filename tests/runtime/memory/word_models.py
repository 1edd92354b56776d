"""A model whose vectors are sums of their words', so that texts with words in common are near each other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import shake_128
from math import sqrt
from pathlib import Path
from struct import pack

from runtime.domain.chat import ChatReply, ChatRequest, EmbedReply, EmbedRequest
from runtime.domain.egress import APPLIANCE, Sender
from runtime.store import lock
from runtime.store.memory import Memory

DIMENSIONS = 64


class WordModels:
    """Embeds, and notes what it was asked for; the `fail_at`th call raises `failure` instead."""

    def __init__(self, *, fail_at: int = 0, failure: BaseException | None = None, engine: str = "words 1") -> None:
        self.texts: list[str] = []
        self.engine = engine
        self._calls = 0
        self._fail_at = fail_at
        self._failure = failure

    async def complete(self, request: ChatRequest, *, sender: Sender = APPLIANCE) -> ChatReply:
        raise AssertionError("nobody may ask for text here")

    async def embed(self, request: EmbedRequest, *, sender: Sender = APPLIANCE) -> EmbedReply:
        self._calls += 1
        if self._failure is not None and self._calls == self._fail_at:
            raise self._failure
        self.texts += request.texts
        return EmbedReply(
            vectors=b"".join(map(vector, request.texts)),
            dimensions=DIMENSIONS,
            input_tokens=sum(len(text.split()) for text in request.texts),
            backend="model.words",
            model=request.model,
            fingerprint=self.engine,
        )


def vector(text: str) -> bytes:
    """A unit vector that depends on the words alone."""
    total = [1e-3] * DIMENSIONS
    for word in text.lower().replace(".", " ").replace("?", " ").replace(",", " ").split():
        for place, byte in enumerate(shake_128(word.encode()).digest(DIMENSIONS)):
            total[place] += byte - 127.5
    length = sqrt(sum(part * part for part in total))
    return pack(f"<{DIMENSIONS}f", *(part / length for part in total))


@asynccontextmanager
async def open_memory(folder: Path) -> AsyncIterator[Memory]:
    """A memory in a data folder of its own."""
    with lock.hold(folder, what="test", now_us=0) as held:
        memory = Memory(folder / "memory.db", lock=held)
        await memory.start()
        try:
            yield memory
        finally:
            await memory.stop()
