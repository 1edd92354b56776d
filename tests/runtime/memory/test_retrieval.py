"""What a question finds, in which order, and with what confidence."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.domain.ids import DEFAULT_TENANT
from runtime.domain.memory import Collection
from runtime.memory.embedding import Embedder
from runtime.memory.ingest import ingest
from runtime.memory.retrieval import QUOTES, Retrieved, confidence, retrieve
from runtime.store.memory import Memory
from tests.runtime.memory.word_models import WordModels, open_memory

HELP = Collection(DEFAULT_TENANT, "help")
LOST = """---
id: kb-1
---
A lost card is frozen in the app. A frozen card can be used again when it turns up, and nobody else can pay with it.

To order another card after a lost card, open the app and tap order. It comes within five working days by post.
"""


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Memory]:
    articles = tmp_path / "articles"
    articles.mkdir()
    (articles / "lost.md").write_text(LOST)
    (articles / "fees.md").write_text("Payments are free of charge. Transfers cost one pound.")
    (articles / "hours.md").write_text("Our branches open at nine. They close at five.")
    async with open_memory(tmp_path / "data") as opened:
        await ingest(articles, HELP, embedder=Embedder(WordModels(), opened))
        yield opened


async def ask(memory: Memory, question: str, *, limit: int = 3, collection: Collection = HELP) -> Retrieved:
    return await retrieve(question, collection, limit=limit, models=WordModels(), memory=memory, model="words")


async def test_one_hit_per_document_by_its_best_passage(memory: Memory) -> None:
    found = await ask(memory, "How do I order another card after a lost card?")
    assert found.hits[0].source == "lost.md"
    assert sorted(hit.source for hit in found.hits) == ["fees.md", "hours.md", "lost.md"]
    assert found.hits[0].text.startswith("To order another card")


async def test_quotes_are_the_documents_own_nearest_sentences_in_its_order(memory: Memory) -> None:
    found = await ask(memory, "To order another card after a lost card, open the app and tap order.")
    quotes = found.hits[0].quotes
    frozen, order = (
        "A lost card is frozen in the app.",
        "To order another card after a lost card, open the app and tap order.",
    )
    assert quotes.index(frozen) < quotes.index(order)
    assert len(quotes) == min(QUOTES, 4)


async def test_words_in_common_lift_a_hit_by_a_tenth_at_most(memory: Memory) -> None:
    found = await ask(memory, "transfers")
    assert found.hits[0].source == "fees.md"
    assert found.hits[0].score - found.hits[0].similarity == pytest.approx(0.1)
    assert all(hit.score == hit.similarity for hit in found.hits[1:])


async def test_no_more_hits_than_asked_for(memory: Memory) -> None:
    assert len((await ask(memory, "card", limit=1)).hits) == 1


async def test_an_empty_collection_gives_no_hit_and_no_confidence(memory: Memory) -> None:
    found = await ask(memory, "card", collection=Collection(DEFAULT_TENANT, "nothing"))
    assert (found.hits, found.confidence) == ((), 0.0)


async def test_equal_questions_have_equal_answers(memory: Memory) -> None:
    assert await ask(memory, "a lost card") == await ask(memory, "a lost card")


@pytest.mark.parametrize(
    ("cosine", "expected"), [(-1.0, 0.0), (0.1, 0.003), (0.371, 0.5), (0.45, 0.846), (0.57, 0.987), (1.0, 1.0)]
)
def test_confidence_follows_the_curve_that_was_measured(cosine: float, expected: float) -> None:
    assert confidence(cosine) == pytest.approx(expected, abs=1e-3)
