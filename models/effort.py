"""How much work it is to hold a value against a JSON Schema of a stranger's. Pure.

The validator runs to its end in one go, and definitions that name each other twice double its work at each level: a
schema of 2 kB can hold up the whole program for hours. Here each pair of a rule and a part is looked at once.
"""

from collections.abc import Iterator

from runtime.domain.canonical import Json

MAX_RULES = 200_000
"""Rules that are applied to parts, counted as often as they are: about 12 ms."""
MAX_PAIRS = 50_000
"""Different ones of them."""

_LISTS = ("allOf", "anyOf", "oneOf")
_SINGLE = ("not", "if", "then", "else")
_OF_MEMBERS = ("additionalProperties", "unevaluatedProperties", "propertyNames")
_OF_ITEMS = ("items", "contains", "unevaluatedItems")


def is_quick(schema: dict[str, Json], value: Json) -> bool:
    """Whether validating the value is quick; also false where references are of a kind that can't be followed here."""
    words = set(_words_in(schema))
    if not words & {"$ref", "$dynamicRef"}:
        return True  # then no rule stands for more work than it takes to write it down
    if words & {"$id", "$dynamicRef"}:
        return False
    try:
        _Count(schema).rules(schema, value)
    except (_TooMuch, RecursionError):
        return False
    return True


class _TooMuch(Exception):  # it never leaves this module
    pass


class _Count:
    def __init__(self, schema: dict[str, Json]) -> None:
        self._schema = schema
        self._known: dict[tuple[int, int], int] = {}

    def rules(self, rule: Json, value: Json) -> int:
        """How many rules are applied to a value and its parts."""
        if not isinstance(rule, dict):
            return 1
        pair = (id(rule), id(value))
        if pair in self._known:
            return self._known[pair]
        if len(self._known) >= MAX_PAIRS:
            raise _TooMuch
        self._known[pair] = 1  # a rule that leads back to itself at the same part is not applied again
        count = 1 + sum(self.rules(*each) for each in self._next(rule, value))
        if count > MAX_RULES:
            raise _TooMuch
        self._known[pair] = count
        return count

    def _next(self, rule: dict[str, Json], value: Json) -> Iterator[tuple[Json, Json]]:
        """The rules that a rule applies, and to what."""
        if isinstance(rule.get("$ref"), str):
            yield self._referred(str(rule["$ref"])), value
        for key in _LISTS:
            for each in _items(rule.get(key)):
                yield each, value
        for key in _SINGLE:
            if key in rule:
                yield rule[key], value
        for each in _members(rule.get("dependentSchemas")).values():
            yield each, value
        if isinstance(value, dict):
            yield from _of_members(rule, value)
        elif isinstance(value, list):
            yield from _of_items(rule, value)

    def _referred(self, reference: str) -> Json:
        found: Json = self._schema
        if not (reference == "#" or reference.startswith("#/")) or "%" in reference:
            raise _TooMuch
        for part in reference[2:].split("/") if reference != "#" else ():
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            else:
                raise _TooMuch
        return found


def _of_members(rule: dict[str, Json], value: dict[str, Json]) -> Iterator[tuple[Json, Json]]:
    properties = _members(rule.get("properties"))
    others = [*_members(rule.get("patternProperties")).values(), *(rule[key] for key in _OF_MEMBERS if key in rule)]
    for name, part in value.items():
        if name in properties:
            yield properties[name], part
        for each in others:
            yield each, part


def _of_items(rule: dict[str, Json], value: list[Json]) -> Iterator[tuple[Json, Json]]:
    others = [rule[key] for key in _OF_ITEMS if key in rule]
    for part in value:
        for each in others:
            yield each, part
    yield from zip(_items(rule.get("prefixItems")), value, strict=False)


def _words_in(schema: dict[str, Json]) -> Iterator[str]:
    """Those that refer to something, or change what is referred to; `$id` of the whole document does not."""
    left: list[Json] = [schema]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            words = ("$ref", "$dynamicRef") if each is schema else ("$ref", "$dynamicRef", "$id")
            yield from (word for word in words if isinstance(each.get(word), str))
            left += each.values()
        elif isinstance(each, list):
            left += each


def _items(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _members(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}
