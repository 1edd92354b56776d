"""What every MessageBus promises: at least once, in order per run, durable first, one tenant's only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from runtime.domain.bus import Delivery, Terms
from runtime.domain.envelope import reply
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.errors import Conflict, Invalid, Refused, Unavailable
from runtime.ports import MessageBus
from runtime.store.key import Key
from tests.runtime.bus.samples import PATIENCE_S, QUICK, Taker, open_bus, said
from tests.runtime.store.samples import NOON_US

ACME = TenantId("acme")
KEYS = {"local": None, "encrypted": Key("0123456789abcdef" * 4)}


@pytest.fixture(params=["local", "encrypted"])
async def bus(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MessageBus]:
    async with AsyncExitStack() as opened:
        found, _ = await opened.enter_async_context(open_bus(tmp_path, KEYS[request.param]))
        yield found


async def test_what_is_published_reaches_who_subscribed(bus: MessageBus) -> None:
    """Byte for byte, with its place in the order of all."""
    taker = Taker()
    await bus.subscribe(DEFAULT_TENANT, "orders.>", taker)
    first, second = said("orders.created", {"n": 1}, id="a"), said("orders.paid", {"n": 2}, id="b")
    assert await bus.publish(first)
    assert await bus.publish(second)
    assert [{"n": 1}, {"n": 2}] == await taker.has(2)
    assert [first, second] == [delivery.envelope for delivery in taker.deliveries]
    assert taker.deliveries[0].position < taker.deliveries[1].position
    assert [1, 1] == [delivery.attempt for delivery in taker.deliveries]


async def test_a_filter_chooses(bus: MessageBus) -> None:
    """As NATS has it."""
    takers = {wanted: Taker() for wanted in ("a.*", "a.>", "*.x", ">", "a.x")}
    for wanted, taker in takers.items():
        await bus.subscribe(DEFAULT_TENANT, wanted, taker)
    for subject in ("a", "a.x", "b.x", "a.x.y"):
        await bus.publish(said(subject, subject))
    await takers[">"].has(4)
    await takers["a.>"].has(2)
    await asyncio.sleep(0.02)
    assert {
        "a.*": ["a.x"],
        "a.>": ["a.x", "a.x.y"],
        "*.x": ["a.x", "b.x"],
        ">": ["a", "a.x", "b.x", "a.x.y"],
        "a.x": ["a.x"],
    } == {wanted: taker.payloads for wanted, taker in takers.items()}


async def test_no_tenant_sees_anothers(bus: MessageBus) -> None:
    """Not by subscribing, not by replay, not by a consumer of the same name, not by a message of the same id."""
    own, others = Taker(), Taker()
    await bus.subscribe(DEFAULT_TENANT, ">", own, consumer="all")
    await bus.subscribe(ACME, ">", others, consumer="all")
    assert await bus.publish(said("a", 1, id="m"))
    assert await bus.publish(said("a", 2, id="m", tenant=ACME))
    assert ([1], [2]) == (await own.has(1), await others.has(1))
    assert [2] == [found.envelope.payload async for found in bus.replay(ACME)]


async def test_one_of_a_group_gets_each_message(bus: MessageBus) -> None:
    """Two workers do not do the same work; two consumers both hear of it."""
    left, right, other = Taker(), Taker(), Taker()
    left.held.clear()
    await bus.subscribe(DEFAULT_TENANT, "work", left, consumer="workers")
    await bus.subscribe(DEFAULT_TENANT, "work", right, consumer="workers")
    await bus.subscribe(DEFAULT_TENANT, "work", other, consumer="watchers")
    for number in range(10):
        await bus.publish(said("work", number, run=f"r-{number}"))
    await right.has(9)
    left.held.set()
    await left.has(1)
    assert list(range(10)) == sorted(left.payloads + right.payloads)  # type: ignore[type-var]  # numbers
    assert list(range(10)) == await other.has(10)


async def test_a_group_wants_the_same(bus: MessageBus) -> None:
    """Whoever joins it with another filter would not get what it asks for."""
    await bus.subscribe(DEFAULT_TENANT, "a", Taker(), consumer="c")
    with pytest.raises(Conflict, match="consumer_differs"):
        await bus.subscribe(DEFAULT_TENANT, "b", Taker(), consumer="c")


async def test_a_message_is_there_once(bus: MessageBus) -> None:
    """A publisher that was cut off publishes again."""
    taker = Taker()
    await bus.subscribe(DEFAULT_TENANT, "a", taker)
    assert [True, False] == [await bus.publish(said("a", 1, id="same")) for _ in range(2)]
    await bus.publish(said("a", 2))
    assert [1, 2] == await taker.has(2)


async def test_what_is_not_taken_comes_again(bus: MessageBus) -> None:
    """And says that it does."""
    taker = Taker(fails=2)
    await bus.subscribe(DEFAULT_TENANT, "a", taker, consumer="c", terms=QUICK)
    await bus.publish(said("a", 1))
    assert [1, 1, 1] == await taker.has(3)
    assert [1, 2, 3] == [delivery.attempt for delivery in taker.deliveries]


async def test_who_takes_too_long_gets_it_again(bus: MessageBus) -> None:
    """A taker that hangs is cut off."""
    seen: list[int] = []

    async def hangs_once(delivery: Delivery) -> None:
        seen.append(delivery.attempt)
        if delivery.attempt == 1:
            await asyncio.sleep(PATIENCE_S)

    await bus.subscribe(DEFAULT_TENANT, "a", hangs_once, consumer="c", terms=Terms(ack_s=0.05, back_off_s=(0.01,)))
    await bus.publish(said("a", 1))
    async with asyncio.timeout(PATIENCE_S):
        while seen != [1, 2]:
            await asyncio.sleep(0.005)


async def test_order_is_kept_within_a_run(bus: MessageBus) -> None:
    """Behind one that was not taken the others of its run wait; other runs do not."""
    taker = Taker(fails=2)
    await bus.subscribe(DEFAULT_TENANT, "a", taker, consumer="c", terms=QUICK)
    for payload, run in [("x1", "r-x"), ("y1", "r-y"), ("x2", "r-x"), ("x3", "r-x"), ("y2", "r-y")]:
        await bus.publish(said("a", payload, run=run))
    await taker.has(7)
    settled = taker.payloads[2:]
    assert ["x1", "x2", "x3"] == [payload for payload in settled if str(payload).startswith("x")]
    assert ["y1", "y2"] == [payload for payload in settled if str(payload).startswith("y")]


async def test_nothing_is_tried_for_ever(bus: MessageBus) -> None:
    """What nobody can take stands in nobody's way."""
    taker = Taker(fails=3)
    await bus.subscribe(DEFAULT_TENANT, "a", taker, consumer="c", terms=QUICK)
    for payload in ("bad", "good"):
        await bus.publish(said("a", payload, run="r-1"))
    assert ["bad", "bad", "bad", "good"] == await taker.has(4)


