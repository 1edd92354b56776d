"""Minimisation of values: pseudonyms that hold over restarts, and nothing is kept that was not looked through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redaction.minimise import VaultMinimiser
from redaction.persist import ONE_WAY, persist_policy
from redaction.presets import PRESETS, RedactionPolicy
from runtime.domain.canonical import Json, encode
from runtime.domain.ids import RunId, TenantId
from runtime.domain.minimise import Holder, of_run
from runtime.errors import AgentFlowError, Refused
from runtime.store.lock import DataLock, hold
from runtime.store.vaults import Vaults

POLICY = PRESETS["default"].patterns_only()
ACME, SPY = TenantId("acme"), TenantId("spy")
RUN = of_run(ACME, RunId("r-1"))
MAIL, CARD = "anna.kovacs@example.com", "4111 1111 1111 1111"


@pytest.fixture
def lock(tmp_path: Path) -> DataLock:
    return hold(tmp_path, what="test", now_us=0)


@asynccontextmanager
async def minimising(
    folder: Path, lock: DataLock | None, policy: RedactionPolicy | None = POLICY
) -> AsyncIterator[VaultMinimiser]:
    vaults = Vaults(folder, lock=lock, key=None)
    minimiser = VaultMinimiser(vaults, is_always=True, policies={"journal": policy, "memory": policy}, now_us=lambda: 1)
    try:
        yield minimiser
    finally:
        minimiser.stop()
        await vaults.stop()


async def test_what_is_kept_holds_no_value_and_restores_to_it(tmp_path: Path, lock: DataLock) -> None:
    """Agents work with the values, the journal never sees them."""
    said: Json = {"message": f"I am {MAIL}", "card": CARD, "account_number": 12345678, "n": 7, "list": [MAIL]}
    async with minimising(tmp_path, lock) as minimiser:
        kept = await minimiser.kept(RUN, said)
        assert b"anna" not in encode(kept)
        assert b"4111" not in encode(kept)
        assert b"12345678" not in encode(kept)
        assert said == await minimiser.restored(RUN, kept)


async def test_a_restart_gives_no_value_a_second_pseudonym(tmp_path: Path, lock: DataLock) -> None:
    """A journal in which one person has two names cannot be understood."""
    async with minimising(tmp_path, lock) as minimiser:
        first = await minimiser.kept(RUN, f"{MAIL} wrote")
    async with minimising(tmp_path, lock) as minimiser:
        assert first == await minimiser.kept(RUN, f"{MAIL} wrote")
        other = await minimiser.kept(RUN, "bob@example.org wrote")
        assert first != other
        assert f"{MAIL} wrote" == await minimiser.restored(RUN, first)


async def test_another_tenant_and_another_run_restore_nothing(tmp_path: Path, lock: DataLock) -> None:
    """A pseudonym that somebody copies out of a journal must be worth nothing elsewhere."""
    async with minimising(tmp_path, lock) as minimiser:
        kept = await minimiser.kept(RUN, MAIL)
        assert kept == await minimiser.restored(of_run(SPY, RunId("r-1")), kept)
        assert kept == await minimiser.restored(of_run(ACME, RunId("r-2")), kept)
        assert kept == await minimiser.restored(Holder(ACME, "memory", "r-1"), kept)


async def test_many_callers_of_one_run_agree(tmp_path: Path, lock: DataLock) -> None:
    """Steps of one run end at the same time."""
    async with minimising(tmp_path, lock) as minimiser:
        found = await asyncio.gather(*(minimiser.kept(RUN, [MAIL, f"n{n % 3}@example.com"]) for n in range(12)))
    assert 1 == len({encode(each[0]) for each in found})  # type: ignore[index]  # lists
    assert 3 == len({encode(each[1]) for each in found})  # type: ignore[index]


async def test_comparing_keeps_nothing(tmp_path: Path, lock: DataLock) -> None:
    """A request that is compared with another one's run is not that run's data."""
    async with minimising(tmp_path, lock) as minimiser:
        kept = await minimiser.kept(RUN, MAIL)
        assert kept == await minimiser.compared(RUN, MAIL)
        unknown = await minimiser.compared(RUN, "bob@example.org")
        assert unknown not in (kept, "bob@example.org")
        assert unknown == await minimiser.restored(RUN, unknown)


async def test_an_erased_value_is_gone_and_its_pseudonym_names_nobody_else(tmp_path: Path, lock: DataLock) -> None:
    """Erasing a subject must not make the journal say something else about another one."""
    async with minimising(tmp_path, lock) as minimiser:
        kept = await minimiser.kept(RUN, MAIL)
        assert 1 == await minimiser.erase(ACME, MAIL)
        assert kept == await minimiser.restored(RUN, kept)
        later = await minimiser.kept(RUN, "bob@example.org")
        assert kept != later
        assert kept == await minimiser.restored(RUN, kept)
        assert "bob@example.org" == await minimiser.restored(RUN, later)


async def test_a_purge_takes_a_runs_values(tmp_path: Path, lock: DataLock) -> None:
    """What nobody needs any more is not kept; other runs keep theirs."""
    other = of_run(ACME, RunId("r-2"))
    async with minimising(tmp_path, lock) as minimiser:
        kept, others = await minimiser.kept(RUN, MAIL), await minimiser.kept(other, MAIL)
        assert 1 == await minimiser.purge(ACME, scopes=["r-1"])
        assert kept == await minimiser.restored(RUN, kept)
        assert MAIL == await minimiser.restored(other, others)


async def test_secrets_are_left_out_for_good(tmp_path: Path, lock: DataLock) -> None:
    """A password is nobody's data to come back."""
    async with minimising(tmp_path, lock) as minimiser:
        kept = await minimiser.kept(RUN, {"password": "hunter2-Xy9!"})
        assert {"password": "[PASSWORD]"} == kept == await minimiser.restored(RUN, kept)


