"""The vault: encrypted, one file for each tenant, and what is deleted is never named again."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.domain.ids import TenantId
from runtime.domain.minimise import Pseudonym
from runtime.errors import NotFound, Unavailable
from runtime.store.key import Key
from runtime.store.lock import DataLock, hold
from runtime.store.vaults import KEY_FILE, Vaults

ACME, OTHER = TenantId("acme"), TenantId("other/../x")
ANNA = Pseudonym("EMAIL", 1, "EMAIL_1_ABCD", "anna@example.com")
BOB = Pseudonym("EMAIL", 2, "EMAIL_2_EFGH", "bob@example.com")
CARD = Pseudonym("PAYMENT_CARD", 1, "PAYMENT_CARD_1_IJKL", "4111111111111111", is_number=True)


@pytest.fixture
def lock(tmp_path: Path) -> DataLock:
    return hold(tmp_path, what="test", now_us=0)


@pytest.fixture
async def vaults(tmp_path: Path, lock: DataLock) -> AsyncIterator[Vaults]:
    vaults = Vaults(tmp_path, lock=lock, key=None)
    yield vaults
    await vaults.stop()


async def test_what_is_kept_is_known_again_in_its_order(vaults: Vaults) -> None:
    """After a restart the same value must get the same pseudonym."""
    vault = await vaults.of(ACME)
    await vault.keep("r-1", [BOB, CARD], at_us=1)
    await vault.keep("r-1", [ANNA], at_us=2)
    known = await vault.known("r-1")
    assert [BOB, CARD, ANNA] == known.pseudonyms
    assert 32 == len(known.secret)
    assert [] == (await vault.known("r-2")).pseudonyms


async def test_no_byte_of_a_value_stands_in_the_folder(vaults: Vaults, tmp_path: Path) -> None:
    """The vault is the one place that has the values, so its files must not show them."""
    await (await vaults.of(ACME)).keep("r-1", [ANNA, CARD], at_us=1)
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"anna" not in held
    assert b"4111" not in held
    await vaults.stop()
    assert b"anna" not in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


async def test_the_key_file_is_private_and_made_once(vaults: Vaults, tmp_path: Path) -> None:
    """A key that others can read protects nothing; a second one would lose what the first one locked."""
    await vaults.of(ACME)
    made = (tmp_path / KEY_FILE).read_text()
    await vaults.of(OTHER)
    assert made == (tmp_path / KEY_FILE).read_text()
    assert 0o600 == (tmp_path / KEY_FILE).stat().st_mode & 0o777


async def test_a_name_leads_nowhere_but_to_a_file_of_the_folder(vaults: Vaults, tmp_path: Path) -> None:
    """A tenant's name may hold anything."""
    await vaults.of(OTHER)
    assert [OTHER] == vaults.tenants()
    assert ["vault-other%2F..%2Fx.db"] == [path.name for path in tmp_path.glob("vault-*.db")]


async def test_one_tenants_key_does_not_open_the_others_file(vaults: Vaults, tmp_path: Path, lock: DataLock) -> None:
    """A file that is renamed must not give its values to another tenant."""
    await (await vaults.of(ACME)).keep("r-1", [ANNA], at_us=1)
    await vaults.stop()
    (tmp_path / "vault-acme.db").rename(tmp_path / "vault-spy.db")
    with pytest.raises(Unavailable, match=r"store\.wrong_key"):
        await Vaults(tmp_path, lock=lock, key=None).of(TenantId("spy"))


async def test_a_lost_key_is_named_and_not_replaced(vaults: Vaults, tmp_path: Path, lock: DataLock) -> None:
    """A fresh key would hide that the old one is needed."""
    await vaults.of(ACME)
    await vaults.stop()
    (tmp_path / KEY_FILE).unlink()
    for tenant in (ACME, OTHER):
        with pytest.raises(Unavailable, match=r"vault\.no_key.*vaults\.key"):
            await Vaults(tmp_path, lock=lock, key=None).of(tenant)
    assert not (tmp_path / KEY_FILE).exists()


