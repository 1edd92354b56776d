"""What may stand in a tool of each `type` beside the keys that every tool has, and what that makes it need.

Each kind that a definition can declare has a row here; what runs it is named in `runtime/registry.py`. Nothing of a
kind is imported to check a definition.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from appliance.loading.node import Node
from appliance.loading.place import Place
from appliance.loading.shapes import Shape, record
from runtime.domain.canonical import Json

Needs = Callable[[Mapping[str, Json]], tuple[str, ...]]
"""The checked keys of a tool → the permissions that it cannot do without, each with its target."""


def needs_nothing(config: Mapping[str, Json]) -> tuple[str, ...]:
    """Of kinds that stay inside the appliance."""
    return ()


@dataclass(frozen=True, kw_only=True)
class ToolKind:
    """One `type`."""

    keys: Mapping[str, Shape] | None = None
    """Its own, which become the specification's `config`; None: none."""
    required: tuple[str, ...] = ()
    """Those of them that it cannot do without."""
    needs: Needs = needs_nothing


TOOL_KINDS: dict[str, ToolKind] = {
    "ticket": ToolKind(),
}


def tool(common: Mapping[str, Shape]) -> Shape:
    """A tool: the keys of every tool, and those of its type."""
    shapes = {kind: _shape(common, each) for kind, each in TOOL_KINDS.items()}
    other = _shape(common, ToolKind())

    def shape(node: Node, place: Place) -> Json:
        kind = node.member("type")
        return shapes.get(str(kind.value) if kind else "", other)(node, place)

    return shape


def own_keys(kind: str) -> frozenset[str]:
    """The keys of a type that other tools do not have."""
    return frozenset(TOOL_KINDS.get(kind, ToolKind()).keys or ())


def _shape(common: Mapping[str, Shape], kind: ToolKind) -> Shape:
    return record("a tool", {**common, **(kind.keys or {})}, required=("type", *kind.required))
