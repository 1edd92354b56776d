"""Planners in all their forms: states in place, under `definition`, as YAML in a text, or by file name.

Every form of one plan is read as the same `{type, definition}`, so that formatting does not change its hash.
"""

from functools import partial
from pathlib import PurePath

from appliance.loading.keys import retry
from appliance.loading.llm_planner import llm_shape
from appliance.loading.node import Node
from appliance.loading.place import Machine, Place
from appliance.loading.shapes import (
    Shape,
    choice,
    duration,
    list_of,
    mapping_of,
    name,
    record,
    schema_of,
    takes,
    text,
    wrong,
)
from appliance.loading.tree_xml import is_xml, read_tree_xml
from appliance.loading.trees import TREE_KEYS, tree_shape
from appliance.loading.workflow_kinds import FEEDBACK
from appliance.loading.yaml_reader import MAX_BYTES, decode, read_documents
from runtime.domain.canonical import Json
from runtime.errors import Invalid, NotFound

PLANNER_TYPES = ("fsm", "behavior_tree", "llm", "sequential", "sequential_with_feedback")
FSM_KEYS = ("states", "initial_state", "final_states", "answer")


_SOME_CONDITION = "true"
"""Stands for one that could not be read, so that its state is not taken for one without a condition."""


@takes({"type": "string"})
def condition(node: Node, place: Place) -> Json:
    """A CEL or JSONPath condition that compiles."""
    # CEL is 50 MB of shared library; documents without conditions do without it
    from runtime.planners.conditions import compile_condition

    if not isinstance(node.value, str):
        hint = "put it in quotes" if isinstance(node.value, bool) else ""
        place.error("condition.invalid", "expected a condition such as response.confidence < 0.7", node, hint)
        return _SOME_CONDITION
    try:
        for warning in compile_condition(node.value).warnings:
            place.warn("condition.spelling", warning, node)
    except Invalid as error:
        place.error(error.code, error.message, node)
    return node.value or _SOME_CONDITION


_STATE = record(
    "a state",
    {
        "agent": name,
        "on_success": name,
        "on_error": name,
        "condition": condition,
        "on_true": name,
        "on_false": name,
        "conditional_transitions": list_of(
            record(
                "a conditional transition",
                {"condition": condition, "target": name},
                required=("condition", "target"),
            ),
            what="a list of {condition, target}",
        ),
        "timeout": duration,
        "retry": retry,
        "wait_for": name,
    },
)


@takes(lambda: {"anyOf": [{"type": "null"}, schema_of(_STATE)]})
def _state(node: Node, place: Place) -> Json:
    return {} if node.value is None else _STATE(node, place)


FSM = record(
    "a state machine",
    {
        "states": mapping_of(_state, what="a mapping from state names to states"),
        "initial_state": name,
        "final_states": list_of(name, what="a list of state names"),
        "answer": choice("last", "decision"),
    },
    required=("states",),
)

TREE = tree_shape(condition)


def planner(*, is_lenient: bool, of_agent: bool = False) -> Shape:
    """A planner in any form, read as `{type, …}`; `is_lenient` for one that the workflow does not follow itself.

    `of_agent`: of an agent, where a model's plan is followed all the same.
    """
    types = PLANNER_TYPES[:3] if is_lenient else PLANNER_TYPES

    @takes(lambda: _planner_schema(types))
    def shape(node: Node, place: Place) -> Json:
        if not isinstance(node.value, dict):
            wrong(node, place, "a planner: a mapping with type, definition")
            return None
        if "type" not in node.value:
            place.error("key.missing", "a planner needs 'type'", node, f"one of {', '.join(types)}")
            return None
        kind = choice(*types)(node.value["type"], place.child("type"))
        if not isinstance(kind, str):
            return None
        match kind:
            case "fsm":
                return _machine_planner(node, place, is_lenient=is_lenient)
            case "behavior_tree":
                tree = tree_shape(condition, is_lenient=is_lenient)
                return _definition_planner(node, place, kind, TREE_KEYS, tree, is_lenient=is_lenient)
            case "llm":
                # an agent's own machine may only decide; those of a model's plan run agents, as a workflow's do
                return llm_shape(partial(_machine_planner, is_lenient=is_lenient and not of_agent))(node, place)
        return FEEDBACK(node, place) if kind == "sequential_with_feedback" else _SEQUENCE(node, place)

    return shape


