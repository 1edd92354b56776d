"""Conditions mean what CEL and RFC 9535 say, and never hang, crash or pass for false when they err."""

import base64
import json
from typing import Any

import pytest

from runtime.domain.canonical import Json
from runtime.domain.event import ErrorInfo
from runtime.errors import Invalid
from runtime.planners.conditions import compile_condition
from runtime.planners.jsonpath import compile_query
from tests.shared import shared


def holds(text: str, **data: Json) -> bool | ErrorInfo:
    return compile_condition(text).holds(data)


@pytest.mark.parametrize(
    ("text", "data", "expected"),
    [
        ("response.confidence < 0.7", {"response": {"confidence": 0.5}}, True),
        ("response.data_sources.length == 0", {"response": {"data_sources": []}}, True),
        ("message.urgency == 'high'", {"message": {"urgency": "low"}}, False),
        ("1 < score", {"score": 1.5}, True),
        ("all_checks_passed", {"all_checks_passed": True}, True),
        ("has(a.b) && a.b < 1", {"a": {}}, False),
        ("tags.exists(t, t == 'vip')", {"tags": ["vip"]}, True),
        ("'x.length' == 'x.length'", {}, True),
        ("x['length'] == 2", {"x": {"length": 2}}, True),
        ("$.response.hits[?@.score > 0.5]", {"response": {"hits": [{"score": 0.9}]}}, True),
        ("$.response.ok", {"response": {"ok": False}}, False),
        ("$.response.missing", {"response": {}}, False),
    ],
)
def test_conditions_of_the_source_document_and_their_kin(text: str, data: dict[str, Any], expected: bool) -> None:
    assert holds(text, **data) is expected


@pytest.mark.parametrize(
    ("text", "data"),
    [("a.b < 1", {"a": {}}), ("missing == 1", {}), ("x < 3", {"x": None}), ("x", {"x": "yes"}), ("1/x == 1", {"x": 0})],
)
def test_a_condition_that_errs_is_not_false(text: str, data: dict[str, Any]) -> None:
    verdict = holds(text, **data)
    assert isinstance(verdict, ErrorInfo)
    assert verdict.code == "condition.error"
    assert repr(text) in verdict.message


@pytest.mark.parametrize(
    "text",
    ["x <", "1 + 'a' == 2", "size(x)", "'text'", "", "(" * 5000 + "x" + ")" * 5000, "x" * 200_000, "$[", "$..a..b..c"],
)
def test_what_is_no_condition_is_refused_when_it_is_compiled(text: str) -> None:
    with pytest.raises(Invalid):
        compile_condition(text)


def test_length_is_read_as_size_with_a_warning() -> None:
    assert compile_condition("x.length > 1").warnings
    assert not compile_condition("x.lengthy > 1 && s == '.length'").warnings


def test_a_backtracking_pattern_costs_nothing() -> None:
    assert holds("$.response[?search(@.s, '(a|aa)+$')]", response=[{"s": "a" * 40 + "b"}]) is False
    assert holds("s.matches('(a+)+$')", s="a" * 5_000 + "b") is False


def _from_tagged(value: dict[str, Any]) -> Any:  # noqa: ANN401  # CEL values reach beyond JSON
    (kind, inner), *_ = value.items()
    if kind in {"int", "uint"}:
        return int(inner)
    if kind == "double":
        return float(inner)
    if kind == "bytes":
        return base64.b64decode(inner)
    if kind == "list":
        return [_from_tagged(item) for item in inner]
    if kind == "map":
        return {_from_tagged(key): _from_tagged(item) for key, item in inner}
    return inner


def test_cel_conformance_of_json_only_cases() -> None:
    """Every boolean case gives the suite's answer; those that only hold with type checks off are refused instead."""
    cases = [
        c for c in json.loads(shared("conformance/cel/cel_conformance.json").read_text())["tests"] if c["json_only"]
    ]
    booleans = [case for case in cases if "bool" in (case["expect"].get("value") or {})]
    assert len(cases) == 598
    assert len(booleans) == 277
    assert {"namespace/qualified/self_eval_qualified_lookup"} == {c["id"] for c in booleans if not _conforms(c)}


def _conforms(case: dict[str, Any]) -> bool:
    bindings = {name: _from_tagged(value) for name, value in (case.get("bindings") or {}).items()}
    try:
        return compile_condition(case["expr"]).holds(bindings) is case["expect"]["value"]["bool"]
    except Invalid:
        return bool(case.get("disable_check"))


def test_jsonpath_compliance_suite() -> None:
    for case in json.loads(shared("conformance/jsonpath/cts.json").read_text())["tests"]:
        if case.get("invalid_selector"):
            with pytest.raises(Invalid):
                compile_query(case["selector"])
            continue
        answer = compile_query(case["selector"]).values(case["document"])
        allowed = case.get("results") or [case["result"]]
        assert answer in allowed, case["name"]


@pytest.mark.parametrize("levels", [50, 99, 100, 150])
def test_data_of_any_depth_is_searched_or_is_an_error_of_the_condition(levels: int) -> None:
    """The engine allows 100 levels; the run's own names stand around them."""
    deep: Json = {"x": True}
    for _ in range(levels):
        deep = {"a": deep}
    verdict = compile_condition("$..x").holds({"input": None, "steps": {"s": deep}, "response": deep})
    assert verdict is True or (isinstance(verdict, ErrorInfo) and "too deep" in verdict.message)


def test_unknown_names_are_told_apart_from_the_variables_of_macros_and_from_functions() -> None:
    """Where all names are known, a slip is found before the run."""
    known = frozenset({"items", "amount"})
    with pytest.raises(Invalid, match="'amont'") as caught:
        compile_condition("items.exists(i, i > amont)", names=known)
    assert ("condition.unknown_name", "amont") == (caught.value.code, caught.value.facts["name"])
    condition = compile_condition("items.exists(i, i > amount)", names=known)
    assert (known, True) == (condition.roots, condition.holds({"items": [1, 5], "amount": 3, "i": 0}))
    with pytest.raises(Invalid) as caught:
        compile_condition("amount(3) > 1", names=known)
    assert "condition.invalid" == caught.value.code
