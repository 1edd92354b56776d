"""Minimisation of one appliance: its policies, its vaults, who looked behind pseudonyms, and what has grown too old."""

import asyncio
import logging
import re
import secrets
from contextlib import suppress

import msgspec

from appliance.config.settings import Settings
from appliance.loading.redaction import redaction_policy
from redaction.minimise import VaultMinimiser
from redaction.names.host import NamesHost
from redaction.persist import PREFIX, Written, persist_policy
from redaction.presets import RedactionPolicy
from runtime.domain.audit import AuditEntry, AuditEvent
from runtime.domain.egress import Destination, Sender
from runtime.domain.ids import RunId, TenantId
from runtime.domain.journal import Entry, rfc3339, write
from runtime.domain.memory import Collection
from runtime.domain.minimise import of_collection, of_run
from runtime.domain.run import RunState, fold
from runtime.engine.runs import Engine
from runtime.errors import AgentFlowError, NotFound
from runtime.policies.residency import LOCAL
from runtime.ports import Clock, Record, StateStore
from runtime.store.key import Key
from runtime.store.lock import DataLock
from runtime.store.vaults import Vaults

DAY_US = 86_400_000_000
SWEEP_US = 3_600_000_000
"""How often values are looked for that have been kept long enough."""

_PSEUDONYM = re.compile(rb"<[A-Z_]+_[0-9]+_[A-Z2-7]{4}>")

log = logging.getLogger(__name__)


def policies_of(settings: Settings) -> dict[Written, RedactionPolicy | None]:
    """The policy of each place where something is written. Raises as `redaction_policy` does."""
    own = {
        pattern: None if name == "none" else redaction_policy(name)
        for pattern, name in settings.redaction.items()
        if pattern.startswith(PREFIX)
    }
    is_minimised = settings.minimise == "on"
    found: dict[Written, RedactionPolicy | None] = {
        # a workflow may ask for it where the appliance does not
        "journal": persist_policy("journal", own),
        "memory": persist_policy("memory", own, is_minimised=is_minimised),
        "log": persist_policy("log", own, is_minimised=is_minimised),
        "trace": persist_policy("trace", own, is_minimised=is_minimised),
    }
    return found


class HeldView(msgspec.Struct, frozen=True, kw_only=True):
    """How much a vault holds of one run or collection."""

    scope: str
    """A run's id, or `memory/` and a collection's name."""
    values: int
    first_at: str
    last_at: str


class VaultView(msgspec.Struct, frozen=True, kw_only=True):
    """How much a tenant's vault holds; never what."""

    tenant: str
    values: int
    scopes: list[HeldView]
    """Oldest first."""


