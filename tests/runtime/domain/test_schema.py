"""Schemas mean what the standard's suite says, fetch nothing, and never repeat the data that broke them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from runtime.domain.canonical import Json
from runtime.domain.schema import Schema
from runtime.errors import Invalid
from tests.shared import shared


def test_a_fault_names_the_place_and_the_rule_and_not_the_value() -> None:
    schema = Schema({"type": "object", "required": ["message"], "properties": {"n": {"type": "integer"}}})
    assert schema.fault({"message": "x"}) == ""
    assert schema.fault({}) == 'expected required ["message"]'
    fault = schema.fault({"message": "x", "n": "my secret"})
    assert fault == 'n: expected type "integer"'


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "http://127.0.0.1:1/x", "other.json"])
def test_a_schema_that_refers_to_another_document_is_refused(uri: str) -> None:
    with pytest.raises(Invalid, match=r"schema\.invalid"):
        Schema({"$ref": uri}).fault(1)


@pytest.mark.parametrize("schema", [{"type": "nothing"}, {"pattern": "("}, {"required": "x"}])
def test_what_is_no_schema_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        Schema(schema)


def _cases() -> Iterator[tuple[str, Any, Any, bool]]:
    groups = json.loads(shared("conformance/jsonschema/draft2020-12.json").read_text())
    for group in groups["groups"] if isinstance(groups, dict) else groups:
        if group["kind"] == "required" and "localhost:1234" not in json.dumps(group["schema"]):
            for case in group["tests"]:
                yield f"{group['description']}: {case['description']}", group["schema"], case["data"], case["valid"]


def test_the_standards_suite() -> None:
    """Every required case whose schema stands in one document; the others refer to documents that we do not fetch."""
    wrong = []
    count = 0
    for name, schema, data, is_valid in _cases():
        if not isinstance(schema, dict) or "json-schema.org/draft/2019" in json.dumps(schema):
            continue
        count += 1
        if (Schema(schema).fault(data) == "") is not is_valid:
            wrong.append(name)
    assert count > 1_000
    assert wrong == []


@pytest.mark.parametrize(
    "circular",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"allOf": [{"not": {"$ref": "#/allOf/0"}}]},
        {"properties": {"x": {"anyOf": [{"type": "null"}, {"$ref": "#/properties/x"}]}}},
    ],
)
def test_a_schema_that_is_a_circle_of_references_is_refused(circular: dict[str, Json]) -> None:
    """It would let everything through, which nobody means."""
    with pytest.raises(Invalid, match="leads back to itself") as refused:
        Schema(circular)
    assert "schema.circular" == refused.value.code


@pytest.mark.parametrize(
    "recursive",
    [
        {"properties": {"next": {"$ref": "#"}}},
        {"$ref": "#/$defs/n", "$defs": {"n": {"items": {"$ref": "#/$defs/n"}}}},
        {"$defs": {"a~/b": {"type": "object"}}, "allOf": [{"$ref": "#/$defs/a~0~1b"}, {"$ref": "#/$defs/a~0~1b"}]},
        {"enum": [{"$ref": "#"}]},
        {"$defs": {str(n): {"$ref": f"#/$defs/{n + 1}"} for n in range(3_000)} | {"3000": {}}, "$ref": "#/$defs/0"},
    ],
    ids=["root", "items", "twice", "data", "long"],
)
def test_a_schema_may_hold_itself(recursive: dict[str, Json]) -> None:
    Schema(recursive)


def test_what_is_wrong_with_a_schema_is_one_line() -> None:
    with pytest.raises(Invalid) as refused:
        Schema({"properties": {"a": {"type": "nonsense"}}})
    assert (True, False) == ("properties/a/type: " in refused.value.message, "\n" in refused.value.message)
