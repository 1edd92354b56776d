"""How much work a JSON Schema can make of a value. Pure.

The validator runs to its end in one go, and rules that name each other twice double its work at each level: a schema
of 2 kB could hold up the whole program for hours. Rules that lead back to themselves are looked at once for a part.
"""

from typing import NamedTuple

from runtime.domain.canonical import Json
from runtime.domain.schema_graph import Graph

MAX_VISITS = 10_000
"""Rules along one way down a value; OpenAPI's own schema has 790."""
MAX_WORK = 50_000_000
"""Those, times the parts of the value: about a second."""


class Effort(NamedTuple):
    """Of one rule, as a bound."""

    visits: int
    """Rules that are looked at from here, along one way down a value."""
    again: int
    """Those that `unevaluatedProperties` above it looks at again."""
    returns: int
    """How often, along one way down, a rule is come back to; from 2 on they multiply with each level of a value."""


_ONE = Effort(1, 0, 0)
_BACK = Effort(1, 1, 1)
_MOST = 10**9


def effort(graph: Graph) -> Effort:
    """The most of every rule that the root leads to. Raises LookupError for references that lead elsewhere."""
    known: dict[int, Effort] = {}
    under_way = {id(graph.root)}
    stack = [(graph.root, graph.steps(graph.root))]
    while stack:
        rule, following = stack[-1]
        step = next(following, None)
        if step is None:
            stack.pop()
            under_way.discard(id(rule))
            known[id(rule)] = _of(graph, rule, known)
        elif not isinstance(step, dict) or id(step) in known or id(step) in under_way:
            continue
        elif graph.is_plain(step):
            known[id(step)] = _ONE._replace(visits=_alone(step))
        else:
            under_way.add(id(step))
            stack.append((step, graph.steps(step)))
    return Effort(*(max(each) for each in zip(*known.values(), strict=True)))


def _of(graph: Graph, rule: dict[str, Json], known: dict[int, Effort]) -> Effort:
    def found(step: Json) -> Effort:
        return known.get(id(step), _BACK) if isinstance(step, dict) else _ONE

    same = [found(each) for each in graph.in_place(rule)]
    ways = [_along(*([found(each) for each in rules] for rules in parts)) for parts in graph.parts(rule)]
    again = sum(each.visits + each.again for each in same)
    looks_again = "unevaluatedProperties" in rule or "unevaluatedItems" in rule
    visits = _alone(rule) + sum(each.visits for each in same) + looks_again * again + max(visits for visits, _ in ways)
    returns = sum(each.returns for each in same) + max(returns for _, returns in ways)
    return Effort(min(visits, _MOST), min(again, _MOST), min(returns, _MOST))


def _alone(rule: dict[str, Json]) -> int:
    """A rule itself; each mapping or list that it names is held against a value by itself."""
    named = rule.get("enum")
    return 1 + sum(isinstance(each, dict | list) for each in named) if isinstance(named, list) else 1


def _along(either: list[Effort], each: list[Effort]) -> tuple[int, int]:
    """Visits and returns of the way that has the most."""
    visits = max((one.visits for one in either), default=0) + sum(one.visits for one in each)
    return visits, max((one.returns for one in either), default=0) + sum(one.returns for one in each)


def parts_of(value: Json, most: int) -> int:
    """How many parts a value has, itself included; more than `most` are not counted to the end."""
    count = 0
    stack = [value]
    while stack and count <= most:
        one = stack.pop()
        count += 1
        if isinstance(one, dict):
            stack += one.values()
        elif isinstance(one, list):
            stack += one
    return count
