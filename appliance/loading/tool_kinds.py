"""What may stand in a tool of each `type` beside the keys that every tool has, and what that makes it need.

Each kind that a definition can declare has a row here; what runs it is named in `runtime/registry.py`. Nothing of a
kind is imported to check a definition.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from appliance.loading import tool_keys as keys
from appliance.loading.functions import completed
from appliance.loading.node import Node
from appliance.loading.place import Place
from appliance.loading.shapes import Shape, anything, choice, list_of, record, takes, text
from runtime.domain.canonical import Json
from runtime.domain.tool import ToolSpec
from runtime.errors import Invalid

Needs = Callable[[Mapping[str, Json]], tuple[str, ...]]
"""The checked keys of a tool → the permissions that it cannot do without, each with its target."""


def needs_nothing(config: Mapping[str, Json]) -> tuple[str, ...]:
    """Of kinds that stay inside the appliance."""
    return ()


def as_declared(spec: ToolSpec) -> ToolSpec:
    """Of kinds that add nothing to what a definition says."""
    return spec


@dataclass(frozen=True, kw_only=True)
class ToolKind:
    """One `type`."""

    keys: Mapping[str, Shape] | None = None
    """Its own, which become the specification's `config`; None: none."""
    required: tuple[str, ...] = ()
    """Those of them that it cannot do without."""
    needs: Needs = needs_nothing
    expand: Callable[[Node, Place], Node] | None = None
    """Adds keys that follow from others, before any is checked; None: nothing does."""
    check: Callable[[Mapping[str, Json], Node, Place], None] | None = None
    """Reports what is wrong between its keys; None: each stands for itself."""
    complete: Callable[[ToolSpec], ToolSpec] = as_declared
    """What follows from its keys beside permissions: schemas that nobody wrote, whether its code is trusted."""


def _project_file(node: Node, place: Place) -> Json:
    """A file or folder of the project, which becomes part of the definition."""
    found = text(node, place)
    if isinstance(found, str):
        try:
            place.reading.files.keep(found)
        except Invalid as error:
            place.error(error.code, error.message, node)
    return found


def _check_code(found: Mapping[str, Json], node: Node, place: Place) -> None:
    if {"code", "file"} <= found.keys():
        place.error("key.conflict", "'code' and 'file' both say what runs; keep one", node)


def _complete_code(spec: ToolSpec) -> ToolSpec:
    """Code that comes with each call is nobody's that is known, and says what it is given."""
    if spec.config.keys() & {"code", "file"}:
        return spec
    given: dict[str, Json] = {
        "type": "object",
        "properties": {"code": {"type": "string"}, "input": {}},
        "required": ["code"],
        "additionalProperties": False,
    }
    schema = given if spec.input_schema == ToolSpec(id="", kind="").input_schema else spec.input_schema
    return replace(spec, is_trusted=False, input_schema=schema)


TOOL_KINDS: dict[str, ToolKind] = {
    "code": ToolKind(
        keys={"language": choice("python", "bash", "javascript"), "code": text, "file": _project_file},
        required=("language",),
        check=_check_code,
        complete=_complete_code,
    ),
    "database": ToolKind(
        keys=keys.DATABASE,
        required=("connection",),
        needs=keys.needs_database,
        check=keys.check_database,
        complete=keys.complete_database,
    ),
    "file": ToolKind(keys=keys.FILE, required=("folder",), needs=keys.needs_file, complete=keys.complete_file),
    "http": ToolKind(keys=keys.HTTP, needs=keys.needs_http, check=keys.check_http, complete=keys.complete_http),
    "kubernetes": ToolKind(
        keys=keys.KUBERNETES,
        needs=keys.needs_kubernetes,
        check=keys.check_kubernetes,
        complete=keys.complete_kubernetes,
    ),
    "notify": ToolKind(complete=keys.complete_notify),
    "scripted": ToolKind(keys={"answers": anything}, required=("answers",)),
    "search_docs": ToolKind(keys=keys.SEARCH, required=("collection",), complete=keys.complete_search),
    "slack": ToolKind(
        keys=keys.SLACK, required=("token", "channels"), needs=keys.needs_slack, complete=keys.complete_slack
    ),
    "smtp": ToolKind(keys=keys.SMTP, needs=keys.needs_smtp, check=keys.check_smtp, complete=keys.complete_smtp),
    "function": ToolKind(
        keys={"handler": text, "files": list_of(_project_file, what="a list of files and folders of the project")},
        required=("handler",),
        expand=completed,
    ),
    "ticket": ToolKind(),
}


def tool(common: Mapping[str, Shape]) -> Shape:
    """A tool: the keys of every tool, and those of its type."""
    shapes = {name: _shape(common, kind) for name, kind in TOOL_KINDS.items()}
    other = _shape(common, ToolKind())

    @takes({"type": "object", "properties": {"type": {"type": "string"}}, "required": ["type"]})
    def shape(node: Node, place: Place) -> Json:
        said = node.member("type")
        name = said.value if said is not None and isinstance(said.value, str) else ""
        expand = TOOL_KINDS[name].expand if name in TOOL_KINDS else None
        found = shapes.get(name, other)(node if expand is None else expand(node, place), place)
        if isinstance(found, dict):
            check = TOOL_KINDS[name].check if name in TOOL_KINDS else None
            if check is not None:
                check(found, node, place)
            if "cache" in found and not found.get("idempotent"):
                place.error("tool.cache", "only the answers of a tool with 'idempotent: true' may be given again", node)
        return found

    return shape


def own_keys(kind: str) -> frozenset[str]:
    """The keys of a type that other tools do not have."""
    return frozenset(TOOL_KINDS.get(kind, ToolKind()).keys or ())


def _shape(common: Mapping[str, Shape], kind: ToolKind) -> Shape:
    return record("a tool", {**common, **(kind.keys or {})}, required=("type", *kind.required))
