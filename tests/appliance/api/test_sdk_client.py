"""The SDK's clients do tasks for people at a real server, and say what it refuses."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import agentflow
from runtime.errors import Conflict, Invalid, NotFound, Refused, Unavailable
from tests.appliance.api.serving import Served, open_server
from tests.appliance.api.test_human import REVIEW
from tests.appliance.test_sdk import MANUAL


@pytest.fixture
async def served(data_folder: Path) -> AsyncIterator[Served]:
    folder = data_folder / "workflows" / "review"
    folder.mkdir(parents=True)
    (folder / "workflow.yaml").write_text(REVIEW)
    async with open_server(data_folder) as opened:
        yield opened


async def asked(served: Served, text: str = "Fine") -> str:
    body = {"workflow": "review", "input": {"text": text}, "wait": 30}
    run = (await served.client.post("/v1/runs", json=body)).json()["run_id"]
    return f"{run}.ask"


async def test_a_task_is_listed_taken_returned_assigned_and_answered(served: Served, data_folder: Path) -> None:
    task = await asked(served)
    at = data_folder
    async with (
        agentflow.AsyncClient(data=at, actor="ann", role="clerk") as ann,
        agentflow.AsyncClient(data=at, actor="bob", role="clerk") as bob,
        agentflow.AsyncClient(data=at, actor="max", role="deputy") as superior,
    ):
        assert [] == await ann.human_tasks(role="other")
        assert [task] == [each["task_id"] for each in await ann.human_tasks(role="clerk", status="created")]
        assert "in_progress" == (await ann.claim_task(task, note="mine"))["status"]
        with pytest.raises(Conflict, match=r"human\.taken"):
            await bob.claim_task(task)
        assert "created" == (await ann.return_task(task))["status"]
        assert "bob" == (await superior.assign_task(task, "bob", note="You know her."))["assignee"]
        assert [task] == [each["task_id"] for each in await bob.human_tasks(person="bob", workflow="review")]
        with pytest.raises(Invalid, match="approve, reject"):
            await bob.complete_task(task, {"decision": "yes"})
        done = await bob.complete_task(task, {"decision": "reject", "comment": "No."})
        assert ("completed", "bob") == (done["status"], done["decided_by"])
        history = (await ann.human_task(task.partition(".")[0]))["history"]
    assert isinstance(history, list)
    assert ["opened", "taken", "returned", "assigned", "completed"] == [
        each["what"] for each in history if isinstance(each, dict)
    ]


async def test_the_same_without_a_loop_over_tcp_with_a_key(served: Served) -> None:
    task = await asked(served)
    key = served.client.headers["authorization"].removeprefix("Bearer ")

    def alone() -> list[object]:
        client = agentflow.Client(f"{served.address.url}/", key=key)
        with pytest.raises(Refused, match=r"human\.not_allowed"):
            client.claim_task(task)
        shown = client.human_task(task, restored=True)
        listed = [each["task_id"] for each in client.human_tasks()]
        runs = client.call("GET", "/v1/runs?limit=1")
        return [shown["instructions"], listed, isinstance(runs, dict) and "runs" in runs]

    assert ["Fine?", [task], True] == await asyncio.to_thread(alone)


async def test_the_client_without_a_loop_does_a_task(served: Served, data_folder: Path) -> None:
    task = await asked(served)

    def alone() -> list[object]:
        client = agentflow.Client(data=data_folder, actor="ann", role="clerk")
        deputy = agentflow.Client(data=data_folder, actor="max", role="deputy")
        moved = [client.claim_task(task), client.return_task(task), deputy.assign_task(task, "ann")]
        return [*(each["status"] for each in moved), client.complete_task(task, {"decision": "approve"})["status"]]

    assert ["in_progress", "created", "assigned", "completed"] == await asyncio.to_thread(alone)


async def test_the_manuals_program_does_a_task(served: Served, data_folder: Path) -> None:
    task = await asked(served)
    (program,) = (
        each for each in re.findall(r"```python\n(.*?)```", MANUAL.read_text(), re.DOTALL) if "Client(" in each
    )
    await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program],
        env={**os.environ, "AGENTFLOW_DATA": str(data_folder), "PYTHONPATH": str(MANUAL.parents[2])},
        check=True,
    )
    async with agentflow.AsyncClient(data=data_folder) as client:
        shown = await client.human_task(task)
    assert ("completed", "ann") == (shown["status"], shown["decided_by"])


async def test_what_is_refused_is_an_error_with_its_code(served: Served, data_folder: Path) -> None:
    async with agentflow.AsyncClient(data=data_folder) as here, agentflow.AsyncClient(served.address.url) as keyless:
        with pytest.raises(NotFound, match=r"run\.not_found"):
            await here.human_task("r-01m8cdsmt9fym1424tv2m9w0zv.ask")
        with pytest.raises(Refused, match=r"agentflow\.Client"):
            await keyless.human_tasks()
    with pytest.raises(Refused, match=r"server\.not_here"):
        agentflow.AsyncClient("http://192.0.2.1:8700")


def test_nobody_serves(data_folder: Path) -> None:
    with pytest.raises(Unavailable, match=r"server\.not_running"):
        agentflow.Client(data=data_folder).human_tasks()