async def test_an_error_that_no_retry_helps_is_final(bus: MessageBus) -> None:
    """A malformed message stays malformed."""
    taker = Taker(fails=1, error=Refused("test.no", "never"))
    await bus.subscribe(DEFAULT_TENANT, "a", taker, consumer="c", terms=QUICK)
    for payload in ("bad", "good"):
        await bus.publish(said("a", payload, run="r-1"))
    assert ["bad", "good"] == await taker.has(2)


async def test_a_consumer_goes_on_where_it_was(bus: MessageBus) -> None:
    """What was published while it was away waits for it."""
    first = Taker()
    leave = await bus.subscribe(DEFAULT_TENANT, "a", first, consumer="c")
    await bus.publish(said("a", 1))
    await first.has(1)
    await leave()
    await bus.publish(said("a", 2))
    second = Taker()
    await bus.subscribe(DEFAULT_TENANT, "a", second, consumer="c")
    await bus.publish(said("a", 3))
    assert [2, 3] == await second.has(2)
    assert [1] == first.payloads


async def test_who_has_left_gets_nothing(bus: MessageBus) -> None:
    """Also when it leaves from within a delivery."""
    taken: list[int] = []

    async def takes_one(delivery: Delivery) -> None:
        taken.append(delivery.position)
        await leave()

    leave = await bus.subscribe(DEFAULT_TENANT, "a", takes_one)
    other = Taker()
    await bus.subscribe(DEFAULT_TENANT, "a", other)
    for number in range(3):
        await bus.publish(said("a", number))
    await other.has(3)
    assert 1 == len(taken)


