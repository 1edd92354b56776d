"""Opens the journal to read it, beside whoever writes it, and finds runs by abbreviated ids."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.domain.event import RunStarted
from runtime.domain.ids import DefinitionHash, RunId
from runtime.domain.journal import Entry, read
from runtime.domain.run import RunState, apply, fold
from runtime.errors import AgentFlowError, Invalid, NotFound
from runtime.store.journal import JOURNAL_FILE, Journal, journal_database
from runtime.store.keyring import database_key
from runtime.store.volatile import VolatileStore

if TYPE_CHECKING:
    from appliance.config.settings import Settings
    from appliance.runs.views import RunView
    from appliance.workflows import WorkflowCatalogue
    from runtime.domain.workflow import Workflow

Store = Journal | VolatileStore

NEWEST = "last"
"""Stands for the run that somebody started last: no run of a step, no what-if, and none that was imported."""
FULL_LENGTH = 28
PAGE = 500
POLL_S = 0.1


@asynccontextmanager
async def open_journal(settings: "Settings") -> AsyncIterator[Store]:
    """The journal of a data folder, to be read; an empty one where nothing was run yet."""
    if not (settings.data / JOURNAL_FILE).exists():
        yield VolatileStore()
        return
    database = journal_database(
        settings.data, lock=None, key=database_key(os.environ, settings.data), durability=settings.durability
    )
    await database.start()
    try:
        yield Journal(database)
    finally:
        await database.stop()


async def find_run(store: Store, given: str) -> RunId:
    """The run of a whole id, a unique beginning or end of one, or `last`. Raises NotFound and Invalid."""
    if given == NEWEST:
        return await _newest(store)
    if len(given) == FULL_LENGTH and given.startswith("r-"):
        return (await store.run(RunId(given))).run
    found = [run async for run in run_ids(store) if run.startswith((given, f"r-{given}")) or run.endswith(given)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound("run.unknown", f"no run's id begins or ends with {given!r}; see: af runs list")
    shown = ", ".join(found[:3])
    raise Invalid(
        "run.ambiguous", f"{len(found)} runs begin or end with {given!r}, such as {shown}; give more of the id"
    )


async def _newest(store: Store) -> RunId:
    """The run that somebody started last. One of a step only where its own run is no longer here; one that was taken
    in only where none was started here."""
    newest: RunId | None = None
    before: RunId | None = None
    while page := await store.runs(kinds=("run",), limit=PAGE, before=before):
        newest = newest or page[0].run
        for summary in page:
            if not await _is_part(store, summary.run):
                return summary.run
        before = page[-1].run
    if newest is not None:
        return newest
    if imported := await store.runs(kinds=("imported",), limit=1):  # a folder to look at runs of elsewhere
        return imported[0].run
    raise NotFound("run.none", "there are no runs here yet; start one: af run support --input '{…}'")


async def _is_part(store: Store, run: RunId) -> bool:
    """Whether it is the run of a step of another one."""
    first = next(iter(await store.read(run, limit=1)), None)
    started = read(first).body if first is not None else None
    return isinstance(started, RunStarted) and started.parent is not None


async def run_ids(store: Store) -> AsyncIterator[RunId]:
    """Every run, newest first."""
    before: RunId | None = None
    while page := await store.runs(limit=PAGE, before=before):
        for summary in page:
            yield summary.run
        before = page[-1].run


async def entries(store: Store, run: RunId) -> list[Entry]:
    """The whole journal of one run. Raises Corrupt."""
    found: list[Entry] = []
    while rows := await store.read(run, after_seq=len(found)):
        found.extend(read(row) for row in rows)
    return found


async def watch(
    store: Store, run: RunId, on_entry: Callable[[Entry], None], *, after_seq: int = 0, until_final: bool = False
) -> RunState:
    """Tell of every entry behind `after_seq` as it becomes durable.

    Returns once the run is final, or waits unless `until_final`.
    """
    from runtime.engine.clock import SystemClock

    clock = SystemClock()
    state = RunState(run=run)
    while True:
        rows = await store.read(run, after_seq=state.seq)
        for row in rows:
            entry = read(row)
            apply(state, entry)
            if entry.seq > after_seq:
                on_entry(entry)
        is_waiting = state.status == "waiting" and not state.is_overdue(clock.now_us())
        if state.is_final or (is_waiting and not until_final):
            return state
        if not rows:
            await asyncio.sleep(POLL_S)


def reading_catalogue(store: Store, data: Path) -> "WorkflowCatalogue":
    """The definitions that runs are pinned to, and the workflows of a data folder; keeps nothing."""
    from appliance.workflows import WorkflowCatalogue
    from runtime.engine.clock import SystemClock

    published = store.published if isinstance(store, Journal) else None
    return WorkflowCatalogue(data=data, store=store, clock=SystemClock(), published=published)


async def pinned(catalogue: "WorkflowCatalogue", definition: DefinitionHash) -> "Workflow | None":
    """The definition that a run is pinned to, where it is still here."""
    try:
        return await catalogue.pinned(definition)
    except AgentFlowError:
        return None


async def view_of(catalogue: "WorkflowCatalogue", store: Store, state: RunState) -> "RunView":
    """A run's document, with the output as its definition words it where that is still here."""
    from appliance.runs.views import run_view
    from appliance.runs.within import with_tasks

    async def folded(run: RunId) -> RunState:
        return fold(run, await entries(store, run))

    return await with_tasks(run_view(state, await pinned(catalogue, state.definition)), folded)
