"""Grants in `tools.yaml` of the data folder: a tool added to what a role may call, in the file as its author wrote it.

The text is changed in one place; what comes of it is read back and compared before it takes the file's place.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from appliance.loader import load_tools
from appliance.loading.node import Node
from appliance.loading.report import Report
from appliance.loading.yaml_reader import read_documents
from appliance.tools.rules import FILE, rules_of
from runtime.domain.tool import SecurityLevel
from runtime.errors import AgentFlowError, Refused, Unusable
from runtime.policies.permissions import Caller, ToolRules, rulings

Done = Literal["added", "created", "granted_before", "not_needed"]
_LIST = re.compile(r"\ballowed_tools:\s*\[([^\]\n]*)\]")
_BLOCK = re.compile(r"(\s*)allowed_tools:\s*(#.*)?$")
_BRACE = re.compile(r"\broles:\s*\{")


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """What a grant did."""

    tool: str
    role: str
    file: str
    done: Done
    """`added` to the role, `created` the role; `granted_before`; `not_needed`, for nobody needs a role."""
    rule: str
    """The rule that was changed, or that allows it."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What would be written."""

    granted: Granted
    text: str
    """Of the whole file; empty: nothing changes."""


def planned(data: Path, tool: str, role: str, *, tenant: str, level: SecurityLevel = "low") -> Grant:
    """What granting a tool to a role takes. Raises InvalidDefinition for a file with errors, and Refused where another
    rule of the file forbids the call, which only its author can change."""
    path = data / FILE
    text = path.read_text() if path.exists() else ""
    rules = rules_of(load_tools(path), str(path)) if text.strip() else None
    rule = f"tool_registry.rbac.roles.{role}.allowed_tools of {path}"
    granted = Granted(tool=tool, role=role, file=str(path), done="not_needed", rule=rule)
    if rules is None or rules.roles is None:
        return Grant(granted=granted, text="")
    if _is_allowed(tool, role, rules, tenant, level):
        return Grant(granted=msgspec.structs.replace(granted, done="granted_before"), text="")
    is_new = role not in rules.roles
    place = _roles(text, path)
    changed = (_with_role if is_new else _with_tool)(text, place, tool, role)
    _check(changed, path, tool, role, tenant, level)
    return Grant(granted=msgspec.structs.replace(granted, done="created" if is_new else "added"), text=changed)


def write(grant: Grant) -> None:
    """Put the file in the place of the old one; durable when this returns. Raises Unusable."""
    path = Path(grant.granted.file)
    draft = path.with_suffix(".yaml.new")
    try:
        with draft.open("w") as file:
            file.write(grant.text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise Unusable("tools.not_written", f"{path} cannot be written: {error.strerror}; nothing changed") from None


def _roles(text: str, path: Path) -> Node:
    """Where the roles stand."""
    [document] = read_documents(text, Report(), file=str(path))
    return document.find(("tool_registry", "rbac", "roles"))[0]


def _is_allowed(tool: str, role: str, rules: ToolRules, tenant: str, level: SecurityLevel) -> bool:
    caller = Caller(tenant=tenant, role=role)
    return all(ruling.is_allowed for ruling in rulings(tool, caller, [rules], level=level))


def _with_tool(text: str, place: Node, tool: str, role: str) -> str:
    """The tool at the end of the role's list, or at its beginning where each stands in a line of its own."""
    lines = text.splitlines(keepends=True)
    number, column = place.keys[role]
    for at in _block(lines, number - 1, column - 1):
        line, begin = lines[at], column - 1 if at == number - 1 else 0
        if found := _LIST.search(line, begin):
            items = ", ".join(filter(None, [found[1].strip().rstrip(","), _quoted(tool)]))
            lines[at] = f"{line[: found.start(1)]}{items}{line[found.end(1) :]}"
            return "".join(lines)
        if found := _BLOCK.match(line):
            below = next((each for each in lines[at + 1 :] if each.lstrip().startswith("- ")), "")
            indent = len(below) - len(below.lstrip()) if below else len(found[1]) + 2
            lines.insert(at + 1, f"{' ' * indent}- {_quoted(tool)}\n")
            return "".join(lines)
    return text


def _with_role(text: str, place: Node, tool: str, role: str) -> str:
    """The role behind the others, or before them where all stand between braces."""
    lines = text.splitlines(keepends=True)
    entry = f"{role}: {{allowed_tools: [{_quoted(tool)}]}}"
    line = place.line - 1
    if place.keys and (found := _BRACE.search(lines[line])) and min(place.keys.values())[0] == place.line:
        lines[line] = f"{lines[line][: found.end()]}{entry}, {lines[line][found.end() :]}"
        return "".join(lines)
    if not place.keys:
        return text
    number, column = max(place.keys.values())
    last = _block(lines, number - 1, column - 1)[-1]
    lines[last] = lines[last].rstrip("\n") + "\n"
    lines.insert(last + 1, f"{' ' * (column - 1)}{entry}\n")
    return "".join(lines)


def _block(lines: Sequence[str], first: int, indent: int) -> list[int]:
    """The lines of a key and what stands below it."""
    found = [first]
    for number in range(first + 1, len(lines)):
        line = lines[number]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        if line.strip():
            found.append(number)
    return found


def _check(text: str, path: Path, tool: str, role: str, tenant: str, level: SecurityLevel) -> None:
    draft = path.with_suffix(".yaml.new")
    try:
        draft.write_text(text)
        rules = rules_of(load_tools(draft), str(path))
    except OSError as error:
        raise Unusable("tools.not_written", f"{path} cannot be written: {error.strerror}; nothing changed") from None
    except AgentFlowError:
        rules = None
    finally:
        draft.unlink(missing_ok=True)
    found = [] if rules is None else rulings(tool, Caller(tenant=tenant, role=role), [rules], level=level)
    against = next((ruling for ruling in found if not ruling.is_allowed), None)
    if rules is None or against is not None:
        why = f"{against.why}; the rule is {against.rule}; {against.grant}" if against else "add it by hand"
        raise Refused("tools.not_granted", f"adding {tool!r} to role {role!r} is not enough: {why}. Nothing changed")


def _quoted(tool: str) -> str:
    return tool if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", tool) else f"'{tool}'"
