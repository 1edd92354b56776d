"""What tools read from their arguments, with one clear error for each that does not fit. Pure."""

from collections.abc import Collection, Mapping

from runtime.domain.canonical import Json
from runtime.errors import Invalid


def only(arguments: Mapping[str, Json], known: Collection[str], tool: str) -> None:
    """Raise Invalid for an argument that the tool does not take."""
    for name in arguments:
        if name not in known:
            raise Invalid("tool.arguments", f"tool {tool!r} takes {', '.join(known)}, not {name[:60]!r}")


def text_of(arguments: Mapping[str, Json], name: str, tool: str, *, default: str | None = None) -> str:
    """A text; Invalid where it is none, or is missing without a default."""
    value = arguments.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise Invalid("tool.arguments", f"tool {tool!r} needs {name!r} as a text")
    return value


def texts_of(arguments: Mapping[str, Json], name: str, tool: str) -> tuple[str, ...]:
    """A list of texts, or one text for a list of one; empty where it is missing."""
    value = arguments.get(name)
    found = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise Invalid("tool.arguments", f"tool {tool!r} takes {name!r} as a text or a list of texts")
    return tuple(str(each) for each in found)


def whole_of(arguments: Mapping[str, Json], name: str, tool: str, *, default: int, low: int, high: int) -> int:
    """A whole number within bounds."""
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Invalid("tool.arguments", f"tool {tool!r} takes {name!r} as a whole number from {low:,} to {high:,}")
    return value
