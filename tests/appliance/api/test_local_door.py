"""The command line's way to a server of the same data folder."""

import asyncio
from pathlib import Path

import pytest

from redaction.doors.local import LocalDoor, ServerEvent, listen_unix
from runtime.errors import Conflict, Invalid, NotFound, Unavailable
from tests.appliance.api.serving import Served


async def test_a_call_needs_no_key(served: Served) -> None:
    """The socket's file mode is the key."""
    door = LocalDoor(served.address.socket)
    reply = await asyncio.to_thread(door.call, "POST", "/v1/runs", {"workflow": "echo", "input": {}, "wait": True})
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert b'"status":"succeeded"' in reply.body


async def test_a_problem_comes_back_as_the_error_it_was(served: Served) -> None:
    """So that a command ends with the same message and exit code, whoever did the work."""
    door = LocalDoor(served.address.socket)
    with pytest.raises(NotFound, match="r-none"):
        await asyncio.to_thread(door.call, "GET", "/v1/runs/r-none")
    with pytest.raises(Invalid, match="unknown field 'inptu'"):
        await asyncio.to_thread(door.call, "POST", "/v1/runs", {"workflow": "echo", "inptu": 1})
    run = (await served.client.post("/v1/runs", json={"workflow": "echo", "input": {}, "wait": True})).json()["run_id"]
    with pytest.raises(Conflict) as conflict:
        await asyncio.to_thread(door.call, "POST", f"/v1/runs/{run}/cancel")
    assert conflict.value.code == "run.final"


async def test_events_can_be_followed(served: Served) -> None:
    """From any point; the stream ends with the run."""
    run = (await served.client.post("/v1/runs", json={"workflow": "echo", "input": {}})).json()["run_id"]
    door = LocalDoor(served.address.socket)

    def follow() -> list[ServerEvent]:
        return list(door.events(f"/v1/runs/{run}/events", after=1))

    events = await asyncio.to_thread(follow)
    assert [(2, "step.scheduled"), (3, "step.succeeded"), (4, "run.finished")] == [(e.id, e.type) for e in events]
    with pytest.raises(NotFound):
        await asyncio.to_thread(lambda: list(door.events("/v1/runs/r-none/events")))


def test_nobody_there_says_how_to_start_the_server(tmp_path: Path) -> None:
    """Also where a crashed server has left its socket behind."""
    with pytest.raises(Unavailable, match="af serve"):
        LocalDoor(tmp_path / "af.sock").call("GET", "/healthz")
    left_behind = listen_unix(tmp_path / "run" / "af.sock")
    left_behind._listener.close()
    with pytest.raises(Unavailable, match="af serve"):
        LocalDoor(tmp_path / "run" / "af.sock").call("GET", "/healthz")
