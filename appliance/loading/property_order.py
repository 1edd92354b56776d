"""Keeps the order of a JSON Schema's properties through canonical JSON, which sorts keys.

A model fills a schema in the order of its properties (`reasoning` before `answer` is not `answer` before
`reasoning`), so the order is part of the definition: it is stored, hashed, and restored.
"""

from runtime.domain.canonical import Json

KEY = "x-property-order"


def annotate(schema: Json) -> Json:
    """The schema with a list of its properties wherever they are not in sorted order."""
    if isinstance(schema, list):
        return [annotate(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    annotated = {key: annotate(item) for key, item in schema.items()}
    properties = schema.get("properties")
    if isinstance(properties, dict) and list(properties) != sorted(properties):
        annotated[KEY] = list(properties)
    return annotated


def restore(schema: Json) -> Json:
    """The schema that `annotate` was given."""
    if isinstance(schema, list):
        return [restore(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    restored = {key: restore(item) for key, item in schema.items() if key != KEY}
    order, properties = schema.get(KEY), restored.get("properties")
    if isinstance(order, list) and isinstance(properties, dict):
        in_order = [name for name in order if isinstance(name, str) and name in properties]
        restored["properties"] = {name: properties[name] for name in dict.fromkeys([*in_order, *properties])}
    return restored
