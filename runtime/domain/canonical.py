"""Canonical JSON (RFC 8785), its digest, and a strict parser.

Hashes in the journal, the audit log and definitions are taken over these bytes, so two equal values
have one spelling. Most values need only sorted keys and plain numbers, which the C encoder writes as
RFC 8785 does; a value with any number that it would spell differently takes the reference encoder.
"""

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import rfc8785

from runtime.errors import Invalid

if TYPE_CHECKING:
    Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
else:
    Json = Any  # msgspec cannot resolve a type that names itself; what it decodes from JSON is of this type anyway

MAX_DEPTH = 100
MAX_INTEGER = 2**53 - 1

_SAFE_DIGITS = len(str(MAX_INTEGER)) - 1
_MOST_DIGITS = 308
"""More than any double has before its point."""

_encoder = msgspec.json.Encoder(order="sorted")


def encode(value: object) -> bytes:
    """Write a JSON value as RFC 8785 bytes.

    Raises Invalid for NaN, infinities, integers beyond ±(2^53-1), lone surrogates, keys that are not
    text, types that are not JSON's, and nesting deeper than 100.
    """
    return _encoded(value)[0]


def kept(value: object) -> tuple[Json, int]:
    """The value as a reader of its canonical bytes will get it, and how many bytes these are.

    Numbers have one spelling there: 1.0 comes back as 1, and keys are in order. What tells the two apart, as a prompt
    does that shows a mapping, would decide differently after a restart. Raises what `encode` raises.
    """
    written, is_plain = _encoded(value)
    is_same = is_plain and _is_in_order(value)
    return (value if is_same else parse(written)), len(written)  # type: ignore[return-value]  # it is plain JSON


def digest(value: object) -> str:
    """`sha256:` and 64 hex digits over the canonical bytes of a value."""
    return "sha256:" + sha256(encode(value)).hexdigest()


def kind_in_words(value: object) -> str:
    """What a JSON value is, for people: `a text`, `a mapping`; never the value itself, which may be a secret."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "a mapping"
    return "no JSON"


def parse(text: str | bytes, *, max_depth: int = MAX_DEPTH) -> Json:
    """Read JSON strictly: no duplicate keys, no NaN, no nesting deeper than `max_depth`.

    An integer beyond ±(2^53-1) that is the canonical spelling of a double, as 100000000000000000000 is of 1e20, is
    read as that double. Any other stays an integer, which `encode` refuses.
    """
    try:
        value: Json = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_whole)
    except RecursionError:
        raise Invalid("json.too_deep", f"JSON is nested deeper than {max_depth} levels") from None
    except UnicodeDecodeError as error:
        raise Invalid("json.not_utf8", f"JSON must be UTF-8; byte {error.start} is not") from None
    except json.JSONDecodeError as error:
        raise Invalid("json.malformed", f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None
    if _depth_exceeds(value, max_depth):
        raise Invalid("json.too_deep", f"JSON is nested deeper than {max_depth} levels")
    return value


def _encoded(value: object) -> tuple[bytes, bool]:
    """The canonical bytes, and whether reading them gives the value itself, to the kind of each number."""
    try:
        if _is_plain(value, MAX_DEPTH):
            return _encoder.encode(value), True
        return rfc8785.dumps(value), False  # type: ignore[arg-type]  # it raises for what is not JSON
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, ValueError, TypeError) as error:
        raise Invalid("json.not_canonical", f"the value has no canonical JSON form: {_reason(error)}") from None


def _is_plain(value: object, depth: int) -> bool:
    """Whether the C encoder spells the value as RFC 8785 does. Raises ValueError when it is nested too deep.

    The whole value is looked at, whatever was found on the way: the reference encoder knows no limit of depth.
    """
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return -MAX_INTEGER <= value <= MAX_INTEGER  # type: ignore[operator]  # kind is int
    if kind is float:
        # repr() and ECMAScript agree on fractions in this range; 1.0, -0.0, 1e-05 and 1e+16 they spell differently
        return 1e-4 <= abs(value) < 1e15 and value % 1 != 0  # type: ignore[arg-type,operator]  # kind is float
    if not isinstance(value, (dict, list, tuple)):
        return False
    if depth == 0:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        # ASCII keys sort alike by code point and by UTF-16 unit
        plain = kind is dict
        for key, item in value.items():
            plain = _is_plain(item, depth - 1) and plain and type(key) is str and key.isascii()
        return plain
    plain = kind is list
    for item in value:
        plain = _is_plain(item, depth - 1) and plain
    return plain


def _is_in_order(value: object) -> bool:
    """Whether the keys of every mapping in a plain value stand in the order of its canonical bytes."""
    if isinstance(value, dict):
        last = ""
        for key, item in value.items():
            if key < last or not _is_in_order(item):
                return False
            last = key
        return True
    return all(map(_is_in_order, value)) if isinstance(value, list) else True


def _depth_exceeds(value: object, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            item
            for node in level
            if isinstance(node, (dict, list))
            for item in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return False
    return any(isinstance(node, (dict, list)) for node in level)


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members: dict[str, Json] = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Invalid("json.duplicate_key", f"the key {twice!r} stands twice in one object")
    return members


def _whole(digits: str) -> Json:
    if len(digits) <= _SAFE_DIGITS:
        return int(digits)
    if len(digits) > _MOST_DIGITS:
        raise Invalid("json.number_too_large", f"a number of {len(digits):,} digits is beyond what JSON can exchange")
    number = int(digits)
    if abs(number) > MAX_INTEGER and rfc8785.dumps(float(number)) == digits.encode():
        return float(number)
    return number


def _no_constant(name: str) -> Json:
    raise Invalid("json.not_a_number", f"{name} is not JSON; use null or a text")


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "a text holds a lone surrogate"
    return str(error) or type(error).__name__
