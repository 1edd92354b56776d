"""Values between JSON and PostgreSQL: what a parameter of a type takes, and what a row says. Pure."""

import base64
import json
import math
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from runtime.domain.canonical import Json
from runtime.errors import Invalid

Given: TypeAlias = (
    str | int | float | bool | bytes | Decimal | date | time | timedelta | uuid.UUID | list["Given"] | None
)

_WHOLE = {"int2": 2**15, "int4": 2**31, "int8": 2**63, "oid": 2**32}
_TEXTS = frozenset({"text", "varchar", "bpchar", "name", "citext", "char", "xml", "inet", "cidr", "macaddr"})
_SAFE = 2**53
"""Whole numbers beyond are answered as texts: readers of JSON keep no more digits."""


def to_parameter(value: Json, kind: str, number: int) -> Given:
    """A JSON value as the driver takes it for a type (`int4`, `date[]`). Raises Invalid, which names no value."""
    if value is None:
        return None
    if kind.endswith("[]"):
        if not isinstance(value, list):
            raise _wrong(number, kind, "a list", value)
        return [to_parameter(each, kind[:-2], number) for each in value]
    if kind in ("json", "jsonb"):
        return json.dumps(value, ensure_ascii=False)
    if kind in _WHOLE:
        return _whole(value, kind, number)
    read = _READ.get(kind)
    if read is None:
        if isinstance(value, str):  # an enumeration, or a type that the driver reads from text
            return value
        raise _wrong(number, kind, "a text", value)
    expected, parse = read
    try:
        return parse(value)
    except (ValueError, TypeError, InvalidOperation):
        raise _wrong(number, kind, expected, value) from None


def from_row(values: Iterable[object]) -> list[Json]:
    """A row as JSON: numbers without a fixed size, dates and whatever else JSON lacks as texts."""
    return [from_value(each) for each in values]


def from_value(value: object) -> Json:
    """One value as JSON."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -_SAFE <= value <= _SAFE else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case list() | tuple() | set() | frozenset():
            return [from_value(each) for each in value]
        case Mapping():
            return {str(name): from_value(each) for name, each in value.items()}
        case _:
            return str(value)


def _whole(value: Json, kind: str, number: int) -> int:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not -_WHOLE[kind] <= int(str(value)) < _WHOLE[kind]:
        raise _wrong(number, kind, "a whole number in its range", value)
    return int(str(value))


def _text(value: Json) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    value.encode()  # half a character is none
    return value


def _truth(value: Json) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _float(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    return float(value)


def _decimal(value: Json) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    return Decimal(str(value))


_READ: Mapping[str, tuple[str, Callable[[Json], Given]]] = {
    **{kind: ("a text without NUL", _text) for kind in _TEXTS},
    "unknown": ("a text without NUL", _text),
    "bool": ("true or false", _truth),
    "float4": ("a number", _float),
    "float8": ("a number", _float),
    "numeric": ("a number, or a text such as 12.50", _decimal),
    "uuid": ("a text such as 0b8f6a1e-…", lambda value: uuid.UUID(_text(value))),
    "date": ("a text such as 2026-01-31", lambda value: date.fromisoformat(_text(value))),
    "time": ("a text such as 23:59:30", lambda value: time.fromisoformat(_text(value))),
    "timestamp": ("a text such as 2026-01-31T23:59:30", lambda value: _naive(datetime.fromisoformat(_text(value)))),
    "timestamptz": (
        "a text such as 2026-01-31T23:59:30+00:00",
        lambda value: _aware(datetime.fromisoformat(_text(value))),
    ),
    "interval": ("a number of seconds", lambda value: timedelta(seconds=_float(value))),
    "bytea": ("a text in base64", lambda value: base64.b64decode(_text(value), validate=True)),
}


def _naive(value: datetime) -> datetime:
    if value.tzinfo is not None:
        raise ValueError
    return value


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError
    return value


def _wrong(number: int, kind: str, expected: str, value: Json) -> Invalid:
    found = {str: "a text", bool: "true or false", list: "a list", dict: "an object"}.get(type(value), "a number")
    return Invalid("sql.parameter", f"parameter ${number} is of type {kind} and takes {expected}, found {found}")
