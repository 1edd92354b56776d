"""Type hints of a project's Python → JSON Schema, out of the source alone: nothing is imported and nothing runs.

What JSON has (`int`, `str`, `list[…]`, `dict[str, …]`, `Literal`, `Optional`, …), and what a project makes of that:
dataclasses, `TypedDict`, `Enum`, `NewType` and aliases, in the tool's own file or in one that it imports from.
`runtime/tools/user_values.py` makes the values of what is described here.
"""

import ast
from collections.abc import Callable, Iterator

from appliance.loading.classes import dataclass_fields, enum_values, is_enum, is_typed_dict, typed_dict_fields
from appliance.loading.files import ProjectFiles
from appliance.loading.handlers import parse_module
from runtime.domain.canonical import Json
from runtime.errors import Invalid, NotFound

KNOWN = (
    "int, float, str, bool, None, list, tuple, dict, Any, Literal, Optional, Union, and dataclasses, TypedDicts and "
    "Enums of the project made of them"
)
MAX_DEPTH = 32
_PLAIN: dict[str, dict[str, Json]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "None": {"type": "null"},
    "Any": {},
    "object": {},
    "list": {"type": "array"},
    "List": {"type": "array"},
    "Sequence": {"type": "array"},
    "tuple": {"type": "array"},
    "dict": {"type": "object"},
    "Dict": {"type": "object"},
    "Mapping": {"type": "object"},
}
_LISTS = ("list", "List", "Sequence", "Iterable", "Collection")
_MAPPINGS = ("dict", "Dict", "Mapping", "MutableMapping")
_WRAPPERS = ("Required", "NotRequired", "ReadOnly", "Final", "InitVar")
_ELSEWHERE = {
    **dict.fromkeys(("Struct", "BaseModel", "TypedModel"), "a worker has no packages beside Python's own"),
    **dict.fromkeys(
        ("datetime", "date", "time", "Decimal", "UUID", "Path", "bytes"), "JSON has no such value; take a str"
    ),
    **dict.fromkeys(("set", "frozenset", "Set"), "JSON has no such value; take a list"),
    "NamedTuple": "make it a dataclass",
}


