"""Adds to a project's definition as text, leaving its author's comments, order and line ends as they are. Pure."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from appliance.loading.node import plain
from appliance.loading.report import Report
from appliance.loading.yaml_reader import read_documents
from runtime.domain.canonical import Json
from runtime.errors import Conflict, Invalid

_AGENTS = re.compile(r"\ufeff?[\"']?agents[\"']?\s*:\s*(#.*)?")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./ -]*[A-Za-z0-9_./-]|[A-Za-z_]")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off"}


def with_agent(text: str, name: str, keys: Mapping[str, Json]) -> str:
    """A definition with one agent more, behind those that it has. Raises Conflict and Invalid.

    One that is no YAML is added to as well: what is wrong is found by whoever checks it.
    """
    before = _read(text)
    agents = before.get("agents") if before is not None else None
    there = agents if isinstance(agents, dict) else {}
    if name in there:
        raise Conflict("project.agent_there", f"the definition has an agent {name!r} already")
    wanted = None if before is None else {**before, "agents": {**there, name: dict(keys)}}
    for added in _added(text, name, keys):
        if wanted is None or _read(added) == wanted:
            return added
    raise Invalid(
        "project.no_agents", "the definition has no 'agents:' with a line for each below it; add the agent by hand"
    )


def _read(text: str) -> Mapping[str, Json] | None:
    """What a text says; None: it is no mapping in YAML, or something is wrong with it."""
    report = Report()
    documents = read_documents(text.removeprefix("\ufeff"), report)
    found = plain(documents[0]) if len(documents) == 1 and not report.has_errors else None
    return found if isinstance(found, dict) else None


def _added(text: str, name: str, keys: Mapping[str, Json]) -> Iterator[str]:
    """The text with the agent where it may go: before the comments that end its place, then behind them.

    What looks like a comment may be the end of a text.
    """
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if lines[-1] == "":
        lines.pop()
    begin = next((number for number, line in enumerate(lines) if _AGENTS.fullmatch(line.rstrip())), None)
    if begin is None:
        return
    end, last, indent = _place(lines, begin)
    apart = [""] if "" in lines[begin + 1 : end] else []  # as the others are
    agent = [f"{indent}{_spelled(name)}:", *(f"{indent}  {line}" if line else "" for line in _block(keys))]
    for at in (end, last):
        yield end_of_line.join([*lines[:at], *apart, *agent, *lines[at:], ""])


def _place(lines: Sequence[str], begin: int) -> tuple[int, int, str]:
    """Where the last line of the agents that is no comment ends, where the next key begins, and their indent."""
    end, last, indent = begin + 1, len(lines), ""
    for number in range(begin + 1, len(lines)):
        line = lines[number]
        if line.strip() and not line.lstrip().startswith("#"):
            if not line.startswith((" ", "\t")):
                last = number
                break
            indent = indent or line[: len(line) - len(line.lstrip())]
            end = number + 1
    return end, last, indent or "  "


def _block(keys: Mapping[str, Json]) -> Iterator[str]:
    for key, value in keys.items():
        if isinstance(value, str) and _fits_a_block(value):
            yield f"{key}: |-"
            yield from (f"  {line}" if line else "" for line in value.split("\n"))
        else:
            yield f"{key}: {_spelled(value)}"


def _fits_a_block(text: str) -> bool:
    """Whether its lines stand in YAML as they are, and mean the text again."""
    lines = text.split("\n")
    is_plain = all(line.replace("\t", " ").isprintable() for line in lines)
    return len(lines) > 1 and is_plain and lines[0].strip() == lines[0] != "" and lines[-1].strip() != ""


def _spelled(value: Json) -> str:
    """On one line; JSON is YAML wherever a plain word is not."""
    if isinstance(value, list):
        return f"[{', '.join(map(_spelled, value))}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
