"""A schema of a stranger's cannot hold up the program, and those of honest people are let through."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.answers import check_request
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatRequest, ToolOffer
from runtime.domain.schema import Schema
from runtime.domain.schema_effort import effort, parts_of
from runtime.domain.schema_graph import Graph
from runtime.errors import Invalid

TREE: dict[str, Json] = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "left": {"$ref": "#/$defs/node"},
                "right": {"$ref": "#/$defs/node"},
                "n": {"type": "integer"},
            },
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}
TWICE_AT_EACH_LEVEL: dict[str, Json] = {
    "allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}],
    "properties": {"z": {"type": "null"}},
}


def doubling(levels: int, first: str = "#/$defs/d{}", **named: str) -> dict[str, Any]:
    """Definitions that name each the one before twice."""
    twice = {
        f"d{level}": {"allOf": [{"$ref": first.format(level - 1)}] * 2}
        | {key: word.format(level) for key, word in named.items()}
        for level in range(1, levels + 1)
    }
    zero = {"type": "integer"} | {key: word.format(0) for key, word in named.items()}
    return {"$defs": {"d0": zero, **twice}, "$ref": first.format(levels)}


def across_levels(levels: int) -> dict[str, Any]:
    """Each definition holds the member to the next one twice, and the last to the first."""
    return {
        "$defs": {
            f"d{level}": {"properties": {"a": {"allOf": [{"$ref": f"#/$defs/d{(level + 1) % levels}"}] * 2}}}
            for level in range(levels)
        },
        "$ref": "#/$defs/d0",
    }


def leftovers(levels: int) -> dict[str, Any]:
    """Without a reference: each level looks again at all that is below it."""
    schema: dict[str, Any] = {"properties": {"a": True}, "unevaluatedProperties": False}
    for _ in range(levels):
        schema = {"anyOf": [schema], "unevaluatedProperties": False}
    return schema


def expression(kinds: int) -> dict[str, Any]:
    """Kinds of a node that each hold nodes of any kind, as data classes with a tag are written down."""
    each = [
        {
            "type": "object",
            "properties": {"args": {"type": "array", "items": {"$ref": "#/$defs/e"}}, "op": {"const": f"o{kind}"}},
            "required": ["op", "args"],
        }
        for kind in range(kinds)
    ]
    return {"$ref": "#/$defs/e", "$defs": {"e": {"oneOf": [*each, {"type": "integer"}]}}}


def nested(levels: int, leaf: Json) -> Json:
    for _ in range(levels):
        leaf = {"op": "o1", "args": [leaf]}
    return leaf


def members(levels: int, leaf: Json) -> Json:
    for _ in range(levels):
        leaf = {"a": leaf}
    return leaf


@pytest.mark.parametrize(
    "schema",
    [
        doubling(22),
        doubling(60),
        doubling(60, "#n{}", **{"$anchor": "n{}"}),
        doubling(60, "n{}", **{"$id": "n{}"}),
        doubling(60, "urn:x:n{}", **{"$id": "urn:x:n{}"}),
        {"properties": {"a": doubling(60)}, "$defs": doubling(60)["$defs"]},
        {"enum": [doubling(60)["$defs"]["d60"]], "$ref": "#/enum/0", "$defs": doubling(60)["$defs"]},
        across_levels(40),
        leftovers(40),
    ],
    ids=["22", "60", "anchors", "ids", "urns", "member", "data", "across", "leftovers"],
)
def test_rules_that_multiply_are_refused_when_they_are_read(schema: dict[str, Json]) -> None:
    """Each level doubles the work: sixty of them take longer than the machine will last."""
    with pytest.raises(Invalid, match="multiply") as refused:
        Schema(schema)
    assert "schema.too_heavy" == refused.value.code


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (doubling(10), 3),
        (TREE, {"n": 1, "left": {"right": {"n": 2}}}),
        (TWICE_AT_EACH_LEVEL, members(98, 1)),
        (expression(9), nested(45, 1)),
        (leftovers(5), {"a": 1}),
        ({"$id": "https://example.org/s", "$defs": {"x": {"type": "integer"}}, "$ref": "#/$defs/x"}, 3),
        ({"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}}, {"$ref": "a"}),
        ({"items": {"$ref": "#/$defs/a~1b"}, "$defs": {"a/b": {"type": "integer"}}}, [1, 2, 3]),
        ({"prefixItems": [{"$ref": "#/prefixItems/1"}, {"type": "integer"}]}, [1, 2]),
        ({"$ref": "#/$defs/%61", "$defs": {"a": {"type": "integer"}}}, 3),
        ({"enum": [{"$ref": "nowhere"}], "unevaluatedProperties": True}, {"$ref": "nowhere"}),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, {"type": "object", "items": {"minItems": 1}}),
        ({"$dynamicAnchor": "n", "properties": {"a": {"$dynamicRef": "#n"}}}, members(98, 1)),
    ],
)
def test_what_looks_alike_is_let_through(schema: dict[str, Json], value: Json) -> None:
    assert "" == Schema(schema).fault(value)


@pytest.mark.parametrize(
    ("schema", "value", "fault"),
    [
        (expression(3), nested(45, "x"), 'expected oneOf [{"type": "object", "properties"'),
        (
            {"properties": {"e": expression(3)["$defs"]["e"]}, "$defs": expression(3)["$defs"]},
            {"e": 1.5},
            "e: expected o",
        ),
        ({"anyOf": [{"items": {"type": "string"}}] * 100}, [0] * 100_000, "expected anyOf [{"),
        ({"allOf": [{"type": "string"}] * 500}, [0] * 50_000, 'expected type "string"'),
        (
            TWICE_AT_EACH_LEVEL,
            {"a": members(90, 1), "z": 1},
            "expected all that the schema says; its rules lead to each",
        ),
        ({"items": doubling(10), "$defs": doubling(10)["$defs"]}, [1] * 50_000, "expected at most 12,2"),
        ({"items": {"enum": [[number] for number in range(3_000)]}}, [[0]] * 9_000, "expected at most 16,"),
        ({"items": {"enum": [{"a": number} for number in range(3_000)]}}, [{"a": 0}] * 9_000, "expected at most 16,"),
        ({"anyOf": [{"required": ["a"]}], "unevaluatedProperties": False}, {"a": 1}, "expected what unevaluatedP"),
        ({"allOf": [{"type": "object"}], "oneOf": [{"required": ["a"]}]}, {}, 'expected oneOf [{"required": ["a"]}]'),
        ({"oneOf": [{"type": "null"}, {"$ref": "#/oneOf/0"}]}, 1, "expected all that the schema says"),
        ({"properties": {"oneOf": {"enum": [{"anyOf": [1]}]}}}, {"oneOf": 1}, 'oneOf: expected enum [{"anyOf": [1]}]'),
    ],
    ids=[
        "expression",
        "place",
        "choices",
        "alls",
        "twice",
        "parts",
        "lists",
        "mappings",
        "leftover",
        "beside",
        "into",
        "data",
    ],
)
def test_a_fault_is_found_in_as_little_time(schema: dict[str, Json], value: Json, fault: str) -> None:
    """The first of these took longer than anybody waits, and choices of long lists took gigabytes."""
    assert fault == Schema(schema).fault(value)[: len(fault)]


def test_a_pattern_goes_back_only_so_often() -> None:
    """Each letter more multiplies the steps of the first alternative; what people write takes hardly any."""
    assert "expected pattern" in Schema({"pattern": r"^(?:(a*)*\1$x|a+$)"}).fault("a" * 14)
    assert "" == Schema({"pattern": r"^(?=.*[A-Z])(?=.*\d)(?!.*\s).{8,}$"}).fault("aB3" + "a" * 200_000)


def test_a_request_that_brings_such_a_schema_is_refused() -> None:
    words = (ChatMessage("user", "x"),)
    for each in (
        ChatRequest(model="m", messages=words, schema=doubling(60)),
        ChatRequest(model="m", messages=words, tools=(ToolOffer(name="a", parameters=doubling(60)),)),
    ):
        with pytest.raises(Invalid, match=r"schema\.too_heavy"):
            check_request(each)


def test_schemas_are_read_up_to_a_size() -> None:
    large: dict[str, Json] = {"properties": {f"p{number}": {"type": "string"} for number in range(12_000)}}
    words = (ChatMessage("user", "x"),)
    offering = (ToolOffer(name="a", parameters=large), ToolOffer(name="b"))
    for each in (
        ChatRequest(model="m", messages=words, schema=large),
        ChatRequest(model="m", messages=words, tools=offering),
    ):
        with pytest.raises(Invalid, match=r"model\.schema_too_large"):
            check_request(each)


class Counting:
    """A keyword that every rule of a drawn schema has: it counts how often it is looked at."""

    seen = 0

    def __init__(self, *_written: object) -> None:
        pass

    def validate(self, _value: object) -> None:
        Counting.seen += 1


NAMES = st.sampled_from("abc")
REFERENCES = st.one_of(
    st.builds(lambda number: {"$ref": f"#/$defs/d{number}"}, st.integers(0, 3)), st.just({"$dynamicRef": "#d"})
)


def _rules(below: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(below, min_size=1, max_size=3)
    by_name = st.dictionaries(NAMES, below, min_size=1)
    keys: dict[str, Any] = dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), some)
    keys |= dict.fromkeys(("properties", "patternProperties", "dependentSchemas"), by_name)
    single = ("not", "items", "contains", "additionalProperties", "unevaluatedProperties", "unevaluatedItems")
    keys |= dict.fromkeys(single, below)
    chosen = st.lists(st.sampled_from(sorted(keys)), min_size=1, max_size=3, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({"seen": st.just(1)} | {key: keys[key] for key in names}))


RULES = st.recursive(
    REFERENCES | st.builds(dict, seen=st.just(1), type=st.sampled_from(["object", "integer"])), _rules, max_leaves=6
)
SCHEMAS = st.lists(_rules(RULES), min_size=4, max_size=4).map(
    lambda rules: {
        "$defs": {f"d{number}": rule | {"$dynamicAnchor": "d"} for number, rule in enumerate(rules)},
        "$ref": "#/$defs/d0",
    }
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([1, "x", None]),
    lambda below: st.dictionaries(NAMES, below, max_size=2) | st.lists(below, max_size=2),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(SCHEMAS, VALUES, st.integers(0, 20))
def test_what_is_accepted_is_looked_at_as_often_as_was_reckoned(schema: dict[str, Any], value: Json, deep: int) -> None:
    """The bound holds for the validator's own steps, along a way down of each part, for each rule that may return."""
    try:
        Schema(schema)
    except Invalid:
        return
    value = members(deep, value)
    validator = jsonschema_rs.Draft202012Validator(schema, keywords={"seen": Counting})
    Counting.seen = 0
    validator.is_valid(value)
    graph = Graph(schema)
    assert Counting.seen <= effort(graph).visits * parts_of(value, 10**6) * graph.size
