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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar, Union, overload

if TYPE_CHECKING:
    from appliance.loader import Checked

Value: TypeAlias = Union[bool, int, float, str, "Sequence[Value]", "Mapping[str, Value]", None]
"""What a key of a definition may hold."""
Planner: TypeAlias = Mapping[str, Value]

__all__ = ["Agent", "Planner", "Run", "Value", "Workflow", "llm", "machine", "sequence", "tool", "tree"]


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
