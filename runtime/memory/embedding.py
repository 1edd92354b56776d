"""Turns texts into vectors through the models, each text once: what was embedded is kept and not asked for again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

from runtime.domain.chat import EmbedReply, EmbedRequest
from runtime.domain.ids import TenantId
from runtime.ports import MemoryStore, ModelAccess

DEFAULT_MODEL = "all-minilm-l6-v2"
BATCH_TEXTS = 128
"""What an interruption loses at most: about a second's work."""

Advance = Callable[[int, int], None]
"""Told how many texts have their vector, of how many; may raise to stop."""

_FLOAT_BYTES = 4


class Embedder:
    """One embedding model, and the memory that keeps its vectors."""

    def __init__(self, models: ModelAccess, memory: MemoryStore, *, model: str = DEFAULT_MODEL) -> None:
        self.memory = memory
        self._models = models
        self._model = model
        self._engine = ""

    async def engine(self) -> str:
        """What decides the bytes of a vector besides its text: the model and its fingerprint. Loads the model."""
        if not self._engine:
            reply = await self._models.embed(EmbedRequest(model=self._model, texts=("a probe",)))
            self._engine = f"{self._model} {reply.fingerprint}"
        return self._engine

    async def embed_once(
        self, texts: Sequence[str], *, tenant: TenantId, advance: Advance = lambda *_: None
    ) -> Sequence[bytes]:
        """One vector per text, in order; those that this engine made before come from memory.

        New vectors are kept batch by batch, so that a call after an interruption goes on where it stopped.
        Raises Refused, Unavailable or StepFailure.
        """
        engine = await self.engine()
        digests = [sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        wanted = dict(zip(digests, texts, strict=True))
        vectors = dict(await self.memory.known_vectors(tenant, engine, list(wanted)))
        missing = [digest for digest in wanted if digest not in vectors]
        advance(len(vectors), len(wanted))
        for start in range(0, len(missing), BATCH_TEXTS):
            batch = missing[start : start + BATCH_TEXTS]
            reply = await self._models.embed(
                EmbedRequest(model=self._model, texts=tuple(wanted[digest] for digest in batch))
            )
            made = dict(zip(batch, _vectors(reply), strict=True))
            await self.memory.keep_vectors(tenant, engine, made)
            vectors.update(made)
            advance(len(vectors), len(wanted))
        return [vectors[digest] for digest in digests]


def _vectors(reply: EmbedReply) -> Sequence[bytes]:
    width = reply.dimensions * _FLOAT_BYTES
    return [reply.vectors[start : start + width] for start in range(0, len(reply.vectors), width)]
