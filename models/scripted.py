"""`model.scripted`: plays given answers instead of a model's, for tests, simulation and dry runs.

    model:
      provider: scripted
      answers: [{error: {code: model.worker_died}}, "second time lucky"]     # in order, the last one for ever
      answers: {"(?i)refund": {json: {label: refund}}, ".*": "I can't say."}  # by the last message, longest match
      answers: [{tool_calls: [{name: look_up, arguments: {card: 7}}]}, "It is on its way."]

A list is played once for the whole program, for all that name the same model and the same answers: give models
names of their own (`name: triage`) to keep their lists apart.
It never asks a model and opens nothing. Vectors are made from hashes: equal texts have equal vectors, and that is
all they mean.
"""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from hashlib import sha256
from struct import iter_unpack, pack
from typing import Literal

from models.answers import check_reply, check_request, check_texts
from runtime import errors
from runtime.domain.canonical import Json, digest
from runtime.domain.chat import (
    ChatChunk,
    ChatReply,
    ChatRequest,
    EmbedReply,
    EmbedRequest,
    ModelInfo,
    ToolCall,
    ToolCallPiece,
)
from runtime.domain.egress import Cleared
from runtime.errors import AgentFlowError, Invalid, StepFailure
from runtime.ports import Sleep

DIMENSIONS = 384
MAX_CALLS = 128
Answers = Sequence[Json] | Mapping[str, Json]

ANSWER_KEYS = {"text", "json", "error", "delay_ms", "finish_reason", "tool_calls"}


class ScriptedBackend:
    """Answers from the request's own `answers` option, else from those it was made with, by model name or for all."""

    id = "model.scripted"

    def __init__(self, answers: Answers = (), *, sleep: Sleep = asyncio.sleep) -> None:
        """`answers`: a list, or a mapping from a model's name or a regular expression to an answer or a list."""
        self._answers = answers
        self._sleep = sleep
        self._played: dict[str, int] = {}

    async def start(self) -> None:
        """Nothing to get ready."""

    async def stop(self) -> None:
        """Nothing to release; lists start over."""
        self._played.clear()

    async def complete(self, cleared: Cleared[ChatRequest]) -> ChatReply:
        """The next answer. Raises what the script says, or StepFailure when it has no answer for this."""
        request = cleared.payload
        check_request(request)
        return await self._play(request, _as_answer(self._next(request)))

    async def stream(self, cleared: Cleared[ChatRequest]) -> AsyncIterator[ChatChunk]:
        """The next answer, word by word."""
        reply = await self.complete(cleared)
        for piece in re.findall(r"\s*\S+|\s+$", reply.text):
            yield ChatChunk(text=piece)
        for index, call in enumerate(reply.tool_calls):
            yield ChatChunk(tool_call=ToolCallPiece(index=index, id=call.id, name=call.name))
            for piece in re.findall(r"\s*\S+|\s+$", call.arguments):
                yield ChatChunk(tool_call=ToolCallPiece(index=index, arguments=piece))
        yield ChatChunk(text="", reply=reply)

    async def embed(self, cleared: Cleared[EmbedRequest]) -> EmbedReply:
        """Unit vectors that depend on their text alone."""
        texts = cleared.payload.texts
        if not texts:
            raise Invalid("model.no_texts", f"a request to model {cleared.payload.model!r} has no texts to embed")
        check_texts(texts)
        return EmbedReply(
            vectors=b"".join(map(_vector, texts)),
            dimensions=DIMENSIONS,
            input_tokens=sum(map(_count, texts)),
            backend=self.id,
            model=cleared.payload.model,
            fingerprint="scripted sha256",
        )

    async def count_tokens(self, cleared: Cleared[ChatRequest]) -> int:
        """Words."""
        turns = cleared.payload.messages
        check_texts(turn.content for turn in turns)
        return sum(_count(turn.content) for turn in turns)

    def describe(self) -> Sequence[ModelInfo]:
        """One entry, whatever models the script names."""
        return [ModelInfo(backend=self.id, model="scripted", zone="local", context_tokens=0, is_loaded=True)]

    def _next(self, request: ChatRequest) -> Json:
        options = request.options.get("answers")
        answers: Answers = options if isinstance(options, (list, dict)) else self._answers
        if isinstance(answers, Mapping):
            key, answer = _match(answers, request)
        else:
            key, answer = "", list(answers)
        if not isinstance(answer, list):
            return answer
        if not answer:
            raise _no_answer(request)
        place = f"{request.model}\0{key}\0{digest(answer)}"
        played = self._played.get(place, 0)
        self._played[place] = played + 1
        return answer[min(played, len(answer) - 1)]

    async def _play(self, request: ChatRequest, answer: dict[str, Json]) -> ChatReply:
        delay_ms = answer.get("delay_ms", 0)
        if isinstance(delay_ms, (int, float)) and delay_ms > 0:
            await self._sleep(delay_ms / 1_000)
        if "error" in answer:
            raise _error(answer["error"])
        text = json.dumps(answer["json"], ensure_ascii=False) if "json" in answer else str(answer.get("text", ""))
        calls = tuple(map(_call, range(MAX_CALLS), _listed(answer.get("tool_calls", []))))
        written = "".join([text, *(call.name + call.arguments for call in calls)])
        finish_reason: Literal["stop", "length", "tool_calls"] = "tool_calls" if calls else "stop"
        reply = ChatReply(
            text=text,
            tool_calls=calls,
            finish_reason="length" if answer.get("finish_reason") == "length" else finish_reason,
            input_tokens=sum(_count(message.content) for message in request.messages),
            output_tokens=_count(text) + sum(_count(call.arguments) for call in calls),
            backend=self.id,
            model=request.model,
            fingerprint=f"scripted {sha256(written.encode()).hexdigest()[:12]}",
        )
        return check_reply(reply, request)


