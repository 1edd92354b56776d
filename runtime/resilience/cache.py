"""Answers that may be given again for a while, the least used ones dropped first. Pure: the time is data."""

from collections import OrderedDict

from runtime.domain.canonical import Json


class Cache:
    """Kept in memory alone, bounded in number and in bytes."""

    def __init__(self, *, entries: int = 10_000, size_bytes: int = 32 * 2**20) -> None:
        self._entries = entries
        self._left_bytes = size_bytes
        self._kept: OrderedDict[str, tuple[Json, int, int]] = OrderedDict()

    def find(self, key: str, now_us: int) -> tuple[Json] | None:
        """What is kept under a key and not too old, in a tuple, for it may be null; None: nothing."""
        found = self._kept.get(key)
        if found is None:
            return None
        answer, size_bytes, until_us = found
        if now_us >= until_us:
            del self._kept[key]
            self._left_bytes += size_bytes
            return None
        self._kept.move_to_end(key)
        return (answer,)

    def keep(self, key: str, answer: Json, *, size_bytes: int, until_us: int) -> None:
        """Keep it until an instant, or until there is no more room for it."""
        old = self._kept.pop(key, None)
        self._left_bytes += old[1] if old else 0
        self._kept[key] = (answer, size_bytes, until_us)
        self._left_bytes -= size_bytes
        while self._kept and (self._left_bytes < 0 or len(self._kept) > self._entries):
            _, (_, dropped_bytes, _) = self._kept.popitem(last=False)
            self._left_bytes += dropped_bytes
