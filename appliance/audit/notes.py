"""Lines of the audit log from commands that do not open the appliance: secrets, backups, exports, anchors.

Whoever may write in the data folder writes the line; a server that has it is asked to, over its UNIX socket; beside any
other process the line waits in a file of its own, which the next writer takes in. A line is durable, in one of the
three places, before the command goes on.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Literal

import msgspec

from appliance.audit.checkpoints import checkpoints_of
from redaction.doors.local import LocalDoor
from runtime.audit.levels import Levels
from runtime.domain.audit import AuditEntry
from runtime.domain.egress import Sender
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.engine.clock import SystemClock
from runtime.errors import Corrupt, Unavailable
from runtime.store.audit import AuditLog
from runtime.store.failures import translate
from runtime.store.journal import journal_database
from runtime.store.keyring import database_key, keyring_of
from runtime.store.lock import DataLock, hold

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from appliance.config.settings import Settings

WAITING_FILE = "audit.waiting"
ROUTE = "/v1/audit/notes"

Noted = Literal[
    "config.changed",
    "secret.set",
    "secret.rotated",
    "secret.removed",
    "data.exported",
    "audit.exported",
    "audit.anchored",
]


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a command did, or is about to."""

    event: Noted
    subject: str
    """What it was done to, by name."""
    tenant: TenantId = DEFAULT_TENANT
    outcome: str = ""
    marks: dict[str, str] = {}
    found: dict[str, int] = {}

    def entry(self, actor: str) -> AuditEntry:
        """The line."""
        return AuditEntry(
            event=self.event,
            sender=Sender(tenant=self.tenant),
            actor=actor,
            subject=self.subject,
            outcome=self.outcome,
            marks=self.marks,
            found=self.found,
        )


class _Waiting(msgspec.Struct, frozen=True):
    note: Note
    actor: str


async def note(settings: Settings, told: Note, *, actor: str = "cli") -> None:
    """Keep the line; durable when this returns. Raises what writing raises: then what it tells of must not be done."""
    try:
        lock = hold(settings.data, what=f"the note of {told.event}", now_us=SystemClock().now_us())
    except Unavailable as error:
        if error.code != "data.locked":
            raise
    else:
        with lock:
            await _append(settings, lock, told.entry(actor))
        return
    if settings.socket.exists():
        try:
            await asyncio.to_thread(LocalDoor(settings.socket).call, "POST", ROUTE, msgspec.to_builtins(told))
            return
        except Unavailable as error:
            if error.code != "server.not_running":  # a socket that a server left behind
                raise
    _leave(settings.data / WAITING_FILE, _Waiting(told, actor))


async def take_in(data: Path, log: AuditLog) -> int:
    """Put what waits into the log; return how many lines there were. Raises Corrupt for a file that is none."""
    path = data / WAITING_FILE
    waiting = _read(path)
    for each in waiting:
        await log.append(each.note.entry(each.actor))
    if waiting:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise translate(error, path) from None
    return len(waiting)


async def _append(settings: Settings, lock: DataLock, entry: AuditEntry) -> None:
    data = settings.data
    keyring = keyring_of(os.environ, data)
    key = await asyncio.to_thread(database_key, os.environ, data, may_make=True, keyring=keyring)
    database = journal_database(data, lock=lock, key=key, durability=settings.durability)
    await database.start()
    try:
        log = AuditLog(database, SystemClock().now_us, Levels(settings.audit.levels))
        taken_over = await log.take_over()
        await take_in(data, log)
        await log.append(entry)
        await checkpoints_of(settings, log, SystemClock()).sign_found(is_taken_over=bool(taken_over))
    finally:
        await database.stop()


def _leave(path: Path, waiting: _Waiting) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(waiting) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise translate(error, path, writing=True) from None


def _read(path: Path) -> Sequence[_Waiting]:
    try:
        return [msgspec.json.decode(line, type=_Waiting) for line in path.read_bytes().splitlines()]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise translate(error, path) from None
    except msgspec.MsgspecError:
        raise Corrupt(
            "audit.waiting", f"{path} holds no lines of the audit log; keep it, and move it out of the way"
        ) from None
