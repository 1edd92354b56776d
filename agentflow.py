"""AgentFlow in Python: agents and workflows as objects that are those of YAML, and runs of them in this process.

```python
import agentflow

desk = agentflow.Workflow("desk", [agentflow.Agent("greet", prompt="Greet {{ input.name }}")])
print(desk.run({"name": "Zoë"}).output)
```

Keys are those of the definitions in YAML. Importing this loads nothing else; what runs is loaded when it is asked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar, Union, overload
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from types import TracebackType

    from appliance.loader import Checked

Value: TypeAlias = Union[bool, int, float, str, "Sequence[Value]", "Mapping[str, Value]", None]
"""What a key of a definition may hold."""
Planner: TypeAlias = Mapping[str, Value]

Document: TypeAlias = Mapping[str, Value]
"""What a server answers, as its API describes it."""
Answer = TypeVar("Answer")

__all__ = [
    "Agent",
    "AsyncClient",
    "Client",
    "Document",
    "Planner",
    "Run",
    "Value",
    "Workflow",
    "llm",
    "machine",
    "sequence",
    "tool",
    "tree",
]


class Agent:
    """One agent; `keys` as in YAML: `role`, `model`, `prompt`, `tools`, `policies`, …"""

    def __init__(self, id: str, type: str = "llm", **keys: Value) -> None:  # as they are called in YAML
        self.id = id
        self.document: dict[str, Value] = {"type": type, **keys}


class Workflow:
    """A definition; `keys` as in YAML: `description`, `input_schema`, `policies`, `output`, …"""

    def __init__(
        self,
        name: str,
        agents: Sequence[Agent],
        planner: Planner | None = None,
        *,
        folder: str | Path | None = None,
        tools: Sequence[Callable[..., object]] = (),
        **keys: Value,
    ) -> None:
        """`planner`: None runs the agents one after another. `folder`: where files lie that agents name, such as
        handlers; None: where the first of `tools` stands. `tools`: functions marked with `@tool`, declared by their
        names."""
        names = [agent.id for agent in agents]
        if len(names) > len(set(names)):
            raise ValueError(f"two agents are called {next(each for each in names if names.count(each) > 1)!r}")
        self.name = name
        files = [Path(function.__code__.co_filename).resolve() for function in tools]
        self._folder = Path(folder).resolve() if folder is not None else files[0].parent if files else None
        self.document: dict[str, Value] = {
            "version": 1,
            "name": name,
            "agents": {agent.id: agent.document for agent in agents},
            **({} if planner is None else {"planner": planner}),
            **keys,
        }
        if tools:
            registry = dict(_mapping(self.document.get("tool_registry")))
            own = {_name_of(each): _declared(each, file, self._folder) for each, file in zip(tools, files, strict=True)}
            registry["tools"] = {**own, **_mapping(registry.get("tools"))}
            self.document["tool_registry"] = registry

    def check(self) -> Checked:
        """The definition as the program reads it, with every problem that it has; nothing is raised for these."""
        from appliance.loader import check_bytes

        return check_bytes(self.text().encode(), file=self.name, folder=self._folder)

    def text(self) -> str:
        """The definition as a text that `af validate` and `af run` take: JSON, which is YAML."""
        return json.dumps(self.document, ensure_ascii=False, indent=2)

    def run(self, input: Value = None, *, data: str | Path | None = None) -> Run:  # its name in every format
        """Run it in this process and wait until it has ended or waits for somebody.

        `data`: the data folder; None: that of `af`. Raises what `af run` refuses, such as a definition with errors or
        a data folder that a server has.
        """
        import asyncio  # a worker that imports this for `tool` has no use for it

        return asyncio.run(self.run_async(input, data=data))

    async def run_async(self, input: Value = None, *, data: str | Path | None = None) -> Run:
        """The same for callers that have a loop."""
        from runtime.store import driver

        driver.install()  # before anything can import another SQLite
        from appliance.config.settings import load_settings
        from appliance.runs.views import run_view
        from appliance.wiring import Appliance
        from runtime.domain.canonical import parse
        from runtime.errors import InvalidDefinition

        checked = self.check()
        if checked.workflow is None:
            raise InvalidDefinition(self.name, checked.problems)
        appliance = Appliance(load_settings(None if data is None else Path(data), os.environ), what="agentflow")
        await appliance.start(recover=False)
        try:
            workflow = await appliance.workflows.keep(checked.workflow)
            run = await appliance.engine.submit(workflow, parse(json.dumps(input)), actor="python")
            view = run_view(await appliance.engine.wait(run), workflow)
        finally:
            await appliance.stop()
        error = "" if not view.error else f"{view.error.code}: {view.error.message}"
        return Run(view.run_id, view.status, view.output, tuple(view.path), error)


@dataclass(frozen=True)
class Run:
    """What came of a run."""

    run_id: str
    status: str
    """`succeeded`, `failed`, `cancelled`, or `waiting` for somebody."""
    output: Value
    path: tuple[str, ...]
    """States in the order in which they were entered."""
    error: str
    """Empty where it has none."""


class AsyncClient:
    """A server on this machine, as its API has it: any route by `call`, and tasks for people.

    Raises what the server refuses: `runtime.errors.AgentFlowError`, with the `code` of the manual's page on errors.
    """

    def __init__(
        self, url: str = "", *, key: str = "", data: str | Path | None = None, actor: str = "", role: str = ""
    ) -> None:
        """`url`, `key`: the server's address here, and an API key; without an address, the UNIX socket of the data
        folder `data` (None: that of `af`), where `actor` and `role` say who does tasks."""
        from redaction.doors.served import ServedDoor

        if url:
            self._door = ServedDoor(url=url.rstrip("/"), key=key)
        else:
            from appliance.config.settings import load_settings

            settings = load_settings(None if data is None else Path(data), os.environ)
            self._door = ServedDoor(socket=settings.socket)
        self._by = {name: said for name, said in (("actor", actor), ("role", role)) if said}

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections. Safe to call twice."""
        await self._door.close()

    async def call(self, method: str, target: str, body: Value = None) -> Value:
        """Send one request, such as `call("GET", "/v1/runs?limit=5")`; what the server answers."""
        answer = await self._door.call(method, target, json.loads(json.dumps(body)))
        found: Value = json.loads(answer) if answer else None
        return found

    async def human_tasks(
        self, *, role: str = "", person: str = "", status: str = "", workflow: str = ""
    ) -> list[Document]:
        """What waits for people, the longest wait first: of a role, of a person, `created`, of a workflow."""
        asked = {"role": role, "person": person, "status": status, "workflow": workflow}
        query = urlencode({name: said for name, said in asked.items() if said})
        found = _mapping(await self.call("GET", f"/v1/human-tasks{query and '?' + query}"))["tasks"]
        return [_mapping(each) for each in found] if isinstance(found, list) else []

    async def human_task(self, task: str, *, restored: bool = False) -> Document:
        """One task, by its id or by its run's, and what happened to it; `restored`: with what pseudonyms stand for."""
        return _mapping(await self.call("GET", f"{_at(task)}{'?restored=true' if restored else ''}"))

    async def claim_task(self, task: str, *, note: str = "") -> Document:
        """Take a task: nobody else can answer it from now on."""
        return await self._moved(task, "claim", {"note": note})

    async def assign_task(self, task: str, person: str, *, note: str = "") -> Document:
        """Name who is to do a task."""
        return await self._moved(task, "assign", {"person": person, "note": note})

    async def return_task(self, task: str, *, note: str = "") -> Document:
        """Give a task back to its role."""
        return await self._moved(task, "return", {"note": note})

    async def complete_task(self, task: str, answer: Value) -> Document:
        """Answer a task: `{"decision": …, "comment": …, "fields": …}`, or any value where only a signal is waited for.

        The answer is durable when this returns, and the run goes on.
        """
        return await self._moved(task, "complete", {"answer": answer})

    async def _moved(self, task: str, how: str, body: Document) -> Document:
        return _mapping(await self.call("POST", f"{_at(task)}/{how}", {**body, **self._by}))


