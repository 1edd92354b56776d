"""What may stand in a scenario, key by key, and the expectations that checked keys say."""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from appliance.loader import FILE as WORKFLOW_FILE
from appliance.loading.node import Node, plain
from appliance.loading.place import Place
from appliance.loading.shapes import (
    Shape,
    anything,
    characters,
    choice,
    duration,
    list_of,
    mapping_of,
    money,
    ratio,
    record,
    text,
    texts,
    whole,
    wrong,
)
from appliance.scenarios.format import NAMES, VERSION, Expected
from appliance.scenarios.places import place_problem
from runtime.domain.canonical import Json
from runtime.domain.units import milliseconds, usd_micros
from runtime.errors import Invalid

STATUSES = ("succeeded", "failed", "waiting", "cancelled")
MAX_REPEATS = 10_000
WHOLE = ""
"""The place that is the whole answer."""


def scenario_shape(folder: Path, *, is_known: bool) -> Shape:
    """One scenario; `is_known`: the file has a version."""
    keys: dict[str, Shape] = {
        "name": text,
        "input": anything,
        "expect": EXPECTED if is_known else _unversioned,
        "workflow": workflow_file(folder),
        "as": text,
        "answers": ANSWERS,
        "tool_answers": TOOL_ANSWERS,
        "signals": SIGNALS,
        "repeat": whole(1, MAX_REPEATS),
        "pass_rate": ratio,
        "timeout": duration,
        "skip": text,
    }
    return record("a scenario", keys, required=("name", "expect"))


def expected_of(found: Mapping[str, Json], *, is_known: bool = True) -> Expected:
    """What checked keys of `expect` say."""
    if not is_known:
        fields = {key: value for key, value in found.items() if key not in ("path", "status")}
        if "article" in fields:  # the first source, under a name of its own
            fields["citations.0.article"] = fields.pop("article")
        path = found.get("path")
        return Expected(
            status=str(found.get("status", "")),
            path=tuple(map(str, path)) if isinstance(path, list) else None,
            output=fields,
            is_known=False,
        )
    tools = found.get("tools")
    held: dict[str, Json] = {
        **{key: found[key] for key in ("status", "path", "end", "visited", "not_visited", "output", "error", "awaits",
                                       "egress", "max_tokens") if key in found},
        **{key: _placed(found[key]) for key in ("contains", "not_contains", "matches") if key in found},
        **(tools if isinstance(tools, dict) else {}),
    }  # fmt: skip
    if "conditions" in found:
        held["conditions"] = found["conditions"]
    if "max_cost" in found:
        held["max_usd_micros"] = usd_micros(found["max_cost"])
    if "max_duration" in found:
        held["max_duration_ms"] = milliseconds(found["max_duration"])
    return msgspec.convert(held, Expected)


def _placed(found: Json) -> dict[str, Json]:
    """Place → texts, of all the ways in which that can be written."""
    members = found if isinstance(found, dict) else {WHOLE: found}
    return {place: value if isinstance(value, list) else [value] for place, value in members.items()}


def version(node: Node, place: Place) -> Json:
    if node.value != VERSION or isinstance(node.value, bool):
        place.error("version.unknown", f"this program reads version {VERSION} of scenarios", node, "version: 1")
    return VERSION


def workflow_file(folder: Path) -> Shape:
    """A definition beside the scenario file, as its path."""

    def shape(node: Node, place: Place) -> Json:
        named = text(node, place)
        if not isinstance(named, str):
            return None
        path = folder / named
        if not path.exists():
            hint = did_you_mean_file(named, folder)
            place.error("file.not_found", f"there is no file {named!r} in {folder}", node, hint)
            return None
        return str(path)

    return shape


def did_you_mean_file(named: str, folder: Path) -> str:
    """The definitions of a folder, where another name was given."""
    known = sorted(path.name for path in folder.glob("*.y*ml"))
    return f"there are: {', '.join(known)}" if known else f"a definition is called {WORKFLOW_FILE}"


def regex(node: Node, place: Place) -> Json:
    """A regular expression that compiles."""
    found = characters(node, place)
    if isinstance(found, str):
        try:
            re.compile(found)
        except re.error as error:
            place.error("value.pattern", f"{found!r} is not a regular expression: {error}", node)
    return found


