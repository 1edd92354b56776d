"""What every BusStore promises: the journal's entries and messages in one order, told of once they are durable."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runtime.domain.bus import Batch, Failure
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.domain.subject import entry_subject
from runtime.errors import NotFound
from runtime.store.journal import Journal, journal_database
from runtime.store.key import Key
from runtime.store.lock import hold
from tests.runtime.bus.samples import said
from tests.runtime.store.samples import NOON_US, begin, run_id, step

KEYS = {"sqlite": None, "encrypted": Key("0123456789abcdef" * 4)}
FAILURE = Failure(position=3, deliveries=2, reason="test.no: not now")


@asynccontextmanager
async def _open(folder: Path, key: Key | None) -> AsyncIterator[Journal]:
    with hold(folder, what="test", now_us=NOON_US) as lock:
        database = journal_database(folder, lock=lock, key=key)
        await database.start()
        try:
            yield Journal(database)
        finally:
            await database.stop()


@pytest.fixture(params=["sqlite", "encrypted"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    async with _open(tmp_path, KEYS[request.param]) as opened:
        yield opened


async def test_entries_and_messages_are_in_one_order(journal: Journal) -> None:
    """That of their commits, with a number each."""
    store = journal.messages
    await begin(journal, 1)
    assert await store.keep(said("a", 1))
    await journal.append(run_id(1), 2, step(2))
    page = await store.page(0)
    assert [1, 2, 3, 4, 5] == [posted.position for posted in page.posts]
    assert (0, 5, 5) == (page.after, page.upto, await store.head())
    kinds = ["run.started", "step.scheduled", "", "step.succeeded", "step.scheduled"]
    assert [entry_subject("support", run_id(1), kind) if kind else "a" for kind in kinds] == [
        posted.subject for posted in page.posts
    ]
    assert [posted.envelope().subject for posted in page.posts] == [posted.subject for posted in page.posts]
    assert said("a", 1) == page.posts[2].envelope()


async def test_pages_go_on_where_the_last_one_ended(journal: Journal) -> None:
    """Whatever its size."""
    for number in range(7):
        await journal.messages.keep(said("a", number, at_us=NOON_US + number))
    found, after = [], 0
    while (page := await journal.messages.page(after, limit=3)).posts:
        found += [posted.position for posted in page.posts]
        after = page.upto
    assert [1, 2, 3, 4, 5, 6, 7] == found
    late = await journal.messages.page(0, since_us=NOON_US + 5)
    assert ([6, 7], 7) == ([posted.position for posted in late.posts], late.upto)


async def test_what_is_durable_is_told_once_and_in_order(journal: Journal) -> None:
    """And can be read by then."""
    told: list[Batch] = []
    await begin(journal, 1)
    journal.messages.listen(told.append)
    await journal.messages.keep(said("a", 1))
    await journal.append(run_id(1), 2, step(2))
    await journal.messages.keep(said("a", 1))
    await journal.messages.open_consumer(DEFAULT_TENANT, "c", ">", start=0, at_us=1)
    assert [2, 3, 5] == [told[0].after, *(batch.upto for batch in told)]
    assert [3, 4, 5] == [posted.position for batch in told for posted in batch.posts]
    read = (await journal.messages.page(2)).posts
    assert [posted.envelope() for posted in read] == [p.envelope() for batch in told for p in batch.posts]


async def test_what_was_not_kept_is_not_told(journal: Journal) -> None:
    """An append that is refused is nobody's news."""
    told: list[Batch] = []
    journal.messages.listen(told.append)
    await begin(journal, 1)
    with pytest.raises(Exception, match="sequence_conflict"):
        await journal.append(run_id(1), 7, step(7))
    await journal.append(run_id(1), 2, step(2))
    assert [1, 2, 3, 4] == [posted.position for batch in told for posted in batch.posts]


async def test_a_consumer_is_where_it_was_left(journal: Journal) -> None:
    """And wants what it asked for last."""
    store = journal.messages
    made = await store.open_consumer(DEFAULT_TENANT, "c", "a", start=5, at_us=7)
    assert (5, "a", 7, 0) == (made.cursor, made.wanted, made.created_us, made.dead)
    await store.move(DEFAULT_TENANT, "c", 9)
    again = await store.open_consumer(DEFAULT_TENANT, "c", "b", start=0, at_us=8)
    assert (9, "b", 7) == (again.cursor, again.wanted, again.created_us)
    await store.open_consumer(TenantId("acme"), "c", "a", start=0, at_us=7)
    assert [again] == list(await store.consumers(DEFAULT_TENANT))
    assert 2 == len(await store.consumers())
    with pytest.raises(NotFound):
        await store.move(DEFAULT_TENANT, "other", 1)


