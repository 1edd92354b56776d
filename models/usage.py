"""How many tokens an answer took, when the one who counts may not count, or lie. Pure.

A budget must not read a missing number as nothing, nor a made-up one as a fortune.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from runtime.domain.chat import ChatRequest, ToolCall

BYTES_PER_TOKEN = 4
"""The usual measure for English."""
MOST_BYTES_PER_TOKEN = 128
"""No vocabulary has longer tokens on average: fewer tokens than this are a lie."""
EXTRA_TOKENS = 4_096
"""What a template may add to a conversation: a system prompt, marks."""
EXTRA_PER_MESSAGE = 64
TOKENS_PER_IMAGE = 16_384

Source = Literal["counted", "estimated", "corrected"]


class Spent(msgspec.Struct, frozen=True):
    """Tokens of one answer."""

    input_tokens: int
    output_tokens: int
    source: Source


def estimate(text: str) -> int:
    """Tokens of a text that nobody counts."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def estimate_input(request: ChatRequest) -> int:
    """Tokens of a request that nobody counts; pictures count at a thousand each."""
    pictures = sum(len(message.images) for message in request.messages)
    return sum(map(estimate, _texts(request))) + 1_000 * pictures


def spent(
    reported: tuple[int | None, int | None], request: ChatRequest, text: str, calls: Iterable[ToolCall] = ()
) -> Spent:
    """What is believed of what was reported: input and output tokens, None where nothing was said."""
    told_input, told_output = reported
    written = [text, *(part for call in calls for part in (call.name, call.arguments))]
    inputs = _believed(told_input, _input_bounds(request))
    outputs = _believed(told_output, _output_bounds(request, written))
    source: Source = "counted"
    if inputs is None or outputs is None:
        source = "estimated" if None in reported else "corrected"
    return Spent(
        estimate_input(request) if inputs is None else inputs,
        sum(map(estimate, written)) if outputs is None else outputs,
        source,
    )


def spent_on_texts(reported: int | None, texts: Iterable[str]) -> int:
    """Input tokens of texts that were embedded."""
    sizes = [len(text.encode()) for text in texts]
    most = sum(sizes) + EXTRA_PER_MESSAGE * len(sizes)
    believed = _believed(reported, (max(1, sum(sizes) // MOST_BYTES_PER_TOKEN), most))
    return sum(-(-size // BYTES_PER_TOKEN) for size in sizes) if believed is None else believed


def _believed(told: int | None, bounds: tuple[int, int]) -> int | None:
    """What was told, when it lies within the bounds."""
    return told if told is not None and bounds[0] <= told <= bounds[1] else None


def _input_bounds(request: ChatRequest) -> tuple[int, int]:
    size = sum(len(text.encode()) for text in _texts(request))
    pictures = sum(len(message.images) for message in request.messages)
    # a byte is at least a token's worth, and the tools are told a second time by some templates
    most = 2 * size + EXTRA_TOKENS + EXTRA_PER_MESSAGE * len(request.messages) + TOKENS_PER_IMAGE * pictures
    return max(1, size // MOST_BYTES_PER_TOKEN), most


def _output_bounds(request: ChatRequest, written: list[str]) -> tuple[int, int]:
    size = sum(len(text.encode()) for text in written)
    return size // MOST_BYTES_PER_TOKEN, max(request.max_tokens + EXTRA_PER_MESSAGE, size)


def _texts(request: ChatRequest) -> list[str]:
    texts = [message.content for message in request.messages]
    texts += [call.arguments for message in request.messages for call in message.tool_calls]
    for tool in request.tools:
        texts += [tool.name, tool.description, msgspec.json.encode(tool.parameters).decode()]
    if request.schema is not None:
        texts.append(msgspec.json.encode(request.schema).decode())
    return texts
