"""Agents that remember what was said: in one session, once for each step that succeeded, and nobody else's."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from runtime.agents.llm import LlmAgent
from runtime.domain.canonical import Json, encode, parse
from runtime.domain.chat import ChatReply, ChatRequest, EmbedReply, EmbedRequest
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.event import WhatIf
from runtime.domain.ids import DEFAULT_TENANT, AgentId, RunId, StepId, TenantId
from runtime.domain.memory import Session, Turn
from runtime.domain.workflow import AgentSpec, FsmState, Workflow
from runtime.engine.clock import ManualClock
from runtime.engine.replay import replay
from runtime.engine.runs import Engine
from runtime.errors import StepFailure
from runtime.memory.sessions import Sessions
from runtime.memory.short_term import hidden
from runtime.planners.lifecycle import planner_for
from runtime.ports import Minimiser
from runtime.store.lock import hold
from runtime.store.memory import Memory
from tests.runtime.engine.conftest import Stage, until
from tests.runtime.engine.test_minimise import MAIL, Minimised
from tests.runtime.engine.trouble import TroubledJournal

CHAT = FsmState(name="chat", on_success="done")
ACME = TenantId("acme")


class Listener:
    """A model that knows what it was told: it answers with all that the user has said, the last words first."""

    def __init__(self) -> None:
        self.failures = 0
        self.asked: list[ChatRequest] = []

    async def complete(self, request: ChatRequest, *, sender: Sender = APPLIANCE) -> ChatReply:
        self.asked.append(request)
        if self.failures:
            self.failures -= 1
            raise StepFailure("model.broken", "try again", retryable=True)
        said = [message.content for message in reversed(request.messages) if message.role == "user"]
        return ChatReply(
            text=" < ".join(said),
            finish_reason="stop",
            input_tokens=len(request.messages),
            output_tokens=1,
            backend="model.test",
            model="test",
            fingerprint="test",
        )

    async def embed(self, request: EmbedRequest, *, sender: Sender = APPLIANCE) -> EmbedReply:
        raise AssertionError("nobody embeds here")


class Chat:
    """An engine whose agent `chat` remembers."""

    def __init__(self, stage: Stage, memory: Memory) -> None:
        self.stage = stage
        self.memory = memory
        self.model = Listener()
        self.secret = ""
        stage.models = self.model
        stage.make_agent = LlmAgent
        stage.sessions = self.sessions

    def sessions(self, minimiser: Minimiser | None = None) -> Sessions:
        """What the engine has."""

        async def count(request: ChatRequest, sender: Sender) -> int:
            return sum(len(message.content.split()) for message in request.messages)

        def mask(value: Json) -> Json:
            return parse(encode(value).replace((self.secret or "\0").encode(), b"***"))

        return Sessions(self.memory.turns, clock=self.stage.clock, count=count, minimiser=minimiser, mask=mask)

    def workflow(self, *states: FsmState, **short_term: Json) -> Workflow:
        """A chat with this memory."""
        made = self.stage.workflow(*(states or (CHAT,)))
        agents = {
            name: AgentSpec(
                id=name, type="llm", role="Be kind.", prompt="{{ input.message }}", memory={"short_term": short_term}
            )
            for name in made.agents
        }
        made = msgspec.structs.replace(made, agents=agents)
        self.stage.workflows[made.hash] = made
        return made

    async def turns(self, *, tenant: TenantId = DEFAULT_TENANT, name: str = "s", agent: str = "chat") -> list[Turn]:
        return [*await self.memory.turns.of(Session(tenant=tenant, workflow="w", agent=agent, name=name))]


@pytest.fixture
async def chat(stage: Stage, tmp_path: Path) -> AsyncIterator[Chat]:
    stage.clock = ManualClock()
    with hold(tmp_path / "memory", what="test", now_us=0) as held:
        memory = Memory(tmp_path / "memory" / "memory.db", lock=held)
        await memory.start()
        yield Chat(stage, memory)
        await stage.close()
        await memory.stop()


async def say(
    engine: Engine,
    workflow: Workflow,
    message: str,
    *,
    tenant: TenantId = DEFAULT_TENANT,
    session: Json = "s",
    user: str = "",
) -> str:
    """What the agent answers."""
    given: Json = {"message": message, "session": session, "user": user}
    state = await engine.wait(await engine.submit(workflow, given, tenant=tenant))
    assert "succeeded" == state.status, state.error
    assert isinstance(state.output, dict)
    return str(state.output["text"])


async def test_what_was_said_before_stands_between_system_and_prompt(chat: Chat) -> None:
    engine, workflow = await chat.stage.engine(), chat.workflow()
    answers = [await say(engine, workflow, words) for words in ("one", "two", "three")]
    assert ["one", "two < one", "three < two < one"] == answers
    told = [(message.role, message.content) for message in chat.model.asked[-1].messages]
    assert [
        ("system", "Be kind."),
        ("user", "one"),
        ("assistant", "one"),
        ("user", "two"),
        ("assistant", "two < one"),
        ("user", "three"),
    ] == told


@pytest.mark.parametrize("session", [None, "", 7, "other"])
async def test_nothing_is_known_outside_the_session(chat: Chat, session: Json) -> None:
    engine, workflow = await chat.stage.engine(), chat.workflow()
    await say(engine, workflow, "one")
    assert "two" == await say(engine, workflow, "two", session=session)
    assert ["one"] == [turn.asked for turn in await chat.turns()]


async def test_without_a_session_nothing_is_kept(chat: Chat) -> None:
    engine, workflow = await chat.stage.engine(), chat.workflow()
    await say(engine, workflow, "one", session=None)
    assert [] == list(await chat.memory.turns.sessions(DEFAULT_TENANT, now_us=0))


async def test_the_definition_may_say_what_a_session_is(chat: Chat) -> None:
    engine, workflow = await chat.stage.engine(), chat.workflow(session="{{ input.user }}-chat")
    await say(engine, workflow, "one", user="anna")
    assert "two < one" == await say(engine, workflow, "two", user="anna", session="whatever")
    assert "three" == await say(engine, workflow, "three", user="bob")


async def test_tenants_never_meet(chat: Chat) -> None:
    """Whoever knows the name of another tenant's session learns and changes nothing."""
    engine, workflow = await chat.stage.engine(), chat.workflow(max_items=1)
    await say(engine, workflow, "ours")
    assert "theirs" == await say(engine, workflow, "theirs", tenant=ACME)
    assert "again < ours" == await say(engine, workflow, "again")
    assert ["again"] == [turn.asked for turn in await chat.turns()]
    assert ["theirs"] == [turn.asked for turn in await chat.turns(tenant=ACME)]


