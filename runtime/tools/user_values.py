"""Values of a project's own types: JSON → what a function's hints say, and what it returns → JSON.

It is loaded in a worker beside `user_code.py`, imports nothing of ours, and knows dataclasses, `TypedDict`, `Enum` and
what is made of them. `appliance/loading/annotations.py` describes the same types as JSON Schema, so what comes in fits.
"""

import dataclasses
import enum
import types
import typing
from collections.abc import Callable
from typing import Any


def arguments(function: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
    """What a function is called with: each argument as its hint says; one whose hint cannot be read stays JSON."""
    hints = getattr(function, "__annotations__", {})
    home = getattr(function, "__globals__", {})
    return {name: fitted(value, _kind(name, hints, home)) for name, value in given.items()}


def fitted(value: Any, kind: Any) -> Any:  # noqa: ANN401  # any JSON, any type
    """The value as a type wants it. Raises TypeError, ValueError or KeyError where it does not fit."""
    while isinstance(kind, getattr(typing, "TypeAliasType", ())) or hasattr(kind, "__supertype__"):
        kind = kind.__supertype__ if hasattr(kind, "__supertype__") else kind.__value__
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in _WRAPPERS:
        return fitted(value, inner[0])
    if origin in (typing.Union, types.UnionType):
        return _one_of(value, inner)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        return kind(**{name: fitted(each, hints[name]) for name, each in _mapping(value).items()})
    if typing.is_typeddict(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        return {name: fitted(each, hints[name]) for name, each in _mapping(value).items()}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(value)
    if inner and isinstance(origin, type):
        return _contained(value, origin, inner)
    return tuple(value) if kind is tuple else value


def plain(value: Any) -> Any:  # noqa: ANN401  # any value, any JSON
    """What JSON has no form for, as what it has: given to `json.dumps` as `default`. Raises TypeError."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    raise TypeError(f"a value of type {type(value).__name__}")


_WRAPPERS = tuple(
    getattr(typing, name)
    for name in ("Annotated", "Required", "NotRequired", "ReadOnly", "Final")
    if hasattr(typing, name)
)


def _contained(value: Any, origin: type, inner: tuple[Any, ...]) -> Any:  # noqa: ANN401  # a collection
    if issubclass(origin, dict) or hasattr(origin, "keys"):
        return {name: fitted(each, inner[-1]) for name, each in _mapping(value).items()}
    if not isinstance(value, list):
        raise TypeError("no list")
    if issubclass(origin, tuple):
        kinds = inner[:1] * len(value) if len(inner) == 2 and inner[1] is ... else inner
        return tuple(fitted(each, kind) for each, kind in zip(value, kinds, strict=True))
    return [fitted(each, inner[0]) for each in value]


def _one_of(value: Any, kinds: tuple[Any, ...]) -> Any:  # noqa: ANN401  # the first that fits
    for kind in kinds:
        if _may_be(value, kind):
            try:
                return fitted(value, kind)
            except (TypeError, ValueError, KeyError):
                continue
    return value


def _may_be(value: Any, kind: Any) -> bool:  # noqa: ANN401  # any type
    """Whether JSON of this form can stand for the type at all."""
    if kind is type(None) or kind is None:
        return value is None
    if isinstance(kind, type) and issubclass(kind, (bool, int, float, str)) and not issubclass(kind, enum.Enum):
        return type(value) is kind or (kind is float and type(value) is int)
    return value is not None


def _mapping(value: Any) -> dict[str, Any]:  # noqa: ANN401  # as it came
    if not isinstance(value, dict):
        raise TypeError("no mapping")
    return value


def _kind(name: str, hints: dict[str, Any], home: dict[str, Any]) -> Any:  # noqa: ANN401  # a type
    if name not in hints:
        return Any
    one = types.SimpleNamespace(__annotations__={name: hints[name]})
    try:
        return typing.get_type_hints(one, globalns=home, include_extras=True)[name]
    except Exception:  # a name that only type checkers see
        return Any
