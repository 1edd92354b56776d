"""Whole documents: a workflow, a fragment of one, or a deployment manifest.

Reads a tree into its normalised form: planner files and texts as data, every spelling of one thing the same.
"""

from collections.abc import Collection

import msgspec

from appliance.loading.agents import agent, check_fallbacks, check_sessions, check_tools
from appliance.loading.build import fsm_of
from appliance.loading.keys import (
    MEMORY,
    POLICIES,
    SLA,
    TENANTS,
    TOOL_REGISTRY,
    TOOL_SECURITY,
    WORKFLOW_MEMORY,
    json_schema,
    template,
)
from appliance.loading.llm_planner import LLM_KEYS, check_llm
from appliance.loading.node import Node
from appliance.loading.own_plans import check_own_plans
from appliance.loading.place import Machine, Place, Reading
from appliance.loading.planners import FSM, FSM_KEYS, PLANNER_TYPES, TREE, planner
from appliance.loading.replanning import check_replan
from appliance.loading.rule_names import check_rule_names
from appliance.loading.shapes import (
    Shape,
    anything,
    choice,
    duration,
    mapping_of,
    money,
    name,
    record,
    schema_of,
    takes,
    text,
    whole,
)
from appliance.loading.subworkflows import check_maps, mapped_agents
from appliance.loading.tree_checks import check_tree
from appliance.loading.trees import BELOW, KINDS, SYNONYMS, TREE_KEYS
from appliance.loading.triggers import triggers
from appliance.loading.workflow_kinds import FEEDBACK_KEYS, FEEDBACK_TYPE, check_feedback, complete_feedback
from runtime.domain.canonical import Json
from runtime.domain.spelling import did_you_mean
from runtime.domain.validate import fsm_problems

VERSION = 1

_AGENTS = mapping_of(agent, what="a mapping from agent names to agents")
_PLANNER_KEYS = (
    "definition",
    "transitions",
    "agents",
    *FSM_KEYS,
    *TREE_KEYS,
    *LLM_KEYS,
)
"""Keys of a planner that may stand in `workflow` itself, beside its type."""

_WORKFLOW_SECTION = record(
    "workflow",
    {
        "type": choice(*PLANNER_TYPES),
        "timeout": duration,
        "max_steps": whole(1, 1_000_000),
        "sla": SLA,
        "cost_budget": money,
        "planner": planner(is_lenient=False),
        **dict.fromkeys((*_PLANNER_KEYS, *FEEDBACK_KEYS), anything),
    },
)


@takes({"const": VERSION})
def _version(node: Node, place: Place) -> Json:
    if node.value != VERSION or isinstance(node.value, bool):
        place.error("version.unknown", f"this program reads version {VERSION} of definitions", node, "version: 1")
    return VERSION


_KEYS: dict[str, Shape] = {
    "version": _version,
    "name": name,
    "description": text,
    "agents": _AGENTS,
    "planner": planner(is_lenient=False),
    "workflow": _WORKFLOW_SECTION,
    "triggers": triggers,
    "policies": POLICIES,
    "memory": WORKFLOW_MEMORY,
    "tool_security": TOOL_SECURITY,
    "tool_registry": TOOL_REGISTRY,
    "input_schema": json_schema,
    "output": template,
}
_WORKFLOW = record("a workflow", _KEYS, required=("name", "agents"))
_STORED = record("a workflow", {**_KEYS, "files": anything}, required=("name", "agents"))

_TOOLS = record(
    "a document of tools", {"tool_registry": TOOL_REGISTRY, "tool_security": TOOL_SECURITY, "tenants": TENANTS}
)
_FRAGMENTS: dict[str, Shape] = {
    "planner": planner(is_lenient=True),
    "memory": MEMORY,
    "agents": _AGENTS,
    "tool_security": TOOL_SECURITY,
    "tool_registry": TOOL_REGISTRY,
    "tenants": TENANTS,
}


