"""Kept answers: equal questions are asked once, and a kept answer is never somebody else's."""

import asyncio

import pytest
from msgspec.structs import replace

from models.gateway import Gateway, GatewayOptions
from models.kept import KeptAnswers, key_of
from models.remote import backend_for
from models.servers import ModelServer
from redaction.doors.http import HttpDoor
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from runtime.domain.chat import ChatMessage, ChatReply, ChatRequest
from runtime.domain.egress import Sender, ZoneRule
from runtime.domain.ids import TenantId
from runtime.errors import Refused, Unavailable
from tests.models.stand_in import StandIn, stand_in

ASKED = ChatRequest(provider="vllm", model="", messages=(ChatMessage("user", "what is a metre"),), max_tokens=8)


def answer(text: str = "a hundred centimetres") -> ChatReply:
    return ChatReply(
        text=text, finish_reason="stop", input_tokens=1, output_tokens=1, backend="b", model="m", fingerprint="f"
    )


class Asked:
    """Counts how often it is asked, and answers when it is let."""

    def __init__(self) -> None:
        self.times = 0
        self.may_answer = asyncio.Event()
        self.was_cancelled = False

    async def __call__(self) -> ChatReply:
        self.times += 1
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return answer()


async def waiting(kept: KeptAnswers, ask: Asked, count: int) -> list[asyncio.Task[ChatReply]]:
    tasks = [asyncio.create_task(kept.answer(b"key", ask)) for _ in range(count)]
    await asyncio.wait(tasks, timeout=0)
    return tasks


async def test_equal_questions_in_flight_are_asked_once() -> None:
    kept, ask = KeptAnswers(ttl_s=0, max_bytes=0), Asked()
    tasks = await waiting(kept, ask, 5)
    ask.may_answer.set()
    assert {reply.text for reply in await asyncio.gather(*tasks)} == {answer().text}
    assert ask.times == 1
    assert ["counted", *["kept"] * 4] == [task.result().usage for task in tasks]
    assert tasks[1].result().route == "an equal question's answer; b m"
    await kept.answer(b"key", ask)
    assert ask.times == 2, "nothing is kept without a time to keep it"


async def test_one_who_hangs_up_leaves_the_others_their_answer() -> None:
    kept, ask = KeptAnswers(ttl_s=0, max_bytes=0), Asked()
    first, second = await waiting(kept, ask, 2)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    ask.may_answer.set()
    assert (await second).text == answer().text
    assert not ask.was_cancelled


