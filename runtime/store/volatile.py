"""A StateStore that forgets everything with its process: for `af simulate` and for tests.

Same semantics as the journal on disk, except for what durable means.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256 as sha256_of

import msgspec

from runtime.domain.ids import DefinitionHash, RunId
from runtime.domain.journal import Entry, Row
from runtime.errors import SequenceConflict
from runtime.ports import RunKind, RunSummary
from runtime.store.decision import Decision, decision_of, key_taken
from runtime.store.project_files import no_file
from runtime.store.queries import no_definition, no_run


class VolatileStore:
    """StateStore in memory."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._rows_of: dict[RunId, list[Row]] = {}
        self._summaries: dict[RunId, RunSummary] = {}
        self._keys: dict[str, RunId] = {}
        self._definitions: dict[DefinitionHash, tuple[str, bytes, int]] = {}
        self._files: dict[str, bytes] = {}
        self._news = asyncio.Event()

    async def append(
        self,
        run: RunId,
        expected_seq: int,
        entries: Sequence[Entry],
        *,
        idempotency_key: str | None = None,
        status: str | None = None,
    ) -> int:
        """See StateStore; nothing is durable."""
        decision = decision_of(run, expected_seq, entries, idempotency_key, status)
        found = len(self._rows_of.get(run, ()))
        if found != expected_seq:
            raise SequenceConflict(run, expected_seq, found)
        if idempotency_key is not None:
            if idempotency_key in self._keys:
                raise key_taken(idempotency_key, self._keys[idempotency_key])
            self._keys[idempotency_key] = run
        self._summaries[run] = self._summary_behind(decision)
        self._rows_of.setdefault(run, []).extend(decision.rows)
        self._rows.extend(decision.rows)
        self._news.set()
        self._news = asyncio.Event()
        return decision.rows[-1].seq

    async def read(self, run: RunId, *, after_seq: int = 0, limit: int = 1_000) -> Sequence[Row]:
        """See StateStore."""
        return self._rows_of.get(run, [])[after_seq : after_seq + limit]

    async def runs(
        self,
        *,
        status: Sequence[str] = (),
        workflow: str = "",
        kinds: Sequence[RunKind] = (),
        limit: int = 100,
        before: RunId | None = None,
    ) -> Sequence[RunSummary]:
        """See StateStore. Raises NotFound when `before` names no run."""
        newest_first = list(reversed(self._summaries.values()))
        if before is not None:
            newest_first = newest_first[newest_first.index(await self.run(before)) + 1 :]
        wanted = (
            summary
            for summary in newest_first
            if (not status or summary.status in status)
            and workflow in ("", summary.workflow)
            and (not kinds or summary.kind in kinds)
        )
        return [summary for _, summary in zip(range(limit), wanted, strict=False)]

    async def run(self, run: RunId) -> RunSummary:
        """See StateStore."""
        if run not in self._summaries:
            raise no_run(run)
        return self._summaries[run]

    async def run_by_key(self, idempotency_key: str) -> RunId | None:
        """See StateStore."""
        return self._keys.get(idempotency_key)

    async def follow(self, cursor: int = 0) -> AsyncIterator[tuple[int, Row]]:
        """See StateStore; ends only with its task."""
        while True:
            while cursor < len(self._rows):
                cursor += 1
                yield cursor, self._rows[cursor - 1]
            await self._news.wait()

    async def head(self) -> int:
        """See StateStore."""
        return len(self._rows)

    async def save_definition(
        self, definition: DefinitionHash, name: str, document: bytes, at_us: int, *, files: Sequence[bytes] = ()
    ) -> None:
        """See StateStore. One that was saved before becomes the newest of its name again."""
        self._files |= {sha256_of(content).hexdigest(): content for content in files}
        newest = [kept for kept, (of, _, _) in self._definitions.items() if of == name][-1:]
        if newest != [definition]:
            self._definitions.pop(definition, None)
            self._definitions[definition] = (name, document, at_us)

    async def definition(self, definition: DefinitionHash) -> tuple[str, bytes]:
        """See StateStore."""
        if definition not in self._definitions:
            raise no_definition(definition)
        name, document, _ = self._definitions[definition]
        return name, document

    async def definitions(self) -> Sequence[tuple[str, DefinitionHash, int]]:
        """See StateStore."""
        kept = [(name, definition, at_us) for definition, (name, _, at_us) in self._definitions.items()]
        return sorted(reversed(kept), key=lambda line: -line[2])

    async def missing_files(self, hashes: Sequence[str]) -> frozenset[str]:
        """See StateStore."""
        return frozenset(hashes) - self._files.keys()

    async def file(self, sha256: str) -> bytes:
        """See StateStore."""
        if sha256 not in self._files:
            raise no_file(sha256)
        return self._files[sha256]

    def _summary_behind(self, decision: Decision) -> RunSummary:
        last = decision.rows[-1]
        if decision.started is None:
            before = self._summaries[decision.run]
            return msgspec.structs.replace(
                before, status=decision.status or before.status, updated_us=last.at_us, seq=last.seq
            )
        return RunSummary(
            run=decision.run,
            workflow=decision.started.workflow,
            definition=decision.started.definition,
            tenant=decision.started.tenant,
            status=decision.status or "running",
            created_us=decision.rows[0].at_us,
            updated_us=last.at_us,
            seq=last.seq,
            kind="what_if" if decision.started.what_if else "run",
            origin=decision.started.what_if.run if decision.started.what_if else "",
        )
