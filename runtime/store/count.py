"""The one count of journal entries and messages, and what of them has become durable since somebody last looked.

Used in the writer's thread alone, but for `hear`. `taken` is called while no transaction is under way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from runtime.domain.bus import Batch, Posted

if TYPE_CHECKING:
    import sqlite3

_LAST = "SELECT max(coalesce((SELECT max(seq) FROM event), 0), coalesce((SELECT max(seq) FROM message), 0))"


class Count:
    """Numbers what is written."""

    def __init__(self) -> None:
        self.is_heard = False
        """Whether anybody takes what is posted; else it is not remembered."""
        self._last: int | None = None
        self._taken: int | None = None
        self._posts: list[Posted] = []

    def hear(self) -> None:
        """Remember what is posted from now on."""
        self.is_heard = True
        self._taken = self._last

    def last(self, connection: sqlite3.Connection) -> int:
        """The number that was given last."""
        if self._last is None:
            self._last = last_position(connection)
        if self._taken is None:
            self._taken = self._last
        return self._last

    def move(self, to: int) -> None:
        """Give the numbers up to `to`."""
        self._last = to

    def post(self, posts: Iterable[Posted]) -> None:
        """Remember what of them is for subscribers."""
        if self.is_heard:
            self._posts.extend(posts)

    def forget(self) -> None:
        """The batch was lost: nothing of it was ever numbered."""
        self._last = None
        self._posts.clear()

    def taken(self) -> Batch | None:
        """What has become durable since the last time; None: nothing."""
        if self._last is None or self._taken is None or self._last == self._taken:
            return None
        batch = Batch(self._taken, self._last, self._posts)
        self._taken, self._posts = self._last, []
        return batch


def last_position(connection: sqlite3.Connection) -> int:
    """The number of the newest entry or message; 0 when there is none."""
    newest: int = connection.execute(_LAST).fetchone()[0]
    return newest