def condition(node: Node, place: Place) -> Json:
    """CEL or JSONPath that compiles and reads what there is."""
    from runtime.planners.conditions import compile_condition  # the library is large; most files need none

    found = text(node, place)
    if isinstance(found, str):
        try:
            compile_condition(found, names=NAMES)
        except Invalid as error:
            known = f"there are: {', '.join(sorted(NAMES))}" if error.code == "condition.unknown_name" else ""
            place.error(error.code, error.message, node, known)
    return found


def _answers(node: Node, place: Place) -> Json:
    """What an agent answers: one answer, a list of them in turn, or a mapping from patterns to them."""
    if isinstance(node.value, str | list | dict):
        if isinstance(node.value, dict):
            for pattern in node.value:
                regex(Node(pattern, node.file, node.key_line(pattern)), place.child(pattern))
        return plain(node)
    wrong(node, place, "a text, a list of answers, or a mapping from patterns to answers")
    return None


def _signals(node: Node, place: Place) -> Json:
    if isinstance(node.value, dict):
        return [{"name": name, "data": plain(value)} for name, value in node.value.items()]
    one = record("a signal", {"name": text, "data": anything, "role": text}, required=("name",))
    return list_of(one, what="a list of {name, data, role}, or a mapping from signals to data")(node, place)


def _output(node: Node, place: Place) -> Json:
    return _by_place(anything)(node, place) if isinstance(node.value, dict) else {"$": plain(node)}


def _by_place(item: Shape) -> Shape:
    """A mapping from places in the output to something."""

    def shape(node: Node, place: Place) -> Json:
        found = mapping_of(item, what="a mapping from fields of the output, or JSONPaths into it", key=None)(
            node, place
        )
        for key in node.value if isinstance(node.value, dict) else ():
            if fault := place_problem(key):
                place.child(key).add("value.path", fault, node, line=node.key_line(key))
        return found

    return shape


def _some(item: Shape) -> Shape:
    """One, or a list of them."""

    def shape(node: Node, place: Place) -> Json:
        return list_of(item)(node, place) if isinstance(node.value, list) else item(node, place)

    return shape


def _said(item: Shape) -> Shape:
    """Texts of the whole answer, or by place."""

    def shape(node: Node, place: Place) -> Json:
        return (_by_place(_some(item)) if isinstance(node.value, dict) else _some(item))(node, place)

    return shape


def _listed(shape: Shape) -> Shape:
    def listed(node: Node, place: Place) -> Json:
        found = shape(node, place)
        return found if isinstance(found, list) or found is None else [found]

    return listed


def _tools(node: Node, place: Place) -> Json:
    if isinstance(node.value, list):
        return {"called": texts(node, place)}
    return record("tools", {"called": texts, "not_called": texts})(node, place)


def _unversioned(node: Node, place: Place) -> Json:
    """`path`, `status`, and fields of the output side by side, as files without a version have them."""
    if not isinstance(node.value, dict):
        wrong(node, place, "a mapping with status, path, and fields of the output")
        return None
    shapes: dict[str, Shape] = {"path": texts, "status": choice(*STATUSES)}
    return {key: shapes.get(key, anything)(value, place.child(key)) for key, value in node.value.items()}


TOOL_ANSWERS = mapping_of(_answers, what="a mapping from tools to what they answer")
ANSWERS = mapping_of(_answers, what="a mapping from agents to what they answer", key=text)
SIGNALS: Shape = _signals
EXPECTED_KEYS: dict[str, Shape] = {
    "status": choice(*STATUSES),
    "path": texts,
    "end": text,
    "visited": texts,
    "not_visited": texts,
    "output": _output,
    "contains": _said(characters),
    "not_contains": _said(characters),
    "matches": _said(regex),
    "conditions": _listed(_some(condition)),
    "error": text,
    "awaits": _listed(_some(text)),
    "tools": _tools,
    "egress": choice("none"),
    "max_cost": money,
    "max_tokens": whole(0, 10**9),
    "max_duration": duration,
}
EXPECTED = record("expect", EXPECTED_KEYS)
