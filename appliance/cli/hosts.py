"""Where runs are worked on: in this process, or in the one that serves the data folder.

A data folder has one writer. When it is free, this process opens it; when an `af serve` has it, what would be
written is asked for over that server's UNIX socket, and the journal is read directly.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import msgspec

from appliance.auth.callers import Caller
from appliance.cli.journal import Store, open_journal, pinned, reading_catalogue, view_of, watch
from appliance.costs.forecasts import PlanView
from appliance.runs.archive import Export, FileView, ImportView, export_file, import_file
from appliance.runs.history import StateView, state_view
from appliance.runs.suppositions import Supposition, suppose
from appliance.runs.tasks import VERBS, TaskView, task_id, task_view
from appliance.runs.views import RunView, run_view
from appliance.runs.within import with_tasks
from appliance.tools.direct_calls import ToolList, ToolView, call_directly, tool_view
from redaction.doors.local import LocalDoor, Reply
from runtime.domain.canonical import Json
from runtime.domain.event import TaskMoved
from runtime.domain.ids import DEFAULT_TENANT, DefinitionHash, RunId, StepId
from runtime.domain.journal import Entry
from runtime.domain.run import RunState, fold
from runtime.engine.migrate import Migration
from runtime.errors import Conflict, NotFound, Unavailable
from runtime.policies.human import Person
from runtime.ports import Progress, Record

if TYPE_CHECKING:
    from appliance.config.settings import Settings
    from appliance.wiring import Appliance
    from appliance.workflows import WorkflowCatalogue
    from redaction.known import KnownSecrets
    from runtime.domain.workflow import Workflow

ACTOR = "cli"
OPERATOR = Person(ACTOR)
"""Who uses the command line, where nobody else is named."""
SERVED_POLL_S = 0.2

OnEntry = Callable[[Entry], None]


class Target(msgspec.Struct, frozen=True):
    """A definition to run."""

    name: str
    definition: DefinitionHash


class LocalRuns:
    """Runs that this process works on."""

    is_served = False

    def __init__(self, appliance: "Appliance") -> None:
        self._appliance = appliance
        self._engine = appliance.engine
        self._workflows: dict[DefinitionHash, Workflow] = {}
        self.store: Store = appliance.store
        self.record: Record | None = appliance.record
        """Keeps a line of the audit log."""

    @property
    def catalogue(self) -> "WorkflowCatalogue":
        """The workflows that can be run."""
        return self._appliance.workflows

    async def target(self, name: str) -> Target:
        """The definition of a name, file, folder or hash. Raises NotFound and InvalidDefinition."""
        workflow = await self._appliance.workflows.find(name, allow_paths=True)
        self._workflows[workflow.hash] = workflow
        return Target(workflow.name, workflow.hash)

    async def submit(
        self, target: Target, given: Json, *, key: str | None = None, with_estimate: bool = False, role: str = ""
    ) -> RunId:
        """Start a run, or find the one that `key` stands for; durable when this returns. `with_estimate`: with what it
        is expected to take. `role`: in which it is asked for."""
        scoped = None if key is None else _scoped(key)
        if scoped is not None and (known := await self.store.run_by_key(scoped)) is not None:
            return known
        workflow = self._workflows[target.definition]
        estimate = None
        if with_estimate or self._appliance.settings.preflight == "always":
            estimate = await self._appliance.estimate(workflow, given, tenant=DEFAULT_TENANT)
        return await self._engine.submit(
            workflow, given, actor=ACTOR, role=role, estimate=estimate, idempotency_key=scoped
        )

    async def forecast(self, target: Target, given: Json, *, role: str = "") -> PlanView:
        """What a run will take. Raises Invalid for an input that the workflow does not take."""
        return await self._appliance.plan(self._workflows[target.definition], given, tenant=DEFAULT_TENANT, role=role)

    async def begun(self, key: str) -> bool:
        """Whether `key` stands for a run."""
        return await self.store.run_by_key(_scoped(key)) is not None

    async def settled(self, run: RunId) -> RunState:
        """The run once it is final or waits."""
        return await self._engine.wait(run)

    async def watched(self, run: RunId, on_entry: OnEntry, *, after_seq: int = 0) -> RunState:
        """The same, telling of each entry behind `after_seq` on the way."""
        watching = asyncio.create_task(watch(self.store, run, on_entry, after_seq=after_seq))
        try:
            await self._engine.wait(run)
            return await watching
        finally:
            watching.cancel()

    async def signal(self, run: RunId, name: str, payload: Json, by: Person = OPERATOR) -> None:
        """Answer a waiting step. Raises Conflict, and of a task for people as `check_answer`."""
        await self._engine.signal(run, name, payload, actor=by.name, role=by.role)

    async def answer_task(self, run: RunId, step: StepId, answer: Json, by: Person) -> None:
        """Answer a task for people. Raises as `check_answer`."""
        await self._engine.answer_task(run, step, answer, by)

    async def move_task(self, run: RunId, moved: TaskMoved) -> None:
        """Have a task pass into a person's hands, or out of them. Raises as `check_move`."""
        await self._engine.move_task(run, moved)

    async def restored_task(self, run: RunId, step: StepId) -> TaskView:
        """A task with what its pseudonyms stand for; the audit log says so."""
        found = await self._appliance.minimising.restored_entries(self._engine, run, tenant=DEFAULT_TENANT, actor=ACTOR)
        state = fold(run, found)
        workflow = await pinned(self._appliance.workflows, state.definition)
        return task_view(state, state.steps[step], workflow, entries=found)

    async def cancel(self, run: RunId, reason: str) -> None:
        """Stop a run. Raises Conflict."""
        await self._engine.cancel(run, reason, actor=ACTOR)

    async def migrate(self, run: RunId, target: Target, *, is_dry: bool) -> Migration:
        """Move a run to another definition, or only say what that means. Raises Conflict."""
        to = self._workflows[target.definition]
        return await (self._engine.migration(run, to) if is_dry else self._engine.migrate(run, to, actor=ACTOR))

    async def export(self, asked: Export) -> bytes:
        """A file of runs; the audit log says so."""
        return await export_file(self._appliance, asked, actor=ACTOR)

    async def take_in(self, content: bytes) -> ImportView:
        """Keep the runs of a file. Raises Invalid, Corrupt and Conflict."""
        return await import_file(self._appliance, content, actor=ACTOR)

    async def suppose(self, run: RunId, supposed: Supposition, target: Target | None) -> RunId:
        """Start the what-if of a run; durable when this returns. Raises Invalid for what cannot be supposed."""
        definition = None if target is None else self._workflows[target.definition]
        return await suppose(self._appliance, run, supposed, definition=definition, actor=ACTOR)

    async def tools(self) -> list[ToolView]:
        """All that belong to no workflow."""
        return [tool_view(spec) for spec in self._appliance.toolboxes.own.specs()]

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Json],
        *,
        by: str,
        role: str = "",
        is_dry: bool = False,
        target: Target | None = None,
    ) -> Json:
        """What a tool answers that is called outside of any run; `target`: also those of a workflow, by its rules.

        Raises as `call_directly`.
        """
        caller = Caller(ACTOR, role=role)
        key = f"{caller.tenant}/{ACTOR}/{token_hex(16)}/{name}"
        workflow = None if target is None else self._workflows[target.definition]
        return await call_directly(
            self._appliance, name, arguments, key=key, caller=caller, by=by, is_dry=is_dry, workflow=workflow
        )

    async def view(self, state: RunState) -> RunView:
        """The run's document."""
        view = run_view(state, await self._appliance.workflows.pinned(state.definition))
        return await with_tasks(view, self._engine.state)

    async def restored(self, state: RunState) -> RunView:
        """The same with what pseudonyms stand for; the audit log says that somebody looked. Raises NotFound."""
        minimising = self._appliance.minimising
        return await self.view(
            await minimising.restored_state(self._engine, state.run, tenant=state.tenant, actor=ACTOR)
        )

    async def restored_at(self, state: RunState, at: str) -> StateView:
        """The same at a point of its journal."""
        restored = self._appliance.minimising.restored_entries
        entries = await restored(self._engine, state.run, tenant=state.tenant, actor=ACTOR)
        return state_view(state.run, entries, at, await self._appliance.workflows.pinned(state.definition))