async def test_agents_of_one_run_have_memories_of_their_own(chat: Chat) -> None:
    engine = await chat.stage.engine()
    workflow = chat.workflow(FsmState(name="a", on_success="b"), FsmState(name="b", on_success="done"))
    await say(engine, workflow, "one")
    assert (1, 1) == (len(await chat.turns(agent="a")), len(await chat.turns(agent="b")))


async def test_a_later_visit_of_a_run_knows_the_earlier_one(chat: Chat) -> None:
    """The turn counts before the next step begins."""
    engine = await chat.stage.engine()
    loop = FsmState(name="chat", on_error="done", on_success="chat")
    workflow = msgspec.structs.replace(chat.workflow(loop, max_items=2), max_steps=3)
    chat.stage.workflows[workflow.hash] = workflow
    await engine.wait(await engine.submit(workflow, {"message": "m", "session": "s"}))
    assert [2, 4, 6] == [len(request.messages) for request in chat.model.asked]


async def test_old_turns_and_those_beyond_the_newest_are_forgotten(chat: Chat) -> None:
    engine, workflow = await chat.stage.engine(), chat.workflow(ttl_minutes=10, max_items=2)
    clock = chat.stage.clock
    assert isinstance(clock, ManualClock)
    for n in ("one", "two", "three"):
        await say(engine, workflow, n)
        clock.advance(60)
    assert "four < three < two" == await say(engine, workflow, "four")
    clock.advance(9 * 60)
    assert "five < four" == await say(engine, workflow, "five")
    clock.advance(10 * 60)
    assert "six" == await say(engine, workflow, "six")