async def test_a_key_that_others_can_read_is_refused(vaults: Vaults, tmp_path: Path, lock: DataLock) -> None:
    """Somebody may have copied it."""
    await vaults.of(ACME)
    await vaults.stop()
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(Unavailable, match=r"store\.key_file_mode.*chmod 600"):
        await Vaults(tmp_path, lock=lock, key=None).of(ACME)


async def test_the_databases_key_is_used_where_there_is_one(tmp_path: Path, lock: DataLock) -> None:
    """An operator who keeps the key elsewhere wants none in the folder."""
    key = Key(os.urandom(32).hex())
    vaults = Vaults(tmp_path, lock=lock, key=key)
    await (await vaults.of(ACME)).keep("r-1", [ANNA], at_us=1)
    await vaults.stop()
    assert not (tmp_path / KEY_FILE).exists()
    again = Vaults(tmp_path, lock=None, key=key)
    assert [ANNA] == (await (await again.of(ACME)).known("r-1")).pseudonyms
    await again.stop()


async def test_a_reader_makes_nothing(tmp_path: Path) -> None:
    """Looking must not leave an empty vault that looks like a lost one."""
    with pytest.raises(NotFound, match=r"vault\.missing"):
        await Vaults(tmp_path, lock=None, key=None).of(ACME)
    assert [] == list(tmp_path.iterdir())


async def test_a_number_that_was_given_out_is_never_given_again(vaults: Vaults) -> None:
    """What still names a purged value must not come to name somebody else's."""
    vault = await vaults.of(ACME)
    await vault.keep("r-1", [ANNA, BOB, CARD], at_us=1)
    await vault.keep("r-2", [ANNA], at_us=5)
    assert 2 == await vault.erase(" ANNA@example.com")
    assert 2 == await vault.purge(scopes=["r-1"])
    known = await vault.known("r-1")
    assert ([], {"EMAIL": 2, "PAYMENT_CARD": 1}) == (known.pseudonyms, known.spent)
    assert {"EMAIL": 1} == (await vault.known("r-2")).spent


async def test_a_value_is_erased_among_other_words_too(vaults: Vaults) -> None:
    """A name and the address behind it may have been kept as one; another person's longer address is not theirs."""
    vault = await vaults.of(ACME)
    both = Pseudonym("EMAIL", 1, "EMAIL_1_ABCD", "Anna (ANNA@example.com)")
    other = Pseudonym("EMAIL", 2, "EMAIL_2_EFGH", "joanna@example.com")
    await vault.keep("r-1", [both, other], at_us=1)
    assert 0 == await vault.erase("")
    assert 1 == await vault.erase("anna@example.com")
    assert [other] == (await vault.known("r-1")).pseudonyms


async def test_a_purge_by_age_spares_what_is_still_needed(vaults: Vaults) -> None:
    """A run that waits for a person still needs its values."""
    vault = await vaults.of(ACME)
    await vault.keep("r-1", [ANNA], at_us=10)
    await vault.keep("r-2", [ANNA, BOB], at_us=10)
    await vault.keep("r-3", [ANNA], at_us=20)
    assert 1 == await vault.purge(before_us=20, spared={"r-2"})
    assert [("r-2", 2), ("r-3", 1)] == [(each.scope, each.values) for each in await vault.held()]


async def test_one_pseudonym_of_a_batch_that_cannot_be_kept_keeps_none(vaults: Vaults) -> None:
    """Half of an event's values would make an event that is half restored."""
    vault = await vaults.of(ACME)
    await vault.keep("r-1", [ANNA], at_us=1)
    with pytest.raises(Exception, match="UNIQUE"):
        await vault.keep("r-1", [BOB, ANNA], at_us=2)
    assert [ANNA] == (await vault.known("r-1")).pseudonyms
