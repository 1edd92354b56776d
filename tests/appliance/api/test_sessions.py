"""Sessions over HTTP: seen and forgotten by their own tenant alone, and gone on with by OpenAI clients."""

import asyncio
from functools import partial

import pytest

from appliance import sessions
from appliance.cli.main import run as run_command
from appliance.sessions import SessionName
from runtime.audit.record import entry_in
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.errors import NotFound
from runtime.ports.clock import nothing_recorded
from tests.appliance.api.serving import Api, Served

YAML = {"content-type": "application/yaml"}
CHAT = """
name: chat
agents:
  talk:
    type: llm
    prompt: "{{ input.message }}"
    model: {provider: scripted, answers: {".*": "so you say"}}
    memory: {short_term: {enabled: true}}
"""
STRICT = """
name: strict
input_schema: {type: object, properties: {message: {type: string}}, additionalProperties: false}
agents:
  talk: {type: llm, prompt: "{{ input.message }}", model: {provider: scripted, answers: {".*": "so you say"}}}
"""
TURN = 5
"""Words of a turn: two asked, three answered."""


async def publish(api: Api | Served, text: str = CHAT) -> None:
    name = text.split()[1]
    assert (await api.client.put(f"/v1/workflows/{name}", content=text, headers=YAML)).is_success


async def complete(api: Api, message: str, *, model: str = "workflow:chat", **headers: str) -> int:
    """Ask as an OpenAI client does; how many words the agent's model was told."""
    body = {"model": model, "messages": [{"role": "user", "content": message}]}
    answer = await api.client.post("/v1/chat/completions", json=body, headers=headers)
    assert answer.is_success, answer.text
    return int(answer.json()["usage"]["prompt_tokens"])


async def test_sessions_are_listed_shown_and_forgotten(api: Api) -> None:
    await publish(api)
    for n in range(2):
        await api.run("chat", input={"message": f"word {n}", "session": "anna"}, wait=True)
    (held,) = (await api.client.get("/v1/memory/sessions")).json()["sessions"]
    assert ("anna", "chat", "talk", 2) == (held["name"], held["workflow"], held["agent"], held["turns"])
    turns = (await api.client.get("/v1/memory/sessions/turns?name=anna")).json()["turns"]
    assert [("word 0", "so you say"), ("word 1", "so you say")] == [(each["asked"], each["answered"]) for each in turns]
    forgotten = await api.client.post("/v1/memory/sessions/forget", json={"name": "anna", "agent": "talk"})
    assert {"turns": 2} == forgotten.json()
    assert api.service.appliance.audit is not None
    entries = [entry_in(row.detail) for row in await api.service.appliance.audit.newest(DEFAULT_TENANT, 20)]
    (told,) = [each for each in entries if each.event == "memory.forgotten"]
    assert ("first", "chat/talk", {"turns": 2}) == (told.actor, told.subject, told.found)
    again = await api.client.post("/v1/memory/sessions/forget", json={"name": "anna"})
    assert (404, {"sessions": []}) == (again.status_code, (await api.client.get("/v1/memory/sessions")).json())


async def test_another_tenant_sees_and_forgets_nothing(api: Api) -> None:
    await publish(api)
    await api.run("chat", input={"message": "word 0", "session": "anna"}, wait=True)
    turns, spy, asked = api.service.appliance.memory.turns, TenantId("spy"), SessionName(name="anna")
    assert [] == (await sessions.sessions_of(turns, spy, now_us=0)).sessions
    forget = partial(sessions.forget, record=nothing_recorded, actor="spy")
    for look in (sessions.turns_of, forget):
        with pytest.raises(NotFound, match=r"session\.not_found"):
            await look(turns, spy, asked, now_us=0)
    assert 1 == len((await sessions.turns_of(turns, DEFAULT_TENANT, asked, now_us=0)).turns)


async def test_a_conversation_of_an_openai_client_is_a_session(api: Api) -> None:
    """A workflow that remembers nothing is given no session, which its schema might refuse."""
    await publish(api)
    await publish(api, STRICT)
    conversation = {"x-agentflow-conversation": "c1"}
    assert [2, 2 + TURN] == [await complete(api, f"word {n}", **conversation) for n in range(2)]
    assert 2 == await complete(api, "word 2", **{"x-agentflow-conversation": "c2"})
    assert 2 == await complete(api, "word 3")
    assert [2, 2] == [await complete(api, f"word {n}", model="workflow:strict", **conversation) for n in range(2)]


async def test_the_command_asks_the_server_that_has_the_folder(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is to be forgotten does not wait until nobody serves."""
    await publish(served)
    given = {"workflow": "chat", "input": {"message": "word 0", "session": "anna"}, "wait": True}
    assert (await served.client.post("/v1/runs", json=given)).is_success
    data = str(served.appliance.settings.data)
    for words, said in (("list", "anna"), ("show anna", "word 0"), ("forget anna", "1 turn forgotten")):
        code = await asyncio.to_thread(run_command, ["memory", "sessions", *words.split(), "--data", data])
        assert (0, True) == (code, said in (out := capsys.readouterr()).out + out.err)
