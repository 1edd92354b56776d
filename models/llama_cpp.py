"""`model.llama_cpp`: chat models in GGUF, each in a worker process (or a thread) of this program."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from msgspec.structs import replace

from models.answers import check_reply, check_request, fingerprint, offered, refuse_images
from models.local_tools import chosen, steered
from models.pool import Pool, PoolSettings
from models.usage import MOST_BYTES_PER_TOKEN
from models.wire import Complete, Completed, Counted, CountTokens
from runtime.domain.chat import (
    ChatChunk,
    ChatReply,
    ChatRequest,
    EmbedReply,
    EmbedRequest,
    ModelInfo,
    ToolCallPiece,
)
from runtime.domain.egress import Cleared
from runtime.errors import Invalid


class LlamaCppBackend:
    """Answers chats. Equal requests have equal bytes, whatever was asked before and however often it was restarted."""

    id = "model.llama_cpp"

    def __init__(self, settings: PoolSettings) -> None:
        self._pool = Pool("chat", settings)
        self._context_tokens = settings.context_tokens

    async def start(self) -> None:
        """Nothing yet: a model loads when it is first asked, in half a second."""

    async def stop(self) -> None:
        """End the workers."""
        await self._pool.stop()

    async def complete(self, cleared: Cleared[ChatRequest]) -> ChatReply:
        """Answer. Raises Invalid (a damaged model too), NotFound, Unavailable or StepFailure."""
        return await self._complete(cleared.payload, on_text=None)

    async def stream(self, cleared: Cleared[ChatRequest]) -> AsyncIterator[ChatChunk]:
        """Answer piece by piece. A reader that stops reading does not hold up the model.

        Where tools are offered the answer comes as a whole: only its end tells what it is.
        """
        if offered(cleared.payload):
            reply = await self.complete(cleared)
            for index, call in enumerate(reply.tool_calls):
                piece = ToolCallPiece(index=index, id=call.id, name=call.name, arguments=call.arguments)
                yield ChatChunk(tool_call=piece)
            yield ChatChunk(text=reply.text, reply=reply)
            return
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        answering = asyncio.create_task(self._complete(cleared.payload, on_text=pieces.put_nowait))
        answering.add_done_callback(lambda _task: pieces.put_nowait(None))
        try:
            while (text := await pieces.get()) is not None:
                yield ChatChunk(text=text)
            yield ChatChunk(text="", reply=await answering)
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    async def embed(self, cleared: Cleared[EmbedRequest]) -> EmbedReply:
        """Not here. Raises Invalid."""
        raise Invalid(
            "model.cannot_embed", f"model {cleared.payload.model!r} is asked for vectors, and {self.id} only chats"
        )

    async def count_tokens(self, cleared: Cleared[ChatRequest]) -> int:
        """Exact input tokens, the template's own included."""
        check_request(cleared.payload)
        _check_room(cleared.payload, self._context_tokens)
        request = steered(cleared.payload)
        turns = tuple((turn.role, turn.content) for turn in request.messages)
        counted, _ = await self._pool.ask(request.model, CountTokens(messages=turns))
        assert isinstance(counted, Counted)
        return counted.tokens

    def describe(self) -> Sequence[ModelInfo]:
        """The chat models in the model folder."""
        return self._pool.describe(self.id)

    async def _complete(self, request: ChatRequest, *, on_text: Callable[[str], None] | None) -> ChatReply:
        check_request(request)
        refuse_images(request)
        _check_room(request, self._context_tokens)
        ask = Complete(request=replace(steered(request), options={}), stream=on_text is not None)
        answer, loaded = await self._pool.ask(request.model, ask, on_text or (lambda _text: None))
        assert isinstance(answer, Completed)
        reply = ChatReply(
            text=answer.text,
            finish_reason=answer.finish_reason,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            backend=self.id,
            model=request.model,
            fingerprint=fingerprint(loaded.identity, temperature=request.temperature, seed=request.seed),
        )
        return check_reply(chosen(reply, request) if offered(request) else reply, request)


def _check_room(request: ChatRequest, context_tokens: int) -> None:
    """Raise Invalid for a prompt that fits in no case: the worker would take minutes to find out."""
    size = sum(len(turn.content.encode()) for turn in request.messages)
    least_tokens = len(request.messages) + size // MOST_BYTES_PER_TOKEN
    if 0 < context_tokens < least_tokens:
        raise Invalid(
            "model.prompt_too_long",
            f"the prompt has at least {least_tokens:,} tokens and the model's context is at most {context_tokens:,}, "
            "answer included. Shorten the prompt",
            context_tokens=context_tokens,
        )
