"""What is kept: journals, memories, and people's data kept out of both."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.ids import DefinitionHash, RunId, TenantId
from runtime.domain.journal import Entry, Row
from runtime.domain.memory import Collection, Document, MemoryQuery, Recalled
from runtime.domain.minimise import Holder

RunKind = Literal["run", "what_if", "imported"]


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a list of runs."""

    run: RunId
    workflow: str
    definition: DefinitionHash
    tenant: TenantId
    status: str
    created_us: int
    updated_us: int
    seq: int
    kind: RunKind = "run"
    """`what_if`: it asks what would have been; `imported`: it came from elsewhere, and is only looked at."""
    origin: str = ""
    """Of a what-if the run that it sets out from; of an imported run where it came from."""


class StateStore(Protocol):
    """The durable journal of every run, with its index and the definitions that runs are pinned to."""

    async def append(
        self,
        run: RunId,
        expected_seq: int,
        entries: Sequence[Entry],
        *,
        idempotency_key: str | None = None,
        status: str | None = None,
    ) -> int:
        """Write the entries of one decision in a single transaction; return the run's last sequence number.

        Durable when this returns. The first append of a run (expected_seq 0) starts with RunStarted and may bind
        an idempotency key. `status`: what lists of runs say from then on; None: what the entries say by themselves.
        Raises SequenceConflict, Conflict (key taken), StoreFull or Invalid.
        """

    async def read(self, run: RunId, *, after_seq: int = 0, limit: int = 1_000) -> Sequence[Row]:
        """Rows of one run behind `after_seq`, in order."""

    async def runs(
        self,
        *,
        status: Sequence[str] = (),
        workflow: str = "",
        kinds: Sequence[RunKind] = (),
        limit: int = 100,
        before: RunId | None = None,
    ) -> Sequence[RunSummary]:
        """Newest first; `before` pages on. Without `status` or `kinds`: all of them."""

    async def run(self, run: RunId) -> RunSummary:
        """One run. Raises NotFound."""

    async def run_by_key(self, idempotency_key: str) -> RunId | None:
        """The run that an idempotency key was bound to."""

    def follow(self, cursor: int = 0) -> AsyncIterator[tuple[int, Row]]:
        """Every row of every run behind `cursor`, in commit order, then new ones as they become durable."""

    async def head(self) -> int:
        """The cursor behind the newest row; 0 when there is none."""

    async def save_definition(
        self, definition: DefinitionHash, name: str, document: bytes, at_us: int, *, files: Sequence[bytes] = ()
    ) -> None:
        """Keep a definition, together with project files that it names; saving either twice is no error.

        Durable, all of it or nothing, when this returns.
        """

    async def definition(self, definition: DefinitionHash) -> tuple[str, bytes]:
        """Name and document. Raises NotFound."""

    async def definitions(self) -> Sequence[tuple[str, DefinitionHash, int]]:
        """Name, hash and time saved, newest first."""

    async def missing_files(self, hashes: Sequence[str]) -> frozenset[str]:
        """Those of these sha256, in hex, whose project files are not kept here."""

    async def file(self, sha256: str) -> bytes:
        """The project file with this sha256, in hex. Raises NotFound; Corrupt when its bytes are others."""


class Minimiser(Protocol):
    """Keeps people's data out of what is written, and gives it back to those who work with it."""

    is_always: bool
    """Whether every run is minimised; otherwise those whose workflow asks for it."""

    async def kept(self, holder: Holder, value: Json) -> Json:
        """The value as it may be kept; what its pseudonyms stand for is durable when this returns.

        Equal values of one holder get equal pseudonyms, also after a restart. Raises Refused for what may not be kept
        or cannot be looked through, Unavailable or StoreFull when that cannot be said now.
        """

    async def compared(self, holder: Holder, value: Json) -> Json:
        """The same without keeping anything, to compare with what was kept before."""

    async def restored(self, holder: Holder, value: Json) -> Json:
        """The value with what its pseudonyms stand for; those that were purged stay pseudonyms."""


class MemoryStore(Protocol):
    """Documents that agents search by meaning and by words. No call reaches another tenant's."""

    async def save(self, collection: Collection, documents: Sequence[Document]) -> None:
        """Put documents into a collection, each in place of the one of its source; all of them or none.

        Raises Invalid for a vector that is not float32 bytes, StoreFull when the disk is.
        """

    async def search(self, collection: Collection, query: MemoryQuery) -> Sequence[Recalled]:
        """The passages that fit best, best first, ties by source and position. An unknown collection is empty."""

    async def forget(self, collection: Collection, sources: Sequence[str] | None = None) -> int:
        """Forget some documents, or with None the whole collection; return how many there were."""

    async def sources(self, collection: Collection) -> Mapping[str, str]:
        """Source → digest of every document of a collection."""

    async def collections(self, tenant: TenantId) -> Sequence[tuple[str, int, int]]:
        """Name, documents and passages of every collection of a tenant, by name."""

    async def known_vectors(self, tenant: TenantId, model: str, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The vectors kept for these digests of texts; digests without one are left out."""

    async def keep_vectors(self, tenant: TenantId, model: str, vectors: Mapping[bytes, bytes]) -> None:
        """Keep vectors by the digest of their text, so that no text is embedded twice."""

    async def artefact(self, tenant: TenantId, kind: str, digest: str) -> bytes | None:
        """What was made of a kind and kept under this digest; None when there is nothing, or no longer."""

    async def keep_artefact(self, tenant: TenantId, kind: str, digest: str, content: bytes) -> None:
        """Keep what can be made again, under the digest of all that decides it; only the newest of a kind stay."""
