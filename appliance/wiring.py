"""The only place that builds what lives as long as the process, and puts it together."""

import asyncio
import logging
import os
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from appliance.audit.checkpoints import checkpoints_of
from appliance.audit.notes import take_in
from appliance.bus import BusDesk, Publish
from appliance.config.costs import budgets_of
from appliance.config.settings import ModelSettings, Settings
from appliance.costs.forecasts import PlanView, plan_view
from appliance.costs.preflight import Preflights
from appliance.costs.spending import Spending
from appliance.definition_files import FOLDER, DefinitionFiles, remove_plain_copies
from appliance.egress import GuardedHttp, egress_policy
from appliance.loading.site import site_of
from appliance.mcp.servers import ToolServers, tool_servers
from appliance.minimising import Minimising
from appliance.ram_folder import RamFolder
from appliance.release import version
from appliance.repair import mend
from appliance.secrets import Secrets
from appliance.settings_marks import changed_settings, keep_marks
from appliance.telemetry.traces import Traces
from appliance.threats import Watch
from appliance.tools.rules import RuleBook, audit_levels, rule_book
from appliance.tools.sandboxes import sandboxes
from appliance.tools.services import document_search, means_of, profiles_of, with_settings
from appliance.tools.toolboxes import Toolboxes
from appliance.uplink.forwarding import uplink_of
from appliance.workflows import WorkflowCatalogue
from models.embeddings import OnnxBackend
from models.gateway import Gateway, GatewayOptions
from models.llama_cpp import LlamaCppBackend
from models.pool import PoolSettings
from models.remote import backend_for
from models.scripted import ScriptedBackend
from redaction.desk import RedactionDesk
from redaction.doors.http import HttpDoor
from redaction.guard import Guard
from redaction.known import KnownSecrets
from redaction.names.host import NamesHost
from runtime import registry
from runtime.agents.context import ModelsFor
from runtime.audit.levels import Level, Levels
from runtime.domain.audit import AuditEntry
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatRequest
from runtime.domain.cost import Estimate
from runtime.domain.egress import Sender
from runtime.domain.ids import RunId, TenantId
from runtime.domain.workflow import AgentSpec, Workflow
from runtime.engine.clock import SystemClock
from runtime.engine.dispatcher import Dispatcher
from runtime.engine.runs import Engine
from runtime.errors import NotFound, Unavailable
from runtime.memory.sessions import Sessions
from runtime.ports import Agent, Progress
from runtime.sandbox import seccomp
from runtime.store.audit import AuditLog
from runtime.store.database import Database
from runtime.store.journal import Journal, journal_database
from runtime.store.key import Key
from runtime.store.keyring import Keyring, database_key, keyring_of
from runtime.store.lock import DataLock, hold
from runtime.store.memory import Memory
from runtime.store.rates import Rates
from runtime.store.tickets import Tickets
from runtime.tools.call import ToolCalls
from runtime.tools.registry import ToolServices

MEMORY_FILE = "memory.db"
NO_NETWORK = (*seccomp.WAYS_AROUND, *seccomp.TRACING)
"""What the code of a project may not call, beside every kind of socket: it reaches the world through its tools."""

log = logging.getLogger(__name__)


def gateway_options(models: ModelSettings) -> GatewayOptions:
    """What the gateway goes by beside backends and aliases."""
    return GatewayOptions(
        routes=models.routes,
        check_s=models.check_s,
        cache_ttl_s=models.cache_ttl_s,
        cache_mb=models.cache_mb,
    )


