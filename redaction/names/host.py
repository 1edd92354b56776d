"""Names and places in texts, for whoever redacts: what was seen before is known, what can hold no name is not asked.

Fails closed: when a worker dies, hangs or answers what it should not, the call raises, and the next one gets a new
worker. Texts are held while they are looked at, and never kept: the cache holds places under keyed hashes.
"""

import hashlib
import logging
import queue
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from time import monotonic
from typing import NamedTuple, NoReturn

import msgspec

from redaction.findings import Finding
from redaction.names.pieces import Piece, pieces
from redaction.names.process import WorkerFailed, WorkerProcess
from redaction.names.rules import Span, findings, has_all_names, odd_names, question
from runtime.errors import Unavailable

CACHED_PIECES = 100_000
BATCH_CHARS = 32_768
"""What is asked at once; other calls come in between."""
START_TIMEOUT_S = 120.0
"""For a worker to load its model: two seconds of CPU, more from a cold disk."""
SECONDS_PER_CHAR = 0.001
"""Forty times what it takes when the machine has nothing else to do."""
SLOW_START_S = 1.0

log = logging.getLogger(__name__)


class _Question(NamedTuple):
    """A piece that the model is asked about."""

    key: bytes
    piece: Piece
    text: str
    """What is asked."""
    offset: int
    """Where the piece begins in it."""


