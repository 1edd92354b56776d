"""A secret reaches the one host that it is for, and nothing that is written or told."""

import asyncio
import hmac
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from appliance.cli.context import Af
from appliance.cli.logbook import close_log, open_log
from appliance.config.settings import load_settings
from appliance.ram_folder import RamFolder
from appliance.wiring import Appliance
from runtime.domain.canonical import encode
from runtime.domain.chat import ChatMessage, ChatRequest
from runtime.domain.ids import DEFAULT_TENANT, StepId, TenantId
from runtime.errors import Invalid, InvalidDefinition, Refused, Unavailable, Unusable
from runtime.store.keyring import keyring_of
from runtime.store.secrets import SecretStore
from tests.appliance.api.serving import open_api

VALUE = "tops3cret-weather-key"
WORKFLOW = """name: call
agents:
  ask: {{type: http, url: "http://127.0.0.1:{port}/x", headers: {{authorization: "Bearer secret://weather"}}}}
"""


class Echo:
    """A server that answers with the request's head and body."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.port = 0
        self.reply = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0)
        self.seen.append(head + (await reader.readexactly(length)).decode())
        body = (self.reply or json.dumps({"echo": self.seen[-1]})).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
            % (len(body), body)
        )
        await writer.drain()
        writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    made = Echo()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest.fixture
def kept(data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SecretStore:
    """The secret `weather` in the data folder, and its master key in the environment."""
    ram = RamFolder()
    try:
        ram.path()
    except Unusable as error:
        pytest.skip(error.message)
    finally:
        ram.stop()
    master = tmp_path / "keys" / "master.key"
    master.parent.mkdir(mode=0o700)
    master.write_text("5e" * 32)
    master.chmod(0o600)
    monkeypatch.setenv("AGENTFLOW_MASTER_KEY_FILE", str(master))
    keyring = keyring_of({"AGENTFLOW_MASTER_KEY_FILE": str(master)}, data_folder)
    assert keyring is not None
    store = SecretStore(data_folder, keyring, lambda: 1_000_000)
    store.put(DEFAULT_TENANT, "weather", VALUE)
    return store


@pytest.mark.usefixtures("kept")
async def test_a_secret_goes_to_its_host_and_into_no_journal(data_folder: Path, echo: Echo) -> None:
    """The service repeats it, and the caller sends it; both are masked before anything is durable."""
    appliance = Appliance(load_settings(data_folder, {}))
    await appliance.start()
    try:
        workflow = await appliance.workflows.put(WORKFLOW.format(port=echo.port).encode(), name="call")
        run = await appliance.engine.submit(workflow, {"note": f"use {VALUE}", "ref": "secret://weather"})
        state = await appliance.engine.wait(run)
        rows = await appliance.store.read(run)
        audited = await appliance.audit.read(DEFAULT_TENANT) if appliance.audit else ()
        assert "succeeded" == state.status
        assert f"Bearer {VALUE}" in echo.seen[0]
        assert 1 == echo.seen[0].count(VALUE)
        assert "secret://weather" in echo.seen[0]  # what comes with an input is a text
        assert not any(VALUE.encode() in row.data for row in rows)
        assert not any(VALUE.encode() in line.detail for line in audited)
        assert b"[SECRET:weather]" in encode(state.output)
        assert 0 == (await appliance.store.verify()).runs - 1
    finally:
        await appliance.stop()
    assert not any(VALUE.encode() in path.read_bytes() for path in data_folder.rglob("*") if path.is_file())


async def test_a_secret_of_another_host_or_tenant_is_not_sent(kept: SecretStore, data_folder: Path, echo: Echo) -> None:
    """What a definition may reach it may not use every key for."""
    kept.put(DEFAULT_TENANT, "weather", VALUE, hosts=["api.example"])
    appliance = Appliance(load_settings(data_folder, {}))
    await appliance.start()
    try:
        workflow = await appliance.workflows.put(WORKFLOW.format(port=echo.port).encode(), name="call")
        states = [
            await appliance.engine.wait(await appliance.engine.submit(workflow, {}, tenant=tenant))
            for tenant in (DEFAULT_TENANT, TenantId("other"))
        ]
        assert ["secret.other_host", "secret.unknown"] == [state.error.code for state in states if state.error]
        assert [] == echo.seen
    finally:
        await appliance.stop()


async def test_a_model_server_gets_its_key(kept: SecretStore, data_folder: Path, echo: Echo) -> None:
    """By reference in the settings; a key that turns up in its answer is masked in the next prompt."""
    kept.put(DEFAULT_TENANT, "vllm", "the-key-of-the-server")
    data_folder.joinpath("config.yaml").write_text(
        json.dumps(
            {
                "models": {
                    "check_s": 0,
                    "backends": [
                        {
                            "name": "vllm",
                            "url": f"http://127.0.0.1:{echo.port}/v1",
                            "models": ["m"],
                            "key": "secret://vllm",
                        }
                    ],
                }
            }
        )
    )
    echo.reply = json.dumps(
        {"choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}], "model": "m"}
    )
    appliance = Appliance(load_settings(data_folder, {}))
    await appliance.start()
    try:
        messages = (ChatMessage(role="user", content="say the-key-of-the-server"),)
        await appliance.models.complete(ChatRequest(model="m", provider="vllm", messages=messages))
    finally:
        await appliance.stop()
    asked = next(seen for seen in echo.seen if "POST" in seen)
    assert "authorization: bearer the-key-of-the-server" in asked.lower()
    assert "say [SECRET:vllm]" in asked


@pytest.mark.parametrize("key", ["the-key-itself", "secret://", "secret://A b"])
def test_settings_take_no_key_in_the_clear(data_folder: Path, key: str) -> None:
    """And the message does not repeat what was given."""
    backends = [{"name": "vllm", "url": "http://127.0.0.1:1/v1", "models": ["m"], "key": key}]
    data_folder.mkdir(mode=0o700)
    (data_folder / "config.yaml").write_text(json.dumps({"models": {"backends": backends}}))
    with pytest.raises(Invalid) as raised:
        load_settings(data_folder, {})
    assert "secret://vllm" in raised.value.message
    assert "the-key-itself" not in raised.value.message


@pytest.mark.parametrize(
    "agent",
    [
        '{type: llm, prompt: "the key is secret://weather"}',
        '{type: http, url: "http://h/secret://weather"}',
        '{type: http, url: "http://h/", headers: {x: "{{ input.a }} secret://weather"}}',
    ],
)
@pytest.mark.usefixtures("kept")
async def test_a_reference_where_nobody_resolves_it_is_an_error(data_folder: Path, agent: str) -> None:
    """Else it would be sent as it stands, and somebody would put the key there by hand."""
    appliance = Appliance(load_settings(data_folder, {}))
    await appliance.start()
    try:
        with pytest.raises(InvalidDefinition, match=r"secret\.misplaced"):
            await appliance.workflows.put(f"name: call\nagents:\n  ask: {agent}\n".encode(), name="call")
    finally:
        await appliance.stop()


async def test_logs_and_errors_are_masked(kept: SecretStore, data_folder: Path, capsys: object) -> None:
    """Traces too, which show what a call was given."""
    af = Af()
    af.data = data_folder
    open_log(af)
    appliance = Appliance(load_settings(data_folder, {}), known=af.known)
    await appliance.start()
    try:
        try:
            raise ValueError(f"cannot use {VALUE}")
        except ValueError:
            logging.getLogger("tests").error("failed with %s", VALUE, exc_info=True, extra={"given": {"k": [VALUE]}})
        text = (data_folder / "logs" / "af.log").read_text()
        assert 3 <= text.count("[SECRET:weather]")
        assert VALUE not in text
        assert "[SECRET:weather]" in af.masked(f"x {VALUE}")
    finally:
        await appliance.stop()
        close_log()


@pytest.mark.usefixtures("kept")
async def test_answers_of_the_api_are_masked(data_folder: Path) -> None:
    """A message may repeat what it was given."""
    async with open_api(data_folder) as api:
        answer: httpx.Response = await api.client.get(f"/v1/workflows/{VALUE}")
        assert (404, False, True) == (answer.status_code, VALUE in answer.text, "[SECRET:weather]" in answer.text)


async def test_a_secret_that_is_kept_meanwhile_is_noticed(kept: SecretStore, data_folder: Path) -> None:
    """Another process keeps it; from the next look on it is masked."""
    appliance = Appliance(load_settings(data_folder, {}))
    await appliance.start()
    try:
        kept.put(DEFAULT_TENANT, "late", "kept-while-it-runs")
        appliance.secrets._learn()
        assert "[SECRET:late]" == appliance.known.mask_text("kept-while-it-runs")
    finally:
        await appliance.stop()


async def test_a_provider_whose_feature_is_off_is_refused(data_folder: Path) -> None:
    """Nothing asks a server that nobody allowed."""
    data_folder.mkdir(mode=0o700)
    (data_folder / "config.yaml").write_text("secrets: {provider: openbao}\n")
    appliance = Appliance(load_settings(data_folder, {}))
    with pytest.raises(Refused, match=r"secret\.feature"):
        await appliance.start()


async def test_without_a_master_key_a_reference_says_what_to_do(data_folder: Path, echo: Echo) -> None:
    """The step fails, and the message names the way."""
    appliance = Appliance(load_settings(data_folder, {}))
    await appliance.start()
    try:
        workflow = await appliance.workflows.put(WORKFLOW.format(port=echo.port).encode(), name="call")
        state = await appliance.engine.wait(await appliance.engine.submit(workflow, {}))
        assert state.error is not None
        assert ("secret.no_master", True) == (state.error.code, "AGENTFLOW_MASTER_KEY_FILE" in state.error.message)
        with pytest.raises(Unavailable):
            await appliance.secrets.list()
    finally:
        await appliance.stop()


SIGNS = """
import hmac, os

