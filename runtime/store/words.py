"""The index of passages by their words: one FTS5 table per collection.

A table of its own keeps the frequencies that BM25 weighs words by to the collection: what another tenant saves
changes no score.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

MAX_TERMS = 64
NOTHING = '""'
"""The expression that no passage matches."""

_WORD = re.compile(r"[^\W_]+")
_STOP_WORDS = frozenset(
    _WORD.findall(
        "a about am an and any are as at be been being but by can could did do does doing for from get got had has "
        "have how i if in into is it its just me my no not of on or our shall should so some such than that the their "
        "them then there these they this those to too up us was we were what when where which while who whom why will "
        "with would you your"
    )
)


def expression(question: str) -> str:
    """The FTS5 expression for passages that hold any of a question's telling words, each quoted."""
    words = dict.fromkeys(word for word in _WORD.findall(question.casefold()) if word not in _STOP_WORDS)
    return " OR ".join(f'"{word}"' for word in list(words)[:MAX_TERMS]) or NOTHING


def create(connection: sqlite3.Connection, collection: int) -> None:
    """Make a collection's index."""
    connection.execute(
        f"CREATE VIRTUAL TABLE {table(collection)} USING fts5(heading, text, "
        "content='', contentless_delete=1, tokenize='porter unicode61 remove_diacritics 2')"
    )


def drop(connection: sqlite3.Connection, collection: int) -> None:
    """Remove a collection's index."""
    connection.execute(f"DROP TABLE {table(collection)}")


def add(connection: sqlite3.Connection, collection: int, passages: Iterable[tuple[int, str, str]]) -> None:
    """Index (passage, heading, text)."""
    connection.executemany(f"INSERT INTO {table(collection)}(rowid, heading, text) VALUES(?, ?, ?)", passages)


def remove(connection: sqlite3.Connection, collection: int, passages: Iterable[int]) -> None:
    """Take passages out of the index."""
    connection.executemany(f"DELETE FROM {table(collection)} WHERE rowid=?", ((passage,) for passage in passages))


def table(collection: int) -> str:
    """The name of a collection's index; a collection is an integer of ours, never a user's text."""
    return f"words_{int(collection)}"
