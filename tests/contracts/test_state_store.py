"""What every StateStore promises: the journal on disk, plain and encrypted, and the one in memory."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from runtime.domain.canonical import Json
from runtime.domain.command import AwaitSignal, FinishRun, SetTimer, StartStep
from runtime.domain.event import CancelRequested, RunStarted, SignalReceived, StepSucceeded
from runtime.domain.ids import DefinitionHash, StepId
from runtime.domain.journal import Body, read
from runtime.errors import Conflict, Invalid, NotFound, SequenceConflict
from runtime.ports import StateStore
from runtime.store.journal import Journal, journal_database
from runtime.store.key import Key
from runtime.store.lock import hold
from runtime.store.volatile import VolatileStore
from tests.runtime.store.samples import DEFINITION, NOON_US, begin, beginning, entries, run_id, step, take

KEYS = {"sqlite": None, "encrypted": Key("0123456789abcdef" * 4)}
PATIENCE_S = 60


@pytest.fixture(params=["sqlite", "encrypted", "volatile"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StateStore]:
    if request.param == "volatile":
        yield VolatileStore()
    else:
        async with _journal(tmp_path, KEYS[request.param]) as journal:
            yield journal


@asynccontextmanager
async def _journal(folder: Path, key: Key | None) -> AsyncIterator[StateStore]:
    with hold(folder, what="test", now_us=NOON_US) as lock:
        database = journal_database(folder, lock=lock, key=key)
        await database.start()
        try:
            yield Journal(database)
        finally:
            await database.stop()


async def test_what_is_appended_is_read_back(store: StateStore) -> None:
    """The journal is the only memory of a run."""
    first, second = beginning(input={"message": "hello"}), step(2, output={"label": "cards"})
    assert await store.append(run_id(1), 0, first) == 2
    assert await store.append(run_id(1), 2, second) == 4
    assert [*first, *second] == [read(row) for row in await store.read(run_id(1))]


@pytest.mark.parametrize(
    "output",
    [None, "", "\x00 \u2028 \U0001f3e6 é", 2**53 - 1, -0.5, 1e300, [], {}, {"ключ": [{"a": None}]}, "x" * 1_000_000],
)
async def test_every_json_value_survives(store: StateStore, output: Json) -> None:
    """Outputs come from models and strangers' programs."""
    await begin(store, 1)
    appended = step(2, output=output)
    await store.append(run_id(1), 2, appended)
    assert appended == [read(row) for row in await store.read(run_id(1), after_seq=2)]


async def test_reading_goes_on_behind_a_sequence_number(store: StateStore) -> None:
    """A long journal is read in pages."""
    run = await begin(store, 1)
    await store.append(run, 2, step(2))
    assert [2, 3] == [row.seq for row in await store.read(run, after_seq=1, limit=2)]
    assert [] == list(await store.read(run, after_seq=4))
    assert [] == list(await store.read(run_id(2)))


@pytest.mark.parametrize(("expected", "appended"), [(0, beginning()), (1, step(1)), (3, step(3)), (4, step(4))])
async def test_an_append_to_another_place_changes_nothing(
    store: StateStore, expected: int, appended: Sequence[object]
) -> None:
    """Of two deciders only one may be right about where the journal ends."""
    run = await begin(store, 1)
    with pytest.raises(SequenceConflict) as refused:
        await store.append(run, expected, appended)  # type: ignore[arg-type]  # they are entries
    assert {"run": run, "expected": expected, "found": 2} == refused.value.facts
    assert 2 == len(await store.read(run))


async def test_a_run_that_never_began_takes_no_entries(store: StateStore) -> None:
    """A step of no run would never be folded."""
    with pytest.raises(SequenceConflict, match="at sequence 0, not 2"):
        await store.append(run_id(1), 2, step(2))
    with pytest.raises(NotFound):
        await store.run(run_id(1))


@pytest.mark.parametrize(
    ("expected_seq", "appended", "key"),
    [
        (2, [], None),
        (2, step(3), None),
        (2, [*step(2), *step(2)], None),
        (0, step(0), None),
        (2, entries(2, RunStarted(workflow="w", definition=DEFINITION, input=None)), None),
        (2, step(2), "key"),
    ],
)
async def test_malformed_appends_are_refused(
    store: StateStore, expected_seq: int, appended: Sequence[object], key: str | None
) -> None:
    """A gap, a second beginning or a late key could not be told from damage afterwards."""
    run = await begin(store, 1)
    with pytest.raises(Invalid):
        await store.append(run, expected_seq, appended, idempotency_key=key)  # type: ignore[arg-type]  # as above
    assert 2 == len(await store.read(run))


