"""`model.onnx`: sentence embeddings in ONNX Runtime, in a worker process (or a thread) of this program."""

from collections.abc import AsyncIterator, Callable, Sequence

from models.answers import check_texts, fingerprint
from models.onnx import MAX_CHARACTERS
from models.pool import Pool, PoolSettings
from models.wire import Counted, CountTokens, Embed, Embedded
from runtime.domain.chat import ChatChunk, ChatReply, ChatRequest, EmbedReply, EmbedRequest, ModelInfo
from runtime.domain.egress import Cleared
from runtime.errors import Invalid

SLICE_TEXTS = 256
"""A long job goes to the worker in slices, so that a question asked meanwhile waits half a second, not minutes."""


class OnnxBackend:
    """Turns texts into vectors. A text's vector is the same bytes whatever it is embedded with."""

    id = "model.onnx"

    def __init__(self, settings: PoolSettings) -> None:
        self._pool = Pool("embedding", settings)

    async def start(self) -> None:
        """Nothing yet: a model loads when it is first asked, in half a second."""

    async def stop(self) -> None:
        """End the workers."""
        await self._pool.stop()

    async def complete(self, cleared: Cleared[ChatRequest]) -> ChatReply:
        """Not here. Raises Invalid."""
        raise _cannot_chat(self.id, cleared.payload.model)

    async def stream(self, cleared: Cleared[ChatRequest]) -> AsyncIterator[ChatChunk]:
        """Not here. Raises Invalid."""
        raise _cannot_chat(self.id, cleared.payload.model)
        yield  # makes this an iterator, as the port wants

    async def embed(
        self, cleared: Cleared[EmbedRequest], progress: Callable[[int, int], None] = lambda _done, _total: None
    ) -> EmbedReply:
        """One vector per text; `progress` hears how many of how many texts are done."""
        request = cleared.payload
        if not request.texts:
            raise Invalid("model.no_texts", f"a request to model {request.model!r} has no texts to embed")
        parts: list[Embedded] = []
        for start in range(0, len(request.texts), SLICE_TEXTS):
            # one character more than is read, so that the worker still sees that a text was cut
            texts = tuple(text[: MAX_CHARACTERS + 1] for text in request.texts[start : start + SLICE_TEXTS])
            check_texts(texts)
            answer, loaded = await self._pool.ask(request.model, Embed(texts=texts))
            assert isinstance(answer, Embedded)
            parts.append(answer)
            progress(start + len(texts), len(request.texts))
        return EmbedReply(
            vectors=b"".join(part.vectors for part in parts),
            dimensions=parts[0].dimensions,
            input_tokens=sum(part.input_tokens for part in parts),
            truncated_texts=sum(part.truncated_texts for part in parts),
            backend=self.id,
            model=request.model,
            fingerprint=fingerprint(loaded.identity),
        )

    async def count_tokens(self, cleared: Cleared[ChatRequest]) -> int:
        """Tokens of all contents, as far as the model reads them."""
        request = cleared.payload
        check_texts(turn.content for turn in request.messages)
        turns = tuple((turn.role, turn.content) for turn in request.messages)
        counted, _ = await self._pool.ask(request.model, CountTokens(messages=turns))
        assert isinstance(counted, Counted)
        return counted.tokens

    def describe(self) -> Sequence[ModelInfo]:
        """The embedding models in the model folder."""
        return self._pool.describe(self.id)


def _cannot_chat(backend: str, model: str) -> Invalid:
    return Invalid("model.cannot_chat", f"model {model!r} is asked to chat, and {backend} only makes vectors")
