"""The rag agent finds what its folder says, for each tenant by itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from runtime.agents.rag import RagAgent
from runtime.domain.canonical import Json
from runtime.domain.chat import EmbedReply, EmbedRequest
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.ids import DEFAULT_TENANT, AgentId, TenantId
from runtime.domain.memory import Collection
from runtime.domain.workflow import AgentSpec
from runtime.errors import AgentFlowError, Invalid, NotFound, Unavailable
from runtime.memory.embedding import Embedder
from runtime.memory.ingest import ingest
from runtime.store.memory import Memory
from tests.runtime.agents.tasks import Context, task
from tests.runtime.memory.word_models import WordModels, open_memory


class Found(msgspec.Struct, forbid_unknown_fields=True):
    """A hit, as the output spells it."""

    article: str
    title: str
    category: str | None
    source: str
    score: float
    text: str
    quotes: list[str]


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """The agent's output."""

    hits: list[Found]
    confidence: float


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Memory]:
    async with open_memory(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    articles = tmp_path / "project" / "articles"
    articles.mkdir(parents=True)
    (articles / "lost.md").write_text("---\nid: kb-1\ntitle: Lost cards\ncategory: cards\n---\nFreeze it in the app.")
    (articles / "fees.md").write_text("---\nid: kb-2\ntitle: Fees\n---\nPayments are free of charge.")
    return articles


def agent(
    folder: Path, memory: Memory, models: WordModels | None = None, long_term: dict[str, Json] | None = None
) -> RagAgent:
    spec = AgentSpec(id=AgentId("search"), type="rag", memory={"long_term": long_term or {"folder": "articles"}})
    return RagAgent(spec, folder=str(folder.parent), models=models or WordModels(), memory=memory)


async def ask(rag: RagAgent, question: Json, *, tenant: TenantId = DEFAULT_TENANT) -> Answer:
    return msgspec.convert((await rag.act(task(question, tenant=tenant), Context(WordModels()))).output, Answer)


async def test_an_answer_holds_the_articles_and_their_sentences(folder: Path, memory: Memory) -> None:
    answer = await ask(agent(folder, memory), "freeze lost cards")
    first, second = answer.hits
    assert (first.article, first.title, first.category, first.source) == ("kb-1", "Lost cards", "cards", "lost.md")
    assert (first.text, first.quotes) == ("Freeze it in the app.", ["Freeze it in the app."])
    assert second.category is None
    assert first.score == round(first.score, 6) > second.score
    assert 0 <= answer.confidence == round(answer.confidence, 6) <= 1


async def test_a_step_says_what_answered_and_what_it_used(folder: Path, memory: Memory) -> None:
    result = await agent(folder, memory).act(task("freeze lost cards"), Context(WordModels()))
    assert result.usage.input_tokens == 3
    assert result.evidence is not None
    assert (result.evidence["backend"], result.evidence["fingerprint"]) == ("model.words", "words 1")
    assert "route" not in result.evidence, "there was no choice"


async def test_a_step_says_why_that_model_answered(folder: Path, memory: Memory) -> None:
    class Routed(WordModels):
        async def embed(self, request: EmbedRequest, *, sender: Sender = APPLIANCE) -> EmbedReply:
            return replace(await super().embed(request, sender=sender), route="peer/words: first of 2")

    result = await agent(folder, memory).act(task("freeze lost cards"), Context(Routed()))
    assert result.evidence is not None
    assert result.evidence["route"] == "peer/words: first of 2"


@pytest.mark.parametrize(
    "given", ["lost card", {"message": "lost card"}, {"text": "lost card"}, {"query": "lost card"}]
)
async def test_the_question_is_a_text_or_stands_in_an_object(folder: Path, memory: Memory, given: Json) -> None:
    assert await ask(agent(folder, memory), given) == await ask(agent(folder, memory), "lost card")


@pytest.mark.parametrize("given", [None, "", " \n", 7, ["lost card"], {}, {"message": 7}, {"body": "lost card"}])
async def test_an_input_without_a_question_is_refused(folder: Path, memory: Memory, given: Json) -> None:
    with pytest.raises(Invalid, match=r"agent\.no_question"):
        await ask(agent(folder, memory), given)


async def test_answers_do_not_depend_on_how_the_memory_came_about(folder: Path, memory: Memory, tmp_path: Path) -> None:
    """Articles taken in another order, with others between that have gone since."""
    first = await ask(agent(folder, memory), "freeze my card in the app")
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    async with open_memory(tmp_path / "other") as other:
        embedder, collection = Embedder(WordModels(), other), Collection(DEFAULT_TENANT, "named")
        for name in ("lost.md", "fees.md"):
            (folder / name).unlink()
        (folder / "z.md").write_text("Freeze the app.")
        await ingest(folder, collection, embedder=embedder)
        for name in ("lost.md", "fees.md"):
            (folder / name).write_text(texts[name])
            await ingest(folder, collection, embedder=embedder)
        (folder / "z.md").unlink()
        named: dict[str, Json] = {"folder": "articles", "collection": "named"}
        assert await ask(agent(folder, other, long_term=named), "freeze my card in the app") == first


async def test_a_second_start_embeds_nothing(folder: Path, memory: Memory) -> None:
    await agent(folder, memory).start()
    models = WordModels()
    await agent(folder, memory, models).start()
    assert models.texts == ["a probe"]


async def test_every_tenant_has_its_own_copy(folder: Path, memory: Memory) -> None:
    rag = agent(folder, memory)
    await rag.start()
    answer = await ask(rag, "lost card", tenant=TenantId("acme"))
    assert answer == await ask(rag, "lost card")
    name = (await rag.act(task("lost card"), Context(WordModels()))).evidence or {}
    assert await memory.forget(Collection(TenantId("acme"), str(name["collection"]))) == 2
    assert await ask(rag, "lost card") == answer


async def test_tasks_at_once_ingest_once(folder: Path, memory: Memory) -> None:
    models = WordModels()
    rag = agent(folder, memory, models)
    await asyncio.gather(*(ask(rag, "lost card") for _ in range(10)))
    assert models.texts.count("Payments are free of charge.") == 1


async def test_a_start_that_failed_is_tried_again(folder: Path, memory: Memory) -> None:
    rag = agent(folder, memory, WordModels(fail_at=2, failure=Unavailable("model.worker_died", "it died")))
    with pytest.raises(Unavailable):
        await rag.start()
    assert (await ask(rag, "lost card")).hits


async def test_k_is_the_most_that_is_found(folder: Path, memory: Memory) -> None:
    answer = await ask(agent(folder, memory, long_term={"folder": "articles", "k": 1}), "card")
    assert len(answer.hits) == 1


async def test_a_collection_that_was_filled_before_needs_no_folder(folder: Path, memory: Memory) -> None:
    await ingest(folder, Collection(DEFAULT_TENANT, "manuals"), embedder=Embedder(WordModels(), memory))
    rag = agent(folder, memory, long_term={"collection": "manuals"})
    await rag.start()
    assert await ask(rag, "lost card") == await ask(agent(folder, memory), "lost card")


@pytest.mark.parametrize(
    ("long_term", "error", "code"),
    [
        ({"k": 3}, Invalid, "rag.nothing_to_search"),
        ({"folder": "articles", "k": 0}, Invalid, "rag.options"),
        ({"folder": ["articles"]}, Invalid, "rag.options"),
        ({"folder": "articles", "backend": "redis"}, Unavailable, "rag.backend"),
        ({"folder": "elsewhere"}, NotFound, "ingest.no_folder"),
    ],
)
async def test_settings_that_cannot_be_met_are_refused(
    folder: Path, memory: Memory, long_term: dict[str, Json], error: type[AgentFlowError], code: str
) -> None:
    with pytest.raises(error) as caught:
        await agent(folder, memory, long_term=long_term).start()
    assert caught.value.code == code