class Hints:
    """The hints of one file."""

    def __init__(self, name: str, module: ast.Module, files: ProjectFiles) -> None:
        self._name = name
        self._files = files
        self._named: dict[str, ast.stmt] = dict(_named(module))
        self._others: dict[str, Hints] = {name: self}
        """The files that were read for this one, which share what they know."""
        self._under_way: list[tuple[str, str]] = []
        self._recursive: dict[tuple[str, str], str] = {}
        self.definitions: dict[str, Json] = {}
        """Of classes that hold themselves: `$defs` of the document that has the schemas."""

    def schema(self, annotation: ast.expr, place: str) -> dict[str, Json]:
        """The schema of a hint. Raises Invalid, saying what cannot be described and what can."""
        try:
            return self._of(annotation, 0)
        except _Unknown as unknown:
            raise Invalid(
                "handler.annotation",
                f"{place} is annotated {ast.unparse(annotation)[:80]!r}{unknown.reason}; a tool takes and answers "
                f"JSON: {KNOWN}",
            ) from None

    def _of(self, node: ast.expr, depth: int) -> dict[str, Json]:
        if depth > MAX_DEPTH:
            raise _Unknown(", which nests too deep")
        match node:
            case ast.Constant(value=None):
                return dict(_PLAIN["None"])
            case ast.Constant(value=str(text)):
                return self._of(_parsed(text), depth + 1)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return _any_of([self._of(left, depth + 1), self._of(right, depth + 1)])
            case ast.Subscript(value=value, slice=inner):
                return self._made(_last(value), inner, depth + 1)
            case ast.Name(id=name):
                return self._class(name, depth + 1)
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                return self._of_module(module, name, depth + 1)
        raise _Unknown("")

    def _made(self, name: str, inner: ast.expr, depth: int) -> dict[str, Json]:
        """`name[inner]`."""
        parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        if name == "Literal":
            return {"enum": [_literal(part) for part in parts]}
        if name == "Optional":
            return _any_of([self._of(parts[0], depth), dict(_PLAIN["None"])])
        if name == "Union":
            return _any_of([self._of(part, depth) for part in parts])
        if name == "Annotated":
            texts = (part.value for part in parts[1:] if isinstance(part, ast.Constant))
            described = next((text for text in texts if isinstance(text, str)), "")
            return {**self._of(parts[0], depth), **({"description": described} if described else {})}
        if name in _WRAPPERS:
            return self._of(parts[0], depth)
        if name in _LISTS:
            return {"type": "array", "items": self._of(parts[0], depth)}
        if name in ("tuple", "Tuple"):
            return self._tuple(parts, depth)
        if name in _MAPPINGS and len(parts) == 2:
            if self._of(parts[0], depth) != _PLAIN["str"]:
                raise _Unknown(": the keys of a JSON object are str")
            return {"type": "object", "additionalProperties": self._of(parts[1], depth)}
        raise _Unknown(_why(name))

    def _tuple(self, parts: list[ast.expr], depth: int) -> dict[str, Json]:
        if len(parts) == 2 and isinstance(parts[1], ast.Constant) and parts[1].value is ...:
            return {"type": "array", "items": self._of(parts[0], depth)}
        count = len(parts)
        return {
            "type": "array",
            "prefixItems": [self._of(part, depth) for part in parts],
            "minItems": count,
            "maxItems": count,
        }

    def _class(self, name: str, depth: int) -> dict[str, Json]:
        """What a bare name stands for: first what the file itself binds to it."""
        found = self._named.get(name)
        match found:
            case ast.ClassDef():
                return self._structure(found, depth)
            case ast.ImportFrom(module=str(module)):
                alias = next(each for each in found.names if (each.asname or each.name) == name)
                if (other := self._other(module)) is not None:
                    return other._class(alias.name, depth)
                return self._plain(alias.name)
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                return self._alias(value, depth)
            case _ if found is not None and hasattr(found, "value") and isinstance(found.value, ast.expr):
                return self._of(found.value, depth)  # type X = …
        return self._plain(name)

    def _alias(self, value: ast.expr, depth: int) -> dict[str, Json]:
        match value:
            case ast.Call(func=called, args=[_, base]) if _last(called) == "NewType":
                return self._of(base, depth)
            case ast.Call(func=called):
                raise _Unknown(f", which is made by {_last(called)}(); write it as a class")
        return self._of(value, depth)

    def _plain(self, name: str) -> dict[str, Json]:
        if name not in _PLAIN:
            raise _Unknown(_why(name))
        return dict(_PLAIN[name])

    def _of_module(self, module: str, name: str, depth: int) -> dict[str, Json]:
        """`module.Name`: of a file of the project, or of `typing` and the like."""
        bound = self._named.get(module)
        if isinstance(bound, ast.Import):
            imported = next(each.name for each in bound.names if (each.asname or each.name.partition(".")[0]) == module)
            if (other := self._other(imported)) is not None:
                return other._class(name, depth)
        return self._plain(name)

    def _other(self, module: str) -> "Hints | None":
        """The file of a module of the project; None: it is a library."""
        name = f"{module.replace('.', '/')}.py"
        if name not in self._others:
            try:
                self._files.find(name)
            except (NotFound, Invalid):
                return None
            other = Hints(name, parse_module(name, self._files), self._files)
            other._others, other._under_way, other._recursive = self._others, self._under_way, self._recursive
            other.definitions = self.definitions
            self._others[name] = other
        return self._others[name]

    def _structure(self, found: ast.ClassDef, depth: int) -> dict[str, Json]:
        key = (self._name, found.name)
        if key in self._under_way:  # it holds itself, so it is described once and referred to
            title = self._recursive.setdefault(key, _free(found.name, self.definitions, self._recursive))
            return {"$ref": f"#/$defs/{title}"}
        self._under_way.append(key)
        try:
            schema = self._described(found, depth)
        finally:
            self._under_way.pop()
        if key not in self._recursive:
            return schema
        self.definitions[self._recursive[key]] = schema
        return {"$ref": f"#/$defs/{self._recursive[key]}"}

    def _described(self, found: ast.ClassDef, depth: int) -> dict[str, Json]:
        described = (ast.get_docstring(found) or "").strip().partition("\n\n")[0]
        about: dict[str, Json] = {"title": found.name}
        if described:
            about["description"] = " ".join(described.split())
        if is_enum(found):
            values = enum_values(found)
            if values is None:
                raise _Unknown(f": members of {found.name} must be written out, as text or numbers")
            return {**about, "enum": values}
        fields = typed_dict_fields if self._is_typed_dict(found) else self._fields_of(found)
        properties: dict[str, Json] = {}
        required: list[Json] = []
        for owner, each in self._lineage(found):
            for name, annotation, is_required in fields(each):
                properties[name] = _inside(owner, annotation, depth, f"{found.name}.{name}")
                required = [*(other for other in required if other != name), *([name] if is_required else [])]
        return {
            **about, "type": "object", "properties": properties, "required": required, "additionalProperties": False,
        }  # fmt: skip

    def _fields_of(self, found: ast.ClassDef) -> "Callable[[ast.ClassDef], Iterator[tuple[str, ast.expr, bool]]]":
        if not any(
            _last(each.func if isinstance(each, ast.Call) else each) == "dataclass" for each in found.decorator_list
        ):
            reasons = [_why(_last(base)) for base in found.bases if _last(base) in _ELSEWHERE]
            raise _Unknown(f", and {found.name} is no dataclass{reasons[0] if reasons else ''}")
        return dataclass_fields

    def _is_typed_dict(self, found: ast.ClassDef) -> bool:
        return any(is_typed_dict(each) for _, each in self._lineage(found))

    def _lineage(self, found: ast.ClassDef) -> "list[tuple[Hints, ast.ClassDef]]":
        """A class behind those of the project that it is made of, furthest first, each with its file."""
        line: list[tuple[Hints, ast.ClassDef]] = []
        for base in found.bases:
            home, bound = self._find(base)
            if bound is not None and bound is not found:
                line += home._lineage(bound)
        return [*line, (self, found)]

    def _find(self, base: ast.expr) -> "tuple[Hints, ast.ClassDef | None]":
        bound = self._named.get(_last(base))
        if isinstance(bound, ast.ImportFrom) and bound.module and (other := self._other(bound.module)) is not None:
            alias = next(each for each in bound.names if (each.asname or each.name) == _last(base))
            return other._find(ast.Name(alias.name))
        return self, bound if isinstance(bound, ast.ClassDef) else None


