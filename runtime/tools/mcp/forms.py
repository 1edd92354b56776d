"""Forms that a server wants filled in: with the form's own defaults, or not at all. Pure."""

from runtime.domain.canonical import Json

Filled = dict[str, str | int | float | bool | list[str] | None]


def filled(schema: dict[str, Json]) -> Filled | None:
    """The defaults of a form's fields; None when a field that must be filled in has none."""
    fields = schema.get("properties")
    required = schema.get("required")
    if not isinstance(fields, dict):
        return None
    content: Filled = {}
    for name, field in fields.items():
        default = field.get("default") if isinstance(field, dict) else None
        if isinstance(default, (str, int, float, bool)):
            content[name] = default
        elif isinstance(default, list) and all(isinstance(each, str) for each in default):
            content[name] = [str(each) for each in default]
        elif isinstance(required, list) and name in required:
            return None
    return content
