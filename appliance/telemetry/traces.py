"""Traces of one appliance: made out of journal and audit log when somebody asks, and sent to a collector when set.

What is sent passes the guard as names and numbers, and only then becomes protobuf. A run is sent when it has ended, at
least once: the place in the journal up to which everything was sent is kept on the disk.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from appliance.config.settings import TelemetrySettings
from appliance.telemetry.conventions import SCHEMA_URL
from appliance.telemetry.otlp import CONTENT_TYPE, PATH, encode_spans
from appliance.telemetry.run_calls import calls_of_run
from appliance.telemetry.spans import spans_of
from appliance.workflows import WorkflowCatalogue
from redaction.doors.http import HttpDoor, destination_of
from redaction.guard import Guard, in_wire_form
from runtime.domain.command import FinishRun
from runtime.domain.egress import Destination, Outbound, Sender
from runtime.domain.http import HttpRequest
from runtime.domain.ids import RunId
from runtime.domain.trace import Attribute, Span, SpanTexts
from runtime.engine.reading import entries_of
from runtime.errors import AgentFlowError, Invalid, NotFound, Refused, Unavailable
from runtime.ports import Clock, StateStore
from runtime.store.audit import AuditLog
from runtime.store.private_file import write_private

CURSOR_FILE = "telemetry.json"
AT_ONCE = 50
"""Runs of one request."""
QUEUED = 1_000
TIMEOUT_S = 10.0
FIRST_WAIT_US, LAST_WAIT_US = 1_000_000, 60_000_000
_MAY_RETRY = (429, 502, 503, 504)

log = logging.getLogger(__name__)


class _Cursor(msgspec.Struct, frozen=True):
    sent: int


class Traces:
    """Makes and sends them."""

    def __init__(
        self,
        settings: TelemetrySettings,
        *,
        data: Path,
        version: str,
        store: StateStore,
        audit: AuditLog,
        workflows: WorkflowCatalogue,
        guard: Guard,
        door: HttpDoor,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._cursor = data / CURSOR_FILE
        self._version = version
        self._store = store
        self._audit = audit
        self._workflows = workflows
        self._guard = guard
        self._door = door
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self.sent = 0
        """Spans that the collector has taken since the start."""

    async def of_run(self, run: RunId) -> list[Span]:
        """The spans of a run as far as it has come. Raises NotFound."""
        summary = await self._store.run(run)
        entries = await entries_of(self._store, run)
        try:
            agents = (await self._workflows.pinned(summary.definition)).agents
        except AgentFlowError:  # the journal says enough without it
            agents = {}
        calls = await calls_of_run(self._audit, run, tenant=summary.tenant, since_us=summary.created_us)
        return spans_of(run, entries, agents=agents, calls=calls)

    async def start(self) -> None:
        """Send every run that ends from now on, or has ended since the last time; nothing where no collector is set."""
        if self._settings.otlp_url:
            waiting: asyncio.Queue[tuple[int, RunId]] = asyncio.Queue(QUEUED)
            self._tasks = [
                asyncio.create_task(self._follow(await self._begin(), waiting), name="traces-follow"),
                asyncio.create_task(self._send_for_ever(waiting), name="traces-send"),
            ]

    async def stop(self) -> None:
        """Stop sending; what was not sent is at the next start. Safe to call twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def send(self, spans: Sequence[Span]) -> None:
        """Send spans to the collector. Raises Invalid without one, Refused, Unavailable."""
        if not self._settings.otlp_url:
            raise no_collector()
        url = self._settings.otlp_url.rstrip("/") + PATH
        host = destination_of(url)
        texts = SpanTexts([{"name": span.name, **msgspec.to_builtins(span.attributes)} for span in spans])
        outbound = Outbound(
            destination=Destination("telemetry", self._guard.zone_of(host), host),
            payload=texts,
            sender=Sender(purpose="the export of traces"),
        )
        async with self._guard.passage(outbound) as passage:
            allowed = [_said(span, text) for span, text in zip(spans, passage.cleared.payload.spans, strict=True)]
            key = {"authorization": f"Bearer {self._settings.key}"} if self._settings.key else {}
            request = HttpRequest(
                method="POST",
                url=url,
                headers={"content-type": CONTENT_TYPE, **key},
                credentials=("content-type", "authorization"),
                body=self._encoded(allowed),
                timeout_s=TIMEOUT_S,
            )
            reply = await self._door.send(in_wire_form(passage.cleared, request))
        if reply.status in _MAY_RETRY:
            raise Unavailable("telemetry.busy", f"the collector {host} answered with status {reply.status}")
        if not 200 <= reply.status < 300:
            raise Refused(
                "telemetry.refused", f"the collector {host} takes no traces at {url}: it answered {reply.status}"
            )
        self.sent += len(spans)

    def _encoded(self, spans: Sequence[Span]) -> bytes:
        resource: dict[str, Attribute] = {"service.name": "agentflow", "service.version": self._version}
        return encode_spans(spans, resource=resource, version=self._version, schema_url=SCHEMA_URL)

    async def _begin(self) -> int:
        """The place up to which everything was sent; the journal's end where nothing ever was."""
        try:
            return msgspec.json.decode(self._cursor.read_bytes(), type=_Cursor).sent
        except (OSError, msgspec.DecodeError):
            head = await self._store.head()
            write_private(self._cursor, msgspec.json.encode(_Cursor(head)))
            return head

    async def _follow(self, cursor: int, waiting: asyncio.Queue[tuple[int, RunId]]) -> None:
        while True:
            try:
                async for position, row in self._store.follow(cursor):
                    cursor = position
                    if row.type == FinishRun.TYPE:
                        await waiting.put((position, row.run))
            except AgentFlowError as error:
                log.error("the journal could not be followed from %d: %s", cursor, error)
            await self._clock.sleep_until(self._clock.now_us() + FIRST_WAIT_US)

    async def _send_for_ever(self, waiting: asyncio.Queue[tuple[int, RunId]]) -> None:
        while True:
            ended = [await waiting.get()]
            while len(ended) < AT_ONCE and not waiting.empty():
                ended.append(waiting.get_nowait())
            spans: list[Span] = []
            for _, run in ended:
                with suppress(NotFound):
                    spans += await self.of_run(run)
            await self._send_until_taken(spans)
            write_private(self._cursor, msgspec.json.encode(_Cursor(ended[-1][0])))

    async def _send_until_taken(self, spans: Sequence[Span]) -> None:
        wait_us = FIRST_WAIT_US
        while True:
            try:
                await self.send(spans)
                return
            except Unavailable as error:
                if wait_us == FIRST_WAIT_US:
                    log.warning("traces wait, and are sent later: %s", error)
            except AgentFlowError as error:
                log.error("%d spans are dropped: %s", len(spans), error)
                return
            await self._clock.sleep_until(self._clock.now_us() + wait_us)
            wait_us = min(2 * wait_us, LAST_WAIT_US)


def _said(span: Span, text: Mapping[str, object]) -> Span:
    """The span with what the guard let through; what it took out is gone."""
    attributes = {
        name: value for name, value in text.items() if name != "name" and isinstance(value, str | int | float)
    }
    return msgspec.structs.replace(
        span,
        name=str(text.get("name") or span.attributes.get("gen_ai.operation.name") or "span"),
        attributes=attributes,
    )


def no_collector() -> Invalid:
    """The error of whoever wants to send spans and says nowhere where to."""
    return Invalid("telemetry.no_collector", "no collector is set: telemetry.otlp_url in the settings names it")
