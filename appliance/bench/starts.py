"""CPU that it takes to start: the command's help, the server until it is ready, and a request to it.

Every start is a process of its own with an empty data folder; CPU is user and system time of all its threads.
"""

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redaction.doors.local import LocalDoor
from runtime.domain.canonical import Json, encode
from runtime.errors import Unavailable

AF = [sys.executable, "-m", "appliance"]
POSTS = 300
WARM_UP = 50
READY_WITHIN_S = 60
WAITING: dict[str, Json] = {
    "name": "bench-wait",
    "agents": {"note": {"type": "llm", "prompt": "Never asked."}},
    "planner": {
        "type": "fsm",
        "definition": {
            "initial_state": "wait",
            "states": {"wait": {"wait_for": "go", "on_success": "note"}, "note": {}},
            "final_states": ["note"],
        },
    },
}
START: dict[str, Json] = {"workflow": "bench-wait", "input": None}


def help_cpu_s() -> float:
    """Seconds of CPU for `af --help`; the least of five, the first of which may write bytecode."""
    return min(_children_cpu_s([*AF, "--help"]) for _ in range(5))


def serve_cpu_s() -> float:
    """Seconds of CPU that `af serve` has used when it says that it is ready; the least of three."""
    spent = []
    for _ in range(3):
        with _server() as (pid, _):
            spent.append(_cpu_s(pid))
    return min(spent)


def api_post_cpu_ms() -> float:
    """Milliseconds of CPU that the server adds to a run's start when it comes as POST /v1/runs.

    The run waits for a signal at once, so that no agent's work is counted; what the same start costs without HTTP is
    taken off.
    """
    with _server() as (pid, data):
        door = LocalDoor(data / "run" / "af.sock")
        door.call("PUT", "/v1/workflows/bench-wait", WAITING)
        for _ in range(WARM_UP):
            door.call("POST", "/v1/runs", START)
        before = _cpu_s(pid)
        for _ in range(POSTS):
            door.call("POST", "/v1/runs", START)
        over_http_ms = (_cpu_s(pid) - before) * 1_000 / POSTS
    return over_http_ms - asyncio.run(_submit_cpu_ms())


async def _submit_cpu_ms() -> float:
    """Milliseconds of CPU for the same start through the engine alone."""
    from appliance.config.settings import load_settings
    from appliance.wiring import Appliance

    with tempfile.TemporaryDirectory(prefix="bench-") as data:
        appliance = Appliance(load_settings(Path(data), {}), what="af bench engine")
        await appliance.start()
        try:
            workflow = await appliance.workflows.put(encode(WAITING), name="bench-wait")
            for _ in range(WARM_UP):
                await appliance.engine.submit(workflow, None)
            before = time.process_time()
            for _ in range(POSTS):
                await appliance.engine.submit(workflow, None)
            return (time.process_time() - before) * 1_000 / POSTS
        finally:
            await appliance.stop()


@contextmanager
def _server() -> Iterator[tuple[int, Path]]:
    """A server of an empty data folder: its pid and that folder."""
    with tempfile.TemporaryDirectory(prefix="bench-") as data:
        command = [*AF, "--data", data, "serve", "--listen", "127.0.0.1:0"]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        try:
            said = []
            for line in server.stderr:
                said.append(line)
                if line.startswith("READY"):
                    break
            else:
                raise Unavailable("bench.no_server", f"af serve did not get ready: {''.join(said)}", retryable=False)
            yield server.pid, Path(data)
        finally:
            server.terminate()
            server.communicate(timeout=READY_WITHIN_S)


def _children_cpu_s(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _cpu_s(pid: int) -> float:
    """User and system time of a process and all its threads (fields 14 and 15 of proc(5) stat), in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