async def test_a_consumer_is_forgotten_with_what_it_did_not_take(journal: Journal) -> None:
    """It would hold what is kept for it, for ever."""
    store = journal.messages
    await store.keep(said("a", 1))
    for name in ("c", "d"):
        await store.open_consumer(DEFAULT_TENANT, name, "a", start=0, at_us=1)
        await store.note(DEFAULT_TENANT, name, FAILURE)
        await store.bury(DEFAULT_TENANT, name, FAILURE, at_us=9)
    await store.forget(DEFAULT_TENANT, "c")
    await store.forget(DEFAULT_TENANT, "c")
    assert ["d"] == [each.name for each in await store.consumers()]
    assert ["d"] == [each.consumer for each in await store.dead(DEFAULT_TENANT)]


async def test_failures_are_remembered_until_they_are_past(journal: Journal) -> None:
    """So that a crash gives no message its deliveries back."""
    store = journal.messages
    await store.open_consumer(DEFAULT_TENANT, "c", "a", start=0, at_us=1)
    await store.note(DEFAULT_TENANT, "c", Failure(position=3, deliveries=1, reason="first"))
    await store.note(DEFAULT_TENANT, "c", FAILURE)
    assert [FAILURE] == list(await store.failures(DEFAULT_TENANT, "c"))
    await store.move(DEFAULT_TENANT, "c", 3)
    assert [] == list(await store.failures(DEFAULT_TENANT, "c"))


async def test_dead_letters_are_found_and_given_another_chance(journal: Journal) -> None:
    """By id, by consumer, newest first; and no other tenant's."""
    store = journal.messages
    for number in range(3):
        await store.keep(said("a", number))
    for name in ("c", "d"):
        await store.open_consumer(DEFAULT_TENANT, name, "a", start=0, at_us=1)
    await store.bury(DEFAULT_TENANT, "c", FAILURE, at_us=9)
    await store.bury(DEFAULT_TENANT, "d", Failure(position=1, deliveries=5, reason="OSError"), at_us=10)
    newest, oldest = await store.dead(DEFAULT_TENANT)
    assert ("d", 1, "m-0", "a", 5, "OSError", 10) == (
        newest.consumer,
        newest.position,
        newest.message,
        newest.subject,
        newest.deliveries,
        newest.reason,
        newest.at_us,
    )
    assert [oldest] == list(await store.dead(DEFAULT_TENANT, consumer="c"))
    assert [oldest] == list(await store.dead(DEFAULT_TENANT, ids=[oldest.id]))
    assert [] == list(await store.dead(TenantId("acme")))
    assert [1, 1] == [state.dead for state in await store.consumers()]

    assert [] == list(await store.revive(TenantId("acme"), [oldest.id], at_us=11))
    assert [oldest] == list(await store.revive(DEFAULT_TENANT, [oldest.id, 99], at_us=11))
    assert [] == list(await store.revive(DEFAULT_TENANT, [oldest.id], at_us=12))
    ((letter, posted),) = await store.revived(DEFAULT_TENANT, "c")
    assert (True, oldest.id, 3) == (letter.is_retried, letter.id, posted.position)

    await store.bury(DEFAULT_TENANT, "c", FAILURE, at_us=13)
    (again,) = await store.dead(DEFAULT_TENANT, consumer="c")
    assert (oldest.id, 4, False, 13) == (again.id, again.deliveries, again.is_retried, again.at_us)
    await store.resolve(DEFAULT_TENANT, again.id)
    assert [] == list(await store.dead(DEFAULT_TENANT, consumer="c"))


async def test_it_is_all_there_after_a_restart(tmp_path: Path) -> None:
    """The count goes on behind what was given."""
    async with _open(tmp_path, None) as journal:
        await begin(journal, 1)
        await journal.messages.keep(said("a", 1))
    async with _open(tmp_path, None) as journal:
        await journal.append(run_id(1), 2, step(2))
        assert not await journal.messages.keep(said("a", 1))
        assert [1, 2, 3, 4, 5] == [posted.position for posted in (await journal.messages.page(0)).posts]
        assert 4 == (await journal.verify()).entries
