"""The secrets of one appliance: where they are kept, and who may have a value of one.

A value is given to the HTTP door for one host, or to a tool that is granted it; everywhere else it is masked.
"""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

from appliance.config.settings import Settings
from appliance.openbao import OpenBao
from models.keys import read_key
from redaction.known import KnownSecrets
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.domain.secret import Reference
from runtime.errors import AgentFlowError, Refused, Unavailable
from runtime.ports import Clock, HttpAccess
from runtime.store.keyring import Keyring
from runtime.store.secrets import SecretLine, SecretStore

LOOK_AGAIN_US = 5_000_000
"""How often files are looked at that another process may have changed: what it kept must be masked here too."""

log = logging.getLogger(__name__)


class Secrets:
    """Gives values, and tells the registry of every value there is."""

    def __init__(
        self, settings: Settings, known: KnownSecrets, clock: Clock, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._settings = settings
        self._known = known
        self._clock = clock
        self._environment = environment
        self._store: SecretStore | None = None
        self._bao: OpenBao | None = None
        self._seen: dict[TenantId, int] = {}
        self._watching: asyncio.Task[None] | None = None

    async def start(self, http: HttpAccess, keyring: Keyring | None, *, watch: bool = False) -> None:
        """Read what is kept in files, so that it is masked from now on; `watch` notices what other processes change.

        Raises Refused for a provider whose feature is off, and what reading the master key raises.
        """
        if self._settings.secrets.provider == "openbao":
            if "openbao" not in self._settings.features:
                raise Refused(
                    "secret.feature", "secrets.provider is openbao, and features in the settings does not name openbao"
                )
            self._bao = OpenBao(self._settings.secrets, http, self._clock, self._known)
        if keyring is not None:
            self._store = SecretStore(self._settings.data, keyring, self._clock.now_us)
        await asyncio.to_thread(self._learn)
        self._learn_keys()
        if watch and self._store is not None:
            self._watching = asyncio.create_task(self._watch(), name="secrets")

    async def stop(self) -> None:
        """Stop watching. Safe to call twice."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None

    async def reveal(self, tenant: TenantId, reference: Reference, host: str = "") -> str:
        """The value of a secret, for a host (`name:port`), or for a tool when it is empty; masked from now on.

        Raises NotFound, Refused where the secret is bound to other hosts, Unavailable without a store.
        """
        if self._bao is not None:
            return await self._bao.value(tenant, reference)
        store = self._required()
        _check_host(reference, store.hosts(tenant, reference.name), host)
        value = store.value(tenant, reference.name, reference.version)
        self._known.add(reference.name, value)
        return value

    async def list(self, tenant: TenantId = DEFAULT_TENANT) -> Sequence[SecretLine]:
        """What there is; never values."""
        if self._bao is not None:
            return await self._bao.list(tenant)
        return self._required().list(tenant)

    def _required(self) -> SecretStore:
        if self._store is None:
            raise no_master()
        return self._store

    def _learn(self) -> None:
        store = self._store
        if store is None:
            return
        for tenant in store.tenants():
            changed_ns = store.changed_ns(tenant)
            if self._seen.get(tenant) != changed_ns:
                self._known.add_all(store.values(tenant))
                self._seen[tenant] = store.changed_ns(tenant)

    def _learn_keys(self) -> None:
        """Keys that stand outside the store are masked too."""
        for server in self._settings.models.backends:
            with suppress(AgentFlowError):  # whoever needs it says what is wrong
                key = "" if server.key else read_key(server, self._environment)
                self._known.add(f"{server.name}-key", key)
        self._known.add("database-key", self._environment.get("AGENTFLOW_DB_KEY", ""))

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep_until(self._clock.now_us() + LOOK_AGAIN_US)
            try:
                await asyncio.to_thread(self._learn)
            except AgentFlowError as error:
                log.error("secrets that were changed can't be read, and are not masked: %s", error)


def no_master() -> Unavailable:
    """The error where secrets are asked for and no master key is named."""
    return Unavailable(
        "secret.no_master",
        "secrets need a master key, and none is named. Make one outside the data folder (umask 077; openssl rand -hex "
        "32 > /etc/agentflow/master.key) and set AGENTFLOW_MASTER_KEY_FILE to it",
        retryable=False,
    )


def _check_host(reference: Reference, allowed: Sequence[str], host: str) -> None:
    name = host.rpartition(":")[0]
    if host and allowed and host not in allowed and name not in allowed:
        raise Refused(
            "secret.other_host",
            f"secret {reference.name!r} may go to {', '.join(allowed)}, not to {host}; the rule was set by af secrets "
            "set --host",
        )