class Minimising:
    """The minimiser of one data folder, and what an operator does with its vaults."""

    def __init__(
        self,
        settings: Settings,
        *,
        lock: DataLock | None,
        key: Key | None,
        clock: Clock,
        record: Record,
        names: NamesHost | None = None,
    ) -> None:
        """`record`: keeps a line of the audit log, durable when it returns."""
        self._record = record
        self._days = settings.vault_days
        self._clock = clock
        self.vaults = Vaults(settings.data, lock=lock, key=key, durability=settings.durability)
        policies = policies_of(settings)
        self.minimiser = VaultMinimiser(
            self.vaults,
            is_always=settings.minimise == "on",
            policies=policies,
            now_us=clock.now_us,
            names=names,
        )
        self.of_memory = None if policies["memory"] is None else self.minimiser
        """The minimiser of what is remembered; None where memory keeps what it is given."""
        self._sweeping: asyncio.Task[None] | None = None

    def start(self, store: StateStore) -> None:
        """Purge what is too old, now and every hour."""
        if self._days:
            self._sweeping = asyncio.create_task(self._sweep_for_ever(store), name="vault-sweep")

    async def stop(self) -> None:
        """Close the vaults. Safe to call twice."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeping
            self._sweeping = None
        self.minimiser.stop()
        await self.vaults.stop()

    async def restored_state(self, engine: Engine, run: RunId, *, tenant: TenantId, actor: str) -> RunState:
        """A run with the values that its pseudonyms stand for; as `restored_entries`."""
        return fold(run, await self.restored_entries(engine, run, tenant=tenant, actor=actor))

    async def restored_entries(self, engine: Engine, run: RunId, *, tenant: TenantId, actor: str) -> list[Entry]:
        """A run's journal with the values that its pseudonyms stand for, for somebody of its tenant; the audit log says
        so first.

        Raises NotFound for a run of another tenant, and where the vault is gone.
        """
        state = await engine.state(run)
        if state.tenant != tenant:
            raise NotFound("run.not_found", f"tenant {tenant!r} has no run {run!r}", run=run)
        entries = await engine.entries(run)
        if not state.is_minimised:
            return entries
        if not self.vaults.has(tenant) and any(_PSEUDONYM.search(write(run, entry).data) for entry in entries):
            raise NotFound(
                "vault.missing",
                f"the vault of tenant {tenant!r} is gone, and with it what the pseudonyms of run {run!r} stand for. "
                f"Put vault-{tenant}.db back from a backup, with its key",
            )
        await self._tell("vault.restored", tenant=tenant, actor=actor, run=run)
        return await engine.restored(run)

    async def held(self, tenant: TenantId) -> VaultView:
        """How much the tenant's vault holds of each run and collection; nothing where there is no vault."""
        found = await (await self.vaults.of(tenant)).held() if self.vaults.has(tenant) else ()
        scopes = [
            HeldView(
                scope=each.scope,
                values=each.values,
                first_at=rfc3339(each.first_us),
                last_at=rfc3339(each.last_us),
            )
            for each in found
        ]
        return VaultView(tenant=tenant, values=sum(each.values for each in scopes), scopes=scopes)

    async def purge(
        self,
        store: StateStore,
        tenant: TenantId,
        *,
        run: RunId | None = None,
        collection: str = "",
        before_us: int = 0,
        actor: str = "",
    ) -> int:
        """Delete the values of one run or collection, or those of runs kept before an instant; return how many.

        Runs that have not ended keep theirs, unless one is named.
        """
        if not self.vaults.has(tenant):
            return 0
        scopes: tuple[str, ...] = ()
        if run is not None:
            scopes = (of_run(tenant, run).scope,)
        elif collection:
            scopes = (of_collection(Collection(tenant, collection)).scope,)
        spared = frozenset() if scopes else await _unfinished(store)
        count = await self.minimiser.purge(tenant, scopes=scopes, before_us=before_us, spared=spared)
        if count or actor:  # a sweep that found nothing is no news
            await self._tell("vault.purged", tenant=tenant, actor=actor, run=run or "", count=count)
        return count

    async def erase(self, tenant: TenantId, value: str, *, actor: str = "") -> int:
        """Delete one value wherever the tenant's vault has it; return how often it had."""
        if not self.vaults.has(tenant):
            return 0
        count = await self.minimiser.erase(tenant, value)
        await self._tell("vault.erased", tenant=tenant, actor=actor, count=count)
        return count

    async def _tell(self, event: AuditEvent, *, tenant: TenantId, actor: str, run: str = "", count: int = 0) -> None:
        await self._record(
            AuditEntry(
                event=event,
                passage=secrets.token_hex(8),
                sender=Sender(purpose=actor or "the appliance", tenant=tenant, run=run),
                destination=Destination("vault", LOCAL),
                found={"values": count} if count else {},
                outcome="ok",
            )
        )

    async def sweep(self, store: StateStore) -> None:
        """Purge what is too old, of every tenant."""
        before_us = self._clock.now_us() - self._days * DAY_US
        for tenant in self.vaults.tenants():
            try:
                await self.purge(store, tenant, before_us=before_us)
            except AgentFlowError as error:  # one tenant's vault must not keep the others' values too long
                log.error("values of tenant %s that are too old could not be purged: %s", tenant, error)

    async def _sweep_for_ever(self, store: StateStore) -> None:
        while True:
            await self.sweep(store)
            await self._clock.sleep_until(self._clock.now_us() + SWEEP_US)


async def _unfinished(store: StateStore) -> frozenset[str]:
    """Runs that still need their values."""
    found: set[str] = set()
    before: RunId | None = None
    while page := await store.runs(status=("running", "waiting"), limit=500, before=before):
        found.update(summary.run for summary in page)
        before = page[-1].run
    return frozenset(found)
