"""Places in an output: a field by its name, or a JSONPath into it."""

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
        return output[place] if isinstance(output, dict) and place in output else NOTHING
    values = compile_query(place).values(output)
    if _SINGULAR.fullmatch(place):
        return values[0] if values else NOTHING
    return values
