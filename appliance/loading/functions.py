"""Tools that are Python functions of the project: what stands in the source, never run, as the keys of a tool.

The schemas come from the annotations, the description from the docstring, the rest from `@tool(…)`; what the
definition itself says goes before all of them.
"""

import ast
from collections.abc import Mapping

from appliance.loading.annotations import Hints
from appliance.loading.files import ProjectFiles
from appliance.loading.handlers import keep_handler, parse_module
from appliance.loading.node import Node, from_json
from appliance.loading.place import Place
from runtime.domain.canonical import Json
from runtime.errors import Invalid

OPTIONS = {
    "description": "description",
    "cost": "cost_per_call",
    "rate_limit": "rate_limit",
    "level": "security_level",
    "idempotent": "idempotent",
    "cache": "cache",
    "timeout": "timeout",
    "permissions": "permissions",
    "version": "version",
    "files": "files",
}
"""What `@tool(…)` takes → the key of a tool that it stands for."""


def completed(node: Node, place: Place) -> Node:
    """The tool with what its function says, where the definition leaves it out."""
    handler = node.member("handler")
    if handler is None or not isinstance(handler.value, str) or not isinstance(node.value, dict):
        return node
    files = place.reading.files
    try:
        keep_handler(handler.value, files)
        found = {} if files.are_stored else declared(handler.value, files)
    except Invalid as error:
        place.child("handler").error(error.code, error.message, handler)
        return node
    added = {key: _at(handler, value) for key, value in found.items() if key not in node.value}
    return _with_members(node, added)


def _with_members(node: Node, added: Mapping[str, Node]) -> Node:
    """A copy of a node with more members."""
    members = dict(node.value) if isinstance(node.value, dict) else {}
    return Node(
        {**members, **added}, node.file, node.line, node.column, node.keys, node.text_line, node.size, node.height
    )


def declared(handler: str, files: ProjectFiles) -> dict[str, Json]:
    """The keys of a tool that the function of a handler says. Raises Invalid for what it cannot say."""
    name, _, function = handler.partition(":")
    module = parse_module(name, files)
    found = next((each for each in module.body if isinstance(each, ast.FunctionDef) and each.name == function), None)
    if found is None:
        message = f"{name!r} has no plain function {function!r} at its top level, as a tool needs (no class, not async)"
        raise Invalid("handler.no_function", message)
    arguments, place = found.args, f"{name}:{found.lineno}"
    if arguments.posonlyargs or arguments.vararg or arguments.kwarg:
        raise Invalid("handler.arguments", f"{place}: a tool takes arguments by name, without '/', * and **")
    takes, answers = Hints(name, module, files), Hints(name, module, files)
    properties: dict[str, Json] = {}
    required: list[Json] = []
    defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + list(arguments.defaults)
    given = [
        *zip(arguments.args, defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    for argument, default in given:
        if argument.arg == "ctx":
            continue
        properties[argument.arg] = _schema(argument.annotation, takes, f"{place}: argument {argument.arg!r}")
        if default is None:
            required.append(argument.arg)
    schema: dict[str, Json] = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    keys: dict[str, Json] = {"input_schema": _with_definitions(schema, takes)}
    if found.returns is not None:
        answer = _schema(found.returns, answers, f"{place}: the answer")
        keys["output_schema"] = _with_definitions(answer, answers)
    described = (ast.get_docstring(found) or "").strip().partition("\n\n")[0]
    return {**keys, **({"description": " ".join(described.split())} if described else {}), **_options(found, place)}


def _schema(annotation: ast.expr | None, hints: Hints, place: str) -> dict[str, Json]:
    return {} if annotation is None else hints.schema(annotation, place)


def _with_definitions(schema: dict[str, Json], hints: Hints) -> dict[str, Json]:
    return {**schema, **({"$defs": hints.definitions} if hints.definitions else {})}


def _options(function: ast.FunctionDef, place: str) -> dict[str, Json]:
    """What `@tool(…)` above it says."""
    keys: dict[str, Json] = {}
    for decorator in function.decorator_list:
        if not isinstance(decorator, ast.Call) or _name(decorator.func) != "tool":
            continue
        for keyword in decorator.keywords:
            if keyword.arg == "name":
                continue
            if keyword.arg not in OPTIONS:
                raise Invalid(
                    "handler.options", f"{place}: @tool has no {keyword.arg!r}; it takes {', '.join(OPTIONS)}"
                )
            try:
                keys[OPTIONS[keyword.arg]] = ast.literal_eval(keyword.value)
            except ValueError:
                message = f"{place}: {keyword.arg} of @tool must be written out, for the file is read and not run"
                raise Invalid("handler.options", message) from None
    return keys


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _at(place: Node, value: Json) -> Node:
    """A value that stands where the handler does."""
    node = from_json(value)
    for each in _all(node):
        each.file, each.line = place.file, place.line
    return node


def _all(node: Node) -> list[Node]:
    inner = node.value.values() if isinstance(node.value, dict) else node.value if isinstance(node.value, list) else ()
    return [node, *(below for each in inner for below in _all(each))]