def silent(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


async def _ended(task: asyncio.Task[None]) -> None:
    """A task that is no longer needed, stopped."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class Appliance:
    """One data folder, open: its store, models, workflows and engine.

    With `writer` it holds the folder's lock and runs workflows; without, it only reads, beside a process that writes.
    """

    _journal: Database
    store: Journal
    memory: Memory
    tickets: Tickets
    workflows: WorkflowCatalogue
    engine: Engine
    bus_desk: BusDesk
    preflights: Preflights
    traces: Traces
    minimising: Minimising
    sessions: Sessions
    tool_servers: ToolServers
    rule_book: RuleBook
    toolboxes: Toolboxes
    tool_calls: ToolCalls

    def __init__(
        self,
        settings: Settings,
        *,
        writer: bool = True,
        what: str = "af",
        progress: Progress = silent,
        known: KnownSecrets | None = None,
    ) -> None:
        """`known`: the values that are masked, where the log masks them too."""
        self.settings = settings
        self.clock = SystemClock()
        self.known = KnownSecrets() if known is None else known
        """Values that are written and sent nowhere."""
        self.secrets = Secrets(settings, self.known, self.clock)
        self._is_writer = writer
        self._what = what
        self._progress = progress
        self._opened = AsyncExitStack()
        self._names = NamesHost(workers=settings.names_workers)
        threads = settings.names_workers + 1  # one more, for texts that need no worker
        self._desk = RedactionDesk(secrets.token_bytes(32), names=self._names, threads=threads)
        self.spending = Spending(settings, self.clock, self.record)
        self._guard = Guard(
            egress_policy(settings), self._desk, record=self.record, reserve=self.spending.reserve, known=self.known
        )
        pool = PoolSettings(
            folder=settings.models_folder,
            mode=settings.models.isolation,
            threads=settings.models.threads,
            logs=settings.data / "logs",
        )
        self._door = HttpDoor(reveal=self.secrets.reveal)
        servers = [backend_for(each, self._door) for each in settings.models.backends]
        self.models = Gateway(
            [LlamaCppBackend(pool), OnnxBackend(pool), ScriptedBackend(), *servers],
            self._guard,
            aliases=settings.models.aliases,
            servers=settings.models.backends,
            options=gateway_options(settings.models),
            door=self._door if writer else None,
            prices=self.spending.prices,
            counts_tokens=self.spending.counts_tokens,
        )
        self.sandboxes = sandboxes(settings.sandbox, settings.data)
        """What programs of tools run in; each driver tries itself when a call first needs one."""
        self.threats = Watch()
        """Looks at every line of the audit log that is written here."""
        self.audit: AuditLog | None = None
        """Open with the store, for a writer."""

    async def start(self, *, recover: bool = True) -> None:
        """Open the data folder; a writer also takes up unfinished runs when `recover` is set.

        Raises Unavailable (`data.locked`, read-only, wrong key, no such folder for a reader), StoreFull or Corrupt;
        nothing stays open then.
        """
        try:
            await self._open(recover=recover)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Drain for the settings' time, then close everything in reverse order. Safe to call twice."""
        await self._opened.aclose()

    async def alive(self) -> None:
        """Return once the store has taken a write and a read. Raises what keeps it from that."""
        await self._journal.write(lambda _connection: None)
        await self.store.head()

    async def audit_written(self) -> None:
        """Wait until the audit log says of every call that has ended by now how it ended."""
        await self._guard.written()

    def egress_counts(self) -> Mapping[tuple[str, str, str], int]:
        """What the guard decided since the start, by (kind, zone, outcome)."""
        return self._guard.counts

    async def plan(self, workflow: Workflow, given: Json, *, tenant: TenantId, role: str = "") -> PlanView:
        """What a run will take, and which budgets have room for it. Raises Invalid for an input that it can't take."""
        budgets = self.spending.budgets
        if budgets is None:
            raise Unavailable("budget.closed", "what was spent is not open here")
        await budgets.flush()
        return await plan_view(
            await self.preflights.forecast(workflow, given, tenant=tenant),
            workflow,
            budgets=budgets_of(self.settings.budgets),
            charges=budgets.charges,
            tenant=tenant,
            role=role,
            now_us=self.clock.now_us(),
        )

    async def estimate(self, workflow: Workflow, given: Json, *, tenant: TenantId) -> Estimate | None:
        """What is kept with a run that begins now; None for one that asks no model and costs nothing. Raises Invalid
        for an input that it can't take."""
        forecast = await self.preflights.forecast(workflow, given, tenant=tenant)
        return forecast.estimate() if forecast.tokens.p95 or forecast.usd_micros.p95 else None

    async def _open(self, *, recover: bool) -> None:
        data = self.settings.data
        lock, keyring, key = await self._unlock(data)
        audit = await self._open_journal(lock, key)
        self.memory = Memory(data / MEMORY_FILE, lock=lock, key=key)
        await self.memory.start()
        self._opened.push_async_callback(self.memory.stop)
        self._opened.push_async_callback(self.sandboxes.stop)
        http = await self._open_secrets(keyring)
        self._opened.push_async_callback(self._door.stop)
        self._opened.callback(self._desk.stop)
        if self._is_writer and (self.settings.models.backends or (recover and self.settings.minimise == "on")):
            warming = asyncio.create_task(self._desk.warm_up())
            self._opened.push_async_callback(_ended, warming)
        await self.models.start()
        self._opened.push_async_callback(self.models.stop)
        await self._open_workflows(data, key)
        self.minimising = Minimising(
            self.settings, lock=lock, key=key, clock=self.clock, record=self.record, names=self._names
        )
        self._opened.push_async_callback(self.minimising.stop)
        minimiser = self.minimising.minimiser
        self.sessions = self._sessions()
        self._open_tools(http)
        dispatcher = Dispatcher(
            make_agent=self._make_agent,
            models=self.models,
            http=http,
            tools=self.toolboxes.of,
            clock=self.clock,
            minimiser=minimiser,
            tallies=self.spending.budgets.tallies if self.spending.budgets else None,
            tool_price=self._tool_price,
            tool_rules=self.rule_book.of,
            tool_calls=self.tool_calls,
            reserve=self.spending.reserve,
            memory=self.memory,
            memory_price=self.spending.prices.per_memory,
            sessions=self.sessions,
        )
        self.preflights = self._preflights()
        self._open_traces(data, audit)
        self._open_uplink()
        self.engine = Engine(
            store=self.store,
            definitions=self.workflows.ready,
            dispatcher=dispatcher,
            clock=self.clock,
            minimiser=minimiser,
            mask=self.known.mask,
        )
        if self._is_writer:
            self._opened.push_async_callback(self.engine.stop, self.settings.drain_s)
            learning = asyncio.create_task(self.threats.learn(audit), name="threats")
            self._opened.push_async_callback(_ended, learning)
            await self.engine.start(recover=recover)
            sweeping = asyncio.create_task(self.sessions.sweep_for_ever(), name="sessions")
            self._opened.push_async_callback(_ended, sweeping)
            self.minimising.start(self.store)

    async def record(self, entry: AuditEntry) -> None:
        """Keep a line of the audit log. Raises Unavailable where nothing may be written, for then nothing may leave."""
        if self.audit is None or not self._is_writer:
            raise Unavailable("audit.closed", "the audit log is not open for writing here, so nothing leaves")
        seq = await self.audit.append(entry)
        self.threats.note(entry, self.clock.now_us(), seq)

    async def _open_journal(self, lock: DataLock | None, key: Key | None) -> AuditLog:
        """The journal's file, with what is told of runs and what they spend."""
        settings = self.settings
        journal = journal_database(settings.data, lock=lock, key=key, durability=settings.durability)
        await journal.start()
        self._journal = journal
        self._opened.push_async_callback(journal.stop)
        self.audit = audit = AuditLog(journal, self.clock.now_us, Levels(self._audit_levels()))
        self.store = Journal(journal, audit.chains)
        self.tickets = Tickets(journal, audit.chains, self.known.mask_text)
        if self._is_writer:
            await self._open_audit(audit)
        self._opened.push_async_callback(self._guard.written)
        if self._is_writer:
            await self.spending.open(journal)
            self._opened.push_async_callback(self.spending.close)
        self.bus_desk = BusDesk(self.store.messages, self.clock, self.record, days=settings.bus_days)
        if self._is_writer:
            await self.bus_desk.open()
            self._opened.push_async_callback(self.bus_desk.close)
            self.spending.publish = partial(self.bus_desk.publish, actor="appliance")
        return audit

    async def _open_audit(self, audit: AuditLog) -> None:
        """Go on with the audit log, in its present format, signed as the settings say."""
        taken_over = await audit.take_over()
        await take_in(self.settings.data, audit)
        signing = checkpoints_of(self.settings, audit, self.clock)
        await signing.start(is_taken_over=bool(taken_over))
        self._opened.push_async_callback(signing.stop)
        if changed := changed_settings(self.settings.data, os.environ):
            await audit.append(changed)
            keep_marks(self.settings.data, changed)

    def _open_tools(self, http: GuardedHttp) -> None:
        """What agents may be granted, and what makes their calls; no server of tools is asked yet."""
        self.tool_servers = tool_servers(
            self.settings, self._guard, self._door, clock=self.clock, record=self.record, sandboxes=self.sandboxes
        )
        self._opened.push_async_callback(self.tool_servers.stop)
        self.rule_book = rule_book(self.settings.data)
        services = ToolServices(
            clock=self.clock,
            kept=self._kept,
            confinement=seccomp.program(NO_NETWORK, families=()),
            tickets=self.tickets,
            memory=self.memory,
            servers=self.tool_servers.servers,
            search=document_search(self.models, self.memory, lambda: self.minimising.of_memory),
            features=frozenset(self.settings.features),
        )
        complete = with_settings(self.settings.mail, self.settings.folders)
        self.toolboxes = Toolboxes(services, lambda: self.rule_book.specs, complete=complete)
        self._opened.push_async_callback(self.toolboxes.stop)
        self.tool_calls = ToolCalls(
            reserve=self.spending.reserve,
            record=self.record,
            take=Rates(self._journal, self.clock.now_us).take,
            means=means_of(
                http,
                self._guard,
                secrets=self.secrets,
                prices=self.spending.prices,
                sandboxes=self.sandboxes,
                clock=self.clock,
            ),
            profiles=profiles_of(self.settings),
            mask=self.known.mask,
        )

    async def _kept(self, run: RunId, value: Json) -> Json:
        return self.known.mask(await self.engine.kept(run, value) if run else value)

    async def _open_secrets(self, keyring: Keyring | None) -> GuardedHttp:
        """HTTP through the door, which knows the secrets from here on."""
        http = GuardedHttp(self._guard, self._door, self.spending.prices)
        await self.secrets.start(http, keyring, watch=self._is_writer)
        self._opened.push_async_callback(self.secrets.stop)
        return http

    def _open_traces(self, data: Path, audit: AuditLog) -> None:
        self.traces = Traces(
            self.settings.telemetry,
            data=data,
            version=version(),
            store=self.store,
            audit=audit,
            workflows=self.workflows,
            guard=self._guard,
            door=self._door,
            clock=self.clock,
        )
        self._opened.push_async_callback(self.traces.stop)

    def _audit_levels(self) -> dict[str, Level]:
        """As the operator's `tools.yaml` says, and the settings before it."""
        return {**(audit_levels(self.settings.data) if self._is_writer else {}), **self.settings.audit.levels}

    def _open_uplink(self) -> None:
        self.uplink = uplink_of(self, self._guard)
        self._opened.push_async_callback(self.uplink.stop)

    def _sessions(self) -> Sessions:
        return Sessions(
            self.memory.turns,
            clock=self.clock,
            count=self._count_tokens,
            minimiser=self.minimising.minimiser,
            mask=self.known.mask,
        )

    def _preflights(self) -> Preflights:
        prices = self.spending.prices
        return Preflights(self.store, self.models, prices, self._tool_price, sessions=self.sessions)

    async def _count_tokens(self, request: ChatRequest, sender: Sender) -> int:
        return (await self.models.counted(request, sender=sender))[0]

    async def _open_workflows(self, data: Path, key: Key | None) -> None:
        self.workflows = WorkflowCatalogue(
            data=data,
            store=self.store,
            clock=self.clock,
            published=self.store.published,
            files=self._definition_files(data, key) if self._is_writer else None,
            site=site_of(self.settings),
        )
        if self._is_writer and key is not None:
            await self.workflows.take_in()

    def _tool_price(self, workflow: Workflow, tool: str) -> int:
        return self.spending.of_tool_in(workflow, tool, self.toolboxes.of(workflow).price)

    async def _unlock(self, data: Path) -> tuple[DataLock | None, Keyring | None, Key | None]:
        """The folder's lock, and its keys; a writer puts the folder in order first."""
        lock = self._lock(data)
        if self._is_writer:
            await asyncio.to_thread(mend, data, self.settings.models_folder, now_us=self.clock.now_us())
        keyring = keyring_of(os.environ, data)
        make = partial(database_key, os.environ, data, may_make=self._is_writer, keyring=keyring)
        return lock, keyring, await asyncio.to_thread(make)  # a passphrase takes a second

    def _lock(self, data: Path) -> DataLock | None:
        if not self._is_writer:
            return None
        return self._opened.enter_context(hold(data, what=self._what, now_us=self.clock.now_us()))

    def _definition_files(self, data: Path, key: Key | None) -> DefinitionFiles:
        """Laid out in the data folder; in RAM when what lies there is encrypted."""
        if key is None:
            return DefinitionFiles(self.store, lambda: data / FOLDER)
        remove_plain_copies(data)
        ram = RamFolder()
        ram.start()
        self._opened.callback(ram.stop)
        return DefinitionFiles(self.store, ram.path)

    async def _publish(self, tenant: TenantId, run: RunId, subject: str, payload: Json) -> None:
        kept = await self._kept(run, payload)
        await self.bus_desk.publish(tenant, Publish(subject=subject, payload=kept, type="human-task"))

    def _make_agent(self, spec: AgentSpec, folder: str, sender: Sender) -> Agent:
        """An agent of the registered kind, with the parts of the house that its kind needs."""
        kind = f"agent.{spec.type}"
        make = registry.load(kind)
        parts: dict[str, object] = {}
        if kind in ("agent.rag", "agent.ml_model", "agent.web_search"):
            models = ModelsFor(self.models, sender)
            parts = {"models": models, "memory": self.memory, "progress": self._progress, "folder": folder}
        if kind in ("agent.rag", "agent.web_search"):
            parts["minimiser"] = self.minimising.of_memory
        if kind == "agent.wasm":
            parts = {"folder": folder}
        if kind == "agent.human_task" and self._is_writer:
            parts = {"publish": self._publish}
        if kind == "agent.custom":
            confinement = seccomp.program(NO_NETWORK, families=())
            parts = {"folder": folder, "confinement": confinement, "reveal": self.secrets.reveal}
        if not callable(make):
            raise NotFound("kind.not_callable", f"{kind!r} is registered, and is nothing that makes agents")
        agent: Agent = make(spec, **parts)
        return agent
