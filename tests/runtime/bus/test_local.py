"""The bus in one process: dead letters, retries, going back, and subscribers that cannot keep up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from runtime.bus import course
from runtime.bus.local import LocalBus
from runtime.domain.bus import Batch, Delivery, Terms
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.errors import Corrupt, Invalid, NotFound, StoreFull, Unavailable
from runtime.store.journal import Journal
from tests.runtime.bus.samples import PATIENCE_S, QUICK, Taker, open_bus, said
from tests.runtime.store.samples import NOON_US, begin, run_id, step

Opened = tuple[LocalBus, Journal]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    async with open_bus(tmp_path) as found:
        yield found


async def _until(is_so: object) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # type: ignore[operator]  # it is a function
            await asyncio.sleep(0.002)


async def test_entries_of_journals_are_messages(opened: Opened) -> None:
    """Whoever subscribes hears of every run, as its journal has it."""
    bus, journal = opened
    taker = Taker()
    await bus.subscribe(DEFAULT_TENANT, "runs.support.*.step.*", taker)
    await begin(journal, 1)
    await journal.append(run_id(1), 2, step(2, output={"label": "cards"}))
    await taker.has(3)
    assert ["step.scheduled", "step.succeeded", "step.scheduled"] == [each.envelope.type for each in taker.deliveries]
    assert {"label": "cards"} == taker.deliveries[1].envelope.payload["output"]  # type: ignore[call-overload,index]
    assert [2, 3, 4] == [each.envelope.seq for each in taker.deliveries]


async def test_a_dead_letter_says_why_and_can_be_retried(opened: Opened) -> None:
    """What failed at night is delivered in the morning."""
    bus, journal = opened
    taker = Taker(fails=3, error=Unavailable("desk.closed", "nobody is there"))
    await bus.subscribe(DEFAULT_TENANT, "a", taker, consumer="c", terms=QUICK)
    await bus.publish(said("a", 1))
    await bus.publish(said("a", 2))
    await taker.has(4)
    await _until(lambda: bus.counts()[0].dead == 1)
    (letter,) = await journal.messages.dead(DEFAULT_TENANT)
    assert ("c", "m-1", "a", 3) == (letter.consumer, letter.message, letter.subject, letter.deliveries)
    assert "desk.closed: nobody is there" == letter.reason

    assert [letter] == list(await bus.retry(DEFAULT_TENANT, [letter.id]))
    assert [1, 1, 1, 2, 1] == await taker.has(5)
    await _until(lambda: bus.counts()[0].dead == 0)
    assert [] == list(await bus.retry(DEFAULT_TENANT, [letter.id]))


async def test_a_letter_that_is_retried_in_vain_is_one_again(opened: Opened) -> None:
    """With the new reason; and it waits for a consumer that is away."""
    bus, journal = opened
    taker = Taker(fails=99, error=Invalid("test.bad", "it is malformed"))
    leave = await bus.subscribe(DEFAULT_TENANT, "a", taker, consumer="c", terms=QUICK)
    await bus.publish(said("a", 1))
    await _until(lambda: bus.counts()[0].dead == 1)
    await leave()
    (letter,) = await journal.messages.dead(DEFAULT_TENANT)
    await bus.retry(DEFAULT_TENANT, [letter.id])
    assert 1 == len(taker.deliveries)
    other = Taker(fails=99, error=Invalid("test.worse", "it is still malformed"))
    await bus.subscribe(DEFAULT_TENANT, "a", other, consumer="c", terms=QUICK)
    await other.has(1)
    async with asyncio.timeout(PATIENCE_S):
        while (again := (await journal.messages.dead(DEFAULT_TENANT))[0]).is_retried:
            await asyncio.sleep(0.002)
    assert (letter.id, 2, "test.worse: it is still malformed") == (again.id, again.deliveries, again.reason)


async def test_an_unknown_exception_is_named_and_not_quoted(opened: Opened) -> None:
    """Its text may hold what the message said."""
    bus, journal = opened
    taker = Taker(fails=99, error=ValueError("anna@example.com"))
    await bus.subscribe(DEFAULT_TENANT, "a", taker, consumer="c", terms=Terms(max_deliveries=1))
    await bus.publish(said("a", 1))
    await _until(lambda: bus.counts()[0].dead == 1)
    assert "ValueError" == (await journal.messages.dead(DEFAULT_TENANT))[0].reason


async def test_deliveries_are_counted_over_restarts(tmp_path: Path) -> None:
    """A process that is started again and again gives no message new chances."""
    attempts = []
    for _ in range(3):
        async with open_bus(tmp_path) as (bus, _journal):
            taker = Taker(fails=1)
            terms = Terms(max_deliveries=3, back_off_s=(60.0,))
            await bus.subscribe(DEFAULT_TENANT, "a", taker, consumer="c", terms=terms, start=0)
            await bus.publish(said("a", 1))
            await taker.has(1)
            await asyncio.sleep(0.02)
            attempts += [each.attempt for each in taker.deliveries]
    assert [1, 2, 3] == attempts
    async with open_bus(tmp_path) as (_, journal):
        assert 1 == len(await journal.messages.dead(DEFAULT_TENANT))


async def test_who_is_slow_holds_up_nobody(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the journal nor another subscriber; it reads what it missed from the journal, all of it, in order."""
    monkeypatch.setattr(course, "WINDOW", 8)
    monkeypatch.setattr(course, "PAGE", 4)
    bus, journal = opened
    slow, quick = Taker(), Taker()
    slow.held.clear()
    await bus.subscribe(DEFAULT_TENANT, "runs.>", slow, consumer="slow")
    await bus.subscribe(DEFAULT_TENANT, "runs.>", quick, consumer="quick")
    for number in range(20):
        await begin(journal, number)
    await quick.has(40)
    views = {view.name: view for view in bus.counts()}
    assert ("behind", "live") == (views["slow"].standing, views["quick"].standing)
    assert (40, 0) == (views["slow"].lag, views["quick"].lag)
    assert 8 + 4 >= max(len(each._open) for each in bus._courses)
    slow.held.set()
    await slow.has(40)
    assert [each.envelope.id for each in quick.deliveries] == [each.envelope.id for each in slow.deliveries]
    await _until(lambda: {view.standing for view in bus.counts()} == {"live"})


