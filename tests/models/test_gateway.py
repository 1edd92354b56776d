"""The gateway: routed, cleared, and every failure one of ours."""

import pytest

from models.gateway import Gateway
from models.scripted import ScriptedBackend
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from runtime.domain.chat import ChatMessage, ChatReply, ChatRequest, EmbedRequest
from runtime.domain.egress import Cleared
from runtime.errors import Refused, StepFailure, Unavailable

HELLO = ChatRequest(provider="scripted", model="greeter", messages=(ChatMessage("user", "my pin is 4711"),))


class BrokenBackend(ScriptedBackend):
    """A backend with a bug in it, such as a library that raises what it likes."""

    id = "model.llama_cpp"

    async def complete(self, cleared: Cleared[ChatRequest]) -> ChatReply:
        raise KeyError(cleared.payload.messages[0].content)


def gateway(**aliases: str) -> Gateway:
    backends = [ScriptedBackend({"greeter": "hello", ".*": "anything"}), BrokenBackend()]
    return Gateway(backends, Guard(EgressPolicy(mode="air_gapped")), aliases=aliases)


async def test_the_reply_says_who_answered() -> None:
    """A run must be able to say which backend answered, and with what."""
    reply = await gateway().complete(HELLO)
    assert ("hello", "model.scripted", "greeter") == (reply.text, reply.backend, reply.model)
    assert reply.fingerprint


async def test_the_last_chunk_carries_the_reply() -> None:
    chunks = [chunk async for chunk in gateway().stream(HELLO)]
    assert chunks[-1].reply is not None
    assert "".join(chunk.text for chunk in chunks) == chunks[-1].reply.text == "hello"


async def test_cloud_models_are_refused_before_anything_else() -> None:
    with pytest.raises(Refused, match=r"model\.cloud_refused"):
        await gateway().complete(ChatRequest(provider="openai", model="gpt-4", messages=HELLO.messages))


async def test_an_alias_answers_for_a_cloud_model() -> None:
    names = {"openai/gpt-4": "scripted/greeter"}
    reply = await gateway(**names).complete(ChatRequest(provider="openai", model="gpt-4", messages=HELLO.messages))
    assert ("model.scripted", "greeter") == (reply.backend, reply.model)


async def test_a_backends_own_exception_becomes_a_step_failure_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Exceptions of libraries quote what they choked on; the log says where it was, as the message promises."""
    with pytest.raises(StepFailure) as failure:
        await gateway().complete(ChatRequest(model="", messages=HELLO.messages))
    assert failure.value.code == "model.backend_failed"
    assert "4711" not in str(failure.value) + caplog.text
    assert "KeyError" in caplog.text
    assert "test_gateway.py" in caplog.text


async def test_a_backend_that_is_not_set_up_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"model\.backend_off"):
        await gateway().embed(EmbedRequest(model="", texts=("x",)))


async def test_tokens_are_counted_by_the_model_that_would_answer() -> None:
    assert await gateway().count_tokens(HELLO) == 4


def test_every_backend_is_described() -> None:
    assert {info.backend for info in gateway().describe()} == {"model.scripted", "model.llama_cpp"}
