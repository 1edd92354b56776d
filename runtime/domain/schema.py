"""JSON Schema 2020-12: validators that fetch nothing, and faults that quote no data.

`format` is an annotation, as the standard has it; `pattern` is what bounds a text.
"""

import json

import jsonschema_rs

from runtime.domain.canonical import Json
from runtime.domain.schema_circles import circle_in
from runtime.domain.schema_effort import MAX_VISITS, MAX_WORK, effort, parts_of
from runtime.domain.schema_graph import Graph
from runtime.domain.schema_reporting import named, reporting
from runtime.errors import Invalid

MAX_RULE_CHARS = 200
MAX_STEPS_BACK = 10_000
"""Of a pattern with look-arounds or references back, in one text: 0.2 ms. Those of passwords and names take none."""
_MANY = 90
"""Rules along one way down a value; with fewer, no value that is read here has too many parts."""


class Schema:
    """A compiled schema."""

    def __init__(self, schema: dict[str, Json]) -> None:
        """Raises Invalid for what is no schema, refers to another document, or to itself and nothing else; and for one
        whose rules multiply, so that to hold a value against it could take for ever."""
        self._validator = _compiled(schema)
        self._graph = Graph(schema)
        self._visits = self._graph.size
        if self._graph.multiplies:
            self._check()

    def fault(self, value: Json) -> str:
        """The first rule that the value breaks, and where: `hits/0/score: expected type "number"`; empty when none."""
        if self._is_too_much(value):
            self._visits = effort(self._graph).visits
            if self._is_too_much(value):
                most = MAX_WORK // self._visits
                return f"expected at most {most:,} parts, as each may be held to {self._visits:,} rules"
        return "" if self._validator.is_valid(value) else self._said(value)

    def _check(self) -> None:
        try:
            circle = circle_in(self._graph)
            self._visits = effort(self._graph).visits
        except LookupError as error:
            raise _invalid(f"nothing in it is what {error.args[0]!r} refers to") from None
        if circle:
            raise Invalid(
                "schema.circular",
                f"not a JSON Schema (2020-12) that says anything: {circle!r} leads back to itself by references alone; "
                "a schema may hold itself, such as below properties or items",
            )
        if self._visits > MAX_VISITS:
            raise Invalid(
                "schema.too_heavy",
                f"the rules of the JSON Schema multiply: one part of a value may be held to more than {MAX_VISITS:,} "
                "of them. Name a definition once where several of allOf, anyOf and oneOf lead to it",
            )

    def _is_too_much(self, value: Json) -> bool:
        most = MAX_WORK // self._visits
        return self._visits >= _MANY and parts_of(value, most) > most

    def _said(self, value: Json) -> str:
        """A fault of a value that is known to have one."""
        schema = reporting(self._graph)
        try:
            told = effort(Graph(schema, told=True))
            if told.returns <= 1 and told.visits <= MAX_VISITS:
                _compiled(schema).validate(value)
                return "expected what unevaluatedProperties or unevaluatedItems leaves over"
        except jsonschema_rs.ValidationError as error:
            return _told(error, schema)
        except (LookupError, Invalid):  # a reference to one of the choices, which are elsewhere now
            pass
        return "expected all that the schema says; its rules lead to each other in too many ways to name one"


def _told(wrong: jsonschema_rs.ValidationError, schema: dict[str, Json]) -> str:
    place = "/".join(str(part) for part in wrong.instance_path)
    rule, wanted = named(_at(schema, wrong.schema_path[:-1]))
    if not rule:
        rule = str(wrong.schema_path[-1]) if wrong.schema_path else "schema"
        wanted = _at(schema, wrong.schema_path)
    expected = json.dumps(wanted, ensure_ascii=False)[:MAX_RULE_CHARS]
    return f"{place + ': ' if place else ''}expected {rule} {expected}"


def _compiled(schema: dict[str, Json]) -> jsonschema_rs.Draft202012Validator:
    try:
        patterns = jsonschema_rs.FancyRegexOptions(backtrack_limit=MAX_STEPS_BACK)
        return jsonschema_rs.Draft202012Validator(schema, retriever=_refuse, pattern_options=patterns)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise _invalid(_reason(error)) from None


def _invalid(reason: str) -> Invalid:
    return Invalid("schema.invalid", f"not a JSON Schema (2020-12): {reason}")


def _at(schema: Json, path: list[str | int]) -> Json:
    """What a schema says at a path; null where the path leads through a reference."""
    found = schema
    for part in path:
        if isinstance(found, dict) and part in found:
            found = found[str(part)]
        elif isinstance(found, list) and isinstance(part, int) and part < len(found):
            found = found[part]
        else:
            return None
    return found


def _reason(error: Exception) -> str:
    """The first line of what the library says, with the place; the rest quotes its own rules."""
    path = "/".join(str(part) for part in getattr(error, "instance_path", ()))
    return f"{f'{path}: ' if path else ''}{str(error).partition(chr(10))[0]}"


def _refuse(uri: str) -> Json:
    # the library would read file:// and http:// otherwise
    raise ValueError(f"a schema may not refer to {uri!r}; put the definition into the document itself")