async def test_what_is_too_old_is_deleted_within_a_minute(chat: Chat) -> None:
    """Also where nobody goes on with the session."""
    engine, workflow = await chat.stage.engine(), chat.workflow(ttl_minutes=10)
    await say(engine, workflow, "one")
    clock = chat.stage.clock
    assert isinstance(clock, ManualClock)
    sweeping = asyncio.create_task(chat.sessions().sweep_for_ever())
    for _ in range(10):
        await until(lambda: bool(clock._sleepers))
        assert ["one"] == [turn.asked for turn in await chat.turns()]
        clock.advance(60)
    await until(lambda: bool(clock._sleepers))
    assert [] == await chat.turns()
    sweeping.cancel()


async def test_the_oldest_are_cut_to_fit_the_budget_of_tokens(chat: Chat) -> None:
    engine, workflow = await chat.stage.engine(), chat.workflow(cost_budget_tokens=30)
    long = [" ".join([f"w{n}"] * 10) for n in range(3)]
    await say(engine, workflow, long[0])
    await say(engine, workflow, long[1], session="t")
    assert f"a < {long[0]}" == await say(engine, workflow, "a"), "20 tokens fit"
    assert "b < a" == await say(engine, workflow, "b"), "13 tokens fit, 33 do not"


async def test_a_retried_step_has_one_turn_and_a_failed_one_none(chat: Chat) -> None:
    engine, workflow = await chat.stage.engine(), chat.workflow()
    chat.model.failures = 1
    running = asyncio.create_task(say(engine, workflow, "one"))
    await until(lambda: bool(chat.model.asked))
    clock = chat.stage.clock
    assert isinstance(clock, ManualClock)
    while not running.done():
        await asyncio.sleep(0)
        clock.advance(1)
    assert ["one"] == [turn.asked for turn in await chat.turns()]
    chat.model.failures = 100
    failing = asyncio.create_task(engine.wait(await engine.submit(workflow, {"message": "two", "session": "s"})))
    while not failing.done():
        await asyncio.sleep(0)
        clock.advance(1)
    assert "failed" == failing.result().status
    assert (["one"], []) == ([turn.asked for turn in await chat.turns()], list(await chat.memory.turns.offered()))


async def test_evidence_and_replay_say_what_was_known_without_its_words(chat: Chat) -> None:
    engine, workflow = await chat.stage.engine(), chat.workflow()
    await say(engine, workflow, "one")
    run = await engine.submit(workflow, {"message": "two", "session": "s"})
    evidence = (await engine.wait(run)).steps[StepId("chat")].evidence
    assert evidence is not None
    told = evidence["session"]
    assert isinstance(told, dict)
    assert 1 == told["turns"]
    assert re.fullmatch(r"\['[0-9a-f]{16}'\]", str(told["sha256"]))
    asked = len(chat.model.asked)
    assert None is replay(run, await engine.entries(run), planner_for(workflow)).divergence
    assert (asked, 2) == (len(chat.model.asked), len(await chat.turns()))


async def test_a_what_if_knows_what_was_said_before_its_origin_and_says_nothing(chat: Chat) -> None:
    engine, workflow = await chat.stage.engine(), chat.workflow()
    await say(engine, workflow, "one")
    origin = await engine.submit(workflow, {"message": "two", "session": "s"})
    await engine.wait(origin)
    await say(engine, workflow, "three")
    supposed = WhatIf(run=origin, at=1, values={"changes": [["input", ["message"], "TWO"]]}, answers="live")
    state = await engine.wait(await engine.submit_what_if(workflow, supposed))
    assert {"text": "TWO < one"} == state.output
    assert ["one", "two", "three"] == [turn.asked for turn in await chat.turns()]
    assert [] == list(await chat.memory.turns.offered())


async def test_known_secrets_are_not_remembered(chat: Chat) -> None:
    engine, workflow = await chat.stage.engine(), chat.workflow()
    chat.secret = "s3cr3t"
    await say(engine, workflow, "my key is s3cr3t")
    assert [("my key is ***", "my key is ***")] == [(turn.asked, turn.answered) for turn in await chat.turns()]


