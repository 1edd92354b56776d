"""Which settings are others than when this data folder was last opened, without keeping what they were.

A mark is a salted hash of a setting's value, kept in `auth/settings.marks`: changes show however they were made, by
`af config`, by an editor, or in the environment.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import msgspec

from appliance.config.sources import resolve
from runtime.domain.audit import AuditEntry
from runtime.domain.canonical import encode
from runtime.store.failures import translate

FILE = "auth/settings.marks"


class _Marks(msgspec.Struct, frozen=True):
    salt: str
    marks: dict[str, str]


def changed_settings(data: Path, env: Mapping[str, str]) -> AuditEntry | None:
    """The line for the audit log; None where nothing changed. Raises what reading settings and files raises."""
    before = _read(data / FILE)
    salt = before.salt if before else secrets.token_hex(16)
    marks = {
        key: sha256(salt.encode() + encode({"source": found.source, "value": found.value})).hexdigest()[:16]
        for key, found in resolve(data, env, {}).items()
        if found.source != "default"
    }
    was = before.marks if before else {}
    changed = sorted(key for key in {*marks, *was} if marks.get(key) != was.get(key))
    if not changed:
        return None
    return AuditEntry(
        event="config.changed",
        subject=", ".join(changed),
        marks={"salt": salt, **{key: marks.get(key, "") for key in changed}},
    )


def keep_marks(data: Path, entry: AuditEntry) -> None:
    """Remember what the line told of, once it is durable."""
    before = _read(data / FILE)
    marks = {**(before.marks if before else {}), **entry.marks}
    salt = marks.pop("salt")
    path, kept = data / FILE, {key: mark for key, mark in marks.items() if mark}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(_Marks(salt, kept)))
        path.chmod(0o600)
    except OSError as error:
        raise translate(error, path) from None


def _read(path: Path) -> _Marks | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Marks)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None
