"""The supervisor of a model worker: whatever the worker does, callers get an answer or a clear error, and soon."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from models.catalog import CHAT_MODEL
from models.host import DEFAULT_LIMITS, HostLimits, WorkerHost
from models.wire import Complete, Completed, Counted, CountTokens, Load, Ping, Pong
from runtime.domain.chat import ChatMessage, ChatRequest
from runtime.errors import AgentFlowError, Invalid, NotFound, Unavailable

STORY = ChatRequest(model=CHAT_MODEL, messages=(ChatMessage("user", "Tell me a long story."),), max_tokens=400)
SHORT = ChatRequest(model=CHAT_MODEL, messages=(ChatMessage("user", "Hello"),), max_tokens=4)

Open = Callable[..., WorkerHost]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    """Makes hosts, and stops them after the test."""
    hosts: list[WorkerHost] = []

    def open_host(
        load: Load | None = None, limits: HostLimits = DEFAULT_LIMITS, **more: Callable[[], float]
    ) -> WorkerHost:
        hosts.append(WorkerHost(load, log=tmp_path / "logs" / "model.log", limits=limits, **more))
        return hosts[-1]

    yield open_host
    for host in hosts:
        await host.stop()


@pytest.fixture
def chat(models_folder: Path) -> Load:
    return Load(kind="chat", name=CHAT_MODEL, folder=str(models_folder), context_tokens=1024)


def tell(host: WorkerHost, number: signal.Signals) -> int:
    """Send the worker a signal; return its process id."""
    assert host.pid is not None
    os.kill(host.pid, number)
    return host.pid


async def failure(awaitable: Awaitable[object]) -> AgentFlowError:
    with pytest.raises(AgentFlowError) as raised:
        await awaitable
    return raised.value


async def during(host: WorkerHost, act: Callable[[], object]) -> asyncio.Task[object]:
    """Start a long answer and do something when its first piece has come; the answer goes on as a task."""
    started = asyncio.Event()
    answer = asyncio.create_task(host.call(Complete(request=STORY, stream=True), on_text=lambda _text: started.set()))
    await started.wait()
    act()
    return answer


async def test_a_worker_starts_with_the_first_call_and_stays(opened: Open) -> None:
    host = opened()
    assert host.pid is None
    assert await host.call(Ping()) == Pong()
    first = host.pid
    await host.call(Ping())
    assert first == host.pid


async def test_a_worker_killed_in_the_middle_of_an_answer_is_a_retryable_failure(opened: Open, chat: Load) -> None:
    """An abort in the engine must cost one answer, never the program."""
    host = opened(chat)
    answer = await during(host, lambda: tell(host, signal.SIGSEGV))
    error = await failure(answer)
    assert ("model.worker_died", True, "SIGSEGV") == (error.code, error.retryable, error.facts["signal"])
    assert isinstance(await host.call(Complete(request=SHORT)), Completed)


async def test_a_worker_that_died_unnoticed_is_replaced(opened: Open) -> None:
    """The kernel may kill an idle worker for its memory."""
    host = opened()
    await host.call(Ping())
    assert host.pid is not None
    gone = os.pidfd_open(host.pid)
    tell(host, signal.SIGKILL)
    await asyncio.to_thread(select.select, [gone], [], [], 10)
    os.close(gone)
    error: AgentFlowError | None = None
    try:
        await host.call(Ping())
    except Unavailable as died:  # when the host had not heard of it yet
        error = died
    assert error is None or error.code == "model.worker_died"
    assert await host.call(Ping()) == Pong()


async def test_a_hanging_worker_is_killed_at_its_deadline(opened: Open, chat: Load) -> None:
    """SIGSTOP stands in for an engine in an endless loop."""
    host = opened(chat, HostLimits(answer_s=3.0))
    await host.call(CountTokens(messages=(("user", "x"),)))
    stopped = tell(host, signal.SIGSTOP)
    error = await failure(host.call(Complete(request=SHORT)))
    assert ("model.hung", True) == (error.code, error.retryable)
    assert isinstance(await host.call(CountTokens(messages=(("user", "x"),))), Counted)
    assert host.pid != stopped


async def test_cancelling_stops_the_work_and_keeps_the_worker(opened: Open, chat: Load) -> None:
    """The flag is looked at between two tokens, so the model stays loaded for the next caller."""
    host = opened(chat)
    answer = await during(host, lambda: None)
    pid = host.pid
    answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
    assert isinstance(await host.call(Complete(request=SHORT)), Completed)
    assert pid == host.pid


async def test_a_cancel_that_is_not_honoured_kills_the_worker(opened: Open, chat: Load) -> None:
    host = opened(chat, HostLimits(cancel_s=0.2))
    answer = await during(host, lambda: tell(host, signal.SIGSTOP))
    answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
    assert host.pid is None
    assert isinstance(await host.call(Complete(request=SHORT)), Completed)


async def test_who_leaves_while_the_model_loads_leaves_no_worker_that_has_loaded_nothing(
    opened: Open, chat: Load
) -> None:
    """Else every answer after it would fail, until somebody restarts the program."""
    host = opened(chat)
    leaving = asyncio.create_task(host.call(Complete(request=SHORT)))
    while host.pid is None:
        await asyncio.wait({leaving}, timeout=0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert leaving.cancelled()
    assert isinstance(await host.call(Complete(request=SHORT)), Completed)
    assert host.loaded is not None


async def test_who_leaves_twice_leaves_no_dying_worker_to_the_next(opened: Open, chat: Load) -> None:
    """A client and the server both give up at once; the next one in the queue has done nothing wrong."""
    host = opened(chat)
    answer = await during(host, lambda: tell(host, signal.SIGSTOP))
    staying = asyncio.create_task(host.call(Complete(request=SHORT)))
    for _ in range(3):
        answer.cancel()
        await asyncio.wait({answer}, timeout=0)
    await asyncio.gather(answer, return_exceptions=True)
    assert isinstance(await staying, Completed)


async def test_a_caller_that_waits_for_its_turn_can_leave(opened: Open, chat: Load) -> None:
    host = opened(chat)
    first = await during(host, lambda: None)
    second = asyncio.create_task(host.call(Complete(request=SHORT)))
    third = asyncio.create_task(host.call(Complete(request=SHORT)))
    await asyncio.wait({second}, timeout=0)
    second.cancel()
    first.cancel()
    assert isinstance(await third, Completed)
    assert second.cancelled()


async def test_callers_are_answered_in_the_order_they_came(opened: Open, chat: Load) -> None:
    host = opened(chat)
    done: list[int] = []

    async def ask(number: int) -> None:
        await host.call(Complete(request=SHORT))
        done.append(number)

    await asyncio.gather(*(ask(number) for number in range(4)))
    assert done == [0, 1, 2, 3]


async def test_a_worker_that_keeps_dying_is_given_a_rest(opened: Open, chat: Load) -> None:
    """A model that kills its worker every time must not be started for ever."""
    clock = [1000.0]
    host = opened(chat, HostLimits(deaths=2, window_s=60.0, rest_s=30.0), now=lambda: clock[0])
    for _ in range(2):
        answer = await during(host, lambda: tell(host, signal.SIGKILL))
        assert (await failure(answer)).code == "model.worker_died"
        clock[0] += 5.0
    resting = await failure(host.call(Ping()))
    assert ("model.crash_loop", True) == (resting.code, resting.retryable)
    assert "in 25 s" in resting.message
    assert host.pid is None
    clock[0] += 30.0
    assert await host.call(Ping()) == Pong()


async def test_deaths_far_apart_are_no_crash_loop(opened: Open, chat: Load) -> None:
    clock = [1000.0]
    host = opened(chat, HostLimits(deaths=2, window_s=60.0), now=lambda: clock[0])
    for _ in range(2):
        answer = await during(host, lambda: tell(host, signal.SIGKILL))
        await failure(answer)
        clock[0] += 61.0
    assert await host.call(Ping()) == Pong()


async def test_an_idle_worker_is_let_go_and_comes_back(opened: Open) -> None:
    host = opened(None, HostLimits(idle_s=0.0))
    await host.call(Ping())
    assert host.pid is not None
    gone = os.pidfd_open(host.pid)
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(gone, readable.set)
    await asyncio.wait_for(readable.wait(), 60)
    loop.remove_reader(gone)
    os.close(gone)
    assert host.pid is None
    assert await host.call(Ping()) == Pong()


async def test_what_cannot_be_loaded_is_said_and_no_worker_is_kept(opened: Open, models_folder: Path) -> None:
    host = opened(Load(kind="chat", name="nowhere", folder=str(models_folder)))
    with pytest.raises(NotFound, match="af models add FILE --name nowhere"):
        await host.call(Ping())
    assert host.pid is None


async def test_a_model_of_the_wrong_kind_is_invalid(opened: Open, models_folder: Path) -> None:
    host = opened(Load(kind="embedding", name=CHAT_MODEL, folder=str(models_folder)))
    with pytest.raises(Invalid, match=r"model\.wrong_kind"):
        await host.call(Ping())


async def test_the_workers_environment_is_clean(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets of the parent stay there, threads wait asleep, aborts start no debugger, crashes write no core."""
    monkeypatch.setenv("AGENTFLOW_DB_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    host = opened()
    await host.call(Ping())
    environment = Path(f"/proc/{host.pid}/environ").read_bytes().decode().split("\0")
    assert {"OMP_WAIT_POLICY=passive", "GOMP_SPINCOUNT=0", "GGML_NO_BACKTRACE=1"} <= set(environment)
    assert not any("secret" in variable or "PYTHONPATH" in variable for variable in environment)
    limits = Path(f"/proc/{host.pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]


async def test_a_projects_own_models_module_does_not_stand_in_for_ours(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert await opened().call(Ping()) == Pong()


def test_a_worker_dies_with_its_parent(tmp_path: Path) -> None:
    """kill -9 of the appliance must not leave a model in memory."""
    script = (
        "import asyncio, signal\n"
        "from models.host import WorkerHost\n"
        "from models.wire import Ping\n"
        "async def main():\n"
        "    host = WorkerHost(None)\n"
        "    await host.call(Ping())\n"
        "    print(host.pid, flush=True)\n"
        "    signal.pause()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    ended, _, _ = select.select([worker], [], [], 10)
    os.close(worker)
    assert ended


async def test_the_log_is_kept_small(opened: Open, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "model.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * 2_000_000)
    await opened().call(Ping())
    assert log.stat().st_size < 1_000_000
    assert log.with_suffix(".old.log").stat().st_size == 2_000_000
