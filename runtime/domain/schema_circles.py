"""References of a JSON Schema that lead back to themselves without looking at a value: a circle says nothing. Pure."""

from collections.abc import Iterator

from runtime.domain.canonical import Json
from runtime.domain.schema_graph import Graph


def circle_in(graph: Graph) -> str:
    """A reference on such a circle; empty where there is none. Raises LookupError as the graph does."""
    done: set[int] = set()
    for start in graph.rules():
        if "$ref" in start and id(start) not in done and (found := _followed(graph, start, done)):
            return found
    return ""


def _followed(graph: Graph, start: dict[str, Json], done: set[int]) -> str:
    """Depth first, without recursion: chains of references may be long."""
    under_way = {id(start)}
    stack = [(start, _in_place(graph, start))]
    while stack:
        node, following = stack[-1]
        step = next(following, None)
        if step is None:
            stack.pop()
            under_way.discard(id(node))
            done.add(id(node))
        elif id(step) in under_way:
            return next(str(each["$ref"]) for each, _ in reversed(stack) if "$ref" in each)
        elif id(step) not in done:
            under_way.add(id(step))
            stack.append((step, _in_place(graph, step)))
    return ""


def _in_place(graph: Graph, node: dict[str, Json]) -> Iterator[dict[str, Json]]:
    return (each for each in graph.always(node) if isinstance(each, dict))
