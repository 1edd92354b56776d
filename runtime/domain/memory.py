"""What agents remember: documents cut into passages with their vectors, kept in collections, and turns of sessions.

Vectors are float32 little-endian bytes of unit length, so that a dot product is a cosine.
"""

from __future__ import annotations

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.ids import RunId, StepId, TenantId

REMOTE_BACKENDS = ("pinecone", "weaviate", "qdrant", "pgvector")
"""Memories elsewhere that a definition may name."""
SHORT_TERM = "short_term"
"""The layer that remembers what is said in sessions."""


class Collection(msgspec.Struct, frozen=True):
    """A named set of documents of one tenant; equal names of two tenants are two collections."""

    tenant: TenantId
    name: str


class Quote(msgspec.Struct, frozen=True):
    """A sentence of a passage, which can be cited by itself."""

    text: str
    vector: bytes


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a document that is found as a whole."""

    heading: str
    """What the piece is about; searched with the text and shown apart from it."""
    text: str
    vector: bytes
    quotes: tuple[Quote, ...] = ()


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A text and its passages, in order."""

    source: str
    """Names the document within its collection, such as its path in the folder it came from."""
    digest: str
    """Changes with the content and with whatever made the passages; equal digests need no new save."""
    data: dict[str, Json] = {}
    """What else is known of it: `id`, `title`, `category`, …"""
    passages: tuple[Passage, ...] = ()


class MemoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A question to a collection, as words and as a vector."""

    text: str
    vector: bytes
    limit: int = 10


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """A passage that was found."""

    source: str
    position: int
    """The passage's place in its document, from 0."""
    data: dict[str, Json]
    """Its document's."""
    heading: str
    text: str
    quotes: tuple[Quote, ...]
    similarity: float
    """Cosine of the passage and the question, −1 to 1."""
    words_ratio: float
    """Its BM25 over the best passage's, 0–1; 0 when the search by words did not find it."""
    score: float
    """Reciprocal rank fusion of both searches; orders the passages of one search, means nothing across two."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What one agent of a workflow talks over with somebody, run after run."""

    tenant: TenantId
    workflow: str
    agent: str
    name: str


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What a step asked a model, and what was answered; one step of a run has one."""

    run: RunId
    step: StepId
    at_us: int
    asked: str
    answered: str


class SessionHeld(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a session is remembered."""

    workflow: str
    agent: str
    name: str
    turns: int
    first_us: int
    last_us: int
