"""Whose the audit log is: the key that signs its checkpoints, and the names under which verifiers know it."""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from runtime.audit.note import NoteKey
from runtime.errors import NotFound
from runtime.store.signing import SigningKey, make_key, open_key

if TYPE_CHECKING:
    from appliance.config.settings import Settings

KEY_FILE = "auth/audit.key"
ORIGIN = "agentflow.local/audit"


class AuditKeys:
    """The key of one appliance; read when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def path(self) -> Path:
        """The file of the key, absolute."""
        return self._settings.data / Path(self._settings.audit.key_file or KEY_FILE).expanduser()

    @property
    def is_beside_the_log(self) -> bool:
        """Whether whoever has the data folder has the key too."""
        return self.path.resolve().is_relative_to(self._settings.data.resolve())

    def make(self) -> None:
        """Make the key where there is none. Raises what writing a file raises."""
        if not self.path.exists():
            make_key(self.path)

    @cached_property
    def key(self) -> SigningKey:
        """The key. Raises NotFound, Refused, Corrupt and what reading a file raises."""
        found = open_key(self.path)
        if found is None:
            raise NotFound(
                "audit.no_key",
                f"{self.path} does not exist; the first `af serve` or `af run` makes it, and audit.key_file names it",
            )
        return found

    def named(self, tenant: str) -> NoteKey:
        """The public half as the verifiers of a tenant's chain know it. Raises as `key` does."""
        return self.key.named(f"{self._origin}/{quote(tenant, safe='')}")

    @cached_property
    def _origin(self) -> str:
        """The settings' origin; else one that tells appliances apart by their keys."""
        public = self.key.named("any").public
        return self._settings.audit.origin or f"{ORIGIN}/{sha256(public).hexdigest()[:16]}"
