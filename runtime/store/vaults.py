"""The vaults of a data folder: one encrypted file for each tenant, and the key they are opened with.

The key is the database's where there is one, else `vaults.key` in the data folder, made when the first value is kept.
Each tenant's file has a key of its own, made from that one, so none opens another's.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote

from runtime.domain.ids import TenantId
from runtime.errors import NotFound, Unavailable
from runtime.store.database import Durability
from runtime.store.key import Key, key_in
from runtime.store.lock import DataLock
from runtime.store.vault import Vault

KEY_FILE = "vaults.key"
PREFIX, SUFFIX = "vault-", ".db"


class Vaults:
    """Opens each tenant's vault when it is first asked for."""

    def __init__(
        self, folder: Path, *, lock: DataLock | None, key: Key | None, durability: Durability = "full"
    ) -> None:
        """`lock`: None only reads. `key`: the database's; None takes that of the key file."""
        self._folder = folder
        self._lock = lock
        self._key = key
        self._durability: Durability = durability
        self._open: dict[TenantId, Vault] = {}
        self._opening = asyncio.Lock()

    async def of(self, tenant: TenantId) -> Vault:
        """A tenant's vault, open. Raises NotFound for a reader where there is none, and what opening raises."""
        async with self._opening:
            vault = self._open.get(tenant)
            if vault is None:
                vault = Vault(
                    self._path(tenant), lock=self._lock, key=self._key_of(tenant), durability=self._durability
                )
                await vault.start()
                self._open[tenant] = vault
            return vault

    def has(self, tenant: TenantId) -> bool:
        """Whether a tenant has a vault."""
        return self._path(tenant).exists()

    def tenants(self) -> Sequence[TenantId]:
        """The tenants that have one, in order of their names."""
        names = sorted(path.name for path in self._folder.glob(f"{PREFIX}*{SUFFIX}"))
        return [TenantId(unquote(name.removeprefix(PREFIX).removesuffix(SUFFIX))) for name in names]

    async def stop(self) -> None:
        """Close all of them. Safe to call twice."""
        vaults, self._open = self._open, {}
        for vault in vaults.values():
            await vault.stop()

    def _path(self, tenant: TenantId) -> Path:
        return self._folder / f"{PREFIX}{quote(tenant, safe='')}{SUFFIX}"

    def _key_of(self, tenant: TenantId) -> Key:
        """Raises NotFound where a reader finds no vault, Unavailable where there is one and its key is gone."""
        exists = self.has(tenant)
        if self._lock is None and not exists:
            raise NotFound(
                "vault.missing",
                f"tenant {tenant!r} has no vault in {self._folder}: nothing was kept there, or the file is gone, and "
                "with it the values behind its pseudonyms. Put the file back from a backup, with its key",
            )
        key = self._key or self._key_of_file(may_make=not exists)
        return vault_key(key, tenant)

    def _key_of_file(self, *, may_make: bool) -> Key:
        path = self._folder / KEY_FILE
        if path.exists():
            return key_in(path, named_by=f"the vaults of {self._folder}")
        if not may_make or self.tenants():
            raise Unavailable(
                "vault.no_key",
                f"there are vaults in {self._folder}, and their key is gone: there is no {KEY_FILE}, and neither "
                "AGENTFLOW_DB_KEY_FILE nor AGENTFLOW_DB_KEY is set. Put the key back; without it nothing is restored",
                retryable=False,
            )
        _make(path)
        return key_in(path, named_by=f"the vaults of {self._folder}")


def vault_key(key: Key, tenant: TenantId) -> Key:
    """The key of a tenant's vault."""
    return Key(hmac.digest(bytes.fromhex(key.reveal()), f"vault\0{tenant}".encode(), "sha256").hex())


def _make(path: Path) -> None:
    """A fresh key that only its owner can read, wholly or not at all, durable when this returns."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
