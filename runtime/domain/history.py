"""A run at any point of its journal: the entry that a number or an instant means, and what states differ in.

Pure: the state at a point is the fold of the entries up to it.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.ids import RunId
from runtime.domain.journal import Entry, rfc3339
from runtime.errors import Invalid

LONGEST_SEQ_DIGITS = 15


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One value that is different."""

    path: tuple[str, ...]
    """The keys that lead to it."""
    before: Json | msgspec.UnsetType = msgspec.UNSET
    """Not set where there was none."""
    after: Json | msgspec.UnsetType = msgspec.UNSET
    """Not set where there is none any more."""


def seq_at(run: RunId, entries: Sequence[Entry], at: str) -> int:
    """The entry that `at` means: a sequence number, an instant (the last entry until then), or empty for the last one.

    Raises Invalid for what is neither, and for a point that the journal does not have.
    """
    last = entries[-1].seq
    if not at:
        return last
    if at.isascii() and at.isdigit() and len(at) <= LONGEST_SEQ_DIGITS:
        if 1 <= int(at) <= last:
            return int(at)
        raise Invalid("run.no_such_point", f"run {run!r} has the entries 1 to {last}, and no entry {at}")
    at_us = _instant_us(at)
    found = sum(entry.at_us <= at_us for entry in entries)
    if not found:
        first = rfc3339(entries[0].at_us)
        raise Invalid("run.no_such_point", f"run {run!r} began at {first}, after {at}")
    return found


def changes(before: Json, after: Json) -> list[Change]:
    """What is different between two JSON values, in the order of the keys of the second one; lists are one value."""
    return list(_changes(before, after, ()))


def _changes(
    before: Json | msgspec.UnsetType, after: Json | msgspec.UnsetType, path: tuple[str, ...]
) -> Iterator[Change]:
    if before == after:  # most of two states is the same, and this is told at once
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*after, *(key for key in before if key not in after)]:
            yield from _changes(before.get(key, msgspec.UNSET), after.get(key, msgspec.UNSET), (*path, key))
    else:
        yield Change(path=path, before=before, after=after)


def _instant_us(text: str) -> int:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise Invalid(
            "run.no_such_point",
            f"a point of a run is the number of a journal entry, such as 7, or an instant with its time zone, such as "
            f"2026-01-31T14:03:12Z; found {text!r}",
        )
    since = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
