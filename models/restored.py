"""Answers with their values back in place of the pseudonyms that the model was shown."""

from collections.abc import Iterator

from msgspec.structs import replace

from redaction.passage import Passage
from redaction.placeholders import Restorer
from runtime.domain.chat import ChatChunk, ChatReply, ChatRequest, ToolCallPiece

INLINE_CHARS = 65_536
"""Answers up to this length are looked through on the event loop: 2 ms, 20 for one of nothing but placeholders."""


def restored(reply: ChatReply, passage: Passage[ChatRequest], *, in_json: bool = False) -> ChatReply:
    """A whole answer. `in_json`: its text is JSON, as the arguments of calls always are."""
    calls = tuple(replace(call, arguments=passage.text(call.arguments, in_json=True)) for call in reply.tool_calls)
    return replace(reply, text=passage.text(reply.text, in_json=in_json), tool_calls=calls)


class RestoredStream:
    """A streamed answer, wherever it was cut; one restorer for the text and one for each call."""

    def __init__(self, passage: Passage[ChatRequest], *, in_json: bool = False) -> None:
        """`in_json`: as above."""
        self._passage = passage
        self._in_json = in_json
        self._text = passage.restorer(in_json=in_json)
        self._calls: dict[int, Restorer] = {}

    def feed(self, chunk: ChatChunk) -> Iterator[ChatChunk]:
        """What can be told by now."""
        if self._text is None:
            yield chunk
            return
        if text := self._text.feed(chunk.text):
            yield ChatChunk(text=text)
        if chunk.tool_call is not None:
            yield ChatChunk(tool_call=self._call(chunk.tool_call))
        if chunk.reply is not None:
            if rest := self._text.end():
                yield ChatChunk(text=rest)
            for index, restorer in self._calls.items():
                if rest := restorer.end():
                    yield ChatChunk(tool_call=ToolCallPiece(index=index, arguments=rest))
            yield ChatChunk(reply=restored(chunk.reply, self._passage, in_json=self._in_json))

    def _call(self, piece: ToolCallPiece) -> ToolCallPiece:
        restorer = self._calls.get(piece.index) or self._passage.restorer(in_json=True)
        assert restorer is not None, "asked only where there is something to give back"
        self._calls[piece.index] = restorer
        return replace(piece, arguments=restorer.feed(piece.arguments))