async def test_a_new_consumer_begins_where_it_says(bus: MessageBus) -> None:
    """From now on, or with all there is."""
    await bus.publish(said("a", 1))
    late, whole = Taker(), Taker()
    await bus.subscribe(DEFAULT_TENANT, "a", late, consumer="late")
    await bus.subscribe(DEFAULT_TENANT, "a", whole, consumer="whole", start=0)
    await bus.publish(said("a", 2))
    assert [1, 2] == await whole.has(2)
    assert [2] == await late.has(1)


async def test_a_request_gets_its_reply(bus: MessageBus) -> None:
    """From whoever answers first; many at once do not get each other's."""

    async def double(delivery: Delivery) -> None:
        asked = delivery.envelope
        assert isinstance(asked.payload, int)
        await bus.publish(reply(asked, 2 * asked.payload, id=f"re-{asked.id}", at_us=NOON_US))

    await bus.subscribe(DEFAULT_TENANT, "double", double, consumer="doubler", terms=Terms(at_once=4))
    answers = await asyncio.gather(*(bus.request(said("double", number), timeout_s=PATIENCE_S) for number in range(10)))
    assert [0, 2, 4, 6, 8, 10, 12, 14, 16, 18] == [answer.payload for answer in answers]
    assert [f"m-{number}" for number in range(10)] == [answer.causation for answer in answers]


async def test_a_request_does_not_wait_for_ever(bus: MessageBus) -> None:
    """For one that does not answer it waits so long, for nobody not at all."""
    with pytest.raises(Unavailable, match="no_responder"):
        await bus.request(said("ask", 1), timeout_s=PATIENCE_S)
    await bus.subscribe(DEFAULT_TENANT, "ask", Taker())
    with pytest.raises(Unavailable, match="no_reply"):
        await bus.request(said("ask", 2), timeout_s=0.05)


async def test_the_past_is_replayed(bus: MessageBus) -> None:
    """From a position, or from a time; nothing is delivered twice by it."""
    for number in range(6):
        await bus.publish(said("a" if number % 2 else "b", number, at_us=NOON_US + number))

    async def found(wanted: str = ">", *, after: int = 0, since_us: int = 0) -> list[object]:
        replayed = bus.replay(DEFAULT_TENANT, wanted, after=after, since_us=since_us)
        return [delivery.envelope.payload async for delivery in replayed]

    places = [delivery.position async for delivery in bus.replay(DEFAULT_TENANT)]
    assert [0, 1, 2, 3, 4, 5] == await found()
    assert [1, 3, 5] == await found("a")
    assert [3, 4, 5] == await found(after=places[2])
    assert [4, 5] == await found(since_us=NOON_US + 4)


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        ("runs.a.b.c", "reserved_subject"),
        ("what-if.a", "reserved_subject"),
        ("a b", "bad_subject"),
        ("", "bad_subject"),
    ],
)
async def test_nobody_publishes_what_the_journal_says(bus: MessageBus, subject: str, code: str) -> None:
    """Nor under what no subject is."""
    good = said("a", 1)
    with pytest.raises(Invalid, match=code):
        await bus.publish(type(good)(**{**{f: getattr(good, f) for f in good.__struct_fields__}, "subject": subject}))
    assert [] == [found async for found in bus.replay(DEFAULT_TENANT)]


@pytest.mark.parametrize(("wanted", "consumer"), [("a..b", ""), ("", ""), ("a b", ""), ("a", "No Name"), ("a", "ü")])
async def test_who_asks_for_nothing_is_told(bus: MessageBus, wanted: str, consumer: str) -> None:
    """A filter with a slip would otherwise wait for ever."""
    with pytest.raises(Invalid):
        await bus.subscribe(DEFAULT_TENANT, wanted, Taker(), consumer=consumer)