class Client:
    """The same for programs without a loop; each call is a connection of its own."""

    def __init__(
        self, url: str = "", *, key: str = "", data: str | Path | None = None, actor: str = "", role: str = ""
    ) -> None:
        self._open = partial(AsyncClient, url, key=key, data=data, actor=actor, role=role)

    def call(self, method: str, target: str, body: Value = None) -> Value:
        """Send one request, such as `call("GET", "/v1/runs?limit=5")`; what the server answers."""
        return self._wait(lambda client: client.call(method, target, body))

    def human_tasks(self, *, role: str = "", person: str = "", status: str = "", workflow: str = "") -> list[Document]:
        """What waits for people, the longest wait first: of a role, of a person, `created`, of a workflow."""
        return self._wait(lambda client: client.human_tasks(role=role, person=person, status=status, workflow=workflow))

    def human_task(self, task: str, *, restored: bool = False) -> Document:
        """One task, by its id or by its run's, and what happened to it; `restored`: with what pseudonyms stand for."""
        return self._wait(lambda client: client.human_task(task, restored=restored))

    def claim_task(self, task: str, *, note: str = "") -> Document:
        """Take a task: nobody else can answer it from now on."""
        return self._wait(lambda client: client.claim_task(task, note=note))

    def assign_task(self, task: str, person: str, *, note: str = "") -> Document:
        """Name who is to do a task."""
        return self._wait(lambda client: client.assign_task(task, person, note=note))

    def return_task(self, task: str, *, note: str = "") -> Document:
        """Give a task back to its role."""
        return self._wait(lambda client: client.return_task(task, note=note))

    def complete_task(self, task: str, answer: Value) -> Document:
        """Answer a task, as `AsyncClient.complete_task`."""
        return self._wait(lambda client: client.complete_task(task, answer))

    def _wait(self, asks: Callable[[AsyncClient], Awaitable[Answer]]) -> Answer:
        import asyncio  # a worker that imports this for `tool` has no use for it

        async def once() -> Answer:
            async with self._open() as client:
                return await asks(client)

        return asyncio.run(once())