class ServedRuns:
    """Runs that a server works on."""

    is_served = True

    def __init__(self, door: LocalDoor, store: Store, data: Path) -> None:
        self._door = door
        self._data = data
        self.catalogue = reading_catalogue(store, data)
        """The workflows that can be run."""
        self.store = store
        self.record: Record | None = None
        """The server keeps the audit log."""

    async def target(self, name: str) -> Target:
        """The definition of a name or hash. Raises NotFound; Unavailable for a path, which only a writer may keep."""
        if "/" in name or name.endswith((".yaml", ".yml", ".json")):
            raise self._no_path(name)
        try:
            shown = msgspec.json.decode((await self._call("GET", f"/v1/workflows/{quote(name, safe='')}")).body)
        except NotFound:
            if Path(name).exists():  # it would be run, were there no server
                raise self._no_path(name) from None
            raise
        return Target(shown["name"], DefinitionHash(shown["definition_hash"]))

    async def submit(
        self, target: Target, given: Json, *, key: str | None = None, with_estimate: bool = False, role: str = ""
    ) -> RunId:
        """Start a run, or find the one that `key` stands for; durable when this returns. `with_estimate`: with what it
        is expected to take. `role`: in which it is asked for."""
        headers = {"idempotency-key": key} if key else {}
        more: dict[str, Json] = {**({"preflight": True} if with_estimate else {}), **({"role": role} if role else {})}
        body: Json = {"workflow": target.definition, "input": given, **more}
        while True:
            try:
                reply = await self._call("POST", "/v1/runs", body, headers)
                return RunId(msgspec.json.decode(reply.body)["run_id"])
            except Conflict as conflict:
                if conflict.code != "idempotency.in_flight":
                    raise
                await asyncio.sleep(SERVED_POLL_S)  # an interrupted batch's request is still being answered

    async def forecast(self, target: Target, given: Json, *, role: str = "") -> PlanView:
        """What a run will take. Raises Invalid for an input that the workflow does not take."""
        body: dict[str, Json] = {"workflow": target.definition, "input": given, **({"role": role} if role else {})}
        reply = await self._call("POST", "/v1/preflight", body)
        return msgspec.json.decode(reply.body, type=PlanView)

    async def begun(self, key: str) -> bool:
        """Whether `key` stands for a run."""
        return await self.store.run_by_key(_scoped(key)) is not None

    async def settled(self, run: RunId) -> RunState:
        """The run once it is final or waits. Raises Unavailable when the server goes away."""
        return await self.watched(run, lambda _: None)

    async def watched(self, run: RunId, on_entry: OnEntry, *, after_seq: int = 0) -> RunState:
        """The same, telling of each entry behind `after_seq` on the way."""
        watching = asyncio.create_task(watch(self.store, run, on_entry, after_seq=after_seq))
        try:
            while not (await asyncio.wait({watching}, timeout=5))[0]:
                await self._call("GET", "/healthz")  # a server that is gone finishes nothing
            return watching.result()
        finally:
            watching.cancel()

    async def signal(self, run: RunId, name: str, payload: Json, by: Person = OPERATOR) -> None:
        """Answer a waiting step. Raises Conflict, and of a task for people as `check_answer`."""
        await self._call("POST", f"/v1/runs/{run}/signal", {"name": name, "payload": payload, **_named(by)})

    async def answer_task(self, run: RunId, step: StepId, answer: Json, by: Person) -> None:
        """Answer a task for people. Raises as `check_answer`."""
        asked: Json = {"answer": answer, "actor": by.name, "role": by.role}
        await self._call("POST", f"/v1/human-tasks/{task_id(run, step)}/complete", asked)

    async def move_task(self, run: RunId, moved: TaskMoved) -> None:
        """Have a task pass into a person's hands, or out of them. Raises as `check_move`."""
        way = VERBS[moved.how]
        asked: dict[str, Json] = {"actor": moved.actor, "role": moved.role, "note": moved.note}
        person: dict[str, Json] = {"person": moved.person} if way == "assign" else {}
        await self._call("POST", f"/v1/human-tasks/{task_id(run, moved.step)}/{way}", {**asked, **person})

    async def restored_task(self, run: RunId, step: StepId) -> TaskView:
        """A task with what its pseudonyms stand for; the audit log says so."""
        reply = await self._call("GET", f"/v1/human-tasks/{task_id(run, step)}?restored=true")
        return msgspec.json.decode(reply.body, type=TaskView)

    async def cancel(self, run: RunId, reason: str) -> None:
        """Stop a run. Raises Conflict."""
        await self._call("POST", f"/v1/runs/{run}/cancel", {"reason": reason})

    async def migrate(self, run: RunId, target: Target, *, is_dry: bool) -> Migration:
        """Move a run to another definition, or only say what that means. Raises Conflict."""
        body: Json = {"definition": target.definition, "dry_run": is_dry}
        reply = await self._call("POST", f"/v1/runs/{run}/migrate", body)
        return msgspec.json.decode(reply.body, type=Migration)

    async def export(self, asked: Export) -> bytes:
        """A file of runs; the audit log says so."""
        reply = await self._call("POST", "/v1/exports", msgspec.to_builtins(asked))
        return msgspec.json.decode(reply.body, type=FileView).content.encode()

    async def take_in(self, content: bytes) -> ImportView:
        """Keep the runs of a file. Raises Invalid, Corrupt and Conflict."""
        reply = await self._call("POST", "/v1/imports", {"content": content.decode("utf-8", "replace")})
        return msgspec.json.decode(reply.body, type=ImportView)

    async def suppose(self, run: RunId, supposed: Supposition, target: Target | None) -> RunId:
        """Start the what-if of a run; durable when this returns. Raises Invalid for what cannot be supposed."""
        if target is not None:
            supposed = msgspec.structs.replace(supposed, definition=target.definition)
        reply = await self._call("POST", f"/v1/runs/{run}/what-if", {"suppose": msgspec.to_builtins(supposed)})
        return RunId(msgspec.json.decode(reply.body)["run_id"])

    async def tools(self) -> list[ToolView]:
        """All that belong to no workflow."""
        return msgspec.json.decode((await self._call("GET", "/v1/tools")).body, type=ToolList).tools

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Json],
        *,
        by: str,
        role: str = "",
        is_dry: bool = False,
        target: Target | None = None,
    ) -> Json:
        """What a tool answers that is called outside of any run; `target`: also those of a workflow, by its rules.

        Raises what the server refuses.
        """
        of: dict[str, Json] = {} if target is None else {"workflow": target.definition}
        body: Json = {"arguments": arguments, "dry_run": is_dry, "role": role, "by": by, **of}
        answer: Json = msgspec.json.decode(
            (await self._call("POST", f"/v1/tools/{quote(name, safe='')}/call", body)).body
        )
        return answer["output"] if isinstance(answer, dict) else None

    async def view(self, state: RunState) -> RunView:
        """The run's document."""
        return await view_of(self.catalogue, self.store, state)

    async def restored(self, state: RunState) -> RunView:
        """The same with what pseudonyms stand for. Raises NotFound."""
        reply = await self._call("GET", f"/v1/runs/{state.run}?restore=true")
        return msgspec.json.decode(reply.body, type=RunView)

    async def restored_at(self, state: RunState, at: str) -> StateView:
        """The same at a point of its journal."""
        target = f"/v1/runs/{state.run}/state?{urlencode({'at': at, 'restore': 'true'})}"
        return msgspec.json.decode((await self._call("GET", target)).body, type=StateView)

    def _no_path(self, name: str) -> Unavailable:
        return Unavailable(
            "server.no_paths",
            f"a server has the data folder, and runs what it knows by name, not the file or folder {name!r}. "
            f"Publish it (af deploy {name}) and run it by its name, stop the server, or use another data folder: "
            "--data DIR",
            retryable=False,
        )

    async def _call(
        self, method: str, target: str, body: Json = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        return await asyncio.to_thread(self._door.call, method, target, body, headers=headers)


Runs = LocalRuns | ServedRuns


@asynccontextmanager
async def open_runs(
    settings: "Settings", what: str, *, progress: Progress, recover: bool = False, known: "KnownSecrets | None" = None
) -> AsyncIterator[Runs]:
    """The runs of a data folder, to be written. `recover`: take up what an earlier process left unfinished.

    `known`: learns the values that are masked.

    Raises Unavailable `data.locked` when a process has the folder that does not serve it, and what opening raises.
    """
    from appliance.wiring import Appliance

    # Ctrl-C must not wait for a model: what was running goes on from its journal later
    appliance = Appliance(msgspec.structs.replace(settings, drain_s=0.0), what=what, progress=progress, known=known)
    try:
        await appliance.start(recover=recover)
    except Unavailable as error:
        if error.code != "data.locked" or not settings.socket.exists():
            raise
        async with open_journal(settings) as store:
            yield ServedRuns(LocalDoor(settings.socket), store, settings.data)
        return
    try:
        yield LocalRuns(appliance)
    finally:
        await appliance.stop()


def _named(by: Person) -> dict[str, Json]:
    """Who answers, where it is not just whoever uses the command line."""
    return {} if by == OPERATOR else {"actor": by.name, "role": by.role}


def _scoped(key: str) -> str:
    """A key as the journal has it; the HTTP API scopes its callers' keys in the same way."""
    return f"{DEFAULT_TENANT}/{key}"
