"""The tools of one definition: built in, declared in YAML, of the project's Python, and of servers, in one place.

A specification is known without importing anything; what runs it is made when it is first called, by its kind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from runtime import registry
from runtime.domain.canonical import Json
from runtime.domain.egress import Sender
from runtime.domain.ids import RunId
from runtime.domain.tool import ToolSpec
from runtime.errors import Refused
from runtime.ports import Clock, MemoryStore, Tool
from runtime.store.tickets import Tickets
from runtime.tools.built_in import BUILT_IN

if TYPE_CHECKING:
    from runtime.tools.mcp.servers import McpServers

PLAYED = "tool.scripted"
"""What scenarios put in a tool's place."""

Kept = Callable[[RunId, Json], Awaitable[Json]]
"""What may stand in a table of what a run says: minimised where the run is, without secrets; an empty id: no run."""


Search = Callable[[str, str, int, Sender], Awaitable[Json]]
"""A question, a collection's name, how many documents, and on whose behalf → `{hits, confidence}`."""


@dataclass(frozen=True, kw_only=True)
class ToolServices:
    """What the factories of tools are handed beside a specification; each kind takes what it needs.

    What a single call may reach is in its ToolContext, narrowed to the call; here is what belongs to the house.
    """

    clock: Clock
    kept: Kept
    confinement: bytes = b""
    """A seccomp program for the workers of the project's own code."""
    folder: str = ""
    """The files of the definition that declares the tool, as they were when it was stored; empty: of none."""
    tickets: Tickets | None = None
    memory: MemoryStore | None = None
    servers: McpServers | None = None
    search: Search | None = None
    features: frozenset[str] = frozenset()
    """What the settings switch on, such as `slack`."""


def check_feature(services: ToolServices, feature: str, tool: str) -> None:
    """Raise Refused where the settings do not switch a feature on."""
    if feature not in services.features:
        raise Refused(
            "tool.feature",
            f"tool {tool!r} is of a kind that is off unless it is wanted; add {feature} to features in the settings",
        )


ToolFactory = Callable[[ToolSpec, ToolServices], Tool]
"""What a kind `tool.…` of `runtime/registry.py` names: `make(spec, services)`."""


class Toolbox(Mapping[str, Tool]):
    """Tools by name, each made when it is first asked for and kept."""

    def __init__(self, services: ToolServices, declared: Sequence[ToolSpec] = ()) -> None:
        """`declared`: those of YAML and of the project's Python; a name that is built in stays what it is, unless a
        scenario plays it."""
        self._services = services
        played = [spec for spec in declared if spec.kind == PLAYED]
        self._specs = {spec.id: spec for spec in (*declared, *BUILT_IN, *played)}
        self._made: dict[str, Tool] = {}

    def specs(self) -> list[ToolSpec]:
        """Every tool, by name; those of servers as they are approved now. Asks no server."""
        servers = self._services.servers
        every = {**{spec.id: spec for spec in (servers.specs() if servers else ())}, **self._specs}
        return [every[name] for name in sorted(every)]

    def spec(self, name: str) -> ToolSpec:
        """The specification of a tool. Raises KeyError.

        Also of a server's tool that nobody has approved: the call's refusal says why, and how to grant it.
        """
        if name in self._specs:
            return self._specs[name]
        servers = self._services.servers
        if servers is None:
            raise KeyError(name)
        return servers.spec(name)

    async def stop(self) -> None:
        """Stop the tools that hold something, such as workers. Safe to call twice."""
        made, self._made = self._made, {}
        for tool in made.values():
            stop = getattr(tool, "stop", None)
            if stop is not None:
                await stop()

    def price(self, name: str) -> int:
        """Micro-dollars of a call, as the tool itself is declared; 0 for one that is not there."""
        try:
            return self.spec(name).cost_usd_micros
        except KeyError:
            return 0

    def __getitem__(self, name: str) -> Tool:
        """The tool. Raises KeyError, and NotFound for a kind that this version does not have."""
        spec = self.spec(name)
        made = self._made.get(name)
        if made is None or made.spec != spec:  # a server's tool is another once it is approved anew
            factory = cast("ToolFactory", registry.load(spec.kind))
            made = self._made[name] = factory(spec, self._services)
        return made

    def __iter__(self) -> Iterator[str]:
        return iter([spec.id for spec in self.specs()])

    def __len__(self) -> int:
        return len(self.specs())
