"""Keeps people's data out of the journal and of memory: pseudonyms are written there, the values in the vault alone.

What cannot be looked through is refused, and nothing of it is kept. Values stay in memory as long as their run is
worked on, and are never logged.
"""

import asyncio
import hmac
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

import msgspec

from redaction.desk import INLINE_BYTES
from redaction.names.host import NamesHost
from redaction.persist import Written, persist_policy
from redaction.presets import Actions, RedactionPolicy
from redaction.redactor import Redactor
from redaction.segments import RedactedPayload, redact_payload
from runtime.domain.canonical import Json
from runtime.domain.ids import DEFAULT_TENANT, RunId, TenantId
from runtime.domain.minimise import Holder, of_run
from runtime.errors import AgentFlowError, Refused
from runtime.store.vaults import Vaults

KEPT_HOLDERS = 2_000
"""Runs and collections whose pseudonyms are at hand; of the one used longest ago they are read from the vault again."""
_THREADS = 2
_NOTHING = RedactionPolicy(name="none", actions=Actions(), otherwise="allow")

log = logging.getLogger(__name__)


class _Case:
    """One holder's redactor; worked on by one caller at a time."""

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self.lock = asyncio.Lock()


class VaultMinimiser:
    """Implements Minimiser over the vaults of a data folder."""

    def __init__(
        self,
        vaults: Vaults,
        *,
        is_always: bool,
        policies: Mapping[Written, RedactionPolicy | None],
        now_us: Callable[[], int],
        names: NamesHost | None = None,
    ) -> None:
        """`policies`: of `journal` and `memory`; None keeps a place as it is."""
        self.is_always = is_always
        self._vaults = vaults
        self._policies = policies
        self._now_us = now_us
        self._names = names
        self._cases: OrderedDict[Holder, _Case] = OrderedDict()
        self._threads = ThreadPoolExecutor(_THREADS, "minimise")

    def stop(self) -> None:
        """Let the threads go. Safe to call twice."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def kept(self, holder: Holder, value: Json) -> Json:
        """See Minimiser."""
        policy = self._policies[holder.place]
        if policy is None:
            return value
        while True:
            case = await self._case(holder, policy)
            async with case.lock:
                if self._cases.get(holder) is case:  # else it was let go while this waited
                    return _allowed(await self._kept(case.redactor, holder, value), policy)

    async def _kept(self, redactor: Redactor, holder: Holder, value: Json) -> RedactedPayload:
        before = len(redactor.pseudonyms)
        try:
            redacted = await self._redact(redactor, holder, value)
            new = redactor.pseudonyms.given(after=before)
            if new:
                await (await self._vaults.of(holder.tenant)).keep(holder.scope, new, self._now_us())
            return redacted
        except BaseException:
            # what was given a pseudonym here is not in the vault, so the vault is read again
            self._cases.pop(holder, None)
            raise

    async def compared(self, holder: Holder, value: Json) -> Json:
        """See Minimiser."""
        policy = self._policies[holder.place]
        if policy is None:
            return value
        return _allowed(await self._redact(await self._redactor(holder, policy), holder, value), policy)

    async def once(self, value: Json) -> Json:
        """The value as it may leave for good: nobody, here or elsewhere, can say what its pseudonyms stand for.

        Raises Refused for what may not be kept or cannot be looked through.
        """
        policy = self._policies["journal"] or persist_policy("journal", {}, is_minimised=True)
        assert policy is not None, "asked for, there is one"
        redactor = Redactor(policy, secrets.token_bytes(32), names=self._names)
        holder = of_run(DEFAULT_TENANT, RunId("export"))
        return _allowed(await self._redact(redactor, holder, value), policy)

    async def restored(self, holder: Holder, value: Json) -> Json:
        """See Minimiser."""
        if not self._vaults.has(holder.tenant):  # looking makes no vault, which would hide that one is gone
            return value
        case = await self._case(holder, self._policies[holder.place] or _NOTHING)
        return case.redactor.pseudonyms.restore_payload(value)

    async def purge(
        self,
        tenant: TenantId,
        *,
        scopes: Collection[str] = (),
        before_us: int = 0,
        spared: Collection[str] = frozenset(),
    ) -> int:
        """Delete values of one tenant, as Vault.purge does; return how many."""
        vault = await self._vaults.of(tenant)
        try:
            return await vault.purge(scopes=scopes, before_us=before_us, spared=spared)
        finally:
            self._forget(tenant)

    async def erase(self, tenant: TenantId, value: str) -> int:
        """Delete one value from all that a tenant keeps; return how often it was there."""
        vault = await self._vaults.of(tenant)
        try:
            return await vault.erase(value)
        finally:
            self._forget(tenant)

    def _forget(self, tenant: TenantId) -> None:
        for holder in [holder for holder in self._cases if holder.tenant == tenant]:
            del self._cases[holder]

    async def _case(self, holder: Holder, policy: RedactionPolicy) -> _Case:
        case = self._cases.get(holder)
        if case is None:
            made = _Case(await self._redactor(holder, policy))
            case = self._cases.setdefault(holder, made)  # another caller may have been faster
            if len(self._cases) > KEPT_HOLDERS:
                self._drop_oldest_idle()
        self._cases.move_to_end(holder)
        return case

    def _drop_oldest_idle(self) -> None:
        idle = next((holder for holder, case in self._cases.items() if not case.lock.locked()), None)
        if idle is not None:
            del self._cases[idle]

    async def _redactor(self, holder: Holder, policy: RedactionPolicy) -> Redactor:
        """A redactor that goes on where the vault ends."""
        known = await (await self._vaults.of(holder.tenant)).known(holder.scope)
        key = hmac.digest(known.secret, f"{holder.place}\0{holder.scope}".encode(), "sha256")
        redactor = Redactor(policy, key, names=self._names)
        redactor.pseudonyms.take_up(known.pseudonyms, known.spent)
        return redactor

    async def _redact(self, redactor: Redactor, holder: Holder, value: Json) -> RedactedPayload:
        destination = f"persist/{holder.place}"
        try:
            if not redactor.policy.names and len(msgspec.json.encode(value)) <= INLINE_BYTES:
                return redact_payload(redactor, value, destination)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, redact_payload, redactor, value, destination)
        except AgentFlowError:
            raise
        except Exception as error:  # the edge of the redactor: whatever goes wrong in it, nothing is kept
            log.error("minimising for %s failed with %s", holder.scope, type(error).__name__)
            raise Refused(
                "minimise.failed",
                f"the redactor failed with {type(error).__name__} on what was to be kept of {holder.scope}, so none of "
                "it is kept",
            ) from None


def _allowed(redacted: RedactedPayload, policy: RedactionPolicy) -> Json:
    if redacted.decision == "block":
        named = ", ".join(sorted({each.type for each in redacted.findings if each.action == "block"}))
        raise Refused(
            "minimise.blocked",
            f"redaction policy {policy.name!r} lets no {named} be kept, so none of it is. The policy is "
            "persist/journal or persist/memory under redaction in the settings",
        )
    return redacted.payload
