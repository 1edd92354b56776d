"""From a client through the appliance to a model server and back: what the server may not see, it never saw."""

import json
import logging
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from redaction.names.host import NamesHost
from tests.appliance.api.echo_server import EchoServer, echo_server
from tests.appliance.api.serving import Served, open_server

MAIL, CARD, KEY, NAME = (
    "ada.lovelace@example.com",
    "4111 1111 1111 1111",
    "Zx81kLmQ0aTt93bVdYwEr47uPf2GhJ6c",
    "Grace Hopper",
)
VALUES = (MAIL, CARD, KEY, NAME)
ADDRESS = "742 Evergreen Terrace, Apt 4\nSpringfield, IL 62704"
RESTORED = (MAIL, CARD, NAME)
"""What comes back; a secret is gone for good."""

CONFIG = """\
models:
  backends:
    - {{name: vllm, url: "{url}", models: [{models}]}}
    - {{name: gone, url: "http://127.0.0.1:1/v1", models: [m]}}
  routes: {{answers: [gone/m, vllm/cut-7]}}
"""
CUTS = (1, 2, 3, 7, 13, 64)
WORKFLOW = """\
name: relay
agents:
  say: {type: llm, prompt: "{{ input.message }}", model: {provider: vllm, name: cut-7}}
"""

TOOL = {"type": "function", "function": {"name": "mail", "parameters": {"type": "object", "properties": {}}}}
ARGUMENTS = json.dumps({"to": MAIL, "cc": [NAME], "card": CARD, "api_key": KEY})
MESSAGES = [
    {"role": "system", "content": f"You help {NAME}, who pays with {CARD}."},
    {"role": "user", "content": f"Write to {MAIL}. My api_key={KEY}"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "mail", "arguments": ARGUMENTS}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": json.dumps({"sent_to": MAIL, "charged": CARD, "token": KEY})},
]


@pytest.fixture
async def outside() -> AsyncIterator[EchoServer]:
    async with echo_server() as server:
        yield server


@pytest.fixture
async def inside(data_folder: Path, outside: EchoServer) -> AsyncIterator[Served]:
    """An appliance that reaches the model server, with a workflow that asks it."""
    data_folder.mkdir()
    models = ", ".join(f"cut-{size}" for size in CUTS)
    (data_folder / "config.yaml").write_text(CONFIG.format(url=outside.url, models=models))
    folder = data_folder / "workflows" / "relay"
    folder.mkdir(parents=True)
    (folder / "workflow.yaml").write_text(WORKFLOW)
    async with open_server(data_folder) as served:
        yield served


async def ask(
    served: Served,
    model: str = "vllm/cut-7",
    headers: dict[str, str] | None = None,
    **more: Any,  # noqa: ANN401  # fields of the request
) -> httpx.Response:
    body = {"model": model, "messages": MESSAGES, **more}
    return await served.client.post("/v1/chat/completions", json=body, headers=headers)


def spellings(value: str) -> Iterator[bytes]:
    """How a value could be written: as it is, without its gaps, in base64, whatever the case."""
    for text in (value, value.replace(" ", ""), value.replace(" ", "-"), value.upper(), value.lower()):
        yield text.encode()
        yield b64encode(text.encode())


def leaked(data: bytes) -> list[str]:
    """The values that can be read in it."""
    return [value for value in VALUES if any(spelling in data for spelling in spellings(value))]


def test_the_check_finds_what_it_looks_for() -> None:
    """A check that cannot fail proves nothing."""
    assert list(VALUES) == leaked(json.dumps(MESSAGES).encode())
    assert [CARD] == leaked(b"4111111111111111")
    assert [MAIL] == leaked(b"to=" + b64encode(MAIL.encode()))