async def test_an_append_that_fails_does_not_hurt_its_neighbours(store: StateStore) -> None:
    """Appends of one instant share a transaction."""
    for number in range(3):
        await begin(store, number)
    outcomes = await asyncio.gather(
        store.append(run_id(0), 2, step(2)),
        store.append(run_id(1), 0, beginning()),
        store.append(run_id(1), 2, step(2, output=math.nan)),
        store.append(run_id(2), 2, step(2)),
        return_exceptions=True,
    )
    assert [int, SequenceConflict, Invalid, int] == [type(outcome) for outcome in outcomes]
    assert [4, 2, 4] == [(await store.run(run_id(number))).seq for number in range(3)]


async def test_of_many_at_one_place_one_wins(store: StateStore) -> None:
    """Fifty answers to one step make one decision."""
    run = await begin(store, 1)
    outcomes = await asyncio.gather(*(store.append(run, 2, step(2)) for _ in range(50)), return_exceptions=True)
    assert 1 == outcomes.count(4)
    assert 49 == sum(isinstance(outcome, SequenceConflict) for outcome in outcomes)
    assert 4 == len(await store.read(run))


async def test_an_idempotency_key_has_one_run(store: StateStore) -> None:
    """A client that repeats its request gets the run that it already has."""
    numbers = range(20)
    outcomes = await asyncio.gather(
        *(begin(store, number, key="order-17") for number in numbers), return_exceptions=True
    )
    started = [outcome for outcome in outcomes if isinstance(outcome, str)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert (1, 19) == (len(started), len(refused))
    assert {started[0]} == {conflict.facts["run"] for conflict in refused}
    assert started[0] == await store.run_by_key("order-17")
    assert started == [summary.run for summary in await store.runs()]
    assert await store.run_by_key("order-18") is None


@pytest.mark.parametrize(
    ("decisions", "status"),
    [
        ([], "running"),
        ([[AwaitSignal(step=StepId("ask"), signal="yes")]], "waiting"),
        ([[SetTimer(timer="run", delay_ms=1), AwaitSignal(step=StepId("ask"), signal="yes")]], "waiting"),
        ([[AwaitSignal(step=StepId("ask"), signal="yes")], [SignalReceived(name="no")]], "waiting"),
        (
            [
                [AwaitSignal(step=StepId("ask"), signal="yes")],
                [SignalReceived(name="yes"), StartStep(step=StepId("act"))],
            ],
            "running",
        ),
        ([[FinishRun(status="failed")]], "failed"),
        ([[CancelRequested(), FinishRun(status="cancelled")]], "cancelled"),
        ([[StepSucceeded(step=StepId("classify"), output=1), FinishRun(status="succeeded")]], "succeeded"),
    ],
)
async def test_a_run_has_the_status_of_its_last_command(
    store: StateStore, decisions: Sequence[Sequence[Body]], status: str
) -> None:
    """Recovery asks for the open runs alone; it must not fold all others to find them."""
    run = await begin(store, 1)
    seq = 2
    for bodies in decisions:
        seq = await store.append(run, seq, entries(seq, *bodies, at_us=NOON_US + seq))
    summary = await store.run(run)
    assert (status, seq) == (summary.status, summary.seq)
    assert [summary] == list(await store.runs(status=[status]))
    assert [] == list(await store.runs(status=["new"]))


async def test_a_run_is_summed_up(store: StateStore) -> None:
    """A list of runs is shown without reading one journal."""
    run = await begin(store, 1)
    await store.append(run, 2, step(2, at_us=NOON_US + 7))
    summary = await store.run(run)
    assert ("support", DEFINITION, "default") == (summary.workflow, summary.definition, summary.tenant)
    assert (NOON_US, NOON_US + 7, 4) == (summary.created_us, summary.updated_us, summary.seq)


async def test_runs_are_listed_newest_first_in_pages(store: StateStore) -> None:
    """The newest is what somebody looks for."""
    for number in range(5):
        await begin(store, number, workflow="even" if number % 2 == 0 else "odd")
    await store.append(run_id(2), 2, entries(2, FinishRun(status="succeeded")))

    async def listed(**wanted: object) -> list[int]:
        return [int(summary.run[2:]) for summary in await store.runs(**wanted)]  # type: ignore[arg-type]

    assert [4, 3, 2, 1, 0] == await listed()
    assert [4, 3] == await listed(limit=2)
    assert [2, 1] == await listed(limit=2, before=run_id(3))
    assert [4, 2, 0] == await listed(workflow="even")
    assert [4, 0] == await listed(workflow="even", status=["running", "waiting"])
    assert [4, 3, 2, 1] == await listed(status=["succeeded", "running", "running"], limit=4)
    assert [] == await listed(status=["failed"])
    with pytest.raises(NotFound):
        await listed(before=run_id(9))


async def test_followers_see_every_row_in_the_order_of_the_commits(store: StateStore) -> None:
    """What is published, streamed and counted comes from here: a row that is missed is missed for good."""
    for number in range(3):
        await begin(store, number)
    async with aclosing(store.follow(0)) as early, aclosing(store.follow(4)) as late:  # type: ignore[type-var]
        async with asyncio.timeout(PATIENCE_S):
            known = await take(early, 6)
            newer = asyncio.create_task(take(early, 6))
            newest = asyncio.create_task(take(late, 8))
            await asyncio.gather(*(store.append(run_id(number), 2, step(2)) for number in range(3)))
            seen = [*known, *await newer]
            assert seen[4:] == await newest
    assert list(range(1, 13)) == [cursor for cursor, _ in seen]
    assert 12 == await store.head()
    for number in range(3):
        assert list(await store.read(run_id(number))) == [row for _, row in seen if row.run == run_id(number)]


async def test_following_pages_through_a_long_journal(store: StateStore) -> None:
    """A follower that starts from the beginning gets years of rows."""
    run, seq = await begin(store, 1), 2
    for _ in range(12):
        bodies = [StartStep(step=StepId(f"s{number}")) for number in range(100)]
        seq = await store.append(run, seq, entries(seq, *bodies))
    async with aclosing(store.follow()) as rows:  # type: ignore[type-var]  # it is a generator
        async with asyncio.timeout(PATIENCE_S):
            assert list(range(1, seq + 1)) == [cursor for cursor, _ in await take(rows, seq)]


async def test_an_empty_journal_begins_at_zero(store: StateStore) -> None:
    """Nothing was yet committed."""
    assert 0 == await store.head()
    assert [] == list(await store.runs())


async def test_definitions_are_kept_by_hash(store: StateStore) -> None:
    """A run goes on with the definition that it began with, whatever its name means today."""
    old, new = DefinitionHash("sha256:" + "1" * 64), DefinitionHash("sha256:" + "2" * 64)
    await store.save_definition(old, "support", b'{"v":1}', NOON_US)
    await store.save_definition(new, "support", b'{"v":2}', NOON_US + 1)
    await store.save_definition(new, "support", b'{"v":2}', NOON_US + 2)
    assert ("support", b'{"v":1}') == await store.definition(old)
    assert [("support", new, NOON_US + 1), ("support", old, NOON_US)] == list(await store.definitions())
    with pytest.raises(NotFound):
        await store.definition(DefinitionHash("sha256:" + "3" * 64))


async def test_a_definition_that_is_saved_again_is_the_newest_again(store: StateStore) -> None:
    """Somebody who goes back to yesterday's file wants yesterday's workflow."""
    old, new = DefinitionHash("sha256:" + "1" * 64), DefinitionHash("sha256:" + "2" * 64)
    for at, definition in enumerate([old, new, old]):
        await store.save_definition(definition, "support", b"{}", NOON_US + at)
    assert [("support", old, NOON_US + 2), ("support", new, NOON_US + 1)] == list(await store.definitions())


async def test_project_files_are_kept_once_by_their_content(store: StateStore) -> None:
    """Definitions that differ in one file share all the others."""
    shared, own = b"\x00shared\n", b""
    hashes = [sha256(content).hexdigest() for content in (shared, own)]
    assert set(hashes) == await store.missing_files(hashes)
    await store.save_definition(DefinitionHash("sha256:" + "1" * 64), "support", b"{}", NOON_US, files=[shared])
    assert {hashes[1]} == await store.missing_files([*hashes, hashes[0]])
    for _ in range(2):
        await store.save_definition(DefinitionHash("sha256:" + "2" * 64), "other", b"{}", NOON_US, files=[shared, own])
    assert [shared, own] == [await store.file(digest) for digest in hashes]
    assert frozenset() == await store.missing_files(hashes)
    with pytest.raises(NotFound, match=r"definition\.no_file"):
        await store.file("0" * 64)