async def test_large_messages_do_not_fill_the_memory(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind so many bytes a consumer reads from the journal as well."""
    monkeypatch.setattr(course, "WINDOW_BYTES", 1_000)
    bus, _ = opened
    slow = Taker()
    slow.held.clear()
    await bus.subscribe(DEFAULT_TENANT, "a", slow, consumer="slow")
    for number in range(10):
        await bus.publish(said("a", str(number) * 600, id=f"m-{number}"))
    assert "behind" == bus.counts()[0].standing
    slow.held.set()
    assert 10 == len(await slow.has(10))


async def test_a_consumer_goes_back(opened: Opened) -> None:
    """To get again what it has taken; who takes for it stays."""
    bus, _ = opened
    taker = Taker()
    await bus.subscribe(DEFAULT_TENANT, "a", taker, consumer="c")
    for number in range(3):
        await bus.publish(said("a", number))
    await taker.has(3)
    await bus.rewind(DEFAULT_TENANT, "c", 1)
    assert [0, 1, 2, 1, 2] == await taker.has(5)
    await bus.publish(said("a", 3))
    assert [0, 1, 2, 1, 2, 3] == await taker.has(6)
    with pytest.raises(NotFound, match="no_consumer"):
        await bus.rewind(DEFAULT_TENANT, "other", 0)
    with pytest.raises(NotFound, match="no_consumer"):
        await bus.rewind(TenantId("acme"), "c", 0)


async def test_a_batch_that_was_missed_is_read(opened: Opened) -> None:
    """Whatever falls between the store and the bus is in the journal."""
    bus, journal = opened
    taker = Taker()
    await bus.subscribe(DEFAULT_TENANT, "a", taker)
    await journal.messages.keep(said("a", 1))
    await taker.has(1)
    bus.deliver(Batch(after=7, upto=7, posts=()))
    for number in (2, 3):
        await journal.messages.keep(said("a", number))
    assert [1, 2, 3] == await taker.has(3)


async def test_a_store_that_is_full_loses_no_message(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot become a dead letter is tried again instead."""
    bus, journal = opened
    broken = [StoreFull("store.full", "no room")]
    bury = journal.messages.bury

    async def bury_later(*args: object, **more: object) -> None:
        if broken:
            raise broken.pop()
        await bury(*args, **more)  # type: ignore[arg-type]  # what was given

    monkeypatch.setattr(journal.messages, "bury", bury_later)
    taker = Taker(fails=2)
    await bus.subscribe(DEFAULT_TENANT, "a", taker, consumer="c", terms=Terms(max_deliveries=1, back_off_s=(0.01,)))
    await bus.publish(said("a", 1))
    await _until(lambda: bus.counts()[0].dead == 1)
    assert [1, 1] == taker.payloads


async def test_a_mistake_in_the_store_ends_no_taking(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in what is read nor in what is noted; it is tried again."""
    monkeypatch.setattr(course, "RETRY_S", 0.01)
    bus, journal = opened
    mistakes = {"page": [KeyError("a mistake")], "note": [KeyError("a mistake")]}
    for name, errors in mistakes.items():
        monkeypatch.setattr(journal.messages, name, _failing_first(getattr(journal.messages, name), errors))
    await bus.publish(said("a", 1))
    taker = Taker(fails=1)
    await bus.subscribe(DEFAULT_TENANT, "a", taker, consumer="c", start=0, terms=QUICK)
    assert [1, 1] == await taker.has(2)
    assert {"page": [], "note": []} == mistakes


def _failing_first(work: Callable[..., Awaitable[object]], errors: list[KeyError]) -> Callable[..., Awaitable[object]]:
    async def failing(*args: object, **more: object) -> object:
        if errors:
            raise errors.pop()
        return await work(*args, **more)

    return failing


async def test_a_member_that_leaves_hands_its_message_on(opened: Opened) -> None:
    """To the others of its group."""
    bus, _ = opened
    stuck, other = Taker(), Taker()
    stuck.held.clear()
    leave = await bus.subscribe(DEFAULT_TENANT, "a", stuck, consumer="c")
    await bus.publish(said("a", 1))
    await bus.subscribe(DEFAULT_TENANT, "a", other, consumer="c")
    await asyncio.sleep(0.02)
    await leave()
    assert [1] == await other.has(1)
    assert 2 == other.deliveries[0].attempt


async def test_a_responder_may_ask_others(opened: Opened) -> None:
    """And a taker may publish and subscribe: nothing waits for itself."""
    bus, _ = opened
    heard = Taker()

    async def passes_on(delivery: Delivery) -> None:
        await bus.subscribe(DEFAULT_TENANT, "b", heard, consumer="later")
        await bus.publish(said("b", delivery.envelope.payload, id=f"b-{delivery.position}"))

    await bus.subscribe(DEFAULT_TENANT, "a", passes_on, consumer="c")
    await bus.publish(said("a", 1))
    assert [1] == await heard.has(1)


async def test_what_is_damaged_is_a_dead_letter(opened: Opened) -> None:
    """Of an entry as of a message; what comes behind it is delivered."""
    bus, journal = opened
    await begin(journal, 1)
    await bus.publish(said("a", 1))
    await bus.publish(said("b", 2))
    spoil = [
        "DROP TRIGGER event_keeps",
        "UPDATE event SET data = replace(data, 'step2', 'step3')",
        "UPDATE message SET body = CAST(replace(CAST(body AS TEXT), 'm-1', 'm-7') AS BLOB) WHERE seq = 3",
    ]
    await journal._database.write(lambda connection: [connection.execute(each) for each in spoil])
    taker = Taker()
    await bus.subscribe(DEFAULT_TENANT, ">", taker, consumer="c", start=0)
    await _until(lambda: bus.counts()[0].dead == 2)
    await taker.has(2)
    assert [1, 4] == [each.position for each in taker.deliveries]
    letters = await journal.messages.dead(DEFAULT_TENANT)
    assert ["bus.damaged", "journal.hash_mismatch"] == [letter.reason.partition(":")[0] for letter in letters]
    with pytest.raises(Corrupt, match="hash_mismatch"):
        await journal.verify()


async def test_a_message_that_was_taken_is_forgotten_in_time(opened: Opened) -> None:
    """Not before its consumer has it, and never a dead letter; no number is missed afterwards."""
    bus, journal = opened
    taker = Taker(fails=1, error=Invalid("test.bad", "no"))
    await bus.subscribe(DEFAULT_TENANT, "a", taker, consumer="c")
    for number in range(3):
        await bus.publish(said("a", number, at_us=NOON_US + number))
    await taker.has(3)
    await bus.publish(said("a", 9, tenant=TenantId("acme"), at_us=NOON_US))
    async with asyncio.timeout(PATIENCE_S):
        while (await journal.messages.consumers(DEFAULT_TENANT))[0].cursor < 3:
            await asyncio.sleep(0.005)
    assert 2 == await journal.messages.prune(NOON_US + 2)
    assert [0, 2] == [each.envelope.payload async for each in bus.replay(DEFAULT_TENANT)]
    assert not await bus.publish(said("a", 1))
    await journal.verify()


async def test_a_bus_that_stopped_takes_nobody(opened: Opened) -> None:
    """And can be stopped twice."""
    bus, _ = opened
    await bus.stop()
    await bus.stop()
    with pytest.raises(Unavailable, match="closed"):
        await bus.subscribe(DEFAULT_TENANT, "a", Taker())


async def test_what_ifs_and_inboxes_are_apart(opened: Opened) -> None:
    """`subjects` lists what was published, without what only a requester waits for."""
    bus, journal = opened
    await begin(journal, 1, workflow="my desk")
    await bus.publish(said("orders.created", 1, at_us=NOON_US + 5))
    await bus.publish(said("_inbox.x", 2))
    found = await journal.messages.subjects(DEFAULT_TENANT)
    assert [("orders.created", 1, NOON_US + 5), ("runs.my%20desk.>", 2, NOON_US)] == list(found)
