"""`af bench gateway`: what the way through the gateway adds to a call, and whether many clients hold up the loop.

A call's price is CPU of this process, against the bare door with the same bytes in the same run; a stand-in server
in this process answers both, so that it cancels out. The loop's lag is measured while clients wait for the local
model, and with nothing to do, which tells what the machine itself adds.
"""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

from appliance.bench.engine import Goal, Result
from models.gateway import Gateway
from models.llama_cpp import LlamaCppBackend
from models.pool import PoolSettings
from models.remote import backend_for
from models.servers import ModelServer, host_of
from redaction.doors.http import HttpDoor
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from redaction.presets import PRESETS
from runtime.domain.chat import ChatMessage, ChatRequest
from runtime.domain.egress import Destination, Outbound, Sender
from runtime.domain.http import HttpRequest
from runtime.domain.ids import TenantId

CLIENTS = 32
PROMPT_CHARACTERS = 1_000
TICK_S = 0.005
IDLE_S = 2.0
_BATCH = 20
_SYSTEM = ChatMessage("system", "You answer questions about cards, transfers and accounts, shortly and kindly. " * 5)
_PROSE = (
    "The customer {n} asked on Monday why transfer {n} of 250.00 had not arrived, and the desk looked into it. "
    "Please reply to anna.{n}@example.org before noon; her card ends in 1881 and order {n} is still open. "
)

Report = Callable[[str], None]


def bench(*, calls: int, models: Path, report: Report) -> Result:
    """Measure everything, about a minute. Raises NotFound when the local chat model is not in the folder."""
    row: dict[str, float] = {}
    report(f"{calls} calls through the bare door, and through the gateway")
    row.update(asyncio.run(_added(calls)))
    report(f"{CLIENTS} clients at one local model")
    row.update(asyncio.run(_lag(models)))
    goals = [
        Goal(name="CPU ms that a call adds, patterns on", value=row["added_cpu_ms"], limit=3),
        Goal(name=f"lag of the loop, p99 ms, {CLIENTS} clients", value=row["lag_p99_ms"], limit=20),
        Goal(name="answers before the one of another tenant", value=row["answers_before_another_tenant"], limit=2),
    ]
    return Result(
        rows={"gateway": row}, goals=goals, notes=[f"prompts of {PROMPT_CHARACTERS:,} characters, 600 of them new"]
    )