async def test_a_whole_answer_comes_back_with_its_values(inside: Served, outside: EchoServer) -> None:
    answer = await ask(inside)
    assert 200 == answer.status_code, answer.text
    text = answer.json()["choices"][0]["message"]["content"]
    assert [] == leaked(bytes(outside.seen))
    assert [] == [value for value in RESTORED if value not in text]
    assert KEY not in text
    assert {b"<EMAIL_1", b"<PAYMENT_CARD_1", b"<PERSON_1"} == set(
        re.findall(rb"<(?:EMAIL|PAYMENT_CARD|PERSON)_1", bytes(outside.seen))
    )


async def test_arguments_of_calls_come_back_with_their_values(inside: Served, outside: EchoServer) -> None:
    """And are JSON, as before."""
    answer = await ask(inside, tools=[TOOL])
    [call] = answer.json()["choices"][0]["message"]["tool_calls"]
    text = json.loads(call["function"]["arguments"])["all"]
    assert [] == leaked(bytes(outside.seen))
    assert [] == [value for value in RESTORED if value not in text]


async def test_a_stream_comes_back_with_its_values_wherever_it_is_cut(inside: Served, outside: EchoServer) -> None:
    """Equal to the whole answer, in text and in the JSON of a call."""
    whole = (await ask(inside)).json()["choices"][0]["message"]["content"]
    assert [] == [value for value in RESTORED if value not in whole]
    for size in CUTS:
        deltas = await streamed(inside, f"vllm/cut-{size}")
        assert whole == "".join(delta.get("content", "") for delta in deltas), size
        deltas = await streamed(inside, f"vllm/cut-{size}", tools=[TOOL])
        calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
        assert whole == json.loads("".join(call["function"]["arguments"] for call in calls))["all"], size
    assert [] == leaked(bytes(outside.seen))


async def streamed(served: Served, model: str, **more: Any) -> list[dict[str, Any]]:  # noqa: ANN401  # as above
    """What each event of a stream adds."""
    answer = await ask(served, model, stream=True, **more)
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert "[DONE]" == events.pop(), answer.text
    return [json.loads(event)["choices"][0]["delta"] for event in events]


async def test_a_conversation_keeps_its_pseudonyms(inside: Served, outside: EchoServer) -> None:
    """Otherwise a model takes one person in two requests for two people. Two conversations share nothing."""
    names = []
    for headers in ({"x-agentflow-conversation": "a"}, {"x-agentflow-conversation": "a"}, {}, {}):
        outside.seen.clear()
        await ask(inside, headers=headers, temperature=1)
        names.append(set(re.findall(rb"<EMAIL_1_[A-Z2-7]{4}>", bytes(outside.seen))))
    assert [1, 1, 1, 1] == [len(each) for each in names]
    assert names[0] == names[1]
    assert names[0] != names[2]


async def test_vectors_are_made_of_redacted_texts(inside: Served, outside: EchoServer) -> None:
    body = {"model": "vllm/cut-1", "input": [f"Write to {MAIL}", f"{NAME} pays with {CARD}"]}
    answer = await inside.client.post("/v1/embeddings", json=body)
    assert (200, []) == (answer.status_code, leaked(bytes(outside.seen)))
    assert b"<EMAIL_1" in outside.seen