def _match(answers: Mapping[str, Json], request: ChatRequest) -> tuple[str, Json]:
    if request.model in answers:
        return request.model, answers[request.model]
    fitting = [pattern for pattern in answers if _fits(pattern, request.messages[-1].content)]
    if not fitting:
        raise _no_answer(request)
    # a definition keeps no order of keys, and in that of letters '.*' would stand before all words
    pattern = min(fitting, key=lambda each: (_fits(each, ""), -len(each), each))
    return pattern, answers[pattern]


def _fits(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error as error:
        raise Invalid("model.bad_script", f"{pattern!r} under 'answers' is not a regular expression: {error}") from None


def _as_answer(answer: Json) -> dict[str, Json]:
    if not isinstance(answer, dict):
        return {"text": answer}
    unknown = sorted(answer.keys() - ANSWER_KEYS)
    if unknown:
        raise Invalid(
            "model.bad_script",
            f"a scripted answer has no key {unknown[0]!r}; known are {', '.join(sorted(ANSWER_KEYS))}",
        )
    return answer


def _listed(calls: Json) -> list[Json]:
    if not isinstance(calls, list):
        raise Invalid("model.bad_script", "'tool_calls' of a scripted answer is a list of {name, arguments}")
    return calls


def _call(number: int, wanted: Json) -> ToolCall:
    """`{name, arguments, id}`; arguments as a mapping, or as the text that a model would write."""
    name = wanted.get("name") if isinstance(wanted, dict) else None
    if not isinstance(wanted, dict) or not isinstance(name, str) or not wanted.keys() <= {"name", "arguments", "id"}:
        raise Invalid("model.bad_script", "a scripted tool call has a name, and maybe arguments and an id")
    arguments = wanted.get("arguments", {})
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall(id=str(wanted.get("id", f"call_{number}")), name=name, arguments=text)


def _error(wanted: Json) -> AgentFlowError:
    """`{kind, code, message, retryable}`, all optional; or the message alone."""
    fields = wanted if isinstance(wanted, dict) else {"message": wanted}
    kind = getattr(errors, str(fields.get("kind", "StepFailure")), StepFailure)
    retryable = fields.get("retryable")
    error: AgentFlowError = kind(
        str(fields.get("code", "model.scripted_error")),
        str(fields.get("message", "the script says so")),
        retryable=retryable if isinstance(retryable, bool) else None,
    )
    return error


def _no_answer(request: ChatRequest) -> StepFailure:
    return StepFailure(
        "model.script_has_no_answer",
        f"the script has no answer for model {request.model!r}; add one under 'answers', or '.*' for everything else",
    )


def _count(text: str) -> int:
    return len(text.split())


def _vector(text: str) -> bytes:
    noise = b"".join(sha256(f"{block}\0{text}".encode()).digest() for block in range(DIMENSIONS * 2 // 32))
    numbers = [number for (number,) in iter_unpack("<h", noise)]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return pack(f"<{DIMENSIONS}f", *(number / length for number in numbers))
