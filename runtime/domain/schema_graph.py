"""Which rules of a JSON Schema lead to which: in place, to the parts of a value, and by reference. Pure.

References are followed as the standard has it (`$id`, `$anchor`, `$dynamicAnchor`), within the one document.
Where a reference can lead to several rules, it leads to all of them here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import unquote, urljoin

from runtime.domain.canonical import Json

_STANDARD = ("https://json-schema.org/draft", "http://json-schema.org/draft")

_MULTIPLYING = frozenset(("$ref", "$dynamicRef", "$recursiveRef", "unevaluatedProperties", "unevaluatedItems"))
_IN_PLACE = ("$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf", "not", "if", "then", "else")
_OF_MEMBERS = ("properties", "patternProperties", "additionalProperties", "unevaluatedProperties", "propertyNames")
_OF_ITEMS = ("prefixItems", "items", "additionalItems", "contains", "unevaluatedItems")
_LEADING = frozenset((*_IN_PLACE, *_OF_MEMBERS, *_OF_ITEMS, "dependentSchemas", "dependencies"))

_META: dict[str, Json] = {"allOf": [True] * 30}
"""Stands for the standard's own schemas, which the validator brings along."""
_META |= {"additionalProperties": _META, "items": _META}


class Parts(NamedTuple):
    """The rules for parts of one sort: of `either`, a part is held to one; of `each`, to all."""

    either: list[Json]
    each: list[Json]


class Graph:
    """The rules of one document; with `told`, but for those below `not` and `if`, whose own faults nobody is told."""

    def __init__(self, schema: dict[str, Json], *, told: bool = False) -> None:
        self.root = schema
        self._single = ("then", "else") if told else ("not", "if", "then", "else")
        self.size = 0
        """Mappings and lists of the document: of rules that do not multiply, no more can be looked at for a part."""
        self.multiplies = False
        """Whether rules may be looked at more often than they are written down."""
        self._bases: dict[int, str] = {}
        self._named: dict[str, list[Json]] = defaultdict(list)
        self._dynamic: dict[str, list[Json]] = defaultdict(list)
        self._read(schema)

    @staticmethod
    def is_plain(rule: dict[str, Json]) -> bool:
        """Whether a rule leads to no other."""
        return rule.keys().isdisjoint(_LEADING)

    def rules(self) -> Iterator[dict[str, Json]]:
        """Every rule that the root leads to. Raises LookupError for a reference to what is not in the document."""
        seen = {id(self.root)}
        stack = [self.root]
        while stack:
            rule = stack.pop()
            yield rule
            if self.is_plain(rule):
                continue
            for step in self.steps(rule):
                if isinstance(step, dict) and id(step) not in seen:
                    seen.add(id(step))
                    stack.append(step)

    def steps(self, rule: dict[str, Json]) -> Iterator[Json]:
        """The rules that a rule leads to, in place or for a part."""
        yield from self.in_place(rule)
        for either, each in self.parts(rule):
            yield from either
            yield from each

    def in_place(self, rule: dict[str, Json]) -> Iterator[Json]:
        """The rules that the very same value may be held to."""
        yield from self.always(rule)
        for key in ("$dynamicRef", "$recursiveRef"):
            if key in rule:
                yield from self._referred(rule, key)
        for key in ("dependentSchemas", "dependencies"):
            if key in rule:
                yield from (each for each in _members(rule, key) if isinstance(each, dict | bool))

    def always(self, rule: dict[str, Json]) -> Iterator[Json]:
        """Those of them that it is held to whatever it is."""
        if "$ref" in rule:
            yield from self._referred(rule, "$ref")
        for key in ("allOf", "anyOf", "oneOf"):
            if key in rule:
                yield from _items(rule, key)
        yield from _there(rule, *self._single)

    def parts(self, rule: dict[str, Json]) -> tuple[Parts, ...]:
        """The rules for members, for items and for the names of members."""
        members = Parts(
            [*_members(rule, "properties"), *_there(rule, "additionalProperties")],
            [*_members(rule, "patternProperties"), *_there(rule, "unevaluatedProperties")],
        )
        items = Parts(
            [*_items(rule, "prefixItems"), *_items(rule, "items"), *_there(rule, "items", "additionalItems")],
            _there(rule, "contains", "unevaluatedItems"),
        )
        return members, items, Parts(_there(rule, "propertyNames"), [])

    def _referred(self, rule: dict[str, Json], key: str) -> list[Json]:
        reference = rule.get(key)
        if not isinstance(reference, str):
            return []
        found = self._resolved(self._bases.get(id(rule), ""), reference)
        if key == "$dynamicRef":
            known = {id(each) for each in found}
            others = self._dynamic.get(reference.partition("#")[2], [])
            found = [*found, *(each for each in others if id(each) not in known)]
        if not found:
            raise LookupError(reference)
        return found

    def _read(self, schema: dict[str, Json]) -> None:
        stack: list[tuple[Json, str]] = [(schema, "")]
        self._named[""].append(schema)
        while stack:
            node, base = stack.pop()
            if isinstance(node, list):
                self.size += 1
                stack += ((each, base) for each in node)
            if not isinstance(node, dict):
                continue
            self.size += 1
            self.multiplies = self.multiplies or not node.keys().isdisjoint(_MULTIPLYING)
            name = node.get("$id")
            if isinstance(name, str):
                base = _joined(base, name).partition("#")[0]
                self._named[base].append(node)
            self._bases[id(node)] = base
            for key in ("$anchor", "$dynamicAnchor"):
                anchor = node.get(key)
                if isinstance(anchor, str):
                    self._named[f"{base}#{anchor}"].append(node)
                    if key == "$dynamicAnchor":
                        self._dynamic[anchor].append(node)
            stack += ((each, base) for each in node.values())

    def _resolved(self, base: str, reference: str) -> list[Json]:
        url, _, fragment = _joined(base, reference).partition("#")
        if fragment and not fragment.startswith("/"):
            return self._named.get(f"{url}#{fragment}") or _standard(url)
        documents = self._named.get(url, [])
        found: list[Json] = [rule for each in documents if (rule := _at(each, unquote(fragment))) is not None]
        return found or _standard(url)


def _standard(url: str) -> list[Json]:
    meta: list[Json] = [_META]
    return meta if url.startswith(_STANDARD) else []


def _joined(base: str, reference: str) -> str:
    if reference.startswith("#"):
        return base + reference  # urljoin knows no urn: and no tag:
    try:
        return urljoin(base, reference)
    except ValueError:  # data that looks like a rule, as below `const`
        return reference


def _at(root: Json, pointer: str) -> Json:
    """What a pointer leads to; None for what is not there."""
    found = root
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isascii() and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found


def _there(rule: dict[str, Json], *keys: str) -> list[Json]:
    return [rule[key] for key in keys if key in rule and isinstance(rule[key], dict | bool)]


def _items(rule: dict[str, Json], key: str) -> list[Json]:
    found = rule.get(key)
    return found if isinstance(found, list) else []


def _members(rule: dict[str, Json], key: str) -> Iterable[Json]:
    found = rule.get(key)
    return found.values() if isinstance(found, dict) else ()
