"""No text is embedded twice, whatever interrupts."""

from pathlib import Path

import pytest

from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.errors import Unavailable
from runtime.memory.embedding import BATCH_TEXTS, Embedder
from tests.runtime.memory.word_models import WordModels, open_memory, vector

TEXTS = [f"question number {number}" for number in range(BATCH_TEXTS + 10)]


async def test_vectors_come_in_the_order_of_their_texts(tmp_path: Path) -> None:
    async with open_memory(tmp_path) as memory:
        embedder = Embedder(WordModels(), memory)
        texts = [*TEXTS, "one more", TEXTS[0]]
        assert await embedder.embed_once(texts, tenant=DEFAULT_TENANT) == [vector(text) for text in texts]


async def test_a_text_is_embedded_once_per_tenant_and_engine(tmp_path: Path) -> None:
    async with open_memory(tmp_path) as memory:
        models = WordModels()
        for _ in range(2):
            await Embedder(models, memory).embed_once(["a card", "a card"], tenant=DEFAULT_TENANT)
        assert models.texts == ["a probe", "a card", "a probe"]
        await Embedder(models, memory).embed_once(["a card"], tenant=TenantId("acme"))
        other = WordModels(engine="words 2")
        await Embedder(other, memory).embed_once(["a card"], tenant=DEFAULT_TENANT)
        assert (models.texts[-1], other.texts[-1]) == ("a card", "a card")


async def test_an_interruption_costs_one_batch(tmp_path: Path) -> None:
    async with open_memory(tmp_path) as memory:
        failing = WordModels(fail_at=3, failure=Unavailable("model.worker_died", "it died"))
        with pytest.raises(Unavailable):
            await Embedder(failing, memory).embed_once(TEXTS, tenant=DEFAULT_TENANT)
        models, seen = WordModels(), list[tuple[int, int]]()
        embedder = Embedder(models, memory)
        await embedder.embed_once(TEXTS, tenant=DEFAULT_TENANT, advance=lambda *counts: seen.append(counts))
        assert models.texts == ["a probe", *TEXTS[BATCH_TEXTS:]]
        assert seen == [(BATCH_TEXTS, len(TEXTS)), (len(TEXTS), len(TEXTS))]