async def test_what_a_policy_blocks_is_refused(tmp_path: Path, lock: DataLock) -> None:
    """The message names the policy and what it found, never the value."""
    async with minimising(tmp_path, lock, PRESETS["strict"].patterns_only()) as minimiser:
        with pytest.raises(Refused, match=r"minimise\.blocked.*'strict'.*PASSWORD") as refused:
            await minimiser.kept(RUN, {"password": "hunter2-Xy9!"})
        assert "hunter2" not in str(refused.value)


async def test_what_cannot_be_looked_through_is_refused(tmp_path: Path, lock: DataLock) -> None:
    """Nothing is kept that nobody has seen."""
    deep: Json = MAIL
    for _ in range(250):
        deep = [deep]
    async with minimising(tmp_path, lock) as minimiser:
        with pytest.raises(Refused):
            await minimiser.kept(RUN, deep)


async def test_a_policy_that_wants_names_fails_where_nobody_looks_for_them(tmp_path: Path, lock: DataLock) -> None:
    """Patterns alone would let names through."""
    async with minimising(tmp_path, lock, PRESETS["default"]) as minimiser:
        with pytest.raises(AgentFlowError, match=r"redaction\.unavailable"):
            await minimiser.kept(RUN, "Anna wrote")


async def test_a_redactor_that_fails_lets_nothing_through(
    tmp_path: Path, lock: DataLock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong in it, nothing is kept, and neither message nor log quotes what it was."""

    def fails(*_: object) -> None:
        raise RuntimeError(f"cannot look at {MAIL}")

    monkeypatch.setattr("redaction.minimise.redact_payload", fails)
    async with minimising(tmp_path, lock) as minimiser:
        with pytest.raises(Refused, match=r"minimise\.failed.*RuntimeError") as refused:
            await minimiser.kept(RUN, MAIL)
    assert MAIL not in str(refused.value) + caplog.text


async def test_a_vault_that_takes_no_rows_gives_no_pseudonym(tmp_path: Path, lock: DataLock) -> None:
    """A pseudonym whose value is not durable would never be restored."""
    async with minimising(tmp_path, lock) as minimiser:
        first = await minimiser.kept(RUN, MAIL)
    async with minimising(tmp_path, None) as minimiser:
        with pytest.raises(AgentFlowError, match=r"store\.reader"):
            await minimiser.kept(RUN, f"{MAIL} and bob@example.org")
        assert first == await minimiser.compared(RUN, MAIL)


async def test_a_place_without_a_policy_is_kept_as_it_is(tmp_path: Path, lock: DataLock) -> None:
    """An operator may minimise memory alone; no vault is made for nothing."""
    async with minimising(tmp_path, lock, None) as minimiser:
        assert MAIL == await minimiser.kept(RUN, MAIL) == await minimiser.restored(RUN, MAIL)
    assert not list(tmp_path.glob("vault*"))


_PIECES = st.sampled_from(
    [MAIL, CARD, "bob@example.org", "GB29 NWBK 6016 1331 9268 19", "order 7", "a", " and ", "<b>"]
)
_TEXTS = st.lists(_PIECES, max_size=4).map(" ".join)
_VALUES = st.recursive(
    _TEXTS | st.integers(-(10**6), 10**6) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "email", "note"]), inner),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(_VALUES, min_size=1, max_size=4))
async def test_restoring_what_was_kept_gives_it_back(tmp_path: Path, lock: DataLock, values: list[Json]) -> None:
    """Whatever agents are given is what was said, over any restart in between."""
    holder = of_run(ACME, RunId(f"r-{len(list(tmp_path.iterdir()))}-{hash(encode(values))}"))
    kept = []
    for value in values:
        async with minimising(tmp_path, lock) as minimiser:
            kept.append(await minimiser.kept(holder, value))
    assert not [each for each in (b"anna", b"4111", b"bob@", b"NWBK") if each in encode(kept)]
    async with minimising(tmp_path, lock) as minimiser:
        assert values == [await minimiser.restored(holder, each) for each in kept]


def test_only_what_is_said_of_persisting_counts_for_it() -> None:
    """`*: none` allows everything to leave; it must not undo what was asked for what is kept."""
    own = {"*": None, "persist/memory": None, "persist/*": PRESETS["phi"]}
    assert persist_policy("memory", own) is None
    assert PRESETS["phi"] is persist_policy("journal", own)
    assert PRESETS["default"] is persist_policy("journal", {"*": None})
    assert ONE_WAY is persist_policy("log", {})
    assert PRESETS["secrets-only"] is persist_policy("log", {}, is_minimised=False)
    assert persist_policy("memory", {}, is_minimised=False) is None


def test_a_log_lets_nothing_of_a_person_through() -> None:
    """A log is read by people who have no business with customers."""
    assert {"replace"} == {ONE_WAY.action(entity) for entity in ("EMAIL", "PASSWORD", "BINARY", "PERSON")}
