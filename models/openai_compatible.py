"""`model.NAME` of kind `openai_compatible` or `openai`: models of a server that speaks the OpenAI API.

Every request is cleared by the guard and leaves through the HTTP door; nothing is asked again by itself.
"""

from collections.abc import AsyncGenerator

import msgspec

from models.answers import check_request, check_texts
from models.keys import read_key
from models.openai_replies import Stream, failure, read_answer, read_vectors
from models.openai_wire import embedding_question, question
from models.replies import Answer, reply_to, vectors_for
from models.server_backend import MAX_REPLY_BYTES, ServerBackend
from models.usage import estimate_input
from redaction.doors.http import OpenReply
from redaction.guard import in_wire_form
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatChunk, ChatRequest, EmbedReply, EmbedRequest
from runtime.domain.egress import Cleared
from runtime.domain.http import HttpRequest
from runtime.errors import Invalid

_ERROR_BYTES = 65_536


class OpenAiCompatibleBackend(ServerBackend):
    """Answers with the models of one server. The same seed and temperature 0 are asked for; the server keeps them."""

    async def embed(self, cleared: Cleared[EmbedRequest]) -> EmbedReply:
        """One unit vector per text."""
        request = cleared.payload
        if not request.texts:
            raise Invalid("model.no_texts", f"a request to model {request.model!r} has no texts to embed")
        check_texts(request.texts)
        asked = self._post(cleared, "embeddings", embedding_question(request))
        body = await self._calls.ask(asked, request.model)
        rows, tokens = read_vectors(body, self._server.name, len(request.texts))
        return vectors_for(request, rows, tokens, self._server)

    async def count_tokens(self, cleared: Cleared[ChatRequest]) -> int:
        """What the server says that the conversation takes, for one token of an answer; a cloud's is estimated."""
        if self._server.kind == "openai":
            check_request(cleared.payload)
            return estimate_input(cleared.payload)
        return await super().count_tokens(cleared)

    async def _answer(self, cleared: Cleared[ChatRequest], asked: ChatRequest) -> Answer:
        body = await self._post(cleared, "chat/completions", question(asked, self._server.kind, stream=False))
        return read_answer(body, self._server.name)

    async def _told(self, cleared: Cleared[ChatRequest]) -> AsyncGenerator[ChatChunk, None]:
        request = cleared.payload
        told = Stream(self._server.name)
        reply = await self._open(cleared, "chat/completions", question(request, self._server.kind, stream=True))
        try:
            async for piece in reply.pieces():
                for chunk in told.feed(piece):
                    yield chunk
        finally:
            await reply.close()
        yield ChatChunk(reply=reply_to(request, told.whole(), self._server))

    async def _post(
        self, cleared: Cleared[ChatRequest] | Cleared[EmbedRequest], path: str, body: dict[str, Json]
    ) -> bytes:
        reply = await self._open(cleared, path, body)
        try:
            return await reply.read(MAX_REPLY_BYTES + 1)
        finally:
            await reply.close()

    async def _open(
        self, cleared: Cleared[ChatRequest] | Cleared[EmbedRequest], path: str, body: dict[str, Json]
    ) -> OpenReply:
        """A reply that is a success. Raises what another status stands for."""
        key = read_key(self._server)
        request = HttpRequest(
            method="POST",
            url=f"{self._server.url.rstrip('/')}/{path}",
            headers={"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})},
            credentials=("authorization",),
            body=msgspec.json.encode(body),
            timeout_s=self._server.timeout_s,
            max_reply_bytes=MAX_REPLY_BYTES,
        )
        reply = await self._door.open(in_wire_form(cleared, request))
        if reply.status == 200:
            return reply
        try:
            said = await reply.read(_ERROR_BYTES)
        finally:
            await reply.close()
        raise failure(reply.status, said, self._server.name, cleared.payload.model)