def _at(task: str) -> str:
    return f"/v1/human-tasks/{quote(task, safe='')}"


Function = TypeVar("Function", bound="Callable[..., object]")


@overload
def tool(function: Function, /) -> Function: ...


@overload
def tool(
    *,
    name: str = "",
    description: str = "",
    cost: float | str = 0,
    rate_limit: str = "",
    level: str = "low",
    idempotent: bool = False,
    cache: str = "",
    timeout: str = "",
    permissions: Sequence[str] = (),
    version: str = "1",
    files: Sequence[str] = (),
) -> Callable[[Function], Function]: ...


def tool(function: Function | None = None, /, **options: Value) -> Function | Callable[[Function], Function]:
    """Mark a typed function as a tool: its schemas come from its annotations, its description from its docstring.

    ```python
    @agentflow.tool(cost=0.001, rate_limit="100/hour", idempotent=True, cache="10m")
    def calculate_total(lines: list[float], tax: float = 0.19) -> float:
        return sum(lines) * (1 + tax)
    ```

    `level`: `low`, `medium` or `high`. `files`: files and folders of the project that it reads. An argument `ctx` has
    the idempotency key and the secrets. The file is read, and not run, when a definition names it; so options are
    written out. The function stays what it is.
    """

    def marked(found: Function) -> Function:
        found.__agentflow_tool__ = options  # type: ignore[attr-defined]  # a function takes attributes
        return found

    return marked if function is None else marked(function)


def _name_of(function: Callable[..., object]) -> str:
    options = getattr(function, "__agentflow_tool__", None)
    if options is None:
        raise TypeError(f"{function.__name__} is no tool; mark it with @agentflow.tool")
    return str(options.get("name") or function.__name__)


def _declared(function: Callable[..., object], file: Path, folder: Path | None) -> Mapping[str, Value]:
    if folder is None or not file.is_relative_to(folder):
        raise ValueError(f"{file.name} does not lie in {folder}, the folder of the definition")
    return {"type": "function", "handler": f"{file.relative_to(folder).as_posix()}:{function.__name__}"}


def _mapping(value: Value) -> Mapping[str, Value]:
    return value if isinstance(value, Mapping) else {}


def sequence(*agents: str) -> Planner:
    """Agents one after another."""
    return {"type": "sequential", "agents": list(agents)}


def machine(
    states: Mapping[str, Mapping[str, Value]], *, initial_state: str, final_states: Sequence[str] = ()
) -> Planner:
    """A state machine; without `final_states` every state that leads nowhere is final."""
    final: dict[str, Value] = {"final_states": list(final_states)} if final_states else {}
    return {"type": "fsm", "definition": {"states": states, "initial_state": initial_state, **final}}


def tree(root: Mapping[str, Value]) -> Planner:
    """A behaviour tree, by its root node."""
    return {"type": "behavior_tree", "definition": {"root": root}}


def llm(model: Value, **keys: Value) -> Planner:
    """A model that plans; `keys` as in YAML: `template`, `strategies`, `execution`, `fallback`, …"""
    return {"type": "llm", "model": model, **keys}
