"""User code runs in a process of its own, gets what it was given, and dies when it must."""

import asyncio
import os
import signal
from pathlib import Path
from typing import NoReturn

import pytest

from runtime.agents.custom import CustomAgent
from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId
from runtime.domain.workflow import AgentSpec
from runtime.errors import Invalid, Refused, StepFailure, Unavailable
from runtime.ports import StepResult
from tests.runtime.agents.tasks import task

CODE = """
import os, sys, time
import models  # the project's own, beside this file

def echo(task, ctx):
    print("this does not mix with the answer")
    home = os.environ.get("HOME")
    return {"task": task, "key": ctx.idempotency_key, "run": ctx.run_id, "models": models.WHO, "home": home}

def use_tool(task, ctx):
    return {"answer": ctx.tool("add", {"a": 1})}

def pid(task, ctx):
    return os.getpid()

def hang(task, ctx):
    open(task["file"], "w").write(str(os.getpid()))
    time.sleep(600)

def broken(task, ctx):
    return task["the secret"]

def deliberate(task, ctx):
    error = RuntimeError("no such account")
    error.code = "bank.no_account"
    raise error

def with_child(task, ctx):
    import subprocess
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdout=subprocess.DEVNULL)
    open(task["file"], "w").write(str(child.pid))
    child.wait()

def die(task, ctx):
    os._exit(3)

def nan(task, ctx):
    return float("nan")
"""


class Host:
    """A context whose one tool adds."""

    models = None
    http = None
    folder = ""

    async def run_program(self, own: object, runs: object, content: bytes, *, stdin: bytes = b"") -> NoReturn:
        raise AssertionError("the agent has no program of its own")

    async def pay_for_memory(self, layer: str, operation: str) -> None:
        """It costs nothing here."""

    async def call_tool(self, tool: str, arguments: dict[str, Json]) -> Json:
        if tool != "add":
            raise Refused("tool.not_granted", "no")
        return {"sum": 1 + int(str(arguments["a"]))}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "code.py").write_text(CODE)
    (tmp_path / "models.py").write_text("WHO = 'mine'")
    return tmp_path


async def call(project: Path, function: str, value: Json = None, file: str = "code.py") -> StepResult:
    agent = CustomAgent(
        AgentSpec(id=AgentId("c"), type="custom", config={"handler": f"{file}:{function}"}), folder=str(project)
    )
    await agent.start()
    try:
        return await agent.act(task(value), Host())  # type: ignore[arg-type]  # it asks for tools only
    finally:
        await agent.stop()


async def test_a_function_gets_its_input_and_meets_only_its_own_modules(project: Path) -> None:
    result = await call(project, "echo", {"n": 1})
    assert result.output == {"task": {"n": 1}, "key": "r-1/step", "run": "r-1", "models": "mine", "home": None}


async def test_user_code_cannot_import_the_appliance(project: Path) -> None:
    (project / "curious.py").write_text("import msgspec\n\ndef f(task, ctx):\n    return 1\n")
    with pytest.raises(Invalid, match=r"custom\.does_not_load"):
        await call(project, "f", file="curious.py")


async def test_a_function_asks_the_host_for_tools(project: Path) -> None:
    assert (await call(project, "use_tool")).output == {"answer": {"sum": 2}}


async def test_an_exception_names_its_place_and_not_its_text(project: Path) -> None:
    with pytest.raises(StepFailure) as caught:
        await call(project, "broken", {})
    assert "KeyError" in caught.value.message
    assert "code.py:" in caught.value.message
    assert "secret" not in caught.value.message


async def test_a_deliberate_failure_keeps_its_code(project: Path) -> None:
    with pytest.raises(StepFailure, match=r"bank\.no_account: no such account"):
        await call(project, "deliberate")


