"""Acts on the triggers that are no requests: waits for times, looks into folders, takes messages."""

import asyncio
import logging
from collections.abc import Container, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from appliance.triggers import folders
from appliance.triggers.desk import TRY_AGAIN_US, Acting, Active, consumer_of
from appliance.triggers.due import chosen, missed, next_due
from runtime.bus.local import LocalBus
from runtime.domain.bus import Delivery
from runtime.domain.canonical import Json
from runtime.domain.ids import DEFAULT_TENANT
from runtime.domain.journal import rfc3339
from runtime.domain.run import FINAL
from runtime.domain.subject import RUNS, token
from runtime.domain.trigger import FileDrop, Mailbox, OnMessage, Schedule
from runtime.errors import AgentFlowError, NotFound, Unavailable
from runtime.ports import Clock
from runtime.store.journal import Journal

EVERY_US = 1_000_000
"""How often folders are looked into; a file is taken when two looks find it alike."""
GRACE_US = 60_000_000
"""How late a time may be and is not missed."""
NEXT_LOOK_US = 60_000_000
"""How long a schedule sleeps at once, so that a clock that was set is noticed."""

Kept = TypeVar("Kept")

log = logging.getLogger(__name__)


class Watcher:
    """What acting on one trigger needs of the house."""

    def __init__(
        self, store: Journal, bus: LocalBus, clock: Clock, places: Mapping[str, str], *, every_us: int = EVERY_US
    ) -> None:
        """`places`: the settings' folders, by name. `every_us`: how often they are looked into."""
        self._store, self._bus, self._clock, self._places = store, bus, clock, places
        self._every_us = every_us
        self._said: set[str] = set()

    async def watch(self, acting: Acting) -> None:
        """Act until cancelled. Raises what keeps it from acting at all."""
        match acting.each.trigger.how:
            case Schedule() as schedule:
                await self._by_the_clock(acting, schedule)
            case FileDrop() as drop:
                await self._over_files(acting, drop)
            case Mailbox() as box:
                await self._over_mails(acting, box)
            case OnMessage() as wanted:
                await self._over_messages(acting, wanted)

    async def _by_the_clock(self, acting: Acting, schedule: Schedule) -> None:
        each, states, clock = acting.each, self._store.triggers, self._clock
        cursor_us = (await states.one(*each.place)).cursor_us
        if not cursor_us:
            cursor_us = clock.now_us()
            await states.move(*each.place, cursor_us)
        while (due_us := next_due(schedule, cursor_us)) is not None:
            now_us = clock.now_us()
            if cursor_us > now_us + GRACE_US:  # the clock was set back: not a run for years, otherwise
                cursor_us = now_us
                await states.move(*each.place, cursor_us)
                continue
            if now_us < due_us:
                await clock.sleep_until(min(due_us, now_us + NEXT_LOOK_US))
                continue
            due = missed(schedule, cursor_us, now_us)
            for at_us in chosen(schedule, due, now_us, GRACE_US):
                if schedule.overlap == "allow" or not await self._is_at_work(each):
                    await self._start(acting, rfc3339(at_us), {"due": rfc3339(at_us)}, f"due/{at_us}")
                else:
                    self._say_once(each, "overlap", f"{rfc3339(at_us)} has no run, for the one before goes on")
            cursor_us = due[-1]
            await states.move(*each.place, cursor_us)

    async def _start(self, acting: Acting, what: str, data: dict[str, Json], key: str) -> bool:
        """Start the run of a time, a file or a mail, and try again as long as that may help; whether there is one."""
        while True:
            try:
                await acting.fire(data, key)
                self._said.discard("start")
                return True
            except AgentFlowError as error:
                self._say_once(acting.each, "start", f"{what} has no run: {error.code}")
                if not _may_pass(error):
                    return False
            await self._clock.sleep_until(self._clock.now_us() + TRY_AGAIN_US)

    def _say_once(self, each: Active, of: str, said: str) -> None:
        """Have the log say it when it begins, and not each second of a night."""
        if of not in self._said:
            log.warning("trigger %s: %s", each, said)
        self._said.add(of)

    async def _is_at_work(self, each: Active) -> bool:
        """Whether the run of the time before has not ended."""
        last = (await self._store.triggers.one(*each.place)).last_run
        if not last:
            return False
        try:
            return (await self._store.run(last)).status not in FINAL
        except NotFound:  # it was erased
            return False

    async def _over_files(self, acting: Acting, drop: FileDrop) -> None:
        before: dict[str, folders.Stamp] = {}
        seen: dict[str, folders.Stamp] = {}
        told: dict[str, str] = {}
        while True:
            folder = folders.folder_of(self._places, drop.folder)
            now = await asyncio.to_thread(folders.stamps, folder, drop.pattern)
            for name, stamp in sorted(now.items(), key=lambda found: found[1]):
                if before.get(name) != stamp or seen.get(name) == stamp:
                    continue
                try:
                    is_seen_to = await self._take_file(acting, folder, name, stamp=stamp, drop=drop)
                except AgentFlowError as error:
                    await _tell(acting, name, error, told)
                    is_seen_to = not _may_pass(error)
                if is_seen_to:
                    seen[name] = stamp
            before = now
            seen, told = _of(seen, now), _of(told, now)
            await self._clock.sleep_until(self._clock.now_us() + self._every_us)

    async def _take_file(
        self, acting: Acting, folder: Path, name: str, *, stamp: folders.Stamp, drop: FileDrop
    ) -> bool:
        """Whether it was seen to: it has a run, or never will. Raises what keeps it from being read or moved."""
        found = await asyncio.to_thread(folders.dropped, folder, name, stamp, drop)
        if found is None:
            return False
        if drop.after == "move":
            await asyncio.to_thread(folders.link_taken, found)
        has_run = await self._start(acting, f"file {name!r}", found.data, f"file/{found.key}")
        if drop.after == "move":
            await asyncio.to_thread(folders.unlink_first if has_run else folders.unlink_taken, found)
        return True

    async def _over_mails(self, acting: Acting, box: Mailbox) -> None:
        refused: set[str] = set()
        told: dict[str, str] = {}
        while True:
            folder = folders.folder_of(self._places, box.folder)
            now = await asyncio.to_thread(folders.mails, folder)
            for path in now:
                if path.name in refused:
                    continue
                try:
                    is_taken = await self._take_mail(acting, path)
                except AgentFlowError as error:
                    await _tell(acting, path.name, error, told)
                    is_taken = _may_pass(error)
                if not is_taken:
                    refused.add(path.name)
            told = _of(told, {path.name for path in now})
            await self._clock.sleep_until(self._clock.now_us() + self._every_us)

    async def _take_mail(self, acting: Acting, path: Path) -> bool:
        """Whether it has a run. Raises what keeps it from being read or moved."""
        found = await asyncio.to_thread(folders.mail, path)
        if found is None:
            return True
        has_run = await self._start(acting, f"mail {path.name!r}", found.data, f"mail/{found.key}")
        if has_run:
            await asyncio.to_thread(folders.keep_mail, found)
        return has_run

    async def _over_messages(self, acting: Acting, wanted: OnMessage) -> None:
        each = acting.each
        own = f"{RUNS}.{token(each.workflow)}."

        async def take(delivery: Delivery) -> None:
            envelope = delivery.envelope
            if envelope.subject.startswith(own):  # its own runs would start the next ones
                return
            message: Json = {
                "id": envelope.id,
                "subject": envelope.subject,
                "type": envelope.type,
                "from": envelope.sender,
                "payload": envelope.payload,
            }
            await acting.fire({"message": message}, f"message/{delivery.position}")

        leave = await self._bus.subscribe(DEFAULT_TENANT, wanted.subject, take, consumer=consumer_of(*each.place))
        try:
            await self._store.triggers.move(
                *each.place, self._clock.now_us()
            )  # so that it is forgotten when it is gone
            await asyncio.Event().wait()
        finally:
            with suppress(asyncio.CancelledError):
                await leave()


def _may_pass(error: AgentFlowError) -> bool:
    """Whether to try again; a full disk, too, is one that somebody makes room on."""
    return error.retryable or isinstance(error, Unavailable)


async def _tell(acting: Acting, name: str, error: AgentFlowError, told: dict[str, str]) -> None:
    """Have it be known that something in a folder starts no run, and why as often as that changes."""
    await acting.fail(error, None if told.get(name) == error.message else name)
    told[name] = error.message


def _of(kept: Mapping[str, Kept], names: Container[str]) -> dict[str, Kept]:
    return {name: value for name, value in kept.items() if name in names}
