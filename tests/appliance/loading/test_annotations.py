"""Hints of a project's own types as JSON Schema, and the values that a worker makes of what fits."""

import ast
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from appliance.loading.annotations import Hints
from appliance.loading.files import ProjectFiles
from appliance.loading.handlers import parse_module
from runtime.domain.canonical import Json
from runtime.domain.schema import Schema
from runtime.errors import Invalid
from runtime.tools import user_values

OTHER = """
from dataclasses import dataclass

@dataclass
class Address:
    city: str
    zip: str = ""
"""
FILE = '''
import dataclasses
import other
from dataclasses import dataclass, field, KW_ONLY
from datetime import datetime
from enum import Enum, IntEnum, auto
from typing import Annotated, Any, ClassVar, Literal, NewType, NotRequired, Optional, TypedDict, Union
from other import Address as Place
import agentflow

class Currency(Enum):
    """What is paid in."""
    EUR = "eur"
    USD = "usd"

class Level(IntEnum):
    LOW = auto()
    HIGH = auto()

@dataclass
class Line:
    """One line of an invoice."""
    item: Annotated[str, "what was sold"]
    price: float
    count: int = 1
    kind: Literal["net", "gross", 7] = "net"
    LIMIT: ClassVar[int] = 9
    sum: float = field(init=False, default=0.0)

@dataclasses.dataclass(eq=False)
class Order(Line):
    to: Optional[Place] = None
    _: KW_ONLY
    currency: Currency = Currency.EUR
    tags: list[str] = field(default_factory=list)

@dataclass
class Node:
    name: str
    children: "list[Node]" = field(default_factory=list)

class Person(TypedDict):
    name: str
    age: NotRequired[int]

class Customer(Person, total=False):
    address: other.Address

class Plain:
    x: int

class Odd(Enum):
    A = (1, 2)

@dataclass
class Late:
    at: datetime

Lines = list[Line]
Cents = NewType("Cents", int)

def f(a: HINT): ...
'''

CASES: list[tuple[str, list[Json], list[Json]]] = [
    ("Currency", ["eur"], ["EUR", 1, None]),
    ("Level", [1, 2], [0, "LOW"]),
    ("Cents", [7], ["7", 1.5]),
    ("Line", [{"item": "a", "price": 1.5}, {"item": "a", "price": 1, "count": 2, "kind": 7}],
     [{"item": "a"}, {"item": 1, "price": 1}, {"item": "a", "price": 1, "sum": 1}, {"item": "a", "price": 1, "x": 1}]),
    ("Lines", [[], [{"item": "a", "price": 1}]], [[{}], {}]),
    ("Order | None", [None, {"item": "a", "price": 1, "to": {"city": "Ljubljana"}, "currency": "usd", "tags": ["x"]}],
     [{"item": "a", "price": 1, "to": {}}, {"item": "a", "price": 1, "currency": "usd "}]),
    ("Node", [{"name": "a", "children": [{"name": "b", "children": [{"name": "c"}]}]}],
     [{"name": "a", "children": [{"name": "b", "children": [{}]}]}]),
    ("Person", [{"name": "a"}, {"name": "a", "age": 3}], [{"age": 3}, {"name": "a", "x": 1}]),
    ("Customer", [{"name": "a", "address": {"city": "x"}}], [{"address": {"city": "x"}}]),
    ("dict[str, Currency]", [{"a": "eur"}], [{"a": "x"}]),
    ("tuple[int, str]", [[1, "a"]], [[1], [1, "a", 2], ["a", 1]]),
    ("tuple[float, ...]", [[], [1, 2.5]], [["a"]]),
    ("Union[Line, Place, str]", ["x", {"city": "y"}, {"item": "a", "price": 2}], [{"town": "y"}, 3]),
    ("'list[Optional[other.Address]]'", [[None, {"city": "x"}]], [[1]]),
    ("Any", [1, None, {"a": [1]}], []),
]  # fmt: skip


