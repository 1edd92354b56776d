"""Model servers as an operator sees them: over HTTP, and by `af models status`; and a route through the whole house."""

import json
from pathlib import Path

import pytest

from appliance.config.settings import ModelSettings
from models.servers import ModelServer
from tests.appliance.api.serving import open_api
from tests.appliance.cli.conftest import Af, af
from tests.models.stand_in import stand_in

__all__ = ["af"]  # a fixture

GONE = ModelServer(name="gone", url="http://127.0.0.1:1/v1", models=("m",))
ROUTED = """\
name: routed
agents:
  say: {type: llm, prompt: "say hello", model: {name: support, max_tokens: 8}}
"""


async def test_servers_are_shown_as_they_are(data_folder: Path) -> None:
    async with stand_in() as server:
        named = ModelServer(name="peer", url=server.url, models=("m",))
        async with open_api(data_folder, models=ModelSettings(backends=(GONE, named))) as api:
            before = (await api.client.get("/v1/backends")).json()["servers"]
            after = (await api.client.get("/v1/backends?check=true")).json()["servers"]
            wrong = await api.client.get("/v1/backends?check=maybe")
    assert ["unchecked", "unchecked"] == [each["health"] for each in before]
    assert [("gone", "http.unreachable"), ("peer", "well")] == [(each["name"], each["health"]) for each in after]
    assert after[1]["check_ms"] > 0
    assert 422 == wrong.status_code


async def test_a_step_says_who_answered_and_why(data_folder: Path) -> None:
    """The first of the route is gone; the run goes on at the second, and its journal has it."""
    folder = data_folder / "workflows" / "routed"
    folder.mkdir(parents=True)
    (folder / "workflow.yaml").write_text(ROUTED)
    async with stand_in() as server:
        named = ModelServer(name="peer", url=server.url, models=("m",))
        models = ModelSettings(backends=(GONE, named), routes={"support": (("gone/m",), ("peer/m",))})
        async with open_api(data_folder, models=models) as api:
            document = await api.run("routed", wait=True)
            chat = {"model": "support", "messages": [{"role": "user", "content": "say hello"}], "max_tokens": 8}
            answer = await api.client.post("/v1/chat/completions", json={**chat, "seed": 1})
            audit = (await api.client.get("/v1/egress?event=egress.settled")).json()["lines"]
            listed = (await api.client.get("/v1/models/support")).json()
    assert "succeeded" == document["status"], document
    route = "peer/m: next of 2 that can answer; gone/m: http.unreachable"
    assert route in json.dumps(document)
    assert route == answer.headers["x-agentflow-route"]
    assert ["ok", "http.unreachable"] == [line["outcome"] for line in audit[:2]]
    assert ("support", "route") == (listed["id"], listed["owned_by"])


@pytest.mark.parametrize("wants_json", [False, True])
def test_the_command_asks_the_servers(af: Af, wants_json: bool, tmp_path: Path) -> None:
    servers = [{"name": "gone", "url": GONE.url, "models": ["m"]}]
    assert 0 == af("config", "set", "models.backends", json.dumps(servers)).code
    said = af("models", "status", *(["--json"] if wants_json else []))
    assert 0 == said.code, said.err
    assert "http.unreachable" in said.out
    if wants_json:
        assert "gone" == said.document["servers"][0]["name"]  # type: ignore[index]
