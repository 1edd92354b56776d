"""Acts on the triggers that are no requests: waits for times, looks into folders, takes messages."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from appliance.triggers import folders
from appliance.triggers.desk import Active, Fire
from appliance.triggers.due import chosen, missed, next_due
from runtime.bus.local import LocalBus
from runtime.domain.bus import Delivery
from runtime.domain.canonical import Json
from runtime.domain.ids import DEFAULT_TENANT
from runtime.domain.journal import rfc3339
from runtime.domain.run import FINAL
from runtime.domain.subject import RUNS, token
from runtime.domain.trigger import FileDrop, Mailbox, OnMessage, Schedule
from runtime.errors import AgentFlowError, NotFound
from runtime.ports import Clock
from runtime.store.journal import Journal

EVERY_US = 1_000_000
"""How often folders are looked into; a file is taken when two looks find it alike."""
GRACE_US = 60_000_000
"""How late a time may be and is not missed."""
TRY_AGAIN_US = 10_000_000
"""Until a run that could not be started, as when the disk is full, is tried again."""
NEXT_LOOK_US = 60_000_000
"""How long a schedule sleeps at once, so that a clock that was set is noticed."""

log = logging.getLogger(__name__)


class Watcher:
    """What acting needs of the house."""

    def __init__(self, store: Journal, bus: LocalBus, clock: Clock, places: Mapping[str, str]) -> None:
        """`places`: the settings' folders, by name."""
        self._store, self._bus, self._clock, self._places = store, bus, clock, places

    async def watch(self, each: Active, fire: Fire) -> None:
        """Act until cancelled. Raises what keeps it from acting at all."""
        match each.trigger.how:
            case Schedule() as schedule:
                await self._by_the_clock(each, schedule, fire)
            case FileDrop() as drop:
                await self._over_files(drop, fire)
            case Mailbox() as box:
                await self._over_mails(box, fire)
            case OnMessage() as wanted:
                await self._over_messages(each, wanted, fire)

    async def _by_the_clock(self, each: Active, schedule: Schedule, fire: Fire) -> None:
        states, clock = self._store.triggers, self._clock
        cursor_us = (await states.one(*each.place)).cursor_us
        if not cursor_us:
            cursor_us = clock.now_us()
            await states.move(*each.place, cursor_us)
        while (due_us := next_due(schedule, cursor_us)) is not None:
            while (now_us := clock.now_us()) < due_us:
                await clock.sleep_until(min(due_us, now_us + NEXT_LOOK_US))
            due = missed(schedule, cursor_us, now_us)
            for at_us in chosen(schedule, due, now_us, GRACE_US):
                if schedule.overlap == "allow" or not await self._is_at_work(each):
                    await self._start_at(at_us, each, fire)
                else:
                    log.warning("trigger %s: the run before goes on; none for %s", "/".join(each.place), rfc3339(at_us))
            cursor_us = due[-1]
            await states.move(*each.place, cursor_us)

    async def _start_at(self, due_us: int, each: Active, fire: Fire) -> None:
        """Start the run of a time, and try again as long as that may help."""
        while True:
            try:
                await fire({"due": rfc3339(due_us)}, f"due/{due_us}")
                return
            except AgentFlowError as error:
                log.error("trigger %s: %s has no run: %s", "/".join(each.place), rfc3339(due_us), error)
                if not error.retryable:
                    return
            await self._clock.sleep_until(self._clock.now_us() + TRY_AGAIN_US)

    async def _is_at_work(self, each: Active) -> bool:
        """Whether the run of the time before has not ended."""
        last = (await self._store.triggers.one(*each.place)).last_run
        if not last:
            return False
        try:
            return (await self._store.run(last)).status not in FINAL
        except NotFound:  # it was erased
            return False

    async def _over_files(self, drop: FileDrop, fire: Fire) -> None:
        before: dict[str, folders.Stamp] = {}
        seen: dict[str, folders.Stamp] = {}
        while True:
            folder = folders.folder_of(self._places, drop.folder)
            now = await asyncio.to_thread(folders.stamps, folder, drop.pattern)
            for name, stamp in sorted(now.items(), key=lambda found: found[1]):
                is_due = before.get(name) == stamp and seen.get(name) != stamp
                if is_due and await self._take_file(folder, name, stamp, drop, fire):
                    seen[name] = stamp
            before, seen = now, {name: stamp for name, stamp in seen.items() if name in now}
            await self._clock.sleep_until(self._clock.now_us() + EVERY_US)

    async def _take_file(self, folder: Path, name: str, stamp: folders.Stamp, drop: FileDrop, fire: Fire) -> bool:
        """Whether it was seen to: it has a run, or never will."""
        try:
            found = await asyncio.to_thread(folders.dropped, folder, name, stamp, drop)
            if drop.after == "move":
                await asyncio.to_thread(folders.link_taken, found)
            await fire(found.data, f"file/{found.key}")
            if drop.after == "move":
                await asyncio.to_thread(folders.unlink_first, found)
        except AgentFlowError as error:
            log.error("file %s starts no run: %s", folder / name, error)
            return not error.retryable
        return True

    async def _over_mails(self, box: Mailbox, fire: Fire) -> None:
        refused: set[str] = set()
        while True:
            folder = folders.folder_of(self._places, box.folder)
            for path in await asyncio.to_thread(folders.mails, folder):
                if path.name in refused:
                    continue
                try:
                    found = await asyncio.to_thread(folders.mail, path)
                    await fire(found.data, f"mail/{found.key}")
                    await asyncio.to_thread(folders.keep_mail, found)
                except AgentFlowError as error:
                    log.error("mail %s starts no run: %s", path, error)
                    if not error.retryable:
                        refused.add(path.name)
            await self._clock.sleep_until(self._clock.now_us() + EVERY_US)

    async def _over_messages(self, each: Active, wanted: OnMessage, fire: Fire) -> None:
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
            await fire({"message": message}, f"message/{delivery.position}")

        leave = await self._bus.subscribe(DEFAULT_TENANT, wanted.subject, take, consumer=consumer_of(*each.place))
        try:
            await asyncio.Event().wait()
        finally:
            with suppress(asyncio.CancelledError):
                await leave()


def consumer_of(workflow: str, name: str) -> str:
    """The name of the consumer that takes messages for a trigger."""
    spelled = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "-" for c in f"{workflow}-{name}".lower())
    return f"trigger-{spelled[:40]}-{sha256(f'{workflow}/{name}'.encode()).hexdigest()[:8]}"
