"""The rules of a `rules_engine` agent: in place or in a file of the project, with all that can be known of them.

Rules from a file stand in the normalised definition itself, so its hash covers them.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePath
from typing import NamedTuple

from appliance.loading.keys import template
from appliance.loading.node import Node
from appliance.loading.place import FoundRules, Place
from appliance.loading.planners import condition
from appliance.loading.shapes import Shape, choice, is_text, list_of, record, text, tool_name, whole, wrong
from appliance.loading.yaml_reader import MAX_BYTES, decode, read_documents
from runtime.domain.canonical import Json
from runtime.domain.rules import AGGREGATES, HIT_POLICIES, OTHERWISE
from runtime.domain.spelling import did_you_mean
from runtime.errors import Invalid

TABLE_KEYS = ("rules", "hit_policy", "aggregate", "otherwise")
MAX_RULES = 1_000
EXAMPLE = "rules: [{name: large, when: amount > 1000, then: review}]"

_MOST = 1_000_000_000


def _arguments(node: Node, place: Place) -> Json:
    if isinstance(node.value, dict):
        return template(node, place)
    wrong(node, place, "a mapping of arguments")
    return None


_CALLS = list_of(
    record("a call", {"tool": tool_name, "arguments": _arguments}, required=("tool",)),
    what="the name of a tool, or a list of {tool, arguments}",
    least=1,
)


def _calls(node: Node, place: Place) -> Json:
    """One tool by its name, or a list of calls."""
    return [{"tool": tool_name(node, place)}] if is_text(node) else _CALLS(node, place)


_ANSWER: dict[str, Shape] = {"then": template, "call": _calls, "arguments": _arguments}
_RULE = record("a rule", {"name": text, "when": condition, "priority": whole(-_MOST, _MOST), **_ANSWER})
_OTHERWISE = record("'otherwise'", _ANSWER)


def _rule(node: Node, place: Place) -> Json:
    found = _RULE(node, place)
    if not isinstance(found, dict) or not isinstance(node.value, dict):
        return found
    if "when" not in found:
        place.error("key.missing", "a rule needs 'when'", node, "what counts where no rule holds stands in 'otherwise'")
    return {"name": f"rule {int(place.path.rpartition('.')[2]) + 1}", **_answer(found, node, place, "a rule")}


def otherwise(node: Node, place: Place) -> Json:
    """What counts where no rule holds: a decision, or a mapping with `then` and `call`."""
    seen = node if isinstance(node.value, dict) else Node({"then": node}, node.file, node.line)
    place.reading.rules.append(FoundRules(place, Node([seen]), are_many=False))
    if seen is not node:
        return {"then": template(node, place)}
    found = _OTHERWISE(node, place)
    return _answer(found, node, place, "'otherwise'") if isinstance(found, dict) else None


def _answer(found: dict[str, Json], node: Node, place: Place, what: str) -> dict[str, Json]:
    """What a rule does, with the arguments of its one call where all calls have theirs."""
    if not {"then", "call"} & found.keys():
        place.error("key.missing", f"{what} needs 'then', a decision, or 'call', a tool", node)
    arguments, calls = found.pop("arguments", None), found.get("call")
    if arguments is None:
        return found
    if isinstance(calls, list) and len(calls) == 1 and isinstance(calls[0], dict) and "arguments" not in calls[0]:
        calls[0]["arguments"] = arguments
    else:
        message = f"{what} with 'arguments' names one tool under 'call'"
        hint = "call: [{tool: one, arguments: {…}}, {tool: other, arguments: {…}}]"
        place.child("arguments").error("key.conflict", message, node.find(("arguments",))[0], hint)
    return found


_RULES = list_of(_rule, what="a list of rules", least=1)


def rules(node: Node, place: Place) -> Json:
    """A list of rules, or the name of a file with one; a file may also hold a whole table."""
    return _from_file(node, place) if is_text(node) else _list(node, place)


def _list(node: Node, place: Place) -> Json:
    if isinstance(node.value, list):
        place.reading.rules.append(FoundRules(place, node))
        if len(node.value) > MAX_RULES:
            place.error("value.range", f"a table has up to {MAX_RULES:,} rules; this one has {len(node.value):,}", node)
            return None
    return _RULES(node, place)


TABLE_SHAPES: dict[str, Shape] = {
    "rules": rules,
    "hit_policy": choice(*HIT_POLICIES),
    "aggregate": choice(*AGGREGATES),
    "otherwise": otherwise,
}
_TABLE = record("a table of rules", {**TABLE_SHAPES, "rules": _list}, required=("rules",))


def _from_file(node: Node, place: Place) -> Json:
    name, reading = str(node.value), place.reading
    if not name.endswith((".yaml", ".yml", ".json")):
        place.error("rules.file", "expected a list of rules, or the name of a .yaml or .json file with one", node)
        return None
    try:
        data = reading.files.read(name, max_bytes=MAX_BYTES)
    except Invalid as error:  # NotFound is one
        place.error(error.code, error.message, node)
        return None
    file = str(PurePath(reading.file).parent / name)
    source = decode(data, reading.report, file)
    documents = [] if source is None else read_documents(source, reading.report, file=file)
    if len(documents) == 1:
        return (_TABLE if isinstance(documents[0].value, dict) else _list)(documents[0], place)
    if not reading.report.has_errors:
        place.error("yaml.documents", f"expected one YAML document in {name!r}, found {len(documents)}", node)
    return None


def check_table(found: dict[str, Json], node: Node, place: Place) -> None:
    """Take a table out of its file, and report what cannot work in the table of one agent."""
    table = found.get("rules")
    if isinstance(table, dict):
        for key in TABLE_KEYS[1:]:
            if key in table and key in found:
                message = f"{key!r} stands in the agent and in its file of rules; keep one"
                place.child(key).error("key.conflict", message, node.find((key,))[0])
        found.pop("rules")
        found.update(table)
    config = found.get("config")
    for key in config if isinstance(config, dict) else ():
        if key in TABLE_KEYS:
            place.child("config").error("key.misplaced", f"{key!r} stands in the agent itself, not in 'config'", node)
    listed = found.get("rules")
    written = node.member("rules")
    if written is None or written.value is None:
        message = "an agent of type 'rules_engine' decides by a table of rules"
        place.refuse("rules.missing", message, node, f"add {EXAMPLE}")
    nodes = _nodes(place) or [node] * len(listed if isinstance(listed, list) else [])
    rows = [
        _Row(place.child("rules").child(number), line, row)
        for number, (row, line) in enumerate(zip(listed if isinstance(listed, list) else [], nodes, strict=False))
        if isinstance(row, dict)
    ]
    _check_rows(rows, found, node, place)
    _check_calls(rows, found, node, place)


class _Row(NamedTuple):
    """A rule that was read, where it stands, and what stands there."""

    place: Place
    node: Node
    keys: dict[str, Json]


def _check_rows(rows: list[_Row], found: dict[str, Json], node: Node, place: Place) -> None:
    policy, how = found.get("hit_policy", "first"), found.get("aggregate")
    names = Counter(str(row.keys.get("name")) for row in rows)
    seen: dict[str, str] = {}
    for row in rows:
        name, when = str(row.keys.get("name")), str(row.keys.get("when")).strip()
        if names[name] > 1 or name == OTHERWISE:
            message = f"the name {name!r} is taken: the journal says by their names which rules held"
            row.place.child("name").error("rules.name", message, row.node)
        if when in seen and policy in ("first", "unique"):
            never = "never counts" if policy == "first" else "always conflicts with it"
            message = f"rule {name!r} has the condition of rule {seen[when]!r}, and so {never}"
            row.place.warn("rules.same", message, row.node)
        seen.setdefault(when, name)
        if "priority" in row.keys and policy != "priority":
            message = "'priority' counts under hit_policy: priority alone"
            row.place.child("priority").warn("rules.priority", message, row.node)
        if how in ("sum", "min", "max") and not _may_be_number(row.keys.get("then")):
            message = f"'aggregate: {how}' needs decisions that are numbers"
            row.place.child("then").error("rules.not_a_number", message, row.node)
    if how is not None and policy != "collect":
        message = "'aggregate' says what collected decisions come to"
        place.child("aggregate").error("rules.aggregate", message, node.find(("aggregate",))[0], "hit_policy: collect")


def _may_be_number(then: Json) -> bool:
    if isinstance(then, str):
        return "{" in then
    return isinstance(then, int | float) and not isinstance(then, bool)


def _check_calls(rows: list[_Row], found: dict[str, Json], node: Node, place: Place) -> None:
    """Rules call tools of the agent's list, and the list has no others."""
    listed = found.get("tools")
    granted = [str(tool) for tool in listed] if isinstance(listed, list) else []
    last = found.get(OTHERWISE)
    ends = [_Row(place.child(OTHERWISE), node.find((OTHERWISE,))[0], last)] if isinstance(last, dict) else []
    called: set[str] = set()
    for row in [*rows, *ends]:
        for tool in _tools(row.keys):
            called.add(tool)
            if tool not in granted:
                here = row.place.child("call")
                message = f"the rule calls {tool!r}, which is not among the agent's tools"
                hint = did_you_mean(here.guess(tool, granted)) or f"add it: tools: [{', '.join([*granted, tool])}]"
                here.error("rules.tool", message, row.node, hint)
    for tool in granted if rows else ():
        if tool not in called:
            message = f"no rule calls the tool {tool!r}"
            place.child("tools").warn("rules.tool_unused", message, node.find(("tools",))[0], f"call: {tool}")


def _tools(row: dict[str, Json]) -> Iterator[str]:
    calls = row.get("call")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict) and isinstance(call.get("tool"), str):
            yield str(call["tool"])


def _nodes(place: Place) -> list[Node]:
    """The rules of this agent as they stand in their file."""
    path = place.child("rules").path
    found = next(
        (each.node for each in reversed(place.reading.rules) if each.place.path in (path, f"{path}.rules")), None
    )
    return found.value if found is not None and isinstance(found.value, list) else []
