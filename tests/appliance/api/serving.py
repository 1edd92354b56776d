"""An appliance with a few small workflows, behind the API without sockets or behind a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec

from appliance.api.app import build_app
from appliance.api.gate import Entrance, Gate
from appliance.api.service import Service
from appliance.auth.callers import host_names
from appliance.config.settings import load_settings
from appliance.lifecycle import Lifecycle
from appliance.server import Address, serve
from appliance.wiring import Appliance

HOUR_MS = 3_600_000
WORKFLOWS = {
    "echo": """\
name: echo
input_schema: {type: object, properties: {text: {type: string}}}
agents:
  say: {type: llm, prompt: "{{ input.text }}", model: {provider: scripted, answers: [hello]}}
""",
    "slow": f"""\
name: slow
agents:
  wait:
    type: llm
    prompt: x
    timeout: 2h
    model: {{provider: scripted, answers: [{{text: x, delay_ms: {HOUR_MS}}}]}}
""",
    "failing": """\
name: failing
agents:
  break: {type: llm, prompt: x, model: {provider: scripted, answers: [{error: {code: model.broken}}]}}
""",
    "ask": """\
name: ask
output: {answer: "{{ steps.person.words }}"}
agents:
  say: {type: llm, prompt: x, model: {provider: scripted, answers: [hello]}}
planner:
  type: fsm
  initial_state: person
  final_states: [say]
  states:
    person: {wait_for: resolved, on_success: say}
    say: {}
""",
}


class Api:
    """The API without sockets, called with a good key."""

    def __init__(self, service: Service, gate: Gate, key: str) -> None:
        self.service = service
        self.gate = gate
        self.key = key
        self.client = self.client_with({"authorization": f"Bearer {key}"})

    def client_with(self, headers: dict[str, str]) -> httpx.AsyncClient:
        """A client that sends these headers with every request."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.gate),  # type: ignore[arg-type]  # its messages are typed loosely
            base_url="http://127.0.0.1:8700",
            headers=headers,
        )

    async def run(self, workflow: str, **more: object) -> dict[str, object]:
        """Ask for a run; its document."""
        answer = await self.client.post("/v1/runs", json={"workflow": workflow, "input": {}, **more})
        assert answer.is_success, answer.text
        document: dict[str, object] = answer.json()
        return document


class Served:
    """A real server on a free port."""

    def __init__(self, appliance: Appliance, address: Address, task: "asyncio.Task[None]", key: str) -> None:
        self.appliance = appliance
        self.address = address
        self.task = task
        self.client = httpx.AsyncClient(base_url=address.url, headers={"authorization": f"Bearer {key}"}, timeout=30)


def appliance_at(data: Path, **changes: object) -> Appliance:
    """An appliance over `data`, not started, with the workflows above published in it."""
    for name, document in WORKFLOWS.items():
        folder = data / "workflows" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "workflow.yaml").write_text(document)
    changes = {"listen": "127.0.0.1:0", "drain_s": 0.0, "durability": "normal", **changes}
    return Appliance(msgspec.structs.replace(load_settings(data, {}), **changes))


@asynccontextmanager
async def open_api(data: Path, **changes: object) -> AsyncIterator[Api]:
    """The API over a started appliance, with these settings."""
    appliance = appliance_at(data, **changes)
    await appliance.start()
    service = Service(appliance, Lifecycle(), version="1.2.3", heartbeat_s=0.01)
    gate = Gate(build_app(), service, Entrance(host_names=host_names("127.0.0.1")))
    service.read_keys()
    await service.start()
    api = Api(service, gate, (data / "auth/first.key").read_text().strip())
    try:
        async with api.client:
            yield api
    finally:
        await service.stop()
        await appliance.stop()


@asynccontextmanager
async def open_server(data: Path, **options: object) -> AsyncIterator[Served]:
    """A real server over a data folder; cancelled at the end when the test has not stopped it."""
    ready: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
    appliance = appliance_at(data)
    task = asyncio.create_task(serve(appliance, on_ready=ready.set_result, **options))  # type: ignore[arg-type]
    task.add_done_callback(lambda ended: None if ready.done() else ready.set_exception(_why(ended)))
    served = Served(appliance, await ready, task, (data / "auth/first.key").read_text().strip())
    try:
        async with served.client:
            yield served
    finally:
        task.cancel()
        await asyncio.wait({task})


def _why(ended: "asyncio.Task[None]") -> BaseException:
    return ended.exception() or AssertionError("the server ended before it was ready")


def events_in(text: str) -> list[tuple[int, str, dict[str, object]]]:
    """Id, type and data of each event of a stream."""
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.split("\n\n") if block]
    return [(int(block["id"]), block["event"], json.loads(block["data"])) for block in blocks if "data" in block]
