"""`model.NAME`: models of a server that speaks the OpenAI API, such as vLLM, llama-server, LM Studio or TGI.

Every request is cleared by the guard and leaves through the HTTP door; nothing is asked again by itself.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from struct import pack

import msgspec
from msgspec.structs import replace

from models.answers import check_reply, check_request, check_texts, fingerprint
from models.openai_replies import Reply, Stream, failure, garbled, read_reply, read_vectors
from models.servers import ModelServer
from redaction.doors.http import HttpDoor
from redaction.guard import in_wire_form
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatChunk, ChatReply, ChatRequest, EmbedReply, EmbedRequest, ModelInfo
from runtime.domain.egress import Cleared
from runtime.domain.http import HttpReply, HttpRequest
from runtime.errors import Invalid, Unavailable

ANSWER_S = 300.0
MAX_REPLY_BYTES = 16 * 2**20


class OpenAiCompatibleBackend:
    """Answers with the models of one server. The same seed and temperature 0 are asked for; the server keeps them."""

    def __init__(self, server: ModelServer, door: HttpDoor) -> None:
        self.id = f"model.{server.name}"
        self._server = server
        self._door = door
        self._asking: set[asyncio.Task[HttpReply]] = set()

    async def start(self) -> None:
        """Nothing yet: the server is called when it is first asked."""

    async def stop(self) -> None:
        """Break off what is being asked; the one who asked hears of it as Unavailable."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    async def complete(self, cleared: Cleared[ChatRequest]) -> ChatReply:
        """Answer. Raises Refused, Invalid, NotFound, Unavailable or StepFailure."""
        request = cleared.payload
        check_request(request)
        answer = await self._post(cleared, "chat/completions", _question(request, stream=False))
        return self._reply(read_reply(answer.body, self._server.name), request)

    async def stream(self, cleared: Cleared[ChatRequest]) -> AsyncIterator[ChatChunk]:
        """Answer as it comes. Whoever stops reading closes the connection, and so stops the server."""
        request = cleared.payload
        check_request(request)
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        body = _question(request, stream=True)
        asking = asyncio.create_task(self._post(cleared, "chat/completions", body, pieces.put_nowait))
        asking.add_done_callback(lambda _task: pieces.put_nowait(None))
        told = Stream(self._server.name)
        try:
            while (piece := await pieces.get()) is not None:
                if text := told.feed(piece):
                    yield ChatChunk(text=text)
            await asking
            yield ChatChunk(text="", reply=self._reply(told.whole(), request))
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def embed(self, cleared: Cleared[EmbedRequest]) -> EmbedReply:
        """One unit vector per text."""
        request = cleared.payload
        if not request.texts:
            raise Invalid("model.no_texts", f"a request to model {request.model!r} has no texts to embed")
        check_texts(request.texts)
        body: dict[str, Json] = {"model": request.model, "input": list(request.texts), "encoding_format": "float"}
        answer = await self._post(cleared, "embeddings", body)
        rows, tokens = read_vectors(answer.body, self._server.name, len(request.texts))
        return EmbedReply(
            vectors=b"".join(map(_unit, rows)),
            dimensions=len(rows[0]),
            input_tokens=tokens or sum(map(_estimate, request.texts)),
            backend=self.id,
            model=request.model,
            fingerprint=fingerprint({"engine": self._server.name, "weights": request.model}),
        )

    async def count_tokens(self, cleared: Cleared[ChatRequest]) -> int:
        """What the server says that the conversation takes, for one token of an answer."""
        asked = cleared.payload
        request = replace(asked, max_tokens=1, schema=None)
        check_request(request)
        answer = await self._post(cleared, "chat/completions", _question(request, stream=False))
        return self._reply(read_reply(answer.body, self._server.name), request).input_tokens

    def describe(self) -> Sequence[ModelInfo]:
        """What the settings say may be asked; the server is not."""
        zone = self._server.zone
        return [
            ModelInfo(backend=self.id, model=name, zone=zone, context_tokens=0, is_loaded=True)
            for name in self._server.models
        ]

    async def _post(
        self,
        cleared: Cleared[ChatRequest] | Cleared[EmbedRequest],
        path: str,
        body: dict[str, Json],
        on_piece: Callable[[bytes], None] | None = None,
    ) -> HttpReply:
        model = cleared.payload.model
        request = HttpRequest(
            method="POST",
            url=f"{self._server.url.rstrip('/')}/{path}",
            headers={"content-type": "application/json"},
            body=msgspec.json.encode(body),
            timeout_s=ANSWER_S,
            max_reply_bytes=MAX_REPLY_BYTES,
        )
        asking = asyncio.create_task(self._door.send(in_wire_form(cleared, request), on_piece=on_piece))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        try:
            await asyncio.wait({asking})
        finally:
            asking.cancel()
        if asking.cancelled():
            raise Unavailable("model.stopped", f"model {model!r} was stopped in the middle of an answer")
        answer = asking.result()
        if answer.status != 200:
            raise failure(answer.status, answer.body, self._server.name, model)
        return answer

    def _reply(self, answer: Reply, request: ChatRequest) -> ChatReply:
        if not answer.choices:
            raise garbled(self._server.name)
        choice, usage = answer.choices[0], answer.usage
        text = choice.message.content or ""
        identity = {"engine": self._server.name, "weights": answer.system_fingerprint or request.model}
        reply = ChatReply(
            text=text,
            finish_reason="length" if choice.finish_reason == "length" else "stop",
            input_tokens=usage.prompt_tokens if usage else sum(_estimate(turn.content) for turn in request.messages),
            output_tokens=usage.completion_tokens if usage else _estimate(text),
            backend=self.id,
            model=request.model,
            fingerprint=fingerprint(identity, model=request.model, temperature=request.temperature, seed=request.seed),
        )
        return check_reply(reply, request)


def _question(request: ChatRequest, *, stream: bool) -> dict[str, Json]:
    body: dict[str, Json] = {
        "model": request.model,
        "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
    }
    if request.stop:
        body["stop"] = list(request.stop)
    if request.schema is not None:
        named: dict[str, Json] = {"name": "answer", "strict": True, "schema": request.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def _estimate(text: str) -> int:
    """Tokens of a text whose server does not count: four bytes each, the usual measure for English."""
    return -(-len(text.encode()) // 4)


def _unit(row: Sequence[float]) -> bytes:
    length = math.sqrt(sum(number * number for number in row)) or 1.0
    return pack(f"<{len(row)}f", *(number / length for number in row))
