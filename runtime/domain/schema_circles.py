"""References of a JSON Schema that lead back to themselves without looking at a value: a circle says nothing. Pure."""

from collections.abc import Iterator
from urllib.parse import unquote

from runtime.domain.canonical import Json

_LISTS = ("allOf", "anyOf", "oneOf")
_SINGLE = ("not", "if", "then", "else")


def circle_in(schema: dict[str, Json]) -> str:
    """A reference on such a circle; empty where there is none.

    Documents with an `$id` inside are let through: their references are relative to it.
    """
    every = list(_every(schema))
    if any("$id" in each for each in every[1:]):
        return ""
    done: set[int] = set()
    for start in every:
        if "$ref" in start and id(start) not in done and (found := _followed(schema, start, done)):
            return found
    return ""


def _followed(root: dict[str, Json], start: dict[str, Json], done: set[int]) -> str:
    """Depth first, without recursion: chains of references may be long."""
    under_way = {id(start)}
    stack = [(start, _in_place(root, start))]
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
            stack.append((step, _in_place(root, step)))
    return ""


def _in_place(root: dict[str, Json], node: dict[str, Json]) -> Iterator[dict[str, Json]]:
    """The schemas that the very same value is held to."""
    reference = node.get("$ref")
    if isinstance(reference, str) and (target := _at(root, reference)) is not None:
        yield target
    for key in _LISTS:
        listed = node.get(key)
        if isinstance(listed, list):
            yield from (each for each in listed if isinstance(each, dict))
    for key in _SINGLE:
        single = node.get(key)
        if isinstance(single, dict):
            yield single


def _at(root: dict[str, Json], reference: str) -> dict[str, Json] | None:
    """What a reference within the document points to; None for any other, and for what is no schema."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    found: Json = root
    for part in unquote(reference[2:]).split("/") if len(reference) > 2 else ():
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isascii() and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found if isinstance(found, dict) else None


def _every(node: Json) -> Iterator[dict[str, Json]]:
    stack: list[Json] = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            yield one
            stack += one.values()
        elif isinstance(one, list):
            stack += one
