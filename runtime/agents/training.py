"""Trains a classifier off the event loop, and keeps it in a file named after everything that decides it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from runtime.agents.classifier import FORMAT, Classifier, as_matrix, dump, load, train
from runtime.agents.examples import Example
from runtime.domain.canonical import encode
from runtime.domain.ids import DEFAULT_TENANT
from runtime.errors import Corrupt
from runtime.memory.embedding import Embedder
from runtime.ports import Progress

Trained = tuple[Classifier, str]
"""A classifier, and the digest of all that decided it."""


async def trained(
    examples: Sequence[Example],
    *,
    neighbours: int,
    reject_below: float | None,
    embedder: Embedder,
    cache: Path,
    progress: Progress,
) -> Trained:
    """The classifier that these examples give: read from `cache`, or trained and put there.

    After an interruption the next call embeds only what is missing. Raises Invalid for examples that nothing can
    be learnt from, and what embedding raises.
    """
    engine = await embedder.engine()
    decisive = [FORMAT, engine, neighbours, reject_below, [list(example) for example in examples]]
    digest = await asyncio.to_thread(lambda: sha256(encode(decisive)).hexdigest())
    file = cache / f"{digest[:32]}.npz"
    known = await asyncio.to_thread(_read, file)
    if known is not None:
        return known, digest
    vectors = await embedder.embed_once(
        [text for text, _ in examples],
        tenant=DEFAULT_TENANT,
        advance=lambda done, total: progress("examples embedded", done, total),
    )
    labels = [label for _, label in examples]

    def learn(step: Callable[[int, int], None]) -> Classifier:
        learnt = train(as_matrix(vectors), labels, neighbours=neighbours, reject_below=reject_below, step=step)
        _write(file, dump(learnt))
        return learnt

    return await _in_thread(learn, lambda done, total: progress("training", done, total)), digest


class _Abandoned(Exception):
    """Nobody waits for the training any more."""


async def _in_thread(
    learn: Callable[[Callable[[int, int], None]], Classifier], progress: Callable[[int, int], None]
) -> Classifier:
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


def _read(file: Path) -> Classifier | None:
    """What was kept; None where there is nothing, or nothing that can be read, which will be made again."""
    try:
        return load(file.read_bytes())
    except (FileNotFoundError, Corrupt):
        return None


def _write(file: Path, content: bytes) -> None:
    """Put a file in place whole; an interruption leaves the one that was there."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
