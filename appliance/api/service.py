"""What every handler works on: the appliance, the phase it is in, its metrics and its keys."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.api.idempotency import Submissions
from appliance.api.mcp import McpFront
from appliance.audit.anchoring import Anchoring
from appliance.auth.api_keys import KeyRing, open_keys
from appliance.auth.callers import Caller
from appliance.auth.key_marks import changed_keys, keep_marks
from appliance.auth.logins import Logins
from appliance.lifecycle import Lifecycle
from appliance.readiness import Readiness
from appliance.runs.tasks import waits_of
from appliance.telemetry.metrics import Metrics
from appliance.telemetry.projection import RunMetrics
from appliance.telemetry.tail import Tail
from appliance.triggers.desk import Acting, Active, Triggers
from appliance.triggers.watching import Watcher
from appliance.uplink.view import figures
from runtime.domain.audit import AuditEntry
from runtime.errors import AgentFlowError, Refused

if TYPE_CHECKING:
    from appliance.wiring import Appliance
    from runtime.engine.runs import Engine
    from runtime.ports import StateStore

HEARTBEAT_S = 15.0

log = logging.getLogger(__name__)


class Service:
    """Shared by all requests of one server."""

    def __init__(self, appliance: Appliance, lifecycle: Lifecycle, *, version: str, heartbeat_s: float = HEARTBEAT_S):
        self.appliance = appliance
        self.lifecycle = lifecycle
        self.metrics = Metrics(version)
        self.metrics.egress.read = appliance.egress_counts
        self.metrics.bus.read = lambda: appliance.bus_desk.bus.counts()
        self.metrics.threats.read = lambda: appliance.threats.counts
        self.metrics.uplink.read = lambda: figures(appliance.uplink.view) if self.has_started else ()
        self.metrics.human.read = self._human_waits
        self.version = version
        self.heartbeat_s = heartbeat_s
        """Longest silence of an event stream."""
        self.has_started = False
        self.readiness = Readiness(appliance)
        self._keys = KeyRing(())
        self._logins = Logins()
        self._telling: set[asyncio.Task[None]] = set()
        self.tail = Tail(RunMetrics(self.metrics).project)
        self.submissions = Submissions(appliance)
        self.triggers = Triggers(appliance, self.submissions, self._watch)
        self.metrics.triggers.read = self.triggers.counts
        self.anchoring = Anchoring(appliance)
        self.mcp = McpFront(self)

    @property
    def engine(self) -> Engine:
        """What runs the runs."""
        return self.appliance.engine

    @property
    def store(self) -> StateStore:
        """Where their journals are."""
        return self.appliance.store

    def _human_waits(self) -> dict[tuple[str, str], tuple[int, float]]:
        if not self.has_started:
            return {}
        now_us = self.appliance.clock.now_us()
        waits = waits_of(self.engine.live())
        return {named: (each.tasks, (now_us - each.oldest_us) / 1e6) for named, each in waits.items()}

    def read_keys(self) -> Path | None:
        """Let in who has an API key from now on; the file that holds the first one, where it was just made.

        Raises Refused when others may read the keys, Corrupt when they cannot be read.
        """
        self._keys, first = open_keys(self._key_folder, now_us=self.appliance.clock.now_us())
        return first

    def caller_of_key(self, clear_text: str) -> Caller | None:
        """Who calls with an API key; None for one that is not known."""
        key = self._keys.find(clear_text)
        return None if key is None else Caller(key.name, role=key.role)

    def note_login(self, caller: Caller | None) -> None:
        """Have the audit log tell of a request that came with a key; None: with one that is not known."""
        now_us = self.appliance.clock.now_us()
        entry = self._logins.refused(now_us) if caller is None else None
        if caller is not None:
            entry = self._logins.accepted(caller.actor, caller.tenant, now_us)
        self._tell_soon(entry)

    async def note_unsigned(self, each: Active, refusal: AgentFlowError) -> None:
        """Have the audit log, and the metrics, tell of a request that a webhook refused."""
        self.triggers.count(each, "refused")
        entry = self._logins.unsigned(str(each), refusal.code, self.appliance.clock.now_us())
        self._tell_soon(entry)
        if entry is not None and not isinstance(refusal, Refused):  # no fault of the sender's: there is no secret
            await self.triggers.failed(each, refusal)

    def _tell_soon(self, entry: AuditEntry | None) -> None:
        if entry is not None and self.has_started:
            telling = asyncio.create_task(self._tell(entry))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    async def _watch(self, acting: Acting) -> None:
        appliance = self.appliance
        watcher = Watcher(appliance.store, appliance.bus_desk.bus, appliance.clock, appliance.settings.folders)
        await watcher.watch(acting)

    @property
    def _key_folder(self) -> Path:
        return self.appliance.settings.data / "auth"

    async def _tell_of_keys(self) -> None:
        changed = changed_keys(self._key_folder, self._keys.all)
        try:
            for entry in changed:
                await self.appliance.record(entry)
            if changed:
                keep_marks(self._key_folder, self._keys.all)
        except AgentFlowError as error:
            log.error("which API keys are new or gone is not in the audit log: %s", error)

    async def _tell(self, entry: AuditEntry) -> None:
        try:
            await self.appliance.record(entry)
        except AgentFlowError as error:
            log.error("%s is not in the audit log: %s", entry.event, error)

    async def start(self) -> None:
        """Serve from now on; the appliance has been started."""
        await self._tell_of_keys()
        await self.tail.start(self.store)
        await self.appliance.traces.start()
        await self.appliance.uplink.start()
        self.anchoring.start()
        await self.triggers.start()
        self.has_started = True
        self.metrics.ready.set(1)
        self.lifecycle.ready()

    def drain(self) -> None:
        """End what waits and streams. Safe to call twice."""
        self.metrics.ready.set(0)
        self.lifecycle.drain()
        self.mcp.drain()
        self.triggers.drain()
        self.tail.wake_all()

    async def stop(self) -> None:
        """Stop what `start` started. Safe to call twice."""
        self.drain()
        await self.mcp.stop()
        if self.has_started:  # an appliance that could not open its folder has none
            await self.triggers.stop()
            await self.appliance.traces.stop()
            await self.anchoring.stop()
            await self.appliance.uplink.stop()
        await self.tail.stop()
        while self._telling:
            await asyncio.wait(self._telling)
        self.lifecycle.stop()
