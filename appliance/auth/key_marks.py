"""Which API keys are new or gone since this data folder was last served, however that was done: for the audit log."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from appliance.auth.api_keys import ApiKey
from runtime.domain.audit import AuditEntry
from runtime.store.private_file import write_private

FILE = "keys.marks"
_MARK_CHARS = 16


def changed_keys(folder: Path, keys: Sequence[ApiKey]) -> list[AuditEntry]:
    """The lines that are to be told, by name: a key whose hash is another is revoked and made."""
    before, now = _read(folder / FILE), _marks(keys)
    gone = [name for name, mark in before.items() if now.get(name) != mark]
    new = [name for name, mark in now.items() if before.get(name) != mark]
    return [
        *(AuditEntry(event="key.revoked", subject=name) for name in sorted(gone)),
        *(AuditEntry(event="key.created", subject=name) for name in sorted(new)),
    ]


def keep_marks(folder: Path, keys: Sequence[ApiKey]) -> None:
    """Remember the keys, once the lines are durable. Raises what writing a file raises."""
    write_private(folder / FILE, msgspec.json.encode(_marks(keys)))


def _marks(keys: Sequence[ApiKey]) -> dict[str, str]:
    return {key.name: key.sha256[:_MARK_CHARS] for key in keys}


def _read(path: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return {}
