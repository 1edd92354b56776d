"""No program outlives whoever gave it up, however early, and whoever starts one does so by what sees to that."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from models.process import WorkerProcess
from runtime.sandbox import children
from runtime.tools.workers import Workers

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 20])
async def test_what_is_cancelled_while_it_starts_is_gone_with_its_children(tmp_path: Path, turns: int) -> None:
    mark = str(tmp_path)

    async def start() -> object:
        return await children.started("/bin/sh", "-c", f"sh -c 'sleep 60; : {mark}' & wait")

    await _given_up(start, turns)
    assert not await _left(mark)


@pytest.mark.parametrize("turns", [0, 1, 3, 10])
async def test_a_worker_of_a_project_is_gone_with_the_call_that_waited_for_it(tmp_path: Path, turns: int) -> None:
    (tmp_path / "own.py").write_text("def f(given, ctx):\n    return given\n")
    workers = Workers(str(tmp_path), "own.py:f", who="agent 'f'")
    await _given_up(workers.start, turns)
    await workers.stop()
    assert not _children_of_ours()


@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_a_worker_of_a_model_is_gone_with_the_call_that_waited_for_it(turns: int) -> None:
    started: list[WorkerProcess] = []

    async def start() -> object:
        started.append(await WorkerProcess.spawn(None))
        return started

    await _given_up(start, turns)
    for each in started:  # it was there before it was given up
        await each.kill()
    assert not _children_of_ours()


async def test_a_place_for_errors_may_be_given(tmp_path: Path) -> None:
    with open(tmp_path / "errors", "wb") as errors:
        process = await children.started("/bin/sh", "-c", "echo out; echo err >&2", stderr=errors)
        out, _ = await process.communicate()
    assert (b"out\n", "err\n") == (out, (tmp_path / "errors").read_text())


def test_nothing_else_starts_programs() -> None:
    """asyncio's own way leaves a child of the program alive where its caller is cancelled between fork and start."""
    allowed = {"runtime/sandbox/children.py", "runtime/tools/mcp/starting.py"}
    starting = {
        str(path.relative_to(ROOT))
        for package in ("appliance", "models", "redaction", "runtime", "tui")
        for path in (ROOT / package).rglob("*.py")
        if "create_subprocess_" in path.read_text()
    }
    assert set() == starting - allowed


async def _given_up(start: Callable[[], Awaitable[object]], turns: int) -> None:
    """Begin, and cancel after so many turns of the loop, whether or not it has come to its end by then."""
    call = asyncio.ensure_future(start())
    for _ in range(turns):
        await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call], timeout=60)
    assert call.done()
    if not call.cancelled() and call.exception() is None and hasattr(call.result(), "pid"):
        process = call.result()
        children.kill(process)  # type: ignore[arg-type]  # it has a number, so it is one
        await process.wait()  # type: ignore[attr-defined]


async def _left(mark: str) -> list[str]:
    """Those that still run after a while; what was killed needs some time to be gone."""
    until = time.monotonic() + 20
    while (named := _named(mark)) and time.monotonic() < until:
        await asyncio.sleep(0.01)
    return named


def _named(mark: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if mark.encode() in words:
            found.append(path.parent.name)
    return found


def _children_of_ours() -> list[str]:
    """The processes that this one has started and that are still there."""
    return [
        pid
        for path in Path("/proc/self/task").glob("*/children")
        for pid in path.read_text().split()
        if _is_worker(pid)
    ]


def _is_worker(pid: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"user_code" in words or b"models.worker" in words
