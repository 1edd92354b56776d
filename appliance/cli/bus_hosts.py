"""Where the bus is for `af bus`: read beside whoever writes it; steered here, or by the server that has the folder."""

import os
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from appliance.bus import (
    BusDesk,
    BusView,
    ConsumerDetail,
    ConsumerLine,
    LetterLine,
    Publish,
    Published,
    instant,
    message_line,
)
from appliance.cli.bus_lines import draw_message
from appliance.cli.context import Af
from appliance.cli.opened import Served, opened
from redaction.doors.local import LocalDoor
from runtime.bus.local import LocalBus
from runtime.domain.bus import Delivery, Posted
from runtime.domain.canonical import Json
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.domain.journal import rfc3339
from runtime.domain.subject import checked_filter, matches
from runtime.engine.clock import SystemClock
from runtime.errors import AgentFlowError, NotFound, Unavailable
from runtime.ports import nothing_recorded
from runtime.store.journal import JOURNAL_FILE, Journal, journal_database
from runtime.store.keyring import database_key
from runtime.store.messages import Messages

ACTOR = "cli"


async def overview(af: Af, tenant: str) -> BusView:
    """Subjects and consumers, from the server where one is at work: it knows how its consumers stand."""
    if served := await _asked(af, tenant, "/v1/bus"):
        return msgspec.json.decode(served, type=BusView)
    async with _reading(af) as desk:
        if desk is None:
            return BusView(tenant=tenant, head=0, subjects=[], consumers=[], dead_letters=0)
        return await desk.overview(TenantId(tenant))


async def detail(af: Af, tenant: str, consumer: str) -> ConsumerDetail:
    """One consumer. Raises NotFound."""
    if served := await _asked(af, tenant, f"/v1/bus/consumers/{quote(consumer, safe='')}"):
        return msgspec.json.decode(served, type=ConsumerDetail)
    async with _reading(af) as desk:
        if desk is None:
            raise NotFound("bus.no_consumer", f"there is no consumer {consumer!r}: nothing was run here yet")
        return await desk.consumer(TenantId(tenant), consumer)


async def dead(af: Af, tenant: str, consumer: str, limit: int) -> list[LetterLine]:
    """Dead letters."""
    async with _reading(af) as desk:
        return [] if desk is None else await desk.dead(TenantId(tenant), consumer=consumer, limit=limit)


async def retry(af: Af, tenant: str, ids: Sequence[int], consumer: str) -> list[LetterLine]:
    """Have dead letters delivered once more. Raises NotFound."""
    async with _steering(af, tenant, "af bus retry") as host:
        if isinstance(host, BusDesk):
            return await host.retry(TenantId(tenant), ids, consumer=consumer, actor=ACTOR)
        asked: Json = {"ids": list(ids)} if ids else {"all": True, "consumer": consumer}
        return msgspec.json.decode(await host.call("POST", "/v1/bus/dead/retry", asked), type=_Letters).letters


async def rewind(af: Af, tenant: str, consumer: str, since: str) -> ConsumerLine:
    """Have a consumer get everything again from a time on. Raises NotFound."""
    since_us = _instant(since)
    async with _steering(af, tenant, "af bus replay") as host:
        if isinstance(host, BusDesk):
            return await host.rewind(TenantId(tenant), consumer, since_us, actor=ACTOR)
        target = f"/v1/bus/consumers/{quote(consumer, safe='')}/rewind"
        return msgspec.json.decode(await host.call("POST", target, {"since": rfc3339(since_us)}), type=ConsumerLine)


async def publish(af: Af, tenant: str, asked: Publish) -> Published:
    """Publish a message. Raises Invalid."""
    async with _steering(af, tenant, "af bus publish") as host:
        if isinstance(host, BusDesk):
            return await host.publish(TenantId(tenant), asked, actor=ACTOR)
        body: Json = msgspec.to_builtins(asked)
        return msgspec.json.decode(await host.call("POST", "/v1/bus/messages", body), type=Published)


