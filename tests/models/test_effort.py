"""Schemas that would hold up the whole program are told apart from those that only look alike."""

import pytest

from models.answers import check_reply, check_request
from models.effort import is_quick
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatReply, ChatRequest, ToolOffer
from runtime.errors import Invalid, StepFailure

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
    "anyOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}],
}


def doubling(levels: int) -> dict[str, Json]:
    """Definitions that name each the one before twice."""
    twice: dict[str, Json] = {
        f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level - 1}"}] * 2} for level in range(1, levels + 1)
    }
    return {"$defs": {"d0": {"type": "integer"}, **twice}, "$ref": f"#/$defs/d{levels}"}


def nested(levels: int) -> Json:
    value: Json = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def tree(levels: int) -> Json:
    return {"n": levels, **({"left": tree(levels - 1), "right": tree(levels - 1)} if levels else {})}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object"}, {"a": 1}),
        (doubling(10), 3),
        (TREE, tree(8)),
        (TWICE_AT_EACH_LEVEL, nested(10)),
        ({"$id": "https://example.org/s", "$defs": {"x": {"type": "integer"}}, "$ref": "#/$defs/x"}, 3),
        ({"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}}, {"$ref": "a"}),
        ({"$ref": "#"}, 3),
        ({"items": {"$ref": "#/$defs/a~1b"}, "$defs": {"a/b": {"type": "integer"}}}, [1, 2, 3]),
        ({"prefixItems": [{"$ref": "#/prefixItems/1"}, {"type": "integer"}]}, [1, 2]),
    ],
)
def test_what_is_quick_is_let_through(schema: dict[str, Json], value: Json) -> None:
    assert is_quick(schema, value)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (doubling(60), 3),
        (TWICE_AT_EACH_LEVEL, nested(60)),
        ({"items": doubling(17), "$defs": doubling(17)["$defs"]}, [1] * 1_000),
        ({"properties": {"a": doubling(60)}, "$defs": doubling(60)["$defs"]}, {"a": 1}),
        ({"$defs": {"a": {"$id": "b", "$defs": {}}}, "$ref": "#/$defs/a"}, 3),
        ({"$dynamicAnchor": "a", "allOf": [{"$dynamicRef": "#a"}]}, 3),
        ({"$ref": "#/$defs/%61", "$defs": {"a": {}}}, 3),
        ({"$ref": "#/nowhere"}, 3),
    ],
)
def test_what_is_not_or_cannot_be_told_is_not_tried(schema: dict[str, Json], value: Json) -> None:
    """Each level of these doubles the work: sixty of them take longer than the machine will last."""
    assert not is_quick(schema, value)


def test_an_answer_to_such_a_schema_is_an_error_of_its_own() -> None:
    asked = ChatRequest(model="m", messages=(ChatMessage("user", "x"),), schema=doubling(60))
    reply = ChatReply(
        text="3", finish_reason="stop", input_tokens=1, output_tokens=1, backend="b", model="m", fingerprint="f"
    )
    with pytest.raises(StepFailure, match=r"model\.answer_invalid.*takes too long"):
        check_reply(reply, asked)


def test_schemas_are_read_up_to_a_size() -> None:
    large: dict[str, Json] = {"properties": {f"p{number}": {"type": "string"} for number in range(12_000)}}
    asked = ChatRequest(model="m", messages=(ChatMessage("user", "x"),), schema=large)
    offering = ChatRequest(
        model="m",
        messages=(ChatMessage("user", "x"),),
        tools=(ToolOffer(name="a", parameters=large), ToolOffer(name="b")),
    )
    for each in (asked, offering):
        with pytest.raises(Invalid, match=r"model\.schema_too_large"):
            check_request(each)