async def test_minimised_workflows_remember_pseudonyms_and_say_values(chat: Chat, tmp_path: Path) -> None:
    """The name of the session may be somebody's too, and the input of the run does not have it."""
    minimised = Minimised(chat.stage)
    engine, workflow = await chat.stage.engine(), chat.workflow()
    await say(engine, workflow, f"I am {MAIL}", session=MAIL)
    await say(engine, workflow, "who am I", session=MAIL)
    told = [message.content for message in chat.model.asked[-1].messages]
    assert ["Be kind.", f"I am {MAIL}", f"I am {MAIL}", "who am I"] == told
    first, second = await chat.turns(name=hidden(MAIL))
    assert re.fullmatch(r"I am <EMAIL_1_[A-Z2-7]{4}>", first.asked)
    assert re.fullmatch(r"who am I < I am <EMAIL_\d_[A-Z2-7]{4}>", second.answered)
    await minimised.close()
    written = [path.read_bytes() for path in (tmp_path / "memory").iterdir() if path.is_file()]
    assert MAIL.encode() not in b"".join(written)


OTHER = "bob@example.org"


async def test_sessions_whose_names_are_taken_out_do_not_become_one(chat: Chat) -> None:
    """`[TOKEN]` stands in the journal for many names, and is none itself."""
    minimised = Minimised(chat.stage)
    engine, workflow = await chat.stage.engine(), chat.workflow()
    await say(engine, workflow, "one", session=MAIL)
    run = await engine.submit(workflow, {"message": "two", "session": OTHER})
    state = await engine.wait(run)
    assert ({"message": "two", "session": "[TOKEN]"}, hidden(OTHER)) == (state.input, state.session)
    assert {"text": "two"} == state.output
    supposed = WhatIf(run=run, at=1, values={"changes": [["input", ["message"], "TWO"]]}, answers="live")
    assert {"text": "TWO"} == (await engine.wait(await engine.submit_what_if(workflow, supposed))).output
    own = chat.workflow(session="{{ input.session }} of {{ input.user }}")
    for name in (MAIL, OTHER):
        assert name[:3] == await say(engine, own, name[:3], session=name, user="u")
    assert {hidden(MAIL), hidden(OTHER)} == {
        each.name for each in await chat.memory.turns.sessions(DEFAULT_TENANT, now_us=0)
    }
    await minimised.close()


async def stopped_between(chat: Chat, *, is_answered: bool) -> tuple[Workflow, RunId]:
    """A process that ended while the turn was put aside, before or after the journal had the answer."""
    workflow = chat.workflow()
    session = Session(tenant=DEFAULT_TENANT, workflow="w", agent="chat", name="s")
    chat.stage.trouble = TroubledJournal
    engine = await chat.stage.engine()
    if is_answered:
        run = await engine.submit(workflow, {"message": "one", "session": "s"})
        await engine.wait(run)
        (turn,) = await chat.turns()
        await chat.memory.turns.offer(session, turn, expires_us=2**60)
    else:
        store = engine.store
        assert isinstance(store, TroubledJournal)
        run = await engine.submit(workflow, {"message": "one", "session": "s"})
        store.is_full = True
        await until(lambda: bool(store.refused))
    assert ([], 1) == (await chat.turns(), len(await chat.memory.turns.offered()))
    await chat.stage.close()
    return workflow, run


@pytest.mark.parametrize("is_answered", [True, False])
async def test_the_journal_decides_on_what_a_killed_process_put_aside(chat: Chat, is_answered: bool) -> None:
    workflow, run = await stopped_between(chat, is_answered=is_answered)
    asked = len(chat.model.asked)
    engine = await chat.stage.engine()
    assert "succeeded" == (await engine.wait(run)).status
    assert (["one"], []) == ([turn.asked for turn in await chat.turns()], list(await chat.memory.turns.offered()))
    assert (not is_answered) == (len(chat.model.asked) > asked), "what was answered is not asked again"
    assert "two < one" == await say(engine, workflow, "two")


async def test_of_a_step_that_came_to_nothing_nothing_is_remembered(chat: Chat) -> None:
    workflow, run = await stopped_between(chat, is_answered=False)
    engine = await chat.stage.engine(recover=False)
    assert ([], []) == (await chat.turns(), list(await chat.memory.turns.offered()))
    await engine.cancel(run)
    assert "two" == await say(engine, workflow, "two")


def test_agents_of_other_types_remember_nothing() -> None:
    """What an agent of another type says of it has no effect, as validation warns."""
    from runtime.engine.dispatcher import Desk

    spec = AgentSpec(id=AgentId("a"), type="rag", memory={"short_term": {}})
    assert None is Desk(spec, None, None).memory  # type: ignore[arg-type]  # neither is reached