def workflow_schema() -> dict[str, Json]:
    """What a workflow's document may look like, as JSON Schema 2020-12; what goes beyond that `validate` checks."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "title": "AgentFlow workflow", **schema_of(_WORKFLOW)}


def kind_of_document(documents: list[Node]) -> str:
    """What the documents of a file are: `workflow`, a fragment's name, `state_machine`, `scenarios`, …, `nothing`."""
    mappings = [set(node.value) for node in documents if isinstance(node.value, dict)]
    if not mappings:
        return "nothing"
    if all(keys >= {"apiVersion", "kind"} for keys in mappings):
        return "kubernetes"
    keys = mappings[0]
    if keys & _FRAGMENTS.keys() and keys <= _FRAGMENTS.keys():
        return "+".join(key for key in _FRAGMENTS if key in keys)
    if keys & {"scenarios", "datasets"} and "agents" not in keys:
        return "scenarios"
    if "states" in keys and keys <= {*FSM_KEYS}:
        return "state_machine"
    if keys == {"root"} or _is_tree_node(documents[0]):
        return "behavior_tree"
    return "workflow"


def _is_tree_node(node: Node) -> bool:
    """Whether a document is the root of a tree itself, be its type or a key misspelt."""
    if not isinstance(node.value, dict) or "type" not in node.value:
        return False
    if not node.value.keys().isdisjoint(_KEYS.keys() - {"name"}):
        return False
    return node.value["type"].value in (*KINDS, *SYNONYMS) or not node.value.keys().isdisjoint(BELOW)


def read_fragment(node: Node, kind: str, reading: Reading) -> None:
    """Check a fragment as far as it goes; what it refers to may stand elsewhere."""
    place = Place(reading)
    if kind == "behavior_tree":
        TREE(node, place)
    elif kind == "state_machine":
        definition = FSM(node, place)
        if isinstance(definition, dict) and "states" in definition:
            reading.machines.append(Machine("", node, definition, is_lenient=True))
    else:
        record("a document", _FRAGMENTS)(node, place)
    for machine in reading.machines:
        _check_machine(machine, None, reading)
    for tree in reading.trees:
        check_tree(tree, None)


def read_tools(node: Node, reading: Reading) -> Json:
    """The normalised rules for tools of a whole appliance; usable when the report has no errors."""
    return _TOOLS(node, Place(reading))


def read_workflow(node: Node, reading: Reading) -> dict[str, Json]:
    """The normalised definition; usable when the report has no errors."""
    place = Place(reading)
    found = (_STORED if reading.files.are_stored else _WORKFLOW)(node, place)
    if not isinstance(found, dict):
        return {}
    found.pop("files", None)
    agents = found.get("agents")
    names = list(agents) if isinstance(agents, dict) else []
    if "agents" in found and not names:
        place.child("agents").error("value.empty", "a workflow needs at least one agent", node.find(("agents",))[0])
    check_fallbacks(agents if isinstance(agents, dict) else {}, node, place)
    check_tools(agents if isinstance(agents, dict) else {}, _declared(found), node, place)
    check_sessions(found, node, place)
    check_maps(agents if isinstance(agents, dict) else {}, node, place)
    check_own_plans(found, node, place)
    _choose_planner(found, names, node, place)
    check_replan(found, node, place)
    for machine in reading.machines:
        # the states of an agent's own machine only decide; none runs another agent
        _check_machine(machine, None if machine.is_lenient else names, reading)
    for tree in reading.trees:
        check_tree(tree, None if tree.is_lenient else names)
    check_rule_names(found, reading)
    return {"version": VERSION, **found}


def _declared(found: dict[str, Json]) -> Collection[str]:
    """The names in the document's own registry of tools."""
    registry = found.get("tool_registry")
    tools = registry.get("tools") if isinstance(registry, dict) else None
    return tools if isinstance(tools, dict) else {}


