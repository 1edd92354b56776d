"""A plain data folder becomes an encrypted one, with everything that was in it."""

from pathlib import Path

import pytest

from runtime.domain.ids import DEFAULT_TENANT
from runtime.domain.minimise import Pseudonym
from runtime.errors import Unavailable
from runtime.store.encrypt import encrypt_folder
from runtime.store.journal import Journal, journal_database
from runtime.store.key import Key
from runtime.store.lock import hold
from runtime.store.memory import Memory
from runtime.store.vaults import Vaults

KEY, OTHER = Key("5e" * 32), Key("6f" * 32)
SAID = b"a definition that is in the journal"


async def fill(folder: Path) -> None:
    with hold(folder, what="test", now_us=1) as lock:
        database = journal_database(folder, lock=lock)
        await database.start()
        await Journal(database).save_definition("sha256:x", "x", SAID, 1)  # type: ignore[arg-type]  # any text will do
        await database.stop()
        memory = Memory(folder / "memory.db", lock=lock, key=None)
        await memory.start()
        await memory.stop()
        vaults = Vaults(folder, lock=lock, key=None)
        vault = await vaults.of(DEFAULT_TENANT)
        await vault.keep("r-1", [Pseudonym("PERSON", 1, "ABCD", "Ann", False)], 1)
        await vaults.stop()


async def test_everything_is_there_and_nothing_in_the_clear(tmp_path: Path) -> None:
    """Journal, memory and vaults open with the new key alone; a second time nothing is plain."""
    await fill(tmp_path)
    assert any(SAID in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    with hold(tmp_path, what="test", now_us=1) as lock:
        done = encrypt_folder(tmp_path, KEY, lock=lock)
        assert ["journal.db", "memory.db", "vault-default.db"] == list(done)
        assert [] == list(encrypt_folder(tmp_path, KEY, lock=lock))
        assert not any(
            SAID in path.read_bytes() or path.read_bytes().startswith(b"SQLite format")
            for path in tmp_path.iterdir()
            if path.is_file()
        )
        assert not (tmp_path / "vaults.key").exists()
        database = journal_database(tmp_path, lock=lock, key=KEY)
        await database.start()
        assert ("x", SAID) == await Journal(database).definition("sha256:x")  # type: ignore[arg-type]  # as above
        await Journal(database).verify()
        await database.stop()
        memory = Memory(tmp_path / "memory.db", lock=lock, key=KEY)
        await memory.start()
        await memory.stop()
        vaults = Vaults(tmp_path, lock=lock, key=KEY)
        assert ["Ann"] == [each.value for each in (await (await vaults.of(DEFAULT_TENANT)).known("r-1")).pseudonyms]
        await vaults.stop()
        with pytest.raises(Unavailable, match="wrong_key"):
            encrypt_folder(tmp_path, OTHER, lock=lock)


async def test_a_draft_of_an_attempt_that_was_killed_is_in_nobodys_way(tmp_path: Path) -> None:
    """It is made anew; the plain file was never touched."""
    await fill(tmp_path)
    (tmp_path / "journal.db.encrypting").write_bytes(b"half of it")
    with hold(tmp_path, what="test", now_us=1) as lock:
        assert "journal.db" in encrypt_folder(tmp_path, KEY, lock=lock)
    assert not (tmp_path / "journal.db.encrypting").exists()
