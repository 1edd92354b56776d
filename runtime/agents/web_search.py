"""The `web_search` agent: answers a question with search results, from a local index or from a search service.

The index is a folder or a collection, searched as the `rag` agent searches it. A service speaks the search API of
SearXNG (docs.searxng.org/dev/search_api.html); what it is asked leaves the site, and is held to what may go there.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlencode

import msgspec

from runtime.agents.evidence import evidence_of
from runtime.agents.question import question_in
from runtime.agents.rag import DIGITS, RagAgent
from runtime.domain.canonical import Json
from runtime.domain.event import Usage
from runtime.domain.http import HttpReply, HttpRequest, check_status
from runtime.domain.workflow import AgentSpec
from runtime.errors import Invalid, StepFailure
from runtime.memory.retrieval import Hit
from runtime.policies.residency import WEB
from runtime.ports import MemoryStore, Minimiser, ModelAccess, Progress, StepContext, StepResult, Task

MAX_RESULTS = 100
SNIPPET = 500
"""Characters of one."""
MAX_TITLE = 300


class LiveSearch(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's `config`, as far as it reads it."""

    live: bool = False
    """Whether the web is asked, in place of the index."""
    url: str = ""
    """Where the service stands; its `/search` is asked."""
    count: int = 10
    """How many results at most."""
    categories: str = ""
    engines: str = ""
    language: str = ""
    time_range: Literal["", "day", "week", "month", "year"] = ""
    safesearch: Literal[0, 1, 2] = 1


class _Result(msgspec.Struct, frozen=True):
    """A result, as SearXNG spells it."""

    url: str | None = ""
    title: str | None = ""
    content: str | None = ""
    engine: str | None = ""
    score: float | None = None
    published: str | None = msgspec.field(default=None, name="publishedDate")


class _Answer(msgspec.Struct, frozen=True):
    results: list[_Result] = []
    unresponsive_engines: list[list[object]] = []
    """Name and reason of each."""


class WebSearchAgent:
    """Its output is `{results: [{title, url, snippet, source, score, published}], count, searched}`, best first."""

    def __init__(
        self,
        spec: AgentSpec,
        *,
        folder: str,
        models: ModelAccess,
        memory: MemoryStore,
        minimiser: Minimiser | None = None,
        progress: Progress = lambda *_: None,
    ) -> None:
        self._spec = spec
        try:
            self._live = msgspec.convert(spec.config, LiveSearch)
        except msgspec.ValidationError as error:
            raise Invalid("web_search.options", f"agent {spec.id!r}, config: {error}") from None
        if self._live.live and not self._live.url.startswith(("http://", "https://")):
            raise Invalid("web_search.no_service", f"agent {spec.id!r}: config.live needs 'url', of a search service")
        if not 1 <= self._live.count <= MAX_RESULTS:
            raise Invalid("web_search.options", f"agent {spec.id!r}: config.count is a number from 1 to {MAX_RESULTS}")
        self._index = RagAgent(
            spec, folder=folder, models=models, memory=memory, minimiser=minimiser, progress=progress
        )

    async def start(self) -> None:
        """Bring the folder into memory, where an index is searched."""
        if not self._live.live:
            await self._index.start()

    async def stop(self) -> None:
        """Stop ingesting; what is in memory stays."""
        await self._index.stop()

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Search once. Raises what searching memory raises, and of a service what a request raises."""
        question = question_in(task.input, self._spec.id)
        if self._live.live:
            return await self._ask(question, ctx)
        found, collection, results = await self._index.find(question, task.tenant, ctx, _indexed)
        assert isinstance(results, list), "restoring keeps the shape"
        return StepResult(
            output={"results": results, "count": len(results), "searched": "index"},
            usage=Usage(found.question.input_tokens),
            evidence={
                **evidence_of(found.question),
                "collection": collection.name,
                "confidence": round(found.confidence, DIGITS),
            },
        )

    async def _ask(self, question: str, ctx: StepContext) -> StepResult:
        """Ask the service. One that is busy, or none of whose engines answers, is a failure that is tried again."""
        live = self._live
        given = {name: getattr(live, name) for name in ("categories", "engines", "language", "time_range")}
        wished = {name: value for name, value in given.items() if value}
        asked = {"q": question, "format": "json", "safesearch": live.safesearch, **wished}
        reply = await ctx.http.send(
            HttpRequest(
                method="GET",
                url=f"{live.url.rstrip('/').removesuffix('/search')}/search?{urlencode(asked)}",
                headers={"accept": "application/json"},
                onward=WEB,
                timeout_s=self._spec.timeout_ms / 1_000,
            )
        )
        answer = self._read(reply)
        silent = sorted({str(each[0])[:50] for each in answer.unresponsive_engines if each})
        if silent and not answer.results:
            raise StepFailure(
                "web_search.no_engine",
                f"agent {self._spec.id!r}: no engine of the search service answered: {', '.join(silent[:10])}",
                retryable=True,
            )
        results: list[Json] = [_found(each) for each in answer.results[: live.count]]
        missing: list[Json] = list(silent)
        return StepResult(
            output={"results": results, "count": len(results), "searched": "web"},
            evidence={"service": live.url, "unresponsive": missing},
        )

    def _read(self, reply: HttpReply) -> _Answer:
        agent = f"agent {self._spec.id!r}"
        if reply.status == 403:
            raise StepFailure(
                "web_search.no_json",
                f"{agent}: the search service gives no JSON; add json to search.formats in its settings.yml",
            )
        check_status(reply, f"{agent}: the search")
        try:
            return msgspec.json.decode(reply.body, type=_Answer)
        except msgspec.DecodeError:  # what is wrong may quote an answer
            raise StepFailure(
                "web_search.no_json", f"{agent}: the search service answered with something else than results in JSON"
            ) from None


def _indexed(hit: Hit) -> Json:
    """A document of the index as a result; its address is the `url` of its front matter."""
    return {
        "title": hit.data.get("title"),
        "url": hit.data.get("url"),
        "snippet": " ".join(hit.quotes or (hit.text,))[:SNIPPET],
        "source": hit.source,
        "score": round(hit.score, DIGITS),
        "published": hit.data.get("published") or hit.data.get("date"),
    }


def _found(result: _Result) -> Json:
    is_web = (result.url or "").startswith(("http://", "https://"))
    return {
        "title": " ".join((result.title or "").split())[:MAX_TITLE],
        "url": result.url if is_web else None,
        "snippet": " ".join((result.content or "").split())[:SNIPPET],
        "source": result.engine,
        "score": None if result.score is None else round(result.score, DIGITS),
        "published": result.published,
    }
