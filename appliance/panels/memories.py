"""Long-term memory as the inspector shows it: collections, and what a question finds in one, with every score."""

from collections.abc import Sequence

import msgspec

from runtime.domain.memory import Recalled

EXCERPT_CHARS = 400


class CollectionView(msgspec.Struct, frozen=True, kw_only=True):
    """A named set of documents."""

    name: str
    documents: int
    passages: int


class CollectionsView(msgspec.Struct, frozen=True, kw_only=True):
    """Those of the caller's tenant, by name."""

    collections: list[CollectionView]


class PassageView(msgspec.Struct, frozen=True, kw_only=True):
    """A passage that was found, and why it stands where it does."""

    source: str
    position: int
    heading: str
    text: str
    """Its beginning."""
    similarity: float
    """Cosine of passage and question, −1 to 1."""
    words_ratio: float
    """How well its words fit, of the best passage's, 0–1; 0: found by meaning alone."""
    score: float
    """`similarity` plus up to 0.1 for words; agents get passages in this order."""
    why: str
    """In words."""


class RecallView(msgspec.Struct, frozen=True, kw_only=True):
    """What a question found, best first."""

    collection: str
    passages: list[PassageView]
    confidence: float
    """How likely the collection has something on the question's subject, 0–1."""


def passage_views(found: Sequence[Recalled], *, words_share: float) -> list[PassageView]:
    """The passages in the order in which agents get them."""
    views = [_view(passage, words_share) for passage in found]
    return sorted(views, key=lambda view: (-view.score, view.source, view.position))


def _view(passage: Recalled, words_share: float) -> PassageView:
    text = " ".join(passage.text.split())
    return PassageView(
        source=passage.source,
        position=passage.position,
        heading=passage.heading,
        text=text if len(text) <= EXCERPT_CHARS else f"{text[: EXCERPT_CHARS - 1]}…",
        similarity=round(passage.similarity, 4),
        words_ratio=round(passage.words_ratio, 4),
        score=round(passage.similarity + words_share * passage.words_ratio, 4),
        why=_why(passage),
    )


def _why(passage: Recalled) -> str:
    near = "very near" if passage.similarity >= 0.6 else "near" if passage.similarity >= 0.35 else "far"
    words = passage.words_ratio
    said = (
        "no telling word in common" if words <= 0 else "the most words in common" if words >= 1 else "words in common"
    )
    return f"{near} in meaning, {said}"
