"""Every error code in the sources, found in their syntax trees.

A code is what is given for a parameter or a field called `code`. Codes may also come out of a table, so every other
text `area.what` counts when some code is known to have its area.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import TypeGuard, get_args

from appliance.config.known import SETTINGS
from appliance.telemetry import conventions
from appliance.uplink.forwarding import CHECKPOINTS
from runtime.domain.audit import AuditEvent
from runtime.domain.command import COMMANDS
from runtime.domain.event import EVENTS
from runtime.registry import KINDS
from tests.architecture.source import nodes, shipped_files

CODE = re.compile(r"[a-z_]+\.[a-z0-9_]+")
FILE = re.compile(r".*\.(csv|css|db|gguf|js|json|jsonl|log|onnx|py|sock|sql|txt|yaml)")
FILLED_IN = "[a-z0-9_]+"
ROOT_ERROR = "AgentFlowError"
ASGI = {"http.disconnect", "http.request", "http.response.body", "http.response.start"}
FILES_OF_CGROUPS = {
    *("memory.events", "memory.limit_in_bytes", "memory.max", "memory.max_usage_in_bytes", "memory.oom_control"),
    "memory.peak",
}
DEPTH = 4
"""Levels of the tree of errors below its root, or more."""


@cache
def raised_codes() -> tuple[set[str], set[str]]:
    """The codes as they stand, and a regular expression for each that is put together while running."""
    places = _places_of_code()
    given = [value for module in _modules() for value in _given(module, places)]
    areas = {str(value.value).partition(".")[0] for value in given if isinstance(value, ast.Constant)}
    texts = {text for module in _modules() for text in _texts(module) if CODE.fullmatch(text)}
    codes = {text for text in texts if text.partition(".")[0] in areas and not FILE.fullmatch(text)}
    return codes - _lookalikes(), {_pattern(value) for value in given if isinstance(value, ast.JoinedStr)}


Nodes = tuple[ast.AST, ...]


def _modules() -> Iterator[Nodes]:
    """What is shipped, without the projects of users that come with it."""
    return (nodes(path) for path in shipped_files() if "templates" not in path.parts)


def _places_of_code() -> dict[str, int]:
    """Functions and classes that take a `code`, by name, and its place among their arguments."""
    places = {ROOT_ERROR: 0}
    for module in _modules():
        for node in module:
            names = _parameters(node)
            if "code" in names:
                places[node.name] = names.index("code")  # type: ignore[attr-defined]  # what has parameters has a name
    places["__init__"] = 0  # an error that hands its own code to its base
    for _ in range(DEPTH):
        _add_heirs(places)
    return places


def _parameters(node: ast.AST) -> list[str]:
    """What a function, a class with a constructor, or a struct is called with, in order."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [argument.arg for argument in node.args.args if argument.arg != "self"]
    if not isinstance(node, ast.ClassDef):
        return []
    constructor = next((member for member in node.body if _is_constructor(member)), None)
    if constructor is not None:
        return _parameters(constructor)
    return [member.target.id for member in node.body if isinstance(member, ast.AnnAssign) and _is_name(member.target)]  # type: ignore[union-attr]  # _is_name


def _add_heirs(places: dict[str, int]) -> None:
    """Errors that leave their constructor to the base."""
    for module in _modules():
        for node in module:
            if isinstance(node, ast.ClassDef) and not any(map(_is_constructor, node.body)):
                for base in node.bases:
                    if _last_name(base) in places:
                        places.setdefault(node.name, places[_last_name(base)])


def _given(module: Nodes, places: dict[str, int]) -> Iterator[ast.Constant | ast.JoinedStr]:
    """Texts that are given as a code."""
    for node in module:
        if not isinstance(node, ast.Call):
            continue
        place = places.get(_last_name(node.func), len(node.args))
        for value in (*node.args[place : place + 1], *(each.value for each in node.keywords if each.arg == "code")):
            if _is_code(value):
                yield value


def _texts(module: Nodes) -> Iterator[str]:
    """Every text, but for the key paths that `place.child` is given."""
    paths = {id(value) for node in module if isinstance(node, ast.Call) and _is_child(node) for value in node.args}
    for node in module:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in paths:
            yield node.value


def _lookalikes() -> set[str]:
    """Dotted names that are no codes: of journal and audit log, kinds, settings, ASGI, files, subjects, ids, spans."""
    ids = {
        str(node.value.value)
        for module in _modules()
        for node in module
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and _last_name(node.targets[0]) == "id"
    }
    entries = {body.TYPE for body in (*EVENTS, *COMMANDS)} | set(get_args(AuditEvent))
    spans = {str(value) for name, value in vars(conventions).items() if name.isupper()}
    return (
        entries
        | KINDS.keys()
        | {known.key for known in SETTINGS}
        | ASGI
        | FILES_OF_CGROUPS
        | {CHECKPOINTS}
        | ids
        | spans
    )


def _pattern(text: ast.JoinedStr) -> str:
    return "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else FILLED_IN for part in text.values)


def _is_code(value: ast.expr) -> TypeGuard[ast.Constant | ast.JoinedStr]:
    """Whether this is `area.what`, or `area.` with more to be filled in."""
    if isinstance(value, ast.JoinedStr):
        return isinstance(value.values[0], ast.Constant) and "." in str(value.values[0].value)
    return isinstance(value, ast.Constant) and CODE.fullmatch(str(value.value)) is not None


def _is_constructor(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "__init__"


def _is_child(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "child"


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Name)
