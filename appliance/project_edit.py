"""Adds to a project's definition as text, leaving its author's comments and order as they are. Pure."""

import json
import re
from collections.abc import Iterator, Mapping

from runtime.domain.canonical import Json
from runtime.errors import Conflict, Invalid

_AGENTS = re.compile(r"agents\s*:\s*(#.*)?")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./ -]*[A-Za-z0-9_./-]|[A-Za-z_]")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off"}


def with_agent(text: str, name: str, keys: Mapping[str, Json]) -> str:
    """A definition with one agent more, behind those that it has. Raises Conflict and Invalid."""
    lines = text.splitlines()
    begin = next((number for number, line in enumerate(lines) if _AGENTS.fullmatch(line.rstrip())), None)
    if begin is None:
        raise Invalid(
            "project.no_agents", "the definition has no 'agents:' with a line for each below it; add the agent by hand"
        )
    end, indent = begin + 1, ""
    for number in range(begin + 1, len(lines)):
        line = lines[number]
        if line.strip() and not line.lstrip().startswith("#"):
            if not line.startswith((" ", "\t")):
                break
            indent = indent or line[: len(line) - len(line.lstrip())]
            if re.match(rf"{indent}[\"']?{re.escape(name)}[\"']?\s*:", line):
                raise Conflict("project.agent_there", f"line {number + 1} has an agent {name!r} already")
            end = number + 1
    indent = indent or "  "
    added = [f"{indent}{name}:", *(f"{indent}  {line}" if line else "" for line in _block(keys))]
    apart = [""] if end > begin + 1 and "" in lines[begin:end] else []  # as the others are
    return "\n".join([*lines[:end], *apart, *added, *lines[end:]]) + "\n"


def _block(keys: Mapping[str, Json]) -> Iterator[str]:
    for key, value in keys.items():
        if isinstance(value, str) and "\n" in value.strip("\n"):
            yield f"{key}: |-"
            yield from (f"  {line}" if line else "" for line in value.strip("\n").split("\n"))
        else:
            yield f"{key}: {_spelled(value)}"


def _spelled(value: Json) -> str:
    """On one line; JSON is YAML wherever a plain word is not."""
    if isinstance(value, list):
        return f"[{', '.join(map(_spelled, value))}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
