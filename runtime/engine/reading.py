"""A run's journal, read whole."""

from runtime.domain.ids import RunId
from runtime.domain.journal import Entry, read
from runtime.ports import StateStore

PAGE_ROWS = 1_000


async def entries_of(store: StateStore, run: RunId) -> list[Entry]:
    """Every entry of one run, in order. Raises NotFound or Corrupt."""
    entries: list[Entry] = []
    rows_behind = True
    while rows_behind:
        rows = await store.read(run, after_seq=len(entries), limit=PAGE_ROWS)
        entries.extend(read(row) for row in rows)
        rows_behind = len(rows) == PAGE_ROWS
    if not entries:
        await store.run(run)  # raises NotFound: a run that exists has a first entry
    return entries
