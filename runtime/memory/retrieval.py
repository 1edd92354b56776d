"""Finds the documents that answer a question, their best sentences, and how sure one can be that any does.

The search by meaning and by words proposes passages; they are put in order by cosine plus up to 0.1 for shared
words, which on 770 customer questions over 30 articles finds the right article first in 86 % and among three in
97 % (81 % and 96 % by cosine alone, 64 % and 84 % by words alone).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.chat import EmbedReply, EmbedRequest
from runtime.domain.memory import Collection, MemoryQuery, Quote, Recalled
from runtime.ports import MemoryStore, ModelAccess

QUOTES = 4
"""Sentences given of each document."""

_CANDIDATES = 20
_CANDIDATES_PER_HIT = 5
WORDS_SHARE = 0.1
_SLOPE = 21.6
_EVEN_COSINE = 0.371


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A document that was found, by its best passage."""

    source: str
    data: dict[str, Json]
    text: str
    """The best passage."""
    quotes: tuple[str, ...]
    """The document's sentences nearest to the question, of all its passages that were found, nearest first."""
    similarity: float
    """Cosine of the best passage and the question."""
    score: float
    """The cosine plus up to 0.1 for words in common; orders the hits."""


class Retrieved(msgspec.Struct, frozen=True, kw_only=True):
    """What a question found."""

    hits: tuple[Hit, ...]
    """Best first, one per document, ties by source."""
    confidence: float
    """How likely the collection has something on the question's subject, 0–1; see `confidence`."""
    question: EmbedReply
    """The reply that the question's vector came in."""


async def retrieve(
    question: str, collection: Collection, *, limit: int, models: ModelAccess, memory: MemoryStore, model: str
) -> Retrieved:
    """Search a collection for at most `limit` documents. Raises what embedding and searching raise."""
    reply = await models.embed(EmbedRequest(model=model, texts=(question,)))
    candidates = max(_CANDIDATES, _CANDIDATES_PER_HIT * limit)
    found = await memory.search(collection, MemoryQuery(text=question, vector=reply.vectors, limit=candidates))
    hits = tuple(_hits(found, reply.vectors)[:limit])
    best = max((hit.similarity for hit in hits), default=None)
    return Retrieved(hits=hits, confidence=0.0 if best is None else confidence(best), question=reply)


def confidence(similarity: float) -> float:
    """Odds that a question with this best cosine is on the collection's subject, when half of all questions are.

    A logistic curve fitted with all-minilm-l6-v2 to 770 bank customers' questions and 200 questions on anything
    else over 30 articles of a bank. Of those given 0.9 and above, 98 % were on the subject; of those below 0.1, 1 %.
    """
    return 1 / (1 + exp(-_SLOPE * (similarity - _EVEN_COSINE)))


def _hits(found: Sequence[Recalled], question: bytes) -> list[Hit]:
    by_document: dict[str, list[Recalled]] = {}
    for passage in sorted(found, key=lambda passage: (-_score(passage), passage.source, passage.position)):
        by_document.setdefault(passage.source, []).append(passage)
    return [
        Hit(
            source=source,
            data=best.data,
            text=best.text,
            quotes=_nearest(_in_order((best, *others)), question),
            similarity=best.similarity,
            score=_score(best),
        )
        for source, (best, *others) in by_document.items()
    ]


def _score(passage: Recalled) -> float:
    return passage.similarity + WORDS_SHARE * passage.words_ratio


def _nearest(quotes: Sequence[Quote], question: bytes) -> tuple[str, ...]:
    """The texts of the quotes nearest to the question, in the order in which they stand in the document."""
    import numpy as np  # heavy, and a workflow without memory never needs it

    if not quotes:
        return ()
    vectors = np.frombuffer(b"".join(quote.vector for quote in quotes), "<f4").reshape(len(quotes), -1)
    cosines = (vectors.astype(np.float64) * np.frombuffer(question, "<f4").astype(np.float64)).sum(axis=1)
    nearest = np.argsort(-cosines, kind="stable")[:QUOTES]
    return tuple(quotes[index].text for index in sorted(nearest))


def _in_order(passages: Sequence[Recalled]) -> list[Quote]:
    return [quote for passage in sorted(passages, key=lambda p: p.position) for quote in passage.quotes]
