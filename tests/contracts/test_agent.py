"""What every Agent promises, over each kind that runs."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from models.gateway import Gateway
from models.scripted import ScriptedBackend
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from runtime.agents.custom import CustomAgent
from runtime.agents.database import DatabaseAgent
from runtime.agents.fsm import FsmAgent
from runtime.agents.http import HttpAgent
from runtime.agents.human_task import HumanTaskAgent
from runtime.agents.llm import LlmAgent
from runtime.agents.ml_model import MlModelAgent
from runtime.agents.rag import RagAgent
from runtime.agents.rules_engine import RulesAgent
from runtime.agents.vision_model import VisionAgent
from runtime.agents.wasm import WasmAgent
from runtime.agents.web_search import WebSearchAgent
from runtime.domain.canonical import Json, encode
from runtime.domain.chat import EmbedReply, EmbedRequest
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.human import Terms
from runtime.domain.ids import AgentId
from runtime.domain.workflow import AgentSpec, FsmSpec, FsmState, ModelSpec
from runtime.ports import Agent, StepResult, Task
from runtime.registry import kinds
from runtime.store.lock import hold
from runtime.store.memory import Memory
from tests.models.cleared import cleared
from tests.runtime.agents.picture_samples import PNG
from tests.runtime.agents.tasks import Context, task

CODE = "def echo(task, ctx):\n    return {'echo': task}\n"
KINDS = (
    "custom",
    "database",
    "fsm",
    "http",
    "human_task",
    "llm",
    "ml_model",
    "rag",
    "rules_engine",
    "vision_model",
    "wasm",
    "web_search",
)


class ScriptedModels(Gateway):
    """A gateway whose chat and vectors are scripted."""

    def __init__(self) -> None:
        self.backend = ScriptedBackend()
        super().__init__([self.backend], Guard(EgressPolicy()), aliases={"local/*": "scripted/test"})

    async def embed(self, request: EmbedRequest, **_: object) -> EmbedReply:
        return await self.backend.embed(cleared(request))


class Service:
    """A REST service that answers everything alike."""

    async def send(self, request: HttpRequest, *, sender: Sender = APPLIANCE) -> HttpReply:
        return HttpReply(status=200, headers={"content-type": "application/json"}, body=b'{"ok": true}')


class Desk(Context):
    """With a tool that answers rows."""

    async def call_tool(self, tool: str, arguments: dict[str, Json]) -> Json:  # type: ignore[override]  # the other never returns
        return [{"order": 1, **arguments}]


def asking(agent: Agent) -> Task:
    """A task that the kind can do: text, and the arguments of a query."""
    question = "Where is my card?"
    if isinstance(agent, VisionAgent):
        return task(b64encode(PNG).decode())
    return task({"question": question} if isinstance(agent, DatabaseAgent) else question)


@pytest.fixture
async def models() -> AsyncIterator[ScriptedModels]:
    models = ScriptedModels()
    yield models
    await models.stop()


@pytest.fixture(params=KINDS)
async def agent(request: pytest.FixtureRequest, tmp_path: Path, models: ScriptedModels) -> AsyncIterator[Agent]:
    """One agent of a kind, not started."""
    async with AsyncExitStack() as opened:
        lock = opened.enter_context(hold(tmp_path / "data", what="test", now_us=0))
        memory = Memory(tmp_path / "data" / "memory.db", lock=lock)
        await memory.start()
        opened.push_async_callback(memory.stop)
        made = _make(request.param, tmp_path, models, memory)
        yield made
        await made.stop()


def _make(kind: str, folder: Path, models: ScriptedModels, memory: Memory) -> Agent:
    agent = AgentId("agent")
    match kind:
        case "llm":
            model = ModelSpec(provider="scripted", name="test", options={"answers": ["fine"]})
            return LlmAgent(AgentSpec(id=agent, type=kind, model=model, prompt="{{ input }}"))
        case "http":
            return HttpAgent(AgentSpec(id=agent, type=kind, config={"url": "http://127.0.0.1:1/x"}))
        case "custom":
            (folder / "code.py").write_text(CODE)
            return CustomAgent(AgentSpec(id=agent, type=kind, config={"handler": "code.py:echo"}), folder=str(folder))
        case "database":
            return DatabaseAgent(AgentSpec(id=agent, type=kind, tools=("orders",)))
        case "fsm":
            states = {"a": FsmState(name="a", on_success="done")}
            fsm = FsmSpec(states=states, initial_state="a", final_states=frozenset({"done"}))
            return FsmAgent(AgentSpec(id=agent, type=kind, fsm=fsm))
        case "human_task":
            terms = Terms(role="clerk", channels=("log", "pigeon"))
            return HumanTaskAgent(AgentSpec(id=agent, type=kind, terms=terms, prompt="{{ input }}"))
        case "rag" | "web_search":
            (folder / "articles").mkdir()
            (folder / "articles" / "a.md").write_text("# Cards\n\nA lost card is frozen in the app.\n")
            long_term = AgentSpec(id=agent, type=kind, memory={"long_term": {"folder": "articles"}})
            make = RagAgent if kind == "rag" else WebSearchAgent
            return make(long_term, folder=str(folder), models=models, memory=memory)
        case "rules_engine":
            rules: Json = [
                {"name": "lost", "when": "input.contains('card')", "then": "freeze", "call": [{"tool": "t"}]}
            ]
            return RulesAgent(AgentSpec(id=agent, type=kind, tools=("t",), config={"rules": rules}))
        case "vision_model":
            model = ModelSpec(provider="scripted", name="test", options={"answers": ["a card"]})
            return VisionAgent(AgentSpec(id=agent, type=kind, model=model))
        case "wasm":
            (folder / "echo.js").write_text("std.out.puts(std.in.readAsString())")
            return WasmAgent(AgentSpec(id=agent, type=kind, config={"module": "echo.js"}), folder=str(folder))
        case _:
            rows = [f"where is my card {n},cards\nsend money to {n},transfers\n" for n in range(5)]
            (folder / "examples.csv").write_text("text,label\n" + "".join(rows))
            options: dict[str, Json] = {"examples": "examples.csv", "text": "text", "label": "label"}
            model = ModelSpec(kind="classifier", options=options)
            spec = AgentSpec(id=agent, type=kind, model=model)
            return MlModelAgent(spec, folder=str(folder), models=models, memory=memory)


def test_every_registered_kind_has_a_run() -> None:
    assert set(KINDS) == set(kinds("agent"))


async def test_it_answers_with_json(agent: Agent, models: ScriptedModels) -> None:
    await agent.start()
    result = await agent.act(asking(agent), Desk(models, http=Service()))
    assert isinstance(result, StepResult)
    assert encode(result.output)
    assert encode(result.evidence)


async def test_equal_tasks_have_equal_answers_also_at_once(agent: Agent, models: ScriptedModels) -> None:
    await agent.start()
    context = Desk(models, http=Service())
    alone = await agent.act(asking(agent), context)
    together = await asyncio.gather(*(agent.act(asking(agent), context) for _ in range(4)))
    assert [alone.output] * 4 == [result.output for result in together]


async def test_stopping_twice_or_before_it_started_is_no_error(agent: Agent) -> None:
    await agent.stop()
    await agent.start()
    await agent.stop()
    await agent.stop()


async def test_a_cancelled_task_leaves_the_agent_able_to_work(agent: Agent, models: ScriptedModels) -> None:
    await agent.start()
    context = Desk(models, http=Service())
    acting = asyncio.create_task(agent.act(asking(agent), context))
    await asyncio.sleep(0)
    acting.cancel()
    await asyncio.wait({acting})
    assert encode((await agent.act(asking(agent), context)).output)
