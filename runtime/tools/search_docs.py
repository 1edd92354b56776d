"""The kind `search_docs`: the passages of the appliance's own memory that fit a question best."""

from typing import ClassVar

from runtime.domain.canonical import Json
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.errors import Unavailable
from runtime.ports import ToolContext
from runtime.tools.arguments import only, text_of, whole_of
from runtime.tools.registry import ToolServices

MOST = 20


class SearchTool:
    """Searches one collection of the caller's tenant. Implements Tool; the answer is `{hits, confidence}`."""

    dry_answer: ClassVar[Json] = {"hits": [], "confidence": 0.0}
    """What a what-if is told."""

    def __init__(self, spec: ToolSpec, services: ToolServices) -> None:
        self.spec = spec
        self._search = services.search
        self._collection = str(spec.config["collection"])
        self._count = int(str(spec.config.get("count", 5)))

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        """Search. Raises what asking the embedding model raises; an unknown collection has no hits."""
        tool = self.spec.id
        only(call.arguments, ("query", "count"), tool)
        query = text_of(call.arguments, "query", tool)
        count = whole_of(call.arguments, "count", tool, default=self._count, low=1, high=MOST)
        if self._search is None:
            raise Unavailable("tool.no_memory", f"tool {tool!r} searches memory, and none is open here")
        return await self._search(query, self._collection, count, ctx.sender)