def _choose_planner(found: dict[str, Json], agents: list[str], node: Node, place: Place) -> None:
    """Find the workflow's one planner, or make the sequence of its agents explicit."""
    section = found.get("workflow")
    section = section if isinstance(section, dict) else {}
    section_node = node.member("workflow") or Node({}, node.file, node.line)
    planners = [
        found.pop("planner", None),
        section.pop("planner", None),
        _planner_in_place(section, section_node, place),
    ]
    given = [each for each in planners if isinstance(each, dict)]
    kind = section.get("type")
    if len(given) > 1:
        message = "a workflow has one planner; it stands at the top, in workflow.planner, or in workflow itself"
        place.child("workflow").error("planner.conflict", message, section_node)
    elif given and kind is not None and given[0].get("type") != kind:
        message = f"workflow.type is {kind!r}, but the planner's type is {given[0].get('type')!r}"
        place.child("workflow").error("planner.conflict", message, section_node)
    elif not given and not _names_planner(node) and not _names_planner(section_node):
        if kind in PLANNER_TYPES[:3]:
            message = f"workflow.type is {kind!r}, but there is no planner"
            place.child("workflow").error("planner.missing", message, section_node, "add planner: {type, definition}")
        given = [{"type": kind or "sequential", "agents": _in_order(found, agents)}]
    if given:
        found["planner"] = given[0]
        if given[0].get("type") == FEEDBACK_TYPE:
            complete_feedback(given[0], _in_order(found, agents))
            check_feedback(given[0], agents, node, place)
        if given[0].get("type") == "llm":
            check_llm(given[0], agents, node, place)
        _check_sequence(given[0], agents, node, place)


def _in_order(found: dict[str, Json], agents: list[str]) -> list[Json]:
    """The agents that are steps where no plan says so: all but those that work for maps."""
    mapped = mapped_agents(found.get("agents"))
    return [each for each in agents if each not in mapped]


def _planner_in_place(section: dict[str, Json], node: Node, place: Place) -> Json:
    """The planner whose keys stand in `workflow` itself, moved out of it."""
    has_gates = section.get("type") == FEEDBACK_TYPE
    keys = (*_PLANNER_KEYS, *FEEDBACK_KEYS) if has_gates else _PLANNER_KEYS
    if not has_gates:
        _drop_gates(section, node, place.child("workflow"))
    if not isinstance(node.value, dict) or node.value.keys().isdisjoint(keys):
        return None
    members = {key: value for key, value in node.value.items() if key in ("type", *keys)}
    for key in keys:
        section.pop(key, None)
    return planner(is_lenient=False)(
        Node(members, node.file, node.line, node.column, node.keys), place.child("workflow")
    )


def _drop_gates(section: dict[str, Json], node: Node, place: Place) -> None:
    """Warn of gates of a workflow that has none: those of a planner that stands elsewhere are its own."""
    for key in FEEDBACK_KEYS.keys() & section.keys():
        message = f"{key!r} is a key of workflows of type {FEEDBACK_TYPE}; here it has no effect"
        place.child(key).warn("key.not_active", message, node.find((key,))[0])


def _check_sequence(chosen: dict[str, Json], agents: Collection[str], node: Node, place: Place) -> None:
    order = chosen.get("agents")
    if not isinstance(order, list):
        return
    at = node.find(("planner", "agents"))[0]
    here = place.child("planner.agents")
    known, seen = set(agents), set[str]()
    for each in order:
        if not isinstance(each, str):
            continue
        if each not in known:
            message = f"agent {each!r} is not defined among the workflow's agents"
            here.error("agent.undefined", message, at, did_you_mean(here.guess(each, agents)))
        if each in seen:
            message = f"agent {each!r} stands twice in the sequence; a state machine can visit one twice"
            here.error("planner.twice", message, at, "use type: fsm")
        seen.add(each)


def _check_machine(machine: Machine, agents: Collection[str] | None, reading: Reading) -> None:
    fsm = fsm_of(machine.definition)
    for problem in fsm_problems(fsm, agents, is_lenient=machine.is_lenient):
        node, line = machine.node.find(tuple(problem.path.split(".")))
        path = f"{machine.path}.{problem.path}" if machine.path else problem.path
        reading.report.add(msgspec.structs.replace(problem, path=path, file=node.file, line=line))


def _names_planner(node: Node) -> bool:
    """Whether a planner stands there, be it one that could not be read."""
    planner_node = node.member("planner")
    return planner_node is not None and planner_node.value is not None
