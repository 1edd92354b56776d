"""The command `llm` of Simon Willison, a process of its own with a folder of its own, over a served appliance."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.appliance.api.serving import Served
from tests.appliance.api.tooling import Tooling, tooling_gateway

PROGRAM = Path(__file__).with_name("llm_command.py")
FUNCTION = '''\
def weather(city: str, days: int) -> str:
    """Tells it."""
    return f"rain in {city} for {days} days"
'''


Command = subprocess.Popen[str]


class Home(NamedTuple):
    """The folder in which `llm` keeps its settings."""

    command: Command
    folder: Path
    model: Tooling

    async def run(self, *arguments: str, code: int = 0) -> str:
        """What one invocation prints."""
        environment = {"LLM_USER_PATH": str(self.folder), "PATH": os.environ["PATH"], "HOME": str(self.folder)}
        said, out, err = await asyncio.to_thread(self._ask, [arguments, environment])
        assert code == said, err
        return (out if code == 0 else err).strip()

    def _ask(self, question: object) -> tuple[int, str, str]:
        assert self.command.stdin is not None
        assert self.command.stdout is not None
        print(json.dumps(question), file=self.command.stdin, flush=True)
        code, out, err = json.loads(self.command.stdout.readline())
        return code, out, err


@pytest.fixture(scope="module")
def command() -> Iterator[Command]:
    with subprocess.Popen(
        [sys.executable, PROGRAM], env={"PATH": os.environ["PATH"]}, stdin=-1, stdout=-1, text=True
    ) as running:
        yield running
        assert running.stdin is not None
        running.stdin.close()


@pytest.fixture
def llm(command: Command, served: Served, tmp_path: Path) -> Home:
    served.appliance.models = tooling_gateway(model := Tooling())
    folder = tmp_path / "llm"
    folder.mkdir()
    key = served.client.headers["authorization"].removeprefix("Bearer ")
    (folder / "keys.json").write_text(f'{{"agentflow": "{key}"}}')
    (folder / "extra-openai-models.yaml").write_text(
        f"""\
- model_id: caller
  model_name: caller
  api_base: {served.address.url}/v1
  api_key_name: agentflow
  supports_tools: true
  supports_schema: true
- model_id: helper
  model_name: workflow:echo
  api_base: {served.address.url}/v1
  api_key_name: agentflow
"""
    )
    return Home(command, folder, model)


@pytest.mark.parametrize("how", [[], ["--no-stream"]], ids=["stream", "whole"])
async def test_a_prompt_is_answered(llm: Home, how: list[str]) -> None:
    assert "Hello there." == await llm.run("-m", "caller", *how, "Say hello.")
    assert "Say hello." == llm.model.asked[0].messages[-1].content


@pytest.mark.parametrize("how", [[], ["--no-stream"]], ids=["stream", "whole"])
async def test_a_function_is_called(llm: Home, how: list[str]) -> None:
    """The command runs it and sends the result back by itself."""
    said = await llm.run("-m", "caller", *how, "--functions", FUNCTION, "What is the weather?")
    assert "It says: rain in Ljubljana for 3 days" == said
    assert ["user", "assistant", "tool"] == [turn.role for turn in llm.model.asked[-1].messages]


async def test_a_schema_binds_the_answer(llm: Home) -> None:
    assert '{"city": "Ljubljana", "days": 3}' == await llm.run("-m", "caller", "--schema", "city, days int", "Where?")


async def test_a_conversation_goes_on(llm: Home) -> None:
    await llm.run("-m", "caller", "Say hello.")
    await llm.run("-m", "caller", "-c", "And again.")
    assert ["Say hello.", "Hello there.", "And again."] == [turn.content for turn in llm.model.asked[-1].messages]


async def test_a_workflow_is_a_model(llm: Home) -> None:
    assert "hello" in await llm.run("-m", "helper", "Hi")


async def test_an_error_is_told_in_words(llm: Home) -> None:
    (llm.folder / "keys.json").write_text('{"agentflow": "af_wrong"}')
    assert "send a valid API key" in await llm.run("-m", "caller", "Hi", code=1)
