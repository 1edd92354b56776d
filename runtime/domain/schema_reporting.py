"""A JSON Schema made over to say where a value breaks it, at no more work than to see that it does. Pure.

Asked for a fault below `anyOf` or `oneOf`, the validator collects every fault of every choice, each with a copy of its
part: three choices that hold themselves, ten levels deep, take 80 s and gigabytes. Here a choice fits or does not.
"""

from runtime.domain.canonical import Json
from runtime.domain.schema_graph import Graph

_CHOICES = ("anyOf", "oneOf")
_LEFTOVERS = ("unevaluatedProperties", "unevaluatedItems")


def reporting(graph: Graph) -> dict[str, Json]:
    """The schema with each choice as the last of `allOf`, denied twice; without what asks which choice it was."""
    rules = {id(rule) for rule in graph.rules()}

    def made_over(node: Json) -> Json:
        if isinstance(node, list):
            return [made_over(each) for each in node]
        if not isinstance(node, dict):
            return node
        every = {key: made_over(value) for key, value in node.items()}
        if id(node) not in rules:
            return every
        kept = {key: value for key, value in every.items() if key not in (*_CHOICES, *_LEFTOVERS)}
        choices: list[Json] = [{"not": {"not": {key: every[key]}}} for key in _CHOICES if key in every]
        if choices:
            listed = kept.get("allOf")
            kept["allOf"] = [*(listed if isinstance(listed, list) else []), *choices]
        return kept

    made = made_over(graph.root)
    assert isinstance(made, dict)
    return made


def named(rule: Json) -> tuple[str, Json]:
    """The choice that a rule stands for, and what it is between; empty for any other rule."""
    match rule:
        case {"not": {"not": {"anyOf": choices}}}:
            return "anyOf", choices
        case {"not": {"not": {"oneOf": choices}}}:
            return "oneOf", choices
    return "", None