class _Unknown(Exception):  # says what is not known, and never leaves this file
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _inside(home: Hints, annotation: ast.expr, depth: int, name: str) -> dict[str, Json]:
    try:
        return home._of(annotation, depth)
    except _Unknown as unknown:
        if unknown.reason.startswith(", where"):
            raise
        raise _Unknown(f", where {name} is {ast.unparse(annotation)[:60]!r}{unknown.reason}") from None


def _named(node: ast.AST) -> "Iterator[tuple[str, ast.stmt]]":
    """What a module binds at its top level, also below `if` and `try`."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.ClassDef(name=name):
                yield name, child
            case ast.Import() | ast.ImportFrom():
                yield from ((each.asname or each.name.partition(".")[0], child) for each in child.names)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name, child
            case ast.If() | ast.Try() | ast.ExceptHandler():
                yield from _named(child)
            case ast.stmt() if type(child).__name__ == "TypeAlias":  # not there before Python 3.12
                yield child.name.id, child  # type: ignore[attr-defined]  # the same


def _any_of(schemas: list[dict[str, Json]]) -> dict[str, Json]:
    flat: list[Json] = []
    for each in schemas:
        inner = each.get("anyOf")
        flat += inner if isinstance(inner, list) and len(each) == 1 else [each]
    return {"anyOf": flat}


def _literal(node: ast.expr) -> Json:
    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, str | int)):
        value: Json = node.value
        return value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return -int(str(node.operand.value))
    raise _Unknown(": the values of Literal are written out, as text, whole numbers, True, False or None")


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _Unknown("") from None


def _last(node: ast.expr) -> str:
    """The last part of a dotted name; empty where it is none."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return _last(value)
    return ""


def _why(name: str) -> str:
    return f": {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""


def _free(name: str, taken: dict[str, Json], recursive: dict[tuple[str, str], str]) -> str:
    """A name of `$defs` that no class of another file has."""
    used = {*taken, *recursive.values()}
    return next(each for each in (name, *(f"{name}{count}" for count in range(2, 1_000))) if each not in used)
