"""The one model that a worker holds, and how each question reaches it; in thread mode it lives in a thread."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from models import folder as models_folder
from models.wire import (
    AnyAsk,
    Cancel,
    Cancelled,
    Chunk,
    Complete,
    Counted,
    CountTokens,
    Embed,
    Final,
    Inspect,
    Inspected,
    Load,
    Loaded,
    Ping,
    Pong,
)
from runtime.errors import Invalid

if TYPE_CHECKING:
    from models.gguf import ChatModel
    from models.onnx import EmbeddingModel


class Engine:
    """Answers one question at a time. Not thread-safe: two at once crash llama.cpp."""

    def __init__(self) -> None:
        self._chat: ChatModel | None = None
        self._embedding: EmbeddingModel | None = None

    def answer(self, ask: AnyAsk, emit: Callable[[Chunk], None], is_cancelled: Callable[[], bool]) -> Final:
        """The final answer; Chunks go through `emit` first. Raises Stopped, AgentFlowError or the library's errors."""
        match ask:
            case Ping():
                return Pong()
            case Load():
                return self._load(ask)
            case Inspect():
                return _inspect(ask)
            case Complete():
                return self._complete(ask, emit, is_cancelled)
            case CountTokens():
                return Counted(tokens=self._either().count_tokens(ask.messages))
            case Embed():
                return self._loaded_embedding().embed(ask.texts, is_cancelled)
            case Cancel():
                return Cancelled()  # a call that is not being worked on is as good as stopped

    def close(self) -> None:
        """Free the model."""
        if self._chat is not None:
            self._chat.close()
        self._chat = self._embedding = None

    def _load(self, ask: Load) -> Loaded:
        folder = Path(ask.folder)
        manifest = models_folder.verify(folder, ask.name)
        if manifest.kind != ask.kind:
            raise Invalid("model.wrong_kind", f"model {ask.name!r} is for {manifest.kind}, not for {ask.kind}")
        self.close()
        home = folder / ask.name
        if ask.kind == "embedding":
            from models.onnx import MAX_TOKENS, EmbeddingModel

            self._embedding = embedding = EmbeddingModel(home, threads=ask.threads)
            return Loaded(
                context_tokens=MAX_TOKENS, dimensions=embedding.dimensions, identity=embedding.identity(manifest)
            )
        from models.gguf import ChatModel

        context = min(ask.context_tokens or manifest.context_tokens, manifest.context_tokens)
        self._chat = chat = ChatModel(home / manifest.files[0].name, context_tokens=context, threads=ask.threads)
        return Loaded(context_tokens=chat.context_tokens, identity=chat.identity(manifest))

    def _complete(self, ask: Complete, emit: Callable[[Chunk], None], is_cancelled: Callable[[], bool]) -> Final:
        if self._chat is None:
            raise Invalid("model.not_loaded", "no chat model is loaded in this worker")
        try:
            return self._chat.complete(
                ask.request, lambda text: emit(Chunk(text=text)) if ask.stream else None, is_cancelled
            )
        except RuntimeError:
            self._chat.reset()
            raise

    def _loaded_embedding(self) -> "EmbeddingModel":
        if self._embedding is None:
            raise Invalid("model.not_loaded", "no embedding model is loaded in this worker")
        return self._embedding

    def _either(self) -> "ChatModel | EmbeddingModel":
        return self._chat or self._loaded_embedding()


def _inspect(ask: Inspect) -> Inspected:
    folder = Path(ask.folder)
    if ask.kind == "embedding":
        from models.onnx import EmbeddingModel

        return EmbeddingModel(folder, threads=1).inspected()
    from models import gguf

    return gguf.inspect(folder / models_folder.FILES["chat"][0])