class NamesHost:
    """Holds the workers. Safe to use from several threads, never on an event loop: calls block."""

    def __init__(
        self, *, workers: int = 1, timeout_s: float = 15.0, on_slow_start: Callable[[], None] | None = None
    ) -> None:
        """`workers`: processes of about 180 MB each, and calls at once.

        `timeout_s`: for one question of up to BATCH_CHARS characters; long ones get a millisecond a character more.
        `on_slow_start`: called when a call waits more than a second for a worker to start.
        """
        self._timeout_s = timeout_s
        self._on_slow_start = on_slow_start
        self._workers = workers
        self._free: queue.LifoQueue[WorkerProcess | None] = queue.LifoQueue()
        """None: one that is started when it is needed."""
        for _ in range(workers):
            self._free.put(None)
        self._running: set[WorkerProcess] = set()
        self._cache: OrderedDict[bytes, tuple[Finding, ...]] = OrderedDict()
        self._lock = threading.Lock()
        self._key = secrets.token_bytes(32)
        self._is_stopped = False

    def start(self) -> None:
        """Start every worker now rather than at the first call. Raises Unavailable when one does not come up."""
        started = [self._take() for _ in range(self._workers)]
        for worker in started:
            self._free.put(worker)

    def stop(self) -> None:
        """End every worker; calls that wait for one raise Unavailable, and so do later ones. Safe to call twice."""
        with self._lock:
            self._is_stopped = True
            running = list(self._running)
        for worker in running:
            worker.kill()
        idle = []
        with suppress(queue.Empty):
            while True:
                idle.append(self._free.get_nowait())
        for each in idle:
            if each is not None:
                self._drop(each)
            self._free.put(None)

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers that are running."""
        with self._lock:
            return sorted(worker.pid for worker in self._running if worker.is_alive)

    def find(self, texts: Sequence[str]) -> list[list[Finding]]:
        """People and places of each text; they may overlap.

        Raises Unavailable `redaction.unavailable` when a worker that is needed does not answer.
        """
        cut = [[(piece, self._cache_key(piece.text)) for piece in _read(_encodable(text))] for text in texts]
        seen: dict[bytes, tuple[Finding, ...]] = {}
        missing: dict[bytes, Piece] = {}
        with self._lock:
            for piece, key in (each for row in cut for each in row):
                known = self._cache.get(key)
                if known is None:
                    missing[key] = Piece(0, piece.text)
                else:
                    seen[key] = known
                    self._cache.move_to_end(key)
        fresh = self._look(missing)
        self._keep(fresh)
        seen |= fresh
        return [[_moved(each, piece.start) for piece, key in row for each in seen[key]] for row in cut]

    def _look(self, missing: dict[bytes, Piece]) -> dict[bytes, tuple[Finding, ...]]:
        found, asked = dict[bytes, tuple[Finding, ...]](), list[_Question]()
        is_up = bool(self.pids)  # a name does not pass on the lists' word alone where the model cannot be had
        for key, piece in missing.items():
            wanted, listed = question(piece), tuple(findings(piece, ()))
            if wanted is None or (is_up and has_all_names(piece, listed)):
                found[key] = listed
            else:
                asked.append(_Question(key, piece, *wanted))
        for batch in _batches(asked):
            answers = self._ask(tuple(each.text for each in batch))
            for each, spans in zip(batch, answers, strict=True):
                found[each.key] = tuple(findings(each.piece, _shifted(spans, -each.offset)))
        return found

    def _ask(self, texts: tuple[str, ...]) -> tuple[tuple[Span, ...], ...]:
        """One question to a worker. Whatever goes wrong, the worker is ended and nothing is answered."""
        worker = self._take()
        try:
            answer = worker.find(
                tuple(map(_encodable, texts)), self._timeout_s + SECONDS_PER_CHAR * sum(map(len, texts))
            )
        except BaseException as error:
            self._drop(worker)
            self._free.put(None)
            if isinstance(error, WorkerFailed):
                self._refuse(error)
            raise
        self._free.put(worker)
        return answer

    def _take(self) -> WorkerProcess:
        """A worker that is ready; a new one where there is none."""
        try:
            worker = self._free.get(timeout=self._timeout_s + SECONDS_PER_CHAR * BATCH_CHARS)
        except queue.Empty:
            self._refuse(WorkerFailed("is busy with other texts"))
        try:
            if worker is not None and not worker.is_alive:  # between two calls, which is no fault of the next one
                self._drop(worker)
                worker = None
            return worker or self._started()
        except BaseException as error:
            self._free.put(None)
            if isinstance(error, WorkerFailed):
                self._refuse(error)
            raise

    def _started(self) -> WorkerProcess:
        with self._lock:
            if self._is_stopped:
                raise WorkerFailed("was stopped")
            worker = WorkerProcess()
            self._running.add(worker)
        slow = threading.Timer(SLOW_START_S, self._on_slow_start) if self._on_slow_start else None
        began = monotonic()
        try:
            if slow:
                slow.start()
            worker.wait_ready(START_TIMEOUT_S)
        except BaseException:
            self._drop(worker)
            raise
        finally:
            if slow:
                slow.cancel()
        log.info("a worker for names and places is ready after %.1f s", monotonic() - began)
        return worker

    def _refuse(self, error: WorkerFailed) -> NoReturn:
        if self._is_stopped:  # by us, and nobody need look into it
            error = WorkerFailed("was stopped")
        else:
            log.warning("the worker for names and places %s", error)
        raise Unavailable(
            "redaction.unavailable",
            f"the worker for names and places {error}; nothing passes that was not looked through. The next call "
            "starts a new one",
        ) from None

    def _drop(self, worker: WorkerProcess) -> None:
        with self._lock:
            self._running.discard(worker)
        worker.close()

    def _keep(self, fresh: dict[bytes, tuple[Finding, ...]]) -> None:
        with self._lock:
            self._cache.update(fresh)
            while len(self._cache) > CACHED_PIECES:
                self._cache.popitem(last=False)

    def _cache_key(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode(), key=self._key, digest_size=16).digest()


def _read(text: str) -> Iterator[Piece]:
    for piece in pieces(text):
        yield piece
        yield from odd_names(piece)


def _batches(wanted: list[_Question]) -> Iterator[list[_Question]]:
    """Batches of at most BATCH_CHARS characters; texts of like length together, which the model reads faster."""
    batch: list[_Question] = []
    size = 0
    for each in sorted(wanted, key=lambda each: len(each.text)):
        if batch and size + len(each.text) > BATCH_CHARS:
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += len(each.text)
    if batch:
        yield batch


def _shifted(spans: Sequence[Span], by: int) -> list[Span]:
    return [(max(0, start + by), end + by, entity) for start, end, entity in spans if end + by > 0]


def _moved(finding: Finding, by: int) -> Finding:
    return msgspec.structs.replace(finding, start=finding.start + by, end=finding.end + by) if by else finding


def _encodable(text: str) -> str:
    """The text with halves of surrogate pairs exchanged for question marks, one each: they have no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