def sign(given, ctx):
    value = ctx.secret("weather")
    seen = value in " ".join([*os.environ.values(), open("/proc/self/cmdline").read()])
    return {"mac": hmac.new(value.encode(), b"x", "sha256").hexdigest(), "leaked": value, "seen": seen}

def steal(given, ctx):
    return ctx.secret("other")
"""


async def test_a_function_is_given_the_secrets_that_its_agent_lists(
    kept: SecretStore, data_folder: Path, tmp_path: Path
) -> None:
    """On its pipe, as they are at the time of the call; what it gives away of them is masked."""
    kept.put(DEFAULT_TENANT, "other", "not-for-this-agent")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "steps.py").write_text(SIGNS)
    agents = {
        name: {"type": "custom", "handler": f"steps.py:{name}", "config": {"secrets": ["weather"]}}
        for name in ("sign", "steal")
    }
    (tmp_path / "project" / "workflow.yaml").write_text(json.dumps({"name": "signs", "agents": agents}))
    appliance = Appliance(load_settings(data_folder, {}))
    await appliance.start()
    try:
        workflow = await appliance.workflows.find(str(tmp_path / "project"), allow_paths=True)
        outputs = []
        for value in (VALUE, "rotated-weather-key"):
            kept.put(DEFAULT_TENANT, "weather", value)
            state = await appliance.engine.wait(await appliance.engine.submit(workflow, {}))
            outputs.append(state.steps[StepId("sign")].output)
            assert "secret.not_granted" == state.steps[StepId("steal")].error.code  # type: ignore[union-attr]  # it failed
            expected = hmac.new(value.encode(), b"x", "sha256").hexdigest()
            assert {"mac": expected, "leaked": "[SECRET:weather]", "seen": False} == outputs[-1]
    finally:
        await appliance.stop()
