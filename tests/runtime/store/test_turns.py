"""What the store of sessions promises, on a plain file and an encrypted one."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from runtime.domain.ids import RunId, StepId, TenantId
from runtime.domain.memory import Session, Turn
from runtime.store import lock
from runtime.store.key import Key
from runtime.store.memory import Memory
from runtime.store.turns import Turns

ACME, GLOBEX = TenantId("acme"), TenantId("globex")
SECRET = "what nobody else may read"


def session(tenant: TenantId = ACME, *, workflow: str = "chat", agent: str = "a", name: str = "s") -> Session:
    return Session(tenant=tenant, workflow=workflow, agent=agent, name=name)


def turn(number: int, *, asked: str = "", step: str = "a") -> Turn:
    return Turn(
        run=RunId(f"r-{number}"), step=StepId(step), at_us=number, asked=asked or f"q{number}", answered=f"a{number}"
    )


async def say(store: Turns, where: Session, said: Turn, *, expires_us: int = 1_000, most: int = 20) -> None:
    await store.offer(where, said, expires_us=expires_us)
    await store.keep(where, said, most=most)


def asked(turns: Sequence[Turn]) -> list[str]:
    return [each.asked for each in turns]


@pytest.fixture(params=["plain", "encrypted"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Turns]:
    key = Key("ab" * 32) if request.param == "encrypted" else None
    with lock.hold(tmp_path / "data", what="test", now_us=0) as held:
        memory = Memory(tmp_path / "data" / "memory.db", lock=held, key=key)
        await memory.start()
        yield memory.turns
        await memory.stop()


async def test_turns_come_whole_and_oldest_first(store: Turns) -> None:
    for number in (2, 1, 3):
        await say(store, session(), turn(number))
    assert [turn(1), turn(2), turn(3)] == list(await store.of(session()))


async def test_what_is_offered_does_not_count_before_it_is_kept(store: Turns) -> None:
    await store.offer(session(), turn(1), expires_us=1_000)
    assert [] == list(await store.of(session()))
    assert [] == list(await store.sessions(ACME, now_us=0))
    assert [(session(), turn(1))] == list(await store.offered())
    await store.keep(session(), turn(1), most=20)
    assert [turn(1)] == list(await store.of(session()))
    assert [] == list(await store.offered())


async def test_a_step_has_one_turn_however_often_it_offers(store: Turns) -> None:
    for words in ("first try", "second try"):
        await store.offer(session(), turn(1, asked=words), expires_us=1_000)
    await store.keep(session(), turn(1), most=20)
    await store.keep(session(), turn(1), most=20)
    assert ["second try"] == asked(await store.of(session()))


async def test_only_the_newest_stay(store: Turns) -> None:
    for number in range(1, 6):
        await say(store, session(), turn(number), most=3)
    assert ["q3", "q4", "q5"] == asked(await store.of(session()))


async def test_nothing_reaches_another_session(store: Turns) -> None:
    """Nor another agent, workflow or tenant that calls its session the same."""
    others = [session(name="t"), session(agent="b"), session(workflow="other"), session(GLOBEX)]
    for number, each in enumerate([session(), *others]):
        await say(store, each, turn(number), most=1)
    assert ["q0"] == asked(await store.of(session()))
    assert 1 == await store.forget(session())
    assert [["q1"], ["q2"], ["q3"], ["q4"]] == [asked(await store.of(each)) for each in others]
    assert 4 == len(await store.sessions(ACME, now_us=0)) + len(await store.sessions(GLOBEX, now_us=0))


async def test_steps_of_one_name_in_two_tenants_are_two(store: Turns) -> None:
    await say(store, session(), turn(1))
    await say(store, session(GLOBEX), turn(1, asked="theirs"))
    assert (["q1"], ["theirs"]) == (asked(await store.of(session())), asked(await store.of(session(GLOBEX))))
    await store.drop(GLOBEX, RunId("r-1"), StepId("a"))
    assert (["q1"], []) == (asked(await store.of(session())), asked(await store.of(session(GLOBEX))))


async def test_what_expires_is_deleted_kept_or_not(store: Turns) -> None:
    await say(store, session(), turn(1), expires_us=10)
    await say(store, session(), turn(2), expires_us=20)
    await store.offer(session(), turn(3), expires_us=10)
    assert [] == list(await store.sessions(ACME, now_us=20))
    assert 2 == await store.expire(10)
    assert (["q2"], []) == (asked(await store.of(session())), list(await store.offered()))


async def test_sessions_are_listed_with_the_latest_first_or_by_name(store: Turns) -> None:
    for number, name in enumerate(["old", "new", "old", "new"]):
        await say(store, session(name=name), turn(number))
    held = await store.sessions(ACME, now_us=0)
    told = [(each.name, each.turns, each.first_us, each.last_us) for each in held]
    assert [("new", 2, 1, 3), ("old", 2, 0, 2)] == told
    assert ["old"] == [each.name for each in await store.sessions(ACME, now_us=0, names=("old", "none"))]


async def test_what_is_deleted_is_in_the_file_no_more(tmp_path: Path) -> None:
    """Overwritten, and not only let go for something else to be written there."""
    path = tmp_path / "data" / "memory.db"
    with lock.hold(tmp_path / "data", what="test", now_us=0) as held:
        memory = Memory(path, lock=held)
        await memory.start()
        await say(memory.turns, session(), turn(1, asked=SECRET), expires_us=10)
        await say(memory.turns, session(), turn(2, asked=SECRET))
        await memory.stop()
        assert SECRET.encode() in path.read_bytes(), "else this proves nothing"
        again = Memory(path, lock=held)
        await again.start()
        assert 1 == await again.turns.expire(10)
        assert 1 == await again.turns.forget(session())
        await again.stop()
    assert not any(SECRET.encode() in each.read_bytes() for each in path.parent.iterdir() if each.is_file())
