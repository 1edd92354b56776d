"""Turns at the local model, as the gateway gives them: played by the scripted backend under the local one's name."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from models.gateway import Gateway
from models.scripted import ScriptedBackend
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatChunk, ChatMessage, ChatRequest
from runtime.domain.egress import Sender
from runtime.domain.ids import TenantId


def asked(text: str, answer: Json = "one two three") -> ChatRequest:
    return ChatRequest(
        provider="local",
        model="m",
        messages=(ChatMessage("user", text),),
        options={"answers": {".*": answer}},
        temperature=0.5,
    )


class Local:
    """A gateway whose local model answers when it is let."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        backend = ScriptedBackend(sleep=self._wait)
        backend.id = "model.llama_cpp"
        self.gateway = Gateway([backend], Guard(EgressPolicy()))

    async def _wait(self, seconds: float) -> None:
        await self.may_answer.wait()

    @property
    def waiting(self) -> int:
        return self.gateway._turns.waiting

    async def until_waiting(self, count: int) -> None:
        while self.waiting < count:
            await asyncio.sleep(0)


HELD: Json = {"text": "held", "delay_ms": 1}


async def test_a_reader_that_stops_reading_does_not_hold_the_model() -> None:
    local = Local()
    stream = cast("AsyncGenerator[ChatChunk, None]", local.gateway.stream(asked("a")))
    async with aclosing(stream) as chunks:
        await anext(chunks)
        answer = await asyncio.wait_for(local.gateway.complete(asked("b")), 60)
    assert answer.text == "one two three"


async def test_whoever_hangs_up_in_the_queue_is_forgotten() -> None:
    local = Local()
    first = asyncio.create_task(local.gateway.complete(asked("a", HELD)))
    others = [asyncio.create_task(local.gateway.complete(asked(f"b{n}", HELD))) for n in range(31)]
    await local.until_waiting(31)
    for other in others[:30]:
        other.cancel()
    await asyncio.gather(*others[:30], return_exceptions=True)
    assert local.waiting == 1
    local.may_answer.set()
    assert [(await first).text, (await others[30]).text] == ["held", "held"]
    assert local.waiting == 0


async def test_a_tenant_with_one_question_waits_for_one_answer() -> None:
    local, served = Local(), list[str]()

    async def ask(tenant: str, number: int) -> None:
        await local.gateway.complete(asked(f"{tenant} {number}", HELD), sender=Sender(tenant=TenantId(tenant)))
        served.append(tenant)

    tasks = [asyncio.create_task(ask("many", number)) for number in range(10)]
    await local.until_waiting(9)
    tasks.append(asyncio.create_task(ask("one", 0)))
    await local.until_waiting(10)
    local.may_answer.set()
    await asyncio.gather(*tasks)
    assert served.index("one") == 2
