"""Workflows within a workflow: agents of type `workflow` and `map`.

The other workflow stands in the normalised definition itself, so its hash covers all of it. Files are named from the
project's folder, whichever document names them.
"""

from collections.abc import Iterator
from pathlib import PurePath, PurePosixPath

import msgspec

from appliance.loading.files import ProjectFiles
from appliance.loading.keys import template
from appliance.loading.node import Node
from appliance.loading.own_plans import named_by_plans
from appliance.loading.place import Place, Reading
from appliance.loading.shapes import Shape, name, ratio, wrong
from appliance.loading.yaml_reader import MAX_BYTES, decode, read_documents
from runtime.domain.canonical import Json
from runtime.domain.spelling import did_you_mean
from runtime.errors import Invalid, NotFound
from runtime.registry import SUBRUN_AGENTS

MAX_DEPTH = 8
"""Workflows within each other."""
MAX_WORKFLOWS = 50
"""Workflows within one definition, all together."""
_INHERITED = ("residency", "data_class")
_KINDS_OF_KEY = {"workflow": ("workflow", "map"), "over": ("map",), "agent": ("map",), "min_success_ratio": ("map",)}


def _workflow(node: Node, place: Place) -> Json:
    """Another workflow: the name of its file, or its definition in place."""
    if isinstance(node.value, dict):
        return _nested(node, place, ())
    if not isinstance(node.value, str):
        wrong(node, place, "the name of a workflow's file, or its definition")
        return None
    reading = place.reading
    file = str(PurePosixPath(node.value))
    if file in reading.chain:
        circle = " → ".join([*reading.chain[reading.chain.index(file) :], file])
        place.error("workflow.cyclic", f"a workflow cannot be a part of itself: {circle}", node)
        return None
    try:
        data = reading.files.read(file, max_bytes=MAX_BYTES)
    except (NotFound, Invalid) as error:
        place.error(error.code, error.message, node)
        return None
    shown = str(PurePath(reading.file).parent / file)
    source = decode(data, reading.report, shown)
    documents = [] if source is None else read_documents(source, reading.report, file=shown)
    if len(documents) == 1:
        return _nested(documents[0], place, (file,))
    if not reading.report.has_errors:
        place.error("yaml.documents", f"expected one YAML document in {file!r}, found {len(documents)}", node)
    return None


SUBRUN_KEYS: dict[str, Shape] = {"workflow": _workflow, "over": template, "agent": name, "min_success_ratio": ratio}
"""Keys of agents that have runs of their own."""


def check_subrun(kind: str, found: dict[str, Json], node: Node, place: Place) -> None:
    """Keys that belong to these types, and what these types cannot do without."""
    for key, kinds in _KINDS_OF_KEY.items():
        if key in found and kind not in kinds:
            message = f"{key!r} is a key of agents of type {' or '.join(map(repr, kinds))}, not {kind!r}"
            place.child(key).add("key.misplaced", message, node, line=node.key_line(key))
    if kind not in SUBRUN_AGENTS:
        return
    needed = {"workflow": ("workflow",), "map": ("over",)}[kind]
    given = node.value if isinstance(node.value, dict) else {}
    for key in needed:
        if key not in given:
            place.error("key.missing", f"an agent of type {kind!r} needs {key!r}", node)
    if kind == "map" and len({"agent", "workflow"} & given.keys()) != 1:
        place.error("key.missing", "an agent of type 'map' needs either 'agent' or 'workflow'", node)


def mapped_agents(agents: Json) -> frozenset[str]:
    """The agents that work for maps, or in other agents' trees; they are no steps of their own unless the plan says
    so."""
    found = agents if isinstance(agents, dict) else {}
    mapped = {str(agent["agent"]) for agent in found.values() if isinstance(agent, dict) and "agent" in agent}
    return named_by_plans(found) | mapped


def check_maps(agents: dict[str, Json], node: Node, place: Place) -> None:
    """Report maps over agents that are not there, or are maps; `node` is the document."""
    for own_name, agent in agents.items():
        target = agent.get("agent") if isinstance(agent, dict) else None
        if not isinstance(target, str):
            continue
        here = place.child("agents").child(own_name).child("agent")
        at = node.find(("agents", own_name, "agent"))[0]
        meant = agents.get(target)
        if meant is None:
            message = f"agent {target!r} is not defined among the workflow's agents"
            here.error("agent.undefined", message, at, did_you_mean(here.guess(target, agents)))
        elif isinstance(meant, dict) and meant.get("type") == "map":
            hint = "write the inner one into a workflow of its own, and name that with 'workflow'"
            here.error("map.nested", f"agent {target!r} is a map itself", at, hint)


def narrow(found: dict[str, Json], node: Node, place: Place) -> None:
    """Bind the workflows within this one by its policies; report those that would reach further."""
    for own_name, agent in _agents(found):
        inner = agent.get("workflow")
        if not isinstance(inner, dict):
            continue
        own = _mapping(inner.get("policies"))
        at = node.find(("agents", own_name, "workflow"))[0]
        for outer in (_mapping(found.get("policies")), _mapping(agent.get("policies"))):
            for key in _INHERITED:
                if key in outer:
                    own.setdefault(key, outer[key])
            wider = sorted(set(_zones(own)) - set(_zones(outer))) if "residency" in outer else []
            if wider:
                here = place.child("agents").child(own_name).child("workflow.policies.residency")
                message = f"it may reach {', '.join(wider)}, which the workflow that it is a part of may not"
                here.error("workflow.wider", message, at, "leave 'residency' out there, or widen it here")
        if own:
            inner["policies"] = own
        narrow(inner, at, place.child("agents").child(own_name).child("workflow"))


def _nested(node: Node, place: Place, files: tuple[str, ...]) -> Json:
    outer = place.reading
    if len(outer.chain) >= MAX_DEPTH or outer.workflows[0] >= MAX_WORKFLOWS or outer.read_nested is None:
        message = f"at most {MAX_WORKFLOWS} workflows may be within one, {MAX_DEPTH} deep"
        place.error("workflow.too_many", message, node)
        return None
    outer.workflows[0] += 1
    stored = node.member("files") if outer.files.are_stored else None
    inner = Reading(
        outer.report,
        ProjectFiles(None, stored=_texts(stored)) if outer.files.are_stored else outer.files.beside(),
        outer.site,
        file=outer.file,
        chain=(*outer.chain, *(files or ("",))),
        workflows=outer.workflows,
        read_nested=outer.read_nested,
    )
    found = outer.read_nested(node, inner)
    hashes = inner.files.hashes
    if hashes:
        found["files"] = dict(hashes)
    for file in hashes:
        outer.files.keep(file)
    return msgspec.to_builtins(found)  # type: ignore[no-any-return]  # a copy: aliases may repeat it


def _texts(node: Node | None) -> dict[str, str]:
    members = node.value if node is not None and isinstance(node.value, dict) else {}
    return {key: str(member.value) for key, member in members.items()}


def _agents(found: dict[str, Json]) -> Iterator[tuple[str, dict[str, Json]]]:
    for own_name, agent in _mapping(found.get("agents")).items():
        if isinstance(agent, dict):
            yield own_name, agent


def _zones(policies: dict[str, Json]) -> list[str]:
    zones = policies.get("residency")
    return [str(zone) for zone in zones] if isinstance(zones, list) else []


def _mapping(found: Json) -> dict[str, Json]:
    return found if isinstance(found, dict) else {}