async def _added(calls: int) -> dict[str, float]:
    """CPU of a call through the bare door and through the gateway, lower quartiles of batches that take turns.

    What else runs on the machine only ever adds to the CPU time of a batch (caches, the other thread of a core), so the
    cheaper batches tell more of the program and the medians, which are reported too, of the machine.
    """
    async with _stand_in() as url:
        server = ModelServer(name="bench", url=url, models=("stand-in",), at_once=64)
        door = HttpDoor()
        plain = Guard(EgressPolicy(redaction=(("*", None),), per_minute=0))
        patterns = replace(PRESETS["default"], names=False)
        guarded = Guard(EgressPolicy(redaction=(("*", patterns),), per_minute=0))
        gateways = [Gateway([backend_for(server, door)], guard, servers=[server]) for guard in (plain, guarded)]
        timed: dict[str, list[float]] = {"door": [], "gateway": [], "redacting": []}
        for number in range(max(4, calls // _BATCH) + 1):
            requests = [_request(number * _BATCH + each) for each in range(_BATCH)]
            found = {
                "door": await _cpu_ms(requests, lambda asked: _through_door(door, plain, url, asked)),
                "gateway": await _cpu_ms(requests, lambda asked: _through(gateways[0], asked)),
                "redacting": await _cpu_ms(requests, lambda asked: _through(gateways[1], asked)),
            }
            for name, value in found.items() if number else ():  # the first batch is for warming up
                timed[name].append(value)
        await door.stop()
    low = {name: _percentile(values, 25) for name, values in timed.items()}
    return {
        "door_cpu_ms": low["door"],
        "gateway_cpu_ms": low["gateway"],
        "redacting_cpu_ms": low["redacting"],
        "added_cpu_ms": low["redacting"] - low["door"],
        "added_cpu_ms_median": statistics.median(timed["redacting"]) - statistics.median(timed["door"]),
    }


async def _cpu_ms(requests: Sequence[ChatRequest], call: Callable[[ChatRequest], Awaitable[object]]) -> float:
    started = time.process_time()
    for request in requests:
        await call(request)
    return (time.process_time() - started) * 1_000 / len(requests)


def _request(number: int) -> ChatRequest:
    text = (_PROSE.format(n=10_000 + number) * (PROMPT_CHARACTERS // 200 + 1))[: PROMPT_CHARACTERS - 400]
    return ChatRequest(provider="bench", model="", messages=(_SYSTEM, ChatMessage("user", text)), max_tokens=16)


async def _through(gateway: Gateway, request: ChatRequest) -> object:
    return await gateway.complete(request, sender=Sender(purpose="a bench"))


async def _through_door(door: HttpDoor, guard: Guard, url: str, request: ChatRequest) -> object:
    """The same bytes as a plain request, with a leave that looks at nothing."""
    body = {
        "model": "stand-in",
        "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
    }
    asked = HttpRequest(
        method="POST",
        url=f"{url}/chat/completions",
        headers={"content-type": "application/json"},
        body=json.dumps(body).encode(),
    )
    cleared = await guard.clear(Outbound(destination=Destination("model", "site", host_of(url)), payload=asked))
    return await door.send(cleared)


@asynccontextmanager
async def _stand_in() -> AsyncIterator[str]:
    """A server that says that it is one, and always the same."""
    document = {
        "model": "stand-in",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Certainly."}}],
        "usage": {"prompt_tokens": 250, "completion_tokens": 3},
    }
    body = json.dumps(document).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")
                await reader.readexactly(next(int(line[15:]) for line in lines if line.startswith(b"content-length:")))
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.create_task(talk(reader, writer)))

    talks: set[asyncio.Task[None]] = set()
    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    finally:
        listening.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


async def _lag(folder: Path) -> dict[str, float]:
    """How late the loop is, in ms, alone and with the clients; and how long one of another tenant waits."""
    idle = await _late_ms(asyncio.sleep(IDLE_S))
    gateway = Gateway([LlamaCppBackend(PoolSettings(folder=folder))], Guard(EgressPolicy()))
    served: list[str] = []

    async def ask(tenant: str, number: int) -> None:
        sender = Sender(purpose=f"client {number}", tenant=TenantId(tenant))
        question = ChatMessage("user", f"Question {number}: say hello.")
        request = ChatRequest(provider="local", model="", messages=(question,), max_tokens=6)
        async for _ in gateway.stream(request, sender=sender):
            pass
        served.append(tenant)

    try:
        await ask("warm-up", 0)
        served.clear()
        clients = [*(("many", number) for number in range(1, CLIENTS)), ("one", CLIENTS)]
        started = time.monotonic()
        late = await _late_ms(asyncio.gather(*(ask(*client) for client in clients)))
        taken_s = time.monotonic() - started
    finally:
        await gateway.stop()
    return {
        "idle_lag_p99_ms": _percentile(idle, 99),
        "lag_p50_ms": _percentile(late, 50),
        "lag_p99_ms": _percentile(late, 99),
        "lag_max_ms": max(late),
        "answers_before_another_tenant": float(served.index("one")),
        "answers_per_s": CLIENTS / taken_s,
    }


async def _late_ms(work: Awaitable[object]) -> list[float]:
    """How late each tick came while the work was done."""
    working = asyncio.ensure_future(work)
    late = []
    while not working.done():
        due = time.monotonic() + TICK_S
        await asyncio.sleep(TICK_S)
        late.append(max(0.0, time.monotonic() - due) * 1_000)
    await working
    return late


def _percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]
