"""`af audit verify` over what somebody did who has the data folder: keys, checkpoints and chains that are gone."""

import asyncio
import errno
import sqlite3
from pathlib import Path

import pytest

from appliance.audit.anchors import Anchor
from appliance.audit.checkpoints import Checkpoints, checkpoints_of
from appliance.config.settings import load_settings
from runtime.domain.audit import AuditEntry
from runtime.domain.egress import Sender
from runtime.domain.ids import TenantId
from runtime.engine.clock import ManualClock
from runtime.errors import StoreFull
from runtime.store.audit import AuditLog
from runtime.store.journal import journal_database
from runtime.store.lock import hold
from tests.appliance.cli.conftest import Af


def write(data: Path, *, lines: int = 2, every_s: float = 1, is_killed: bool = False) -> Path:
    """So many lines of two tenants, so far apart, signed at the start and as each is written, as an appliance does that
    is not killed before."""
    asyncio.run(_write(data, lines, every_s, is_killed))
    return data / "journal.db"


async def _write(data: Path, lines: int, every_s: float, is_killed: bool) -> None:
    data.mkdir(exist_ok=True)
    clock = ManualClock()
    with hold(data, what="test", now_us=1) as lock:
        database = journal_database(data, lock=lock)
        await database.start()
        log = AuditLog(database, clock.now_us)
        signing: Checkpoints = checkpoints_of(load_settings(data, {}), log, clock)
        await signing.sign_found()
        for _ in range(lines):
            for tenant in ("default", "acme"):
                await log.append(AuditEntry(event="tool.called", sender=Sender(tenant=TenantId(tenant))))
            if not is_killed:
                await signing.sign()
            clock.advance(every_s)
        await database.stop()


def change(file: Path, *statements: str) -> None:
    """Whatever keeps the tables."""
    with sqlite3.connect(file) as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_a_log_without_a_key_for_long_goes_on_when_it_is_told_to(af: Af, data_folder: Path) -> None:
    """Nobody took its checkpoints away; who has it signed anyway leaves lines in it."""
    write(data_folder, lines=16, every_s=60, is_killed=True)
    assert 1 == af("audit", "verify").code
    for checkpoint_s in ("0", "60"):
        af("config", "set", "audit.checkpoint_s", checkpoint_s)
        write(data_folder, lines=0)
    assert 2 == af("audit", "verify").out.count("16 records, all whole · checkpoints 1")


@pytest.mark.parametrize("has_key", [True, False])
def test_checkpoints_that_must_be_there_are_missed(af: Af, data_folder: Path, has_key: bool) -> None:
    """Nobody works for a quarter of an hour and signs nothing; and no later start signs it."""
    file = write(data_folder, lines=16, every_s=60)
    assert 0 == af("audit", "verify").code
    change(file, "DELETE FROM audit_checkpoint")
    if not has_key:
        (data_folder / "auth" / "audit.key").unlink()
    for _ in range(2):
        said = af("audit", "verify")
        assert (1, 2) == (said.code, said.out.count("the records behind 0 were written for 840 s")), said.out
        write(data_folder, lines=0)


def test_a_young_log_passes_and_the_next_start_signs_it(af: Af, data_folder: Path) -> None:
    """Whose first process was killed at once; a pause is no work, for the clock may have been set meanwhile."""
    write(data_folder, every_s=86_400, is_killed=True)
    said = af("audit", "verify")
    assert (0, 2) == (said.code, said.out.count("2 records, which fit · signed by nothing"))
    write(data_folder, lines=0)
    assert 2 == af("audit", "verify").out.count("2 records, all whole · checkpoints 1")


TAKEN = ("audit_chain WHERE key = 1", "audit_record WHERE chain = 1", "audit_checkpoint WHERE chain = 1")


@pytest.mark.parametrize("tables", [1, 2, 3])
def test_a_chain_that_was_taken_out_is_missed(af: Af, data_folder: Path, tables: int) -> None:
    """Nobody would look at what is there of it still."""
    change(write(data_folder), *(f"DELETE FROM {table}" for table in TAKEN[:tables]))
    said = af("audit", "verify")
    assert (1, True) == (said.code, "broken: audit log: " in said.out), said.out


def test_what_is_kept_outside_is_compared_without_the_key_too(af: Af, data_folder: Path, tmp_path: Path) -> None:
    """Whoever puts an older copy back takes the key away with it; checkpoints inside are compared as well."""
    file = write(data_folder)
    old = file.read_bytes()
    write(data_folder)
    outside = tmp_path / "outside"
    outside.mkdir()
    assert 0 == af("audit", "anchor", "--to", outside).code
    (data_folder / "auth" / "audit.key").unlink()
    said = af("audit", "verify", "--anchor", outside)
    assert (0, 2, True) == (said.code, said.out.count("anchored at 4"), "signatures were not looked at" in said.err)
    file.write_bytes(old)
    said = af("audit", "verify", "--anchor", outside)
    assert (1, 2) == (said.code, said.out.count("the records behind 2 were taken away")), said.out
    change(file, "DELETE FROM audit_checkpoint WHERE size = 2", "UPDATE audit_checkpoint SET size = 2")
    assert 1 == af("audit", "verify").code


def test_another_key_signs_nothing_and_the_right_one_goes_on(af: Af, data_folder: Path) -> None:
    """A start without the key makes one; what that signed would never verify again."""
    write(data_folder)
    key = data_folder / "auth" / "audit.key"
    kept = key.rename(key.with_suffix(".away"))
    write(data_folder)
    assert (1, True) == ((said := af("audit", "verify")).code, "none of this appliance's" in said.out)
    kept.replace(key)
    write(data_folder, lines=0)
    assert 2 == af("audit", "verify").out.count("4 records, all whole · checkpoints 3")


def test_a_place_that_has_no_checkpoint_of_the_log_is_named(af: Af, data_folder: Path, tmp_path: Path) -> None:
    """It vouches for nothing."""
    write(data_folder)
    assert "default: not held beside a checkpoint" in af("audit", "verify", "--anchor", tmp_path).err
    said = af("audit", "verify", "--tenant", "nobody")
    assert (2, True) == (said.code, "audit.no_chain" in said.err)


def test_a_checkpoint_that_cannot_be_kept_leaves_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a medium that is full."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreFull):
        Anchor(tmp_path).keep("default", "a note")
    assert [] == list(tmp_path.iterdir())