async def test_nothing_is_left_behind(inside: Served, data_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither log nor audit line nor any file of the data folder holds a value; the counts are there."""
    caplog.set_level(logging.DEBUG)
    await ask(inside, headers={"x-agentflow-conversation": MAIL})
    await ask(inside, tools=[TOOL], stream=True)
    await ask(inside, "vllm/none")
    lines = (await inside.client.get("/v1/egress")).json()["lines"]
    assert {"egress.sent", "egress.settled"} == {line["event"] for line in lines}
    sent = next(line for line in lines if line["event"] == "egress.sent")
    assert ("model", "site", "default") == (sent["kind"], sent["zone"], sent["policy"])
    assert sent["found"]["EMAIL:pseudonymise"] >= 1
    assert [] == leaked(caplog.text.encode())
    for path in data_folder.rglob("*"):
        if path.is_file():
            assert [] == leaked(path.read_bytes()), path


async def test_a_run_that_is_minimised_leaves_nothing_behind(
    inside: Served, outside: EchoServer, data_folder: Path
) -> None:
    """A journal holds what a run was asked, so a workflow that handles people's data says `minimise`."""
    document = WORKFLOW + "policies: {minimise: true}\n"
    stored = await inside.client.put(
        "/v1/workflows/relay", content=document, headers={"content-type": "application/yaml"}
    )
    assert stored.is_success, stored.text
    answer = await ask(
        inside, "workflow:relay", messages=[{"role": "user", "content": f"Tell {NAME} at {MAIL}: {CARD}"}]
    )
    assert 200 == answer.status_code, answer.text
    run = answer.headers["x-agentflow-run"]
    lines = (await inside.client.get(f"/v1/egress?run={run}")).json()["lines"]
    assert ["egress.settled", "egress.sent"] == [line["event"] for line in lines]
    assert [] == leaked(bytes(outside.seen))
    for path in data_folder.rglob("*"):
        if path.is_file():
            assert [] == leaked(path.read_bytes()), path


@pytest.fixture
def own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is the test's own to end."""
    monkeypatch.setattr("appliance.wiring.NamesHost", NamesHost)


@pytest.mark.usefixtures("own_names")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_nothing_leaves_when_the_redactor_fails(inside: Served, outside: EchoServer, stream: bool) -> None:
    """503, so that a client asks again; never a request that was not looked through."""
    inside.appliance._names.stop()
    answer = await ask(inside, stream=stream)
    error = answer.json()["error"]
    assert (503, "redaction.unavailable", "true") == (
        answer.status_code,
        error["code"],
        answer.headers["x-should-retry"],
    )
    assert b"" == bytes(outside.seen)
    assert [] == leaked(answer.content)
    refused = (await inside.client.get("/v1/egress")).json()["lines"]
    assert ["redaction.unavailable"] == [line["outcome"] for line in refused]


@pytest.mark.parametrize(
    "more", [{"tools": [TOOL]}, {"response_format": {"type": "json_object"}}], ids=["call", "text"]
)
async def test_json_stays_json_whatever_a_value_holds(
    inside: Served, outside: EchoServer, more: dict[str, Any]
) -> None:
    """An address of two lines is put back with its line break escaped."""
    asked = {"messages": [{"role": "user", "content": f"Send it to:\n{ADDRESS}\n\nThanks."}], **more}
    whole = (await ask(inside, **asked)).json()["choices"][0]["message"]
    deltas = await streamed(inside, "vllm/cut-3", **asked)
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    if "tools" in more:
        told = whole["tool_calls"][0]["function"]["arguments"], "".join(call["function"]["arguments"] for call in calls)
    else:
        told = whole["content"], "".join(delta.get("content", "") for delta in deltas)
    assert [True, True] == [ADDRESS in json.loads(text)["all"] for text in told]
    assert b"<ADDRESS_1" in outside.seen
    assert b"Evergreen" not in outside.seen


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_the_answer_says_who_gave_it_and_why(inside: Served, outside: EchoServer, stream: bool) -> None:
    """The first of the route does not answer; what it would have been told was redacted for it, and so for the next."""
    answer = await ask(inside, "answers", stream=stream)
    assert "vllm/cut-7: next of 2 that can answer; gone/m: " in answer.headers["x-agentflow-route"]
    assert [] == leaked(bytes(outside.seen))
    lines = (await inside.client.get("/v1/egress?event=egress.sent")).json()["lines"]
    assert ["vllm", "gone"] == ["gone" if line["host"] == "127.0.0.1:1" else "vllm" for line in lines]


async def test_a_class_of_data_stays_where_it_may_be(inside: Served, outside: EchoServer) -> None:
    answer = await ask(inside, headers={"x-agentflow-data-class": "restricted"})
    assert (403, "egress.data_class_refused") == (answer.status_code, answer.json()["error"]["code"])
    assert b"" == bytes(outside.seen)
