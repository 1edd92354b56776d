"""Places in an output: a field by its name, what lies in it with dots, or a JSONPath."""

import re
from typing import Final

from runtime.domain.canonical import Json
from runtime.errors import Invalid
from runtime.planners.jsonpath import compile_query


class Absent:
    """Nothing is there."""

    def __repr__(self) -> str:
        return "nothing"


NOTHING: Final = Absent()
_SINGULAR = re.compile(r"\$(?:\.[\w-]+|\[\d+\]|\[-\d+\]|\['[^']*'\]|\[\"[^\"]*\"\])*")


def place_problem(place: str) -> str:
    """What is wrong with a place; empty for none."""
    if not place.startswith("$"):
        return ""
    try:
        compile_query(place)
    except Invalid as error:
        return error.message
    return ""


def found_at(output: Json, place: str) -> Json | Absent:
    """What stands at a place: of a path that can find several, the list of them."""
    if not place:
        return output
    if not place.startswith("$"):
        return _field(output, place)
    values = compile_query(place).values(output)
    if _SINGULAR.fullmatch(place):
        return values[0] if values else NOTHING
    return values


def _field(output: Json, place: str) -> Json | Absent:
    """A field of that very name, else what dots lead to: `citations.0.article`."""
    if isinstance(output, dict) and place in output:
        return output[place]
    there: Json = output
    for key in place.split("."):
        if isinstance(there, dict) and key in there:
            there = there[key]
        elif isinstance(there, list) and key.isdecimal() and int(key) < len(there):
            there = there[int(key)]
        else:
            return NOTHING
    return there
