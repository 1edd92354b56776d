"""Classes of a project's source: the fields of dataclasses and TypedDicts, the values of Enums. Nothing is run."""

import ast
from collections.abc import Iterator
from typing import TypeGuard

from runtime.domain.canonical import Json

Field = tuple[str, ast.expr, bool]
"""Its name, its hint, and whether it must be given."""

_ENUMS = ("Enum", "StrEnum", "IntEnum")


def is_enum(found: ast.ClassDef) -> bool:
    """Whether it says so itself; those with members have no heirs."""
    return any(_name(base) in _ENUMS for base in found.bases)


def enum_values(found: ast.ClassDef) -> list[Json] | None:
    """What stands for its members; None where one is neither written out nor `auto()`."""
    is_text = any(_name(base) in ("StrEnum", "str") for base in found.bases)
    values: list[Json] = []
    for statement in found.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)) if _name(func) == "auto":
                last = values[-1] if values else 0
                values.append(name.lower() if is_text else (last + 1 if isinstance(last, int) else 1))
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if not name.startswith("_"):
                try:
                    written = ast.literal_eval(value)
                except ValueError:
                    return None
                if isinstance(written, bool) or not isinstance(written, str | int | float):
                    return None
                values.append(written)
    return list(dict.fromkeys(values))


def is_typed_dict(found: ast.ClassDef) -> bool:
    """Whether it says so itself."""
    return any(_name(base) == "TypedDict" for base in found.bases)


def typed_dict_fields(found: ast.ClassDef) -> Iterator[Field]:
    """Its own, without those of its bases."""
    is_total = not any(
        each.arg == "total" and isinstance(each.value, ast.Constant) and each.value.value is False
        for each in found.keywords
    )
    for statement in found.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            wrapped = _name(statement.annotation.value) if isinstance(statement.annotation, ast.Subscript) else ""
            is_required = wrapped == "Required" or (is_total and wrapped != "NotRequired")
            yield statement.target.id, statement.annotation, is_required


def dataclass_fields(found: ast.ClassDef) -> Iterator[Field]:
    """Those that its `__init__` takes, without those of its bases."""
    for statement in found.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                if _base(annotation) in ("ClassVar", "KW_ONLY") or (value is not None and _is_not_given(value)):
                    continue
                yield name, annotation, value is None or not _has_default(value)


def _is_not_given(value: ast.expr) -> bool:
    """`field(init=False)`."""
    return _is_field(value) and any(
        each.arg == "init" and isinstance(each.value, ast.Constant) and each.value.value is False
        for each in value.keywords
    )


def _has_default(value: ast.expr) -> bool:
    return not _is_field(value) or any(each.arg in ("default", "default_factory") for each in value.keywords)


def _is_field(value: ast.expr) -> TypeGuard[ast.Call]:
    return isinstance(value, ast.Call) and _name(value.func) == "field"


def _base(annotation: ast.expr) -> str:
    return _name(annotation.value if isinstance(annotation, ast.Subscript) else annotation)


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
