"""Trains a classifier off the event loop, and keeps it in memory under a digest of everything that decides it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TypeVar

from runtime.agents.classifier import FORMAT, Classifier, as_matrix, dump, load, train
from runtime.agents.examples import Example
from runtime.domain.canonical import encode
from runtime.domain.ids import DEFAULT_TENANT
from runtime.errors import Corrupt
from runtime.memory.embedding import Embedder
from runtime.ports import MemoryStore, Progress

Learnt = TypeVar("Learnt")

ARTEFACT = "classifier"
"""The kind under which memory keeps them."""

Trained = tuple[Classifier, str]
"""A classifier, and the digest of all that decided it."""


async def trained(
    examples: Sequence[Example],
    *,
    neighbours: int,
    reject_below: float | None,
    embedder: Embedder,
    progress: Progress,
) -> Trained:
    """The classifier that these examples give: the one that is kept, or a new one that is kept from now on.

    After an interruption the next call embeds only what is missing. Raises Invalid for examples that nothing can
    be learnt from, and what embedding raises.
    """
    engine = await embedder.engine()
    decisive = [FORMAT, engine, neighbours, reject_below, [list(example) for example in examples]]
    digest = await asyncio.to_thread(lambda: sha256(encode(decisive)).hexdigest())
    known = await _kept(embedder.memory, digest)
    if known is not None:
        return known, digest
    vectors = await embedder.embed_once(
        [text for text, _ in examples],
        tenant=DEFAULT_TENANT,
        advance=lambda done, total: progress("examples embedded", done, total),
    )
    labels = [label for _, label in examples]

    def learn(step: Callable[[int, int], None]) -> tuple[Classifier, bytes]:
        learnt = train(as_matrix(vectors), labels, neighbours=neighbours, reject_below=reject_below, step=step)
        return learnt, dump(learnt)

    learnt, content = await _in_thread(learn, lambda done, total: progress("training", done, total))
    await embedder.memory.keep_artefact(DEFAULT_TENANT, ARTEFACT, digest, content)
    return learnt, digest


async def _kept(memory: MemoryStore, digest: str) -> Classifier | None:
    """What was kept; None where there is nothing, or nothing that can be read, which will be made again."""
    content = await memory.artefact(DEFAULT_TENANT, ARTEFACT, digest)
    try:
        return None if content is None else await asyncio.to_thread(load, content)
    except Corrupt:
        return None


class _Abandoned(Exception):
    """Nobody waits for the training any more."""


async def _in_thread(
    learn: Callable[[Callable[[int, int], None]], Learnt], progress: Callable[[int, int], None]
) -> Learnt:
    """Run the training in a thread that ends soon after its caller was cancelled."""
    loop = asyncio.get_running_loop()
    abandoned = threading.Event()
    reported = -1

    def step(done: int, total: int) -> None:
        nonlocal reported
        if abandoned.is_set():
            raise _Abandoned
        if done != reported:
            reported = done
            loop.call_soon_threadsafe(progress, done, total)

    try:
        return await asyncio.to_thread(learn, step)
    except asyncio.CancelledError:
        abandoned.set()
        raise