def hints(folder: Path, hint: str) -> tuple[Hints, ast.expr]:
    (folder / "tools.py").write_text(FILE.replace("HINT", hint))
    (folder / "other.py").write_text(OTHER)
    files = ProjectFiles(folder)
    module = parse_module("tools.py", files)
    function = module.body[-1]
    assert isinstance(function, ast.FunctionDef)
    annotation = function.args.args[0].annotation
    assert annotation is not None
    return Hints("tools.py", module, files), annotation


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project's folder at the front of the import path, as in a worker."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("other", "project_hints"):
        sys.modules.pop(name, None)


def module_of(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("project_hints", folder / "tools.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["project_hints"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("hint", "right", "wrong"), CASES, ids=[case[0] for case in CASES])
def test_what_a_hint_says_is_the_schema_and_the_value(
    loaded: Path, hint: str, right: list[Json], wrong: list[Json]
) -> None:
    """What fits the schema becomes the types that the function asks for, and comes back as the JSON that it was."""
    found, annotation = hints(loaded, hint)
    schema = found.schema(annotation, "argument 'a'")
    takes = Schema({**schema, "$defs": found.definitions})
    assert ["" for _ in right] == [takes.fault(each) for each in right]
    assert all(takes.fault(each) for each in wrong)
    function: Any = module_of(loaded).f
    for each in right:
        value = user_values.arguments(function, {"a": each})["a"]
        back = json.loads(json.dumps(value, default=user_values.plain))
        assert not takes.fault(back) or "sum" in json.dumps(back), "a field that nobody gives is answered too"
        assert _without_defaults(back, each) == each


def _without_defaults(found: Json, given: Json) -> Json:
    """What was found, as far as it was given."""
    if isinstance(found, dict) and isinstance(given, dict):
        return {name: _without_defaults(found[name], each) for name, each in given.items()}
    if isinstance(found, list) and isinstance(given, list):
        return [_without_defaults(one, other) for one, other in zip(found, given, strict=True)]
    return found


def test_values_are_of_the_types_that_the_function_names(loaded: Path) -> None:
    """A function that takes an `Order` reads `order.to.city`, not `order["to"]["city"]`."""
    hints(loaded, "Order")
    module = module_of(loaded)
    order = user_values.fitted({"item": "a", "price": 1, "to": {"city": "x"}, "currency": "usd"}, module.Order)
    assert ("x", module.Currency.USD, []) == (order.to.city, order.currency, order.tags)
    assert (1, "a") == user_values.fitted([1, "a"], tuple[int, str])
    assert isinstance(user_values.fitted({"city": "y"}, module.Line | module.Place), module.Place)


def test_classes_tell_the_model_what_they_are(tmp_path: Path) -> None:
    found, annotation = hints(tmp_path, "Line")
    schema = found.schema(annotation, "argument 'a'")
    assert ("Line", "One line of an invoice.", "what was sold") == (
        schema["title"], schema["description"], schema["properties"]["item"]["description"]  # type: ignore[index,call-overload]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("hint", "reason"),
    [
        ("Plain", "Plain is no dataclass"),
        ("Odd", "members of Odd must be written out"),
        ("Late", "where Late.at is 'datetime': JSON has no such value; take a str"),
        ("set[int]", "take a list"),
        ("dict[int, str]", "keys of a JSON object are str"),
        ("Nobody", "a tool takes and answers JSON"),
        ("msgspec.Struct", "no packages beside Python's own"),
        ("Literal[1.5]", "values of Literal"),
        ("lambda: 1", "a tool takes and answers JSON"),
        ("'a b'", "a tool takes and answers JSON"),
    ],
)
def test_what_cannot_be_described_says_why(tmp_path: Path, hint: str, reason: str) -> None:
    found, annotation = hints(tmp_path, hint)
    with pytest.raises(Invalid) as refused:
        found.schema(annotation, "tools.py:9: argument 'a'")
    assert "handler.annotation" == refused.value.code
    assert reason in refused.value.message
