"""The audit log: append-only, chained, and every tampering is named."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.audit.chain import first_break, link
from runtime.domain.audit import AuditEntry
from runtime.domain.egress import Destination, Sender
from runtime.store.audit import AuditLog
from runtime.store.database import Database
from runtime.store.journal import journal_database
from runtime.store.lock import hold

ENTRY = AuditEntry(
    event="egress.sent",
    passage="p1",
    sender=Sender(purpose="agent 'draft'", workflow="support", run="r-1"),
    destination=Destination("model", "site", "127.0.0.1:8000"),
    found={"EMAIL:pseudonymise": 2},
)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    with hold(tmp_path, what="test", now_us=0) as lock:
        opened = journal_database(tmp_path, lock=lock)
        await opened.start()
        yield opened
        await opened.stop()


async def filled(database: Database) -> AuditLog:
    log = AuditLog(database, lambda: 1_000_000)
    assert [1, 2, 3] == [await log.append(ENTRY) for _ in range(3)]
    return log


async def test_lines_are_numbered_and_chained(database: Database) -> None:
    log = await filled(database)
    assert (3, "") == await log.first_break()
    assert [2, 3] == [line.seq for line in await log.newest(2)]


async def unguarded(database: Database, *statements: str) -> None:
    """What somebody with the file and the key can do: take the triggers away first."""
    gone = ("DROP TRIGGER audit_kept", "DROP TRIGGER audit_fixed")
    await database.write(lambda c: [c.execute(statement) for statement in (*gone, *statements)])


@pytest.mark.parametrize(
    ("statement", "fits", "fault"),
    [
        (
            "UPDATE audit SET body = CAST(replace(CAST(body AS TEXT), 'support', 'other') AS BLOB) WHERE seq = 2",
            1,
            "2 was",
        ),
        ("UPDATE audit SET at_us = 5 WHERE seq = 2", 1, "line 2 was changed"),
        ("DELETE FROM audit WHERE seq = 2", 1, "line 2 is missing"),
        ("DELETE FROM audit WHERE seq = 3", 2, "taken away"),
        ("DELETE FROM audit", 0, "taken away"),
    ],
)
async def test_tampering_is_named(database: Database, statement: str, fits: int, fault: str) -> None:
    log = await filled(database)
    await unguarded(database, statement)
    found = await log.first_break()
    assert fits == found[0]
    assert fault in found[1]


@pytest.mark.parametrize("statement", ["DELETE FROM audit", "UPDATE audit SET at_us = 0"])
async def test_the_file_itself_refuses_changes(database: Database, statement: str) -> None:
    await filled(database)
    with pytest.raises(Exception, match="append-only"):
        await database.write(lambda c: c.execute(statement))


def test_a_line_put_in_between_is_named() -> None:
    """With a good hash of its own, but behind the wrong one."""
    first = link(ENTRY, seq=1, at_us=1, prev="0" * 64)
    stray = link(ENTRY, seq=2, at_us=2, prev="f" * 64)
    assert "line 2 does not follow the one before it" == first_break([first, stray])
    assert "" == first_break([first, link(ENTRY, seq=2, at_us=2, prev=first.hash)])