async def print_replay(af: Af, tenant: str, wanted: str, since: str, limit: int | None) -> None:
    """Print what was published since a time."""
    count = 0
    async with _open_messages(af) as messages:
        if messages is not None:
            bus = LocalBus(messages, SystemClock())
            async for delivery in bus.replay(TenantId(tenant), wanted, since_us=_instant(since)):
                draw_message(af, message_line(delivery))
                count += 1
                if count == limit:
                    af.terminal.note(f"the first {limit:,}; more with --limit")
                    return
    if not count:
        af.terminal.note("nothing was published since then that this filter chooses")


async def print_tail(af: Af, tenant: str, wanted: str, *, lines: int, is_following: bool) -> None:
    """Print the newest messages, and what comes behind them."""
    checked_filter(wanted)
    async with _open_messages(af) as messages:
        if messages is None:
            af.terminal.note("nothing was run here yet")
            return
        head = await messages.head()
        for posted in await _newest(messages, tenant, wanted, lines, head):
            draw_message(af, message_line(Delivery(posted.envelope(), posted.position)))
        if is_following:
            async for posted in messages.follow(head):
                if posted.tenant == tenant and matches(wanted, posted.subject):
                    draw_message(af, message_line(Delivery(posted.envelope(), posted.position)))


async def _newest(messages: Messages, tenant: str, wanted: str, count: int, head: int) -> Sequence[Posted]:
    """The last of what a filter chooses up to the head, in order; read backwards in windows that grow."""
    window, found = 1_000, deque[Posted](maxlen=count)
    while count:
        after = start = max(0, head - window)
        found.clear()
        while after < head:
            batch = await messages.page(after, limit=1_000)
            found += [
                posted
                for posted in batch.posts
                if posted.position <= head and posted.tenant == tenant and matches(wanted, posted.subject)
            ]
            after = batch.upto
        if len(found) == count or start == 0:
            break
        window *= 8
    return list(found)


class _Letters(msgspec.Struct):
    letters: list[LetterLine]


async def _asked(af: Af, tenant: str, target: str) -> bytes | None:
    """A server's answer; None where there is no server that answers, or not for this tenant."""
    if tenant != DEFAULT_TENANT or not af.settings.socket.exists():
        return None
    try:
        return await Served(LocalDoor(af.settings.socket)).call("GET", target)
    except NotFound:
        raise
    except AgentFlowError:  # it is gone, or going: the journal is there to be read
        return None


@asynccontextmanager
async def _reading(af: Af) -> AsyncIterator[BusDesk | None]:
    """The bus beside whoever writes; None where nothing was run yet."""
    async with _open_messages(af) as messages:
        if messages is None:
            yield None
        else:
            yield BusDesk(messages, SystemClock(), nothing_recorded)


@asynccontextmanager
async def _steering(af: Af, tenant: str, what: str) -> AsyncIterator[BusDesk | Served]:
    """The bus of a data folder that nobody has, or the server that has it."""
    async with opened(af, what) as found:
        if isinstance(found, Served) and tenant != DEFAULT_TENANT:
            raise Unavailable(
                "bus.other_tenant",
                f"a server has the data folder, and takes commands for tenant {DEFAULT_TENANT!r} alone here; for "
                f"{tenant!r} use its HTTP API with a key of that tenant, or stop it",
                retryable=False,
            )
        yield found if isinstance(found, Served) else found.bus_desk


@asynccontextmanager
async def _open_messages(af: Af) -> AsyncIterator[Messages | None]:
    """What the bus remembers, to be read; None where nothing was run yet."""
    data = af.settings.data
    if not (data / JOURNAL_FILE).exists():
        yield None
        return
    database = journal_database(data, lock=None, key=database_key(os.environ, data))
    await database.start()
    try:
        yield Journal(database).messages
    finally:
        await database.stop()


def _instant(since: str) -> int:
    """An instant, of this machine's time zone where it says none."""
    now_us = SystemClock().now_us()
    here = datetime.fromtimestamp(now_us / 1e6).astimezone().tzinfo
    return instant(since, now_us, zone=here or UTC)
