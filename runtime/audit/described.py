"""Which lines of the audit log the entries of a run's journal make. Pure.

Each names the hash of its entry, and the end of a run the hash over all of them: a journal that is rewritten, hashes
and all, no longer fits the audit log.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from runtime.domain.audit import AuditEntry, AuditEvent
from runtime.domain.command import FinishRun
from runtime.domain.egress import Sender
from runtime.domain.event import CancelRequested, RunMigrated, RunStarted, SignalReceived, TaskMoved
from runtime.domain.ids import RunId, TenantId
from runtime.domain.journal import Entry, Row


def described(run: RunId, tenant: TenantId, entries: Sequence[Entry], rows: Sequence[Row]) -> list[AuditEntry]:
    """The lines of these entries and their rows, in order; a run's end lacks the hash of its journal still."""
    lines = []
    for entry, row in zip(entries, rows, strict=True):
        match entry.body:
            case RunStarted(workflow=workflow, actor=actor, role=role):
                sender = Sender(purpose="a run", tenant=tenant, run=run, workflow=workflow, role=role)
                lines.append(_line("run.started", sender, row, actor=actor, subject=workflow))
            case SignalReceived(name=name, actor=actor, role=role):
                lines.append(_line("human.decided", _sender(run, tenant, role), row, actor=actor, subject=name))
            case TaskMoved(step=step, how=how, actor=actor, role=role):
                line = _line("human.moved", _sender(run, tenant, role), row, actor=actor, subject=step, outcome=how)
                lines.append(line)
            case CancelRequested(actor=actor):
                lines.append(_line("cancel.requested", _sender(run, tenant), row, actor=actor))
            case RunMigrated(workflow=workflow, actor=actor):
                lines.append(_line("run.migrated", _sender(run, tenant), row, actor=actor, subject=workflow))
            case FinishRun(status=status):
                lines.append(_line("run.finished", _sender(run, tenant), row, outcome=status))
    return lines


def journal_hash(hashes: Iterable[bytes]) -> str:
    """The hash over a run's journal: SHA-256 over the hashes of its entries, in order."""
    return sha256(b"".join(hashes)).hexdigest()


def _sender(run: RunId, tenant: TenantId, role: str = "") -> Sender:
    return Sender(purpose="a run", tenant=tenant, run=run, role=role)


def _line(
    event: AuditEvent, sender: Sender, row: Row, *, actor: str = "", subject: str = "", outcome: str = ""
) -> AuditEntry:
    return AuditEntry(
        event=event,
        sender=sender,
        actor=actor,
        subject=subject,
        outcome=outcome,
        entry=row.seq,
        entry_hash="" if event == "run.finished" else row.hash.hex(),
    )
