"""What is said on the bus, forwarded to a broker elsewhere over a link that may be away for days.

Entries of the journal and messages beside them are envelopes; they pass the guard, and are published by the door. The
place up to which the broker has acknowledged everything is kept on the disk, so what the bus remembers is what waits.
An envelope is sent at least once, under an id that is always the same. Never holds up the engine, and never says more
than policy lets it: what may not leave is counted and passed over, what cannot leave now waits.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from appliance.config.settings import Settings
from appliance.uplink.policy import Leave, UplinkPolicy
from appliance.uplink.view import CURSOR_FILE, UplinkView, keep_cursor, read_cursor
from redaction.doors.nats import NatsDoor, NatsServer
from redaction.guard import Guard
from runtime.domain.bus import Posted
from runtime.domain.egress import Destination, Outbound, Sender
from runtime.domain.envelope import Envelope, message
from runtime.domain.event import RunMigrated
from runtime.domain.forward import Anchored, Forward, StreamAsked, StreamView, Taken, broker_of
from runtime.domain.ids import TenantId
from runtime.domain.journal import rfc3339
from runtime.domain.subject import token
from runtime.errors import AgentFlowError, Invalid, Refused
from runtime.policies.residency import LOCAL
from runtime.ports import BusStore, Clock

if TYPE_CHECKING:
    from appliance.wiring import Appliance

AT_ONCE = 200
AT_ONCE_BYTES = 524_288
"""Entries of one batch, and about how much they may say: a megabyte is what a broker takes at once."""
QUEUED = 1_000
FIRST_WAIT_US, LAST_WAIT_US = 500_000, 30_000_000
CHECKPOINTS = "audit.checkpoint"
"""Subjects of checkpoints: this, and the tenant."""
_TOO_MUCH = ("egress.too_large", "nats.too_large", "redaction.blocked")
"""Refusals of what is said, not of the place: less of it may leave."""

log = logging.getLogger(__name__)


class Uplink:
    """The uplink of one appliance."""

    def __init__(
        self,
        settings: Settings,
        *,
        destination: Destination | None,
        messages: BusStore,
        policy: UplinkPolicy,
        guard: Guard,
        door: NatsDoor,
        clock: Clock,
    ) -> None:
        """`destination`: None where no broker is set."""
        self._settings = settings.uplink
        self._mode = settings.mode
        self._where = destination
        self._cursor = settings.data / CURSOR_FILE
        self._messages = messages
        self._news = asyncio.Event()
        self._policy = policy
        self._guard = guard
        self._door = door
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self._shown = UplinkView(host="", state="off")
        self._turn = asyncio.Event()
        if destination is not None:
            host, given = destination.host, settings.uplink
            self._shown = UplinkView(host=host, state="idle", stream=given.stream, prefix=given.prefix)

    @property
    def view(self) -> UplinkView:
        """How it is now."""
        is_well = self._view.state == "connected" and not self._door.is_connected
        return replace(self._view, state="idle") if is_well else self._view

    @property
    def _view(self) -> UplinkView:
        return self._shown

    @_view.setter
    def _view(self, view: UplinkView) -> None:
        self._shown = view
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()

    async def until(self, is_so: Callable[[UplinkView], object]) -> UplinkView:
        """How it is, as soon as that is so."""
        while not is_so(self.view):
            await self._turn.wait()
        return self.view

    async def status(self) -> UplinkView:
        """How it is, with what waits counted now."""
        if self._where is not None:
            await self._count_waiting()
        return self.view

    async def start(self) -> None:
        """Forward from now on what was not forwarded yet; nothing where no broker is set.

        Raises Refused in an appliance that is air-gapped: whoever set both does not mean one of them.
        """
        if self._where is None:
            return
        require_link(self._mode)
        waiting: asyncio.Queue[tuple[int, Posted | None]] = asyncio.Queue(QUEUED)
        position = await self._begin()
        self._tasks = [
            asyncio.create_task(self._follow(position, waiting), name="uplink-follow"),
            asyncio.create_task(self._forward_for_ever(waiting), name="uplink-send"),
        ]

    async def stop(self) -> None:
        """Stop forwarding; what was not acknowledged is at the next start. Safe to call twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        await self._door.stop()

    async def look(self, *, create: bool = False) -> StreamView:
        """Ask the broker for the stream. Raises Invalid without one, Refused, NotFound and Unavailable."""
        subjects = (f"{self._settings.prefix}.>",) if create else ()
        asked = StreamAsked(stream=self._settings.stream, create_for=subjects)
        outbound = Outbound(destination=self._destination(), payload=asked, sender=Sender(purpose="af uplink"))
        async with self._guard.passage(outbound) as passage:
            return await self._door.look(passage.cleared)

    async def anchor(self, tenant: TenantId, note: str, size: int, digest: str) -> Taken:
        """Have the stream keep a checkpoint. Raises as `look` does."""
        envelope = message(
            f"{CHECKPOINTS}.{token(tenant)}",
            {"note": note},
            id=f"checkpoint/{size}/{digest[:32]}",
            at_us=self._clock.now_us(),
            tenant=tenant,
            type=CHECKPOINTS,
        )
        held = Anchored(envelope=envelope, prefix=self._settings.prefix, stream=self._settings.stream)
        sender = Sender(purpose="af audit anchor", tenant=tenant)
        outbound = Outbound(destination=self._destination(), payload=held, sender=sender)
        async with self._guard.passage(outbound) as passage:
            return await self._door.anchor(passage.cleared)

    def note_anchor(self, fault: str) -> None:
        """Say whether the audit log's checkpoints are kept at the other end, and why not."""
        at = self._view.anchored_at if fault else rfc3339(self._clock.now_us())
        self._view = replace(self._view, anchored_at=at, anchor_fault=fault)

    async def anchored(self, tenant: TenantId) -> bytes | None:
        """The newest checkpoint that the stream keeps, as an envelope; None where it keeps none. Raises as `look`."""
        subject = f"{self._settings.prefix}.{CHECKPOINTS}.{token(tenant)}"
        asked = StreamAsked(stream=self._settings.stream, subject=subject)
        sender = Sender(purpose="af audit verify", tenant=tenant)
        outbound = Outbound(destination=self._destination(), payload=asked, sender=sender)
        async with self._guard.passage(outbound) as passage:
            return await self._door.newest(passage.cleared)

    def _destination(self) -> Destination:
        """Raises Invalid where there is none."""
        if self._where is None:
            raise Invalid("uplink.none", "no broker is set: af config set uplink.url nats://HOST:4222")
        return self._where

    async def _begin(self) -> int:
        """The place up to which everything was acknowledged; the journal's end where nothing ever was."""
        head = await self._messages.head()
        kept = read_cursor(self._cursor)
        if kept is not None and kept > head:
            log.warning("the journal ends before entry %d, up to which the uplink has come: it was restored", kept)
        position = head if kept is None else min(kept, head)
        self._keep(position)
        self._view = replace(self._view, waiting=head - position)
        return position

    def _keep(self, position: int) -> None:
        keep_cursor(self._cursor, position)
        self._view = replace(self._view, position=position)

    async def _follow(self, cursor: int, waiting: asyncio.Queue[tuple[int, Posted | None]]) -> None:
        """Read on whenever something has become durable; a store that fails is asked again."""
        self._messages.listen(lambda _batch: self._news.set())
        while True:
            self._news.clear()
            try:
                batch = await self._messages.page(cursor, limit=AT_ONCE)
            except AgentFlowError as error:
                log.error("the bus could not be followed from %d: %s", cursor, error)
                await self._clock.sleep_until(self._clock.now_us() + FIRST_WAIT_US)
                continue
            for posted in batch.posts:
                await waiting.put((posted.position, posted))
            if batch.upto > cursor:
                await waiting.put((batch.upto, None))  # what is for nobody has no post of its own
                cursor = batch.upto
            else:
                await self._news.wait()

    async def _forward_for_ever(self, waiting: asyncio.Queue[tuple[int, Posted | None]]) -> None:
        while True:
            taken = [await waiting.get()]
            size = 0
            while len(taken) < AT_ONCE and size < AT_ONCE_BYTES and not waiting.empty():
                taken.append(waiting.get_nowait())
                size += taken[-1][1].size if taken[-1][1] else 0
            for leave, envelopes in await self._groups([posted for _, posted in taken if posted is not None]):
                await self._until_taken(leave, envelopes)
            await self._until_kept(taken[-1][0])
            await self._count_waiting()

    async def _groups(self, posts: Sequence[Posted]) -> list[tuple[Leave, list[Envelope]]]:
        """Envelopes that may leave, by on whose behalf they do; those of a run in order."""
        groups: dict[int, tuple[Leave, list[Envelope]]] = {}
        for posted in posts:
            if not self._policy.wants(posted.subject):
                continue
            if posted.subject.endswith(f".{RunMigrated.TYPE}"):
                self._policy.forget(posted.run)
            leave = await self._until_known(posted)
            try:
                envelope = None if leave is None else leave.envelope(posted)
            except AgentFlowError as error:  # it was damaged; those behind it are not
                log.error("the uplink passes over entry %d: %s", posted.position, error)
                self._view = replace(self._view, withheld=self._view.withheld + 1)
                continue
            if leave is not None and envelope is not None:
                groups.setdefault(id(leave), (leave, []))[1].append(envelope)
        return list(groups.values())

    async def _until_known(self, posted: Posted) -> Leave | None:
        """What may leave of it; a store that fails is asked again."""
        while True:
            try:
                return await self._policy.of(posted)
            except AgentFlowError as error:
                await self._wait(error, FIRST_WAIT_US)

    async def _until_taken(self, leave: Leave, envelopes: list[Envelope]) -> None:
        wait_us = FIRST_WAIT_US
        while envelopes:
            try:
                await self._send(leave.sender, envelopes)
                return
            except Refused as refused:
                if refused.code in _TOO_MUCH:
                    envelopes = await self._lessened(leave, envelopes, refused)
                    continue
                if self._is_forbidden(leave):
                    self._withhold(envelopes, refused)
                    return
                await self._wait(refused, wait_us)
            except AgentFlowError as error:
                await self._wait(error, wait_us)
            except Exception as error:  # whatever it is, the journal waits, and the task must not end
                log.exception("the uplink failed")
                await self._wait(
                    AgentFlowError("uplink.failed", f"the uplink failed with {type(error).__name__}"), wait_us
                )
            wait_us = min(2 * wait_us, LAST_WAIT_US)

    def _is_forbidden(self, leave: Leave) -> bool:
        """Whether the run's own policy says no, where the appliance's says yes: waiting changes nothing."""
        destination = self._destination()
        try:
            self._guard.check(destination, Sender())
        except Refused:
            return False
        try:
            self._guard.check(destination, leave.sender)
        except Refused:
            return True
        return False

    async def _lessened(self, leave: Leave, envelopes: list[Envelope], refused: Refused) -> list[Envelope]:
        """What is tried next: half of them; of one its facts alone; and then nothing."""
        if len(envelopes) > 1:
            half = len(envelopes) // 2
            await self._until_taken(leave, envelopes[:half])
            return envelopes[half:]
        if envelopes[0].payload is None:
            self._withhold(envelopes, refused)
            return []
        self._view = replace(self._view, without_payload=self._view.without_payload + 1)
        log.warning("%s leaves without its payload: %s", envelopes[0].id, refused)
        return [bare(envelopes[0])]

    async def _send(self, sender: Sender, envelopes: Sequence[Envelope]) -> None:
        forward = Forward(envelopes=tuple(envelopes), prefix=self._settings.prefix, stream=self._settings.stream)
        outbound = Outbound(destination=self._destination(), payload=forward, sender=sender)
        async with self._guard.passage(outbound) as passage:
            taken = await self._door.publish(passage.cleared)
        if self._view.fault:
            log.info("the uplink is well again: %s takes what it is sent", self._view.host)
        self._view = replace(
            self._view,
            state="connected",
            sent=self._view.sent + len(taken),
            duplicates=self._view.duplicates + sum(each.is_duplicate for each in taken),
            last_sent_at=rfc3339(self._clock.now_us()),
            fault="",
            fault_code="",
            since="",
        )

    async def _until_kept(self, position: int) -> None:
        """Write down how far it has come; a disk that is full is waited for, as everything else waits for it too."""
        while True:
            try:
                self._keep(position)
                return
            except AgentFlowError as error:
                await self._wait(error, FIRST_WAIT_US)

    def _withhold(self, envelopes: Sequence[Envelope], refused: Refused) -> None:
        self._view = replace(self._view, withheld=self._view.withheld + len(envelopes))
        log.info("%d envelopes of %s do not leave: %s", len(envelopes), envelopes[0].run, refused)

    async def _wait(self, error: AgentFlowError, wait_us: int) -> None:
        if error.code != self._view.fault_code:
            log.warning("the uplink waits: %s", error)
            self._view = replace(self._view, since=rfc3339(self._clock.now_us()))
        self._view = replace(self._view, state="waiting", fault=error.message, fault_code=error.code)
        with suppress(AgentFlowError):
            await self._count_waiting()
        await self._clock.sleep_until(self._clock.now_us() + wait_us)

    async def _count_waiting(self) -> None:
        self._view = replace(self._view, waiting=max(0, await self._messages.head() - self._view.position))


