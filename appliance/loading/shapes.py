"""What a value may look like: small checks that are put together into tables of keys.

A shape reads a node, reports what is wrong with it, and returns its plain value (None where it is wrong). A key
whose value is empty counts as absent. Messages never quote free text: it may be a secret or a prompt.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from appliance.loading.node import Node, kind_of, plain
from appliance.loading.place import Place
from runtime.domain import units
from runtime.domain.canonical import Json
from runtime.domain.cost import limit_of
from runtime.domain.spelling import did_you_mean

Shape: TypeAlias = Callable[[Node, Place], Json]
Schema: TypeAlias = dict[str, Json]

SLIP_RATIO = 0.8
"""How alike an unknown key must be to a known one to be read as that, so that one slip is one problem."""
_TRUE = frozenset({"yes", "on"})
_FALSE = frozenset({"no", "off"})


def takes(schema: Schema | Callable[[], Schema]) -> Callable[[Shape], Shape]:
    """Have a shape say in JSON Schema what it takes, for editors; the shape itself decides."""

    def marked(shape: Shape) -> Shape:
        shape.__dict__["takes"] = schema
        return shape

    return marked


def schema_of(shape: Shape) -> Schema:
    """What a shape says that it takes, as JSON Schema 2020-12; `{}`, which is anything, where it says nothing."""
    schema = getattr(shape, "takes", {})
    found: Schema = schema() if callable(schema) else schema
    return found


def wrong(node: Node, place: Place, expected: str) -> None:
    """Report a value of another kind than expected."""
    found = repr(node.value) if isinstance(node.value, bool | int | float) else kind_of(node)
    place.error("value.kind", f"expected {expected}, found {found}", node)


def anything(node: Node, place: Place) -> Json:
    """Any JSON value."""
    return plain(node)


@takes({"type": "string", "minLength": 1})
def text(node: Node, place: Place) -> Json:
    """A text that is not blank."""
    if isinstance(node.value, str):
        if node.value.strip():
            return node.value
        place.error("value.empty", "expected a text, found an empty one", node)
    elif isinstance(node.value, bool | int | float):
        place.error("value.kind", f"expected a text, found {node.value!r}", node, "put it in quotes")
    else:
        wrong(node, place, "a text")
    return None


@takes({"type": "string", "minLength": 1})
def characters(node: Node, place: Place) -> Json:
    """A text of at least one character, which may be a blank or a line break."""
    if isinstance(node.value, str) and node.value:
        return node.value
    wrong(node, place, "a text of at least one character")
    return None


def matching(pattern: str, expected: str) -> Shape:
    """A text of a certain form, such as a name."""
    compiled = re.compile(pattern)

    @takes({"type": "string", "pattern": f"^(?:{pattern})$", "description": expected})
    def shape(node: Node, place: Place) -> Json:
        if not isinstance(node.value, str):
            wrong(node, place, expected)
        elif compiled.fullmatch(node.value):
            return node.value
        else:
            place.error("value.form", f"expected {expected}, found {_quoted(node.value)}", node)
        return None

    return shape


def choice(*words: str) -> Shape:
    """One of a few words."""

    @takes({"enum": [*words]})
    def shape(node: Node, place: Place) -> Json:
        if isinstance(node.value, str) and node.value in words:
            return node.value
        if not isinstance(node.value, str):
            wrong(node, place, f"one of {', '.join(words)}")
            return None
        message = f"expected one of {', '.join(words)}, found {_quoted(node.value)}"
        place.error("value.unknown", message, node, did_you_mean(place.guess(node.value, words)))
        return None

    return shape


@takes({"enum": [True, False, *sorted(_TRUE | _FALSE)]})
def boolean(node: Node, place: Place) -> Json:
    """True or false, also spelt yes, no, on or off."""
    if isinstance(node.value, bool):
        return node.value
    word = node.value.lower() if isinstance(node.value, str) else ""
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    wrong(node, place, "true or false")
    return None


def whole(low: int, high: int) -> Shape:
    """A whole number in a range."""

    @takes({"type": "integer", "minimum": low, "maximum": high})
    def shape(node: Node, place: Place) -> Json:
        if type(node.value) is int and low <= node.value <= high:
            return node.value
        wrong(node, place, f"a whole number from {low:,} to {high:,}")
        return None

    return shape


def number(low: float, high: float) -> Shape:
    """A number in a range."""

    @takes({"type": "number", "minimum": low, "maximum": high})
    def shape(node: Node, place: Place) -> Json:
        if type(node.value) in (int, float) and low <= node.value <= high:  # type: ignore[operator]  # a number
            return plain(node)
        wrong(node, place, f"a number from {low:g} to {high:g}")
        return None

    return shape


def quantity(parse: Callable[[object], object]) -> Shape:
    """An amount with its unit, kept as it is written."""

    @takes({"type": ["string", "number"]})
    def shape(node: Node, place: Place) -> Json:
        value = node.value
        try:
            parse(value if isinstance(value, int | float | str) else kind_of(node))
        except ValueError as error:
            message = str(error)
            place.error("value.quantity", message if len(message) < 200 else message.partition(", found")[0], node)
            return None
        return plain(node)

    return shape


duration = quantity(units.milliseconds)
money = quantity(units.usd_micros)
limit = quantity(limit_of)
size = quantity(units.size_bytes)
ratio = number(0, 1)
tool_name = matching(
    r"[A-Za-z_][A-Za-z0-9_-]{0,63}(\.[A-Za-z0-9_./-]{1,128})?",
    "the name of a tool: letters, digits, '_' and '-', or SERVER.TOOL for one of a server",
)
name = matching(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", "a name of letters, digits, '_' and '-', up to 64 characters")
rate = matching(r"[1-9][0-9]*/(?:second|minute|hour|day)", "a rate such as 100/hour")
percent = matching(r"(?:100(?:\.0+)?|[0-9]{1,2}(?:\.[0-9]+)?)%", "a share such as 99.9%")


def either(first: Shape, second: Shape, when: Callable[[Node], bool]) -> Shape:
    """The second shape for nodes that `when` holds for, the first for all others."""

    @takes(lambda: {"anyOf": [schema_of(first), schema_of(second)]})
    def shape(node: Node, place: Place) -> Json:
        return (second if when(node) else first)(node, place)

    return shape


def is_text(node: Node) -> bool:
    """Whether a text stands there."""
    return isinstance(node.value, str)


def list_of(item: Shape, *, what: str = "a list", least: int = 0) -> Shape:
    """A list of values of one shape."""

    @takes(lambda: {"type": "array", "items": schema_of(item), "minItems": least})
    def shape(node: Node, place: Place) -> Json:
        if not isinstance(node.value, list):
            wrong(node, place, what)
            return None
        if len(node.value) < least:
            place.error("value.empty", f"expected {what} with at least {least} of them", node)
        return [item(each, place.child(number)) for number, each in enumerate(node.value)]

    return shape


texts = list_of(text, what="a list of texts")


def mapping_of(item: Shape, *, what: str, key: Shape | None = name) -> Shape:
    """A mapping from free names to values of one shape; `key` None: the names may be anything."""

    @takes(lambda: {"type": "object", "additionalProperties": schema_of(item)})
    def shape(node: Node, place: Place) -> Json:
        if not isinstance(node.value, dict):
            wrong(node, place, what)
            return None
        members: dict[str, Json] = {}
        for each, value in node.value.items():
            if key is not None:
                key(Node(each, node.file, node.key_line(each)), place.child(each))
            members[each] = item(value, place.child(each))
        return members

    return shape


def record(what: str, keys: Mapping[str, Shape], *, required: Collection[str] = ()) -> Shape:
    """A mapping with known keys, each with its own shape."""

    @takes(lambda: _record_schema(what, keys, required))
    def shape(node: Node, place: Place) -> Json:
        if not isinstance(node.value, dict):
            wrong(node, place, f"{what} as a mapping with {', '.join(list(keys)[:8])}")
            return None
        members: dict[str, Json] = {}
        for key, value in node.value.items():
            known = key if key in keys else _unknown_key(key, node, place, what, keys)
            if known and value.value is not None:
                members[known] = keys[known](value, place.child(key))
        for key in required:
            if key not in members:
                place.error("key.missing", f"{what} needs {key!r}", node)
        return {key: value for key, value in members.items() if value is not None}

    return shape


def _record_schema(what: str, keys: Mapping[str, Shape], required: Collection[str]) -> Schema:
    properties: dict[str, Json] = {key: schema_of(shape) for key, shape in keys.items()}
    return {
        "type": "object",
        "description": what,
        "properties": properties,
        "required": [*required],
        "additionalProperties": False,
    }


def _unknown_key(key: str, node: Node, place: Place, what: str, keys: Collection[str]) -> str:
    """Report a key; the known one that it is a slip of, where that is free."""
    message = f"{_quoted(key)} is not a key of {what}; known: {', '.join(keys)}"
    place.child(key).add("key.unknown", message, node, did_you_mean(place.guess(key, keys)), line=node.key_line(key))
    slip = place.guess(key, keys, cutoff=SLIP_RATIO)
    return slip if isinstance(node.value, dict) and slip not in node.value else ""


def _quoted(value: str) -> str:
    return repr(value) if len(value) <= 40 else repr(value[:40]) + "…"
