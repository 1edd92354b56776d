"""What host and worker say to each other: one JSON value a line."""

import msgspec

from redaction.names.rules import Span


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """Texts to look through."""

    id: int
    texts: tuple[str, ...]


class Said(msgspec.Struct, frozen=True, array_like=True):
    """People and places of each text; the first line of a worker, with id 0, says that it is ready."""

    id: int
    spans: tuple[tuple[Span, ...], ...] = ()
    failure: str = ""
    """The kind of what went wrong, never its text, which may hold what was looked through."""