async def test_cancelling_a_call_kills_its_process(project: Path) -> None:
    agent = CustomAgent(
        AgentSpec(id=AgentId("c"), type="custom", config={"handler": "code.py:hang"}), folder=str(project)
    )
    await agent.start()
    note = project / "pid"
    hanging = asyncio.create_task(agent.act(task({"file": str(note)}), Host()))  # type: ignore[arg-type]
    async with asyncio.timeout(60):
        while not (note.exists() and note.read_text()):
            await asyncio.sleep(0)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)
    await agent.stop()


async def test_a_worker_that_dies_is_unavailable_and_the_next_call_gets_a_new_one(project: Path) -> None:
    with pytest.raises(Unavailable):
        await call(project, "die")
    agent = CustomAgent(
        AgentSpec(id=AgentId("c"), type="custom", config={"handler": "code.py:pid"}), folder=str(project)
    )
    await agent.start()
    first = await agent.act(task(None), Host())  # type: ignore[arg-type]
    second = await agent.act(task(None), Host())  # type: ignore[arg-type]
    assert first == second
    await agent.stop()


async def test_what_a_function_has_started_ends_with_it(project: Path) -> None:
    """A time-out must stop the work, also where the function has others do it."""
    spec = AgentSpec(id=AgentId("c"), type="custom", config={"handler": "code.py:with_child"})
    agent = CustomAgent(spec, folder=str(project))
    await agent.start()
    note = project / "pid"
    waiting = asyncio.create_task(agent.act(task({"file": str(note)}), Host()))  # type: ignore[arg-type]
    async with asyncio.timeout(60):
        while not (note.exists() and note.read_text()):
            await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(60):
        while _is_running(int(note.read_text())):
            await asyncio.sleep(0)
    await agent.stop()


async def test_a_worker_that_died_between_two_calls_fails_neither(project: Path) -> None:
    """The system may have taken it for its memory."""
    agent = CustomAgent(
        AgentSpec(id=AgentId("c"), type="custom", config={"handler": "code.py:pid"}), folder=str(project)
    )
    await agent.start()
    first = (await agent.act(task(None), Host())).output  # type: ignore[arg-type]
    os.kill(int(str(first)), signal.SIGKILL)
    async with asyncio.timeout(60):
        while agent._workers._idle[0].is_alive:
            await asyncio.sleep(0)
    second = (await agent.act(task(None), Host())).output  # type: ignore[arg-type]
    assert first != second
    await agent.stop()


def _is_running(pid: int) -> bool:
    """Whether the process runs; one that ended and waits to be asked for its status does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_an_answer_that_is_no_json_is_refused(project: Path) -> None:
    with pytest.raises(StepFailure, match="not finite") as failure:
        await call(project, "nan")
    assert "custom.not_json" == failure.value.code


@pytest.mark.parametrize(
    ("file", "function", "code"),
    [
        ("code.py", "missing", "custom.no_function"),
        ("absent.py", "f", "custom.does_not_load"),
        ("bad.py", "f", "custom.does_not_load"),
    ],
)
async def test_code_that_does_not_load_is_said_so_at_start(project: Path, file: str, function: str, code: str) -> None:
    (project / "bad.py").write_text("def f(:\n")
    with pytest.raises(Invalid) as caught:
        await call(project, function, file=file)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("function", "code", "words"),
    [("leave", "custom.worker_died", "exit code 9"), ("burst", "custom.answer_too_large", "16,777,216 bytes")],
)
async def test_a_worker_that_goes_says_how(project: Path, function: str, code: str, words: str) -> None:
    """One that died may be tried again; one that sent too much would again."""
    (project / "ends.py").write_text(
        "import os\ndef leave(task, ctx): os._exit(9)\ndef burst(task, ctx): return 'x' * 17_000_000\n"
    )
    agent = CustomAgent(
        AgentSpec(id=AgentId("c"), type="custom", config={"handler": f"ends.py:{function}"}), folder=str(project)
    )
    with pytest.raises(Unavailable, match=words) as ended:
        await agent.act(task(None), Host())  # type: ignore[arg-type]  # it asks for nothing
    assert (code, code == "custom.worker_died") == (ended.value.code, ended.value.retryable)
    await agent.stop()
