"""JSON Schema 2020-12: validators that fetch nothing, and faults that quote no data.

`format` is an annotation, as the standard has it; `pattern` is what bounds a text.
"""

import json

import jsonschema_rs

from runtime.domain.canonical import Json
from runtime.domain.schema_circles import circle_in
from runtime.errors import Invalid

MAX_RULE_CHARS = 200


class Schema:
    """A compiled schema."""

    def __init__(self, schema: dict[str, Json]) -> None:
        """Raises Invalid for what is no schema, refers to another document, or to itself and nothing else."""
        self._schema = schema
        try:
            self._validator = jsonschema_rs.Draft202012Validator(schema, retriever=_refuse)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            raise Invalid("schema.invalid", f"not a JSON Schema (2020-12): {_reason(error)}") from None
        if circle := circle_in(schema):
            raise Invalid(
                "schema.circular",
                f"not a JSON Schema (2020-12) that says anything: {circle!r} leads back to itself by references alone; "
                "a schema may hold itself, such as below properties or items",
            )

    def fault(self, value: Json) -> str:
        """The first rule that the value breaks, and where: `hits/0/score: expected type "number"`; empty when none."""
        wrong = next(self._validator.iter_errors(value), None)
        if wrong is None:
            return ""
        place = "/".join(str(part) for part in wrong.instance_path)
        rule = str(wrong.schema_path[-1]) if wrong.schema_path else "schema"
        expected = json.dumps(self._at(wrong.schema_path), ensure_ascii=False)[:MAX_RULE_CHARS]
        return f"{place + ': ' if place else ''}expected {rule} {expected}"

    def _at(self, path: list[str | int]) -> Json:
        """What the schema says at a path; null where the path leads through a reference."""
        found: Json = self._schema
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
