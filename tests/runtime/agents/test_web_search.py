"""A web_search agent answers with results, of its index or of a search service."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from runtime.agents.web_search import WebSearchAgent
from runtime.domain.canonical import Json
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.ids import AgentId
from runtime.domain.workflow import AgentSpec
from runtime.errors import AgentFlowError, Invalid, StepFailure
from runtime.store.memory import Memory
from tests.runtime.agents.tasks import Context, task
from tests.runtime.memory.word_models import WordModels, open_memory

LIVE: dict[str, Json] = {"live": True, "url": "http://searx.example:8888/", "count": 2, "language": "en"}
FOUND: Json = {
    "query": "cards",
    "results": [
        {
            "url": "https://example.org/a",
            "title": " Lost\n cards ",
            "content": "Freeze  it.",
            "engine": "brave",
            "engines": ["brave"],
            "score": 1.5,
            "publishedDate": "2026-01-02T00:00:00",
        },
        {"url": "javascript:alert(1)", "title": "Bad", "content": None, "engine": "x", "score": None},
        {"url": "https://example.org/c", "title": "Third"},
    ],
    "unresponsive_engines": [["duckduckgo", "CAPTCHA"]],
}


class Searx:
    """A search service that answers everything alike."""

    def __init__(self, answer: Json = FOUND, *, status: int = 200) -> None:
        self.asked: list[HttpRequest] = []
        self._reply = HttpReply(status=status, headers={}, body=json.dumps(answer).encode())

    async def send(self, request: HttpRequest, *, sender: Sender = APPLIANCE) -> HttpReply:
        self.asked.append(request)
        return self._reply


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Memory]:
    async with open_memory(tmp_path / "data") as opened:
        yield opened


def agent(folder: Path, memory: Memory, config: dict[str, Json] | None = None) -> WebSearchAgent:
    long_term: dict[str, Json] = {} if config else {"long_term": {"folder": "articles"}}
    spec = AgentSpec(id=AgentId("search"), type="web_search", memory=long_term, config=config or {})
    return WebSearchAgent(spec, folder=str(folder), models=WordModels(), memory=memory)


async def live(folder: Path, memory: Memory, searx: Searx, config: dict[str, Json] = LIVE) -> Json:
    context = Context(WordModels(), http=searx)
    return (await agent(folder, memory, config).act(task("lost cards & more"), context)).output


async def test_the_index_gives_results_with_title_address_and_snippet(tmp_path: Path, memory: Memory) -> None:
    (tmp_path / "articles").mkdir()
    (tmp_path / "articles" / "lost.md").write_text(
        "---\ntitle: Lost cards\nurl: https://bank.example/lost\ndate: 2026-03-01\n---\nFreeze it in the app."
    )
    result = await agent(tmp_path, memory).act(task("freeze lost cards"), Context(WordModels()))
    assert isinstance(result.output, dict)
    results = result.output["results"]
    assert isinstance(results, list)
    (found,) = results
    assert isinstance(found, dict)
    assert ("index", 1) == (result.output["searched"], result.output["count"])
    assert 0 < found.pop("score")  # type: ignore[operator]  # a number
    assert {
        "title": "Lost cards",
        "url": "https://bank.example/lost",
        "snippet": "Freeze it in the app.",
        "source": "lost.md",
        "published": "2026-03-01",
    } == found


async def test_the_service_is_asked_in_its_own_way(tmp_path: Path, memory: Memory) -> None:
    """And the request says that it goes on to the web, so that the guard holds it to what may go there."""
    searx = Searx()
    await live(tmp_path, memory, searx)
    (request,) = searx.asked
    parts = urlsplit(request.url)
    assert ("GET", "searx.example:8888", "/search") == (request.method, parts.netloc, parts.path)
    assert {"q": ["lost cards & more"], "format": ["json"], "safesearch": ["1"], "language": ["en"]} == parse_qs(
        parts.query
    )
    assert "cloud:web" == request.onward


async def test_results_of_the_service_are_cut_and_tidied(tmp_path: Path, memory: Memory) -> None:
    assert {
        "results": [
            {
                "title": "Lost cards",
                "url": "https://example.org/a",
                "snippet": "Freeze it.",
                "source": "brave",
                "score": 1.5,
                "published": "2026-01-02T00:00:00",
            },
            {"title": "Bad", "url": None, "snippet": "", "source": "x", "score": None, "published": None},
        ],
        "count": 2,
        "searched": "web",
    } == await live(tmp_path, memory, Searx())


@pytest.mark.parametrize(
    ("answer", "status", "code", "retryable"),
    [
        ({}, 403, "web_search.no_json", False),
        ({}, 503, "http.status", True),
        ({}, 404, "http.status", False),
        ("<html>", 200, "web_search.no_json", False),
        ({"results": [], "unresponsive_engines": [["brave", "timeout"]]}, 200, "web_search.no_engine", True),
    ],
)
async def test_what_a_service_cannot_do_is_said(
    tmp_path: Path, memory: Memory, answer: Json, status: int, code: str, retryable: bool
) -> None:
    with pytest.raises(StepFailure) as caught:
        await live(tmp_path, memory, Searx(answer, status=status))
    assert (code, retryable) == (caught.value.code, caught.value.retryable)


async def test_no_result_is_an_answer(tmp_path: Path, memory: Memory) -> None:
    """So that a plan can go on elsewhere: researcher.count == 0."""
    assert {"results": [], "count": 0, "searched": "web"} == await live(tmp_path, memory, Searx({"results": []}))


@pytest.mark.parametrize("config", [{"live": True}, {"live": True, "url": "ftp://x"}, {**LIVE, "count": 0}])
def test_what_it_cannot_do_without_is_refused(tmp_path: Path, memory: Memory, config: dict[str, Json]) -> None:
    with pytest.raises(Invalid, match="web_search"):
        agent(tmp_path, memory, config)


async def test_without_anything_to_search_it_is_refused(tmp_path: Path, memory: Memory) -> None:
    with pytest.raises(AgentFlowError, match="nothing_to_search"):
        await agent(tmp_path, memory, {"count": 3}).act(task("x"), Context(WordModels()))