async def test_the_last_who_hangs_up_ends_the_question() -> None:
    kept, ask = KeptAnswers(ttl_s=0, max_bytes=0), Asked()
    tasks = await waiting(kept, ask, 2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert ask.was_cancelled


async def test_nobody_joins_a_question_that_is_being_given_up() -> None:
    """A worker takes a moment to stop, and whoever asks meanwhile has not hung up."""
    kept, ask, may_end, asked_again = KeptAnswers(ttl_s=0, max_bytes=0), Asked(), asyncio.Event(), Asked()

    async def ends_slowly() -> ChatReply:
        try:
            return await ask()
        finally:
            await may_end.wait()

    leaving = asyncio.create_task(kept.answer(b"key", ends_slowly))
    await asyncio.wait({leaving}, timeout=0)
    leaving.cancel()
    await asyncio.wait({leaving}, timeout=0)
    asked_again.may_answer.set()
    staying = asyncio.create_task(kept.answer(b"key", asked_again))
    await asyncio.wait({staying}, timeout=0)
    may_end.set()
    assert (await staying).text == answer().text
    await asyncio.gather(leaving, return_exceptions=True)
    assert leaving.cancelled()


async def test_what_is_refused_to_one_is_not_refused_to_another() -> None:
    """A run whose budget is used up would take another run's answer along."""
    kept, may_end = KeptAnswers(ttl_s=0, max_bytes=0), asyncio.Event()

    async def refused() -> ChatReply:
        await may_end.wait()
        raise Refused("budget.exceeded", "the budget of the first")

    async def allowed() -> ChatReply:
        return answer()

    first = asyncio.create_task(kept.answer(b"key", refused))
    await asyncio.wait({first}, timeout=0)
    second = asyncio.create_task(kept.answer(b"key", allowed))
    await asyncio.wait({second}, timeout=0)
    may_end.set()
    assert (await second).text == answer().text
    with pytest.raises(Refused, match="the budget of the first"):
        await first


async def test_a_failure_is_everybodys_and_is_not_kept() -> None:
    kept = KeptAnswers(ttl_s=60, max_bytes=1_000)
    times = 0

    async def fail() -> ChatReply:
        nonlocal times
        times += 1
        raise Unavailable("http.unreachable", "gone")

    outcomes = await asyncio.gather(*(kept.answer(b"key", fail) for _ in range(3)), return_exceptions=True)
    assert [getattr(outcome, "code", "") for outcome in outcomes] == ["http.unreachable"] * 3
    with pytest.raises(Unavailable):
        await kept.answer(b"key", fail)
    assert times == 2


def test_answers_are_kept_for_their_time_and_within_their_room() -> None:
    now = 0.0
    kept = KeptAnswers(ttl_s=10, max_bytes=600, now=lambda: now)
    for number in range(4):
        kept.keep(bytes([number]), answer("x" * 100))
    assert [kept.find(bytes([number])) is not None for number in range(4)] == [False, False, True, True]
    now = 10.0
    assert kept.find(b"\3") is None


def test_a_key_names_everything_that_could_make_a_difference() -> None:
    other = [
        replace(ASKED, seed=1),
        replace(ASKED, max_tokens=9),
        replace(ASKED, messages=(ChatMessage("system", "what is a metre"),)),
        replace(ASKED, options={"a": 1}),
    ]
    assert len({key_of(each, "t") for each in [ASKED, *other]} | {key_of(ASKED, "u"), key_of(ASKED, "t", "")}) == 7


async def asked_in_turn(senders: list[Sender], *, temperature: float = 0.0) -> StandIn:
    """What a server saw of the same question by several senders, answers being kept."""
    async with stand_in() as server:
        settings = ModelServer(name="vllm", url=server.url, models=("m",))
        door = HttpDoor()
        options = GatewayOptions(cache_ttl_s=60)
        gateway = Gateway([backend_for(settings, door)], Guard(EgressPolicy()), servers=[settings], options=options)
        for sender in senders:
            await gateway.complete(replace(ASKED, temperature=temperature), sender=sender)
        await door.stop()
    return server


@pytest.mark.parametrize(
    ("senders", "times"),
    [
        ([Sender(run="r-1"), Sender(run="r-1")], 1),
        ([Sender(run="r-1"), Sender(run="r-2")], 2),  # values were exchanged by the run's own pseudonyms
        ([Sender(tenant=TenantId("a")), Sender(tenant=TenantId("b"))], 2),
        ([Sender(purpose="agent 'a'"), Sender(purpose="agent 'b'")], 1),
    ],
    ids=["same-run", "other-run", "other-tenant", "other-agent"],
)
async def test_no_answer_is_somebody_elses(senders: list[Sender], times: int) -> None:
    assert len((await asked_in_turn(senders)).asked) == times


async def test_an_answer_by_chance_is_not_kept() -> None:
    assert len((await asked_in_turn([Sender(), Sender()], temperature=0.7)).asked) == 2


async def test_a_kept_answer_does_not_weaken_residency() -> None:
    """Whoever may not ask there does not get what somebody else was told."""
    forbidden = Sender(zone_rules=(ZoneRule("policies.residency of agent 'b'", ("local",)),))
    with pytest.raises(Refused, match=r"egress\.zone_refused"):
        await asked_in_turn([Sender(), forbidden])