def uplink_of(appliance: "Appliance", guard: Guard) -> Uplink:
    """The uplink that the settings of an appliance say, not started."""
    settings, store = appliance.settings, appliance.store
    given = settings.uplink
    host = broker_of(given.url).host if given.url else ""
    destination = Destination("bus", guard.zone_of(host), host) if host else None
    server = NatsServer(
        url=given.url,
        credentials=given.credentials,
        credentials_file=given.credentials_file,
        ca_file=given.ca_file,
    )
    policy = UplinkPolicy(
        store,
        appliance.workflows,
        guard,
        destination or Destination("bus", LOCAL),
        subjects=given.subjects,
        payloads=given.payloads,
    )
    door = NatsDoor(server, reveal=appliance.secrets.reveal)
    return Uplink(
        settings,
        destination=destination,
        messages=store.messages,
        policy=policy,
        guard=guard,
        door=door,
        clock=appliance.clock,
    )


def require_link(mode: str) -> None:
    """Raise Refused where the appliance is air-gapped."""
    if mode == "air_gapped":
        raise Refused(
            "uplink.air_gapped",
            "uplink.url is set, and this appliance is air-gapped: nothing leaves it. Unset one of them: "
            "af config unset uplink.url, or af config set mode restricted",
        )


def bare(envelope: Envelope) -> Envelope:
    """Who, what and when, without what was said."""
    return replace(envelope, payload=None)
