"""The `rag` agent: finds the articles of a folder that answer a question, by meaning and by words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from runtime.agents.evidence import evidence_of
from runtime.agents.question import question_in
from runtime.domain.canonical import Json
from runtime.domain.event import Usage
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.domain.memory import REMOTE_BACKENDS, Collection
from runtime.domain.minimise import of_collection
from runtime.domain.workflow import AgentSpec
from runtime.errors import Invalid, Unavailable
from runtime.memory.embedding import DEFAULT_MODEL, Embedder
from runtime.memory.ingest import content_digest, ingest
from runtime.memory.retrieval import Hit, Retrieved, retrieve
from runtime.ports import MemoryStore, Minimiser, ModelAccess, Progress, StepContext, StepResult, Task

DIGITS = 6
"""Decimals that scores are rounded to, so that an answer does not depend on the last bit of a sum."""
MAX_HITS = 1_000
LOCAL_BACKENDS = frozenset({"", "local", "sqlite", "sqlite-vec", *REMOTE_BACKENDS})
"""What the local memory answers for; of remote ones those that the settings map here, the others being refused
before a run."""

log = logging.getLogger(__name__)


class _LongTerm(msgspec.Struct, frozen=True, kw_only=True):
    """`memory.long_term` of the agent, as far as this agent reads it."""

    folder: str = ""
    """Articles among the workflow's files; empty: only what `collection` holds already."""
    collection: str = ""
    """Empty: a collection named after the content of the folder, so that equal folders share one."""
    k: int = 3
    """How many articles at most."""
    embedding_model: str = DEFAULT_MODEL
    backend: str = ""


class RagAgent:
    """Its output is `{hits: [{article, title, category, source, score, text, quotes}], confidence}`, best hit first."""

    def __init__(
        self,
        spec: AgentSpec,
        *,
        folder: str,
        models: ModelAccess,
        memory: MemoryStore,
        minimiser: Minimiser | None = None,
        progress: Progress = lambda *_: None,
    ) -> None:
        """`minimiser`: where memory holds pseudonyms; hits are given with the values."""
        self._minimiser = minimiser
        self._spec = spec
        self._folder = Path(folder)
        self._models = models
        self._memory = memory
        self._progress = progress
        self._ready: dict[TenantId, asyncio.Task[Collection]] = {}

    async def start(self) -> None:
        """Bring the folder into memory; files that have not changed are not embedded again."""
        try:
            await self._collection(DEFAULT_TENANT)
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop ingesting; what is in memory stays."""
        for ingesting in self._ready.values():
            ingesting.cancel()
        await asyncio.gather(*self._ready.values(), return_exceptions=True)
        self._ready.clear()

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Search once. The first task of another tenant brings the folder into that tenant's memory first."""
        question = question_in(task.input, self._spec.id)
        found, collection, hits = await self.find(question, task.tenant, ctx, hit_of)
        return StepResult(
            output={"hits": hits, "confidence": round(found.confidence, DIGITS)},
            usage=Usage(found.question.input_tokens),
            evidence={**evidence_of(found.question), "collection": collection.name},
        )

    async def find(
        self, question: str, tenant: TenantId, ctx: StepContext, told: Callable[[Hit], Json]
    ) -> tuple[Retrieved, Collection, Json]:
        """What a question finds, where, and the hits as `told` tells them, with the values that memory has no more."""
        options = self._options()
        collection = await self._collection(tenant)
        await ctx.pay_for_memory("long_term", "search")
        found = await retrieve(
            question,
            collection,
            limit=options.k,
            models=ctx.models,
            memory=self._memory,
            model=options.embedding_model,
        )
        hits: Json = [told(hit) for hit in found.hits]
        if self._minimiser is not None:
            hits = await self._minimiser.restored(of_collection(collection), hits)
        return found, collection, hits

    async def _collection(self, tenant: TenantId) -> Collection:
        """The collection to search, with the folder brought into it once."""
        ready = self._ready.get(tenant)
        if ready is None or (ready.done() and (ready.cancelled() or ready.exception() is not None)):
            ready = self._ready[tenant] = asyncio.create_task(self._ingest(tenant))
        # the caller's cancellation must not stop what others wait for
        return await asyncio.shield(ready)

    async def _ingest(self, tenant: TenantId) -> Collection:
        options = self._options()
        if not options.folder:
            return Collection(tenant, options.collection)
        folder = self._folder / options.folder
        digest = await asyncio.to_thread(content_digest, folder)
        collection = Collection(tenant, options.collection or f"folder-{digest[:32]}")
        outcome = await ingest(
            folder,
            collection,
            embedder=Embedder(self._models, self._memory, model=options.embedding_model),
            minimiser=self._minimiser,
            progress=lambda done, total, _: self._progress(f"{self._spec.id}: articles read", done, total),
        )
        for problem in outcome.problems:
            log.warning("agent %s leaves out an article: %s", self._spec.id, problem)
        return collection

    def _options(self) -> _LongTerm:
        try:
            options = msgspec.convert(self._spec.memory.get("long_term", {}), _LongTerm)
        except msgspec.ValidationError as error:
            raise Invalid("rag.options", f"agent {self._spec.id!r}, memory.long_term: {error}") from None
        if not options.folder and not options.collection:
            raise Invalid(
                "rag.nothing_to_search",
                f"agent {self._spec.id!r}: memory.long_term needs 'folder', a folder of articles beside the workflow, "
                "or 'collection', the name of one that was ingested",
            )
        if not 1 <= options.k <= MAX_HITS:
            raise Invalid(
                "rag.options",
                f"agent {self._spec.id!r}: memory.long_term.k must be 1 to {MAX_HITS}, found {options.k}",
            )
        if options.backend not in LOCAL_BACKENDS:
            raise Unavailable(
                "rag.backend",
                f"agent {self._spec.id!r}: memory backend {options.backend!r} is not part of this program; "
                "leave 'backend' out to use the local one",
                retryable=False,
            )
        return options


def hit_of(hit: Hit) -> Json:
    """A hit as agents and tools answer with it."""
    return {
        "article": hit.data.get("id"),
        "title": hit.data.get("title"),
        "category": hit.data.get("category"),
        "source": hit.source,
        "score": round(hit.score, DIGITS),
        "text": hit.text,
        "quotes": list(hit.quotes),
    }
