"""JSON Schema 2020-12 validators that never fetch anything."""

import jsonschema_rs

from runtime.domain.canonical import Json
from runtime.errors import Invalid


def validator(schema: dict[str, Json]) -> jsonschema_rs.Draft202012Validator:
    """Compile a schema. Raises Invalid for what is no schema, or refers to another document."""
    try:
        return jsonschema_rs.Draft202012Validator(schema, retriever=_refuse, validate_formats=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise Invalid("schema.invalid", f"not a JSON Schema (2020-12): {error}") from None


def _refuse(uri: str) -> Json:
    # the library would read file:// and http:// otherwise
    raise ValueError(f"a schema may not refer to {uri!r}; put the definition into the document itself")