def _planner_schema(types: tuple[str, ...]) -> dict[str, Json]:
    """The keys of all kinds: which belong to which, `validate` says."""
    keys: dict[str, Json] = {}
    for shape in (FSM, _SEQUENCE, FEEDBACK):
        properties = schema_of(shape)["properties"]
        keys |= properties if isinstance(properties, dict) else {}
    plan: Json = {"anyOf": [{"type": "string"}, {"type": "object"}]}
    return {
        "type": "object",
        "properties": {**keys, "type": {"enum": [*types]}, "definition": plan, "transitions": plan},
        "required": ["type"],
    }


_SEQUENCE = record(
    "a sequential planner",
    {"type": text, "agents": list_of(name, what="a list of agent names", least=1)},
    required=("agents",),
)


def _machine_planner(node: Node, place: Place, *, is_lenient: bool) -> Json:
    def machine(content: Node, at: Place) -> Json:
        definition = FSM(content, at)
        if isinstance(definition, dict) and "states" in definition:
            at.reading.machines.append(Machine(at.path, content, definition, is_lenient))
        return definition

    return _definition_planner(node, place, "fsm", FSM_KEYS, machine, is_lenient=is_lenient)


def _definition_planner(
    node: Node, place: Place, kind: str, direct_keys: tuple[str, ...], content: Shape, *, is_lenient: bool
) -> Json:
    """Read a planner whose plan stands under `definition`, or, by its first key, in the planner itself."""
    assert isinstance(node.value, dict), "planner() has looked"
    if direct_keys[0] in node.value:
        direct = {key: value for key, value in node.value.items() if key != "type"}
        definition = content(Node(direct, node.file, node.line, node.column, node.keys), place)
        return {"type": kind, "definition": definition}
    resolve = _definition(content, is_lenient=is_lenient)
    keys = {"type": text, "definition": resolve, **({"transitions": resolve} if kind == "fsm" else {})}
    found = record(f"a planner of type {kind}", keys)(node, place)
    assert isinstance(found, dict), "a record of a mapping is one"
    plans = [found[key] for key in ("definition", "transitions") if key in found]
    if len(plans) > 1:
        place.error("key.conflict", "'definition' and 'transitions' are two names of one thing; keep one", node)
    if all(node.value[key].value is None for key in ("definition", "transitions") if key in node.value) and not plans:
        hint = f"{direct_keys[0]} in place, or definition: a mapping, a YAML text or a file name"
        place.error("key.missing", f"a planner of type {kind} needs 'definition'", node, hint)
    return {"type": kind, "definition": plans[0] if plans else None}


def _definition(content: Shape, *, is_lenient: bool) -> Shape:
    def shape(node: Node, place: Place) -> Json:
        if not isinstance(node.value, str):
            return content(node, place)
        if is_xml(node.value):
            tree = read_tree_xml(node.value.encode(), place.reading.report, file=node.file, first_line=node.text_line)
            return None if tree is None else content(tree, place)
        if _is_yaml(node.value):
            report = place.reading.report
            documents = read_documents(node.value, report, file=node.file, first_line=node.text_line)
            return _only(documents, content, node, place)
        if not node.value.endswith((".yaml", ".yml", ".json", ".xml")):
            message = "expected a mapping, a YAML text or the name of a .yaml file (of a tree also .xml)"
            place.error("planner.definition", message, node)
            return None
        return _from_file(node, place, content, is_lenient=is_lenient)

    return shape


def _is_yaml(value: str) -> bool:
    return "\n" in value or ": " in value or value.startswith("{")


def _from_file(node: Node, place: Place, content: Shape, *, is_lenient: bool) -> Json:
    file_name = str(node.value)
    reading = place.reading
    try:
        data = reading.files.read(file_name, max_bytes=MAX_BYTES)
    except NotFound as error:
        # the name stays in the document, so that it is refused again when it is read back
        hint = "add the file, or write the definition in its place"
        place.add("planner.no_file", error.message, node, hint, "refusal" if is_lenient else "error")
        return file_name
    except Invalid as error:
        place.error(error.code, error.message, node)
        return None
    file = str(PurePath(node.file).parent / file_name)
    if file_name.endswith(".xml"):
        tree = read_tree_xml(data, reading.report, file=file)
        return None if tree is None else content(tree, place)
    source = decode(data, reading.report, file)
    documents = [] if source is None else read_documents(source, reading.report, file=file)
    return _only(documents, content, node, place)


def _only(documents: list[Node], content: Shape, node: Node, place: Place) -> Json:
    """Read the one document that a definition must be; when there is none, the reason has been told or it is empty."""
    if len(documents) == 1:
        return content(documents[0], place)
    if documents:
        place.error("yaml.documents", "expected one YAML document, found several", documents[1])
    elif not place.reading.report.has_errors:
        place.error("value.empty", "the definition is empty", node)
    return None
