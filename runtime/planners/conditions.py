"""Conditions: CEL, or JSONPath when the text starts with `$`, compiled once and evaluated on plain JSON data.

A condition that errors is not false: evaluation returns why, and the planner takes the error path.
CEL's budget (10,000 iterations), depth (32) and linear regular expressions bound the work of one evaluation;
the caller bounds the data (`runtime.domain.canonical.MAX_DEPTH`: far deeper data crashes the CEL library).
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Protocol

from cel_expr_python import cel
from cel_expr_python.ext import ext_math, ext_optional, ext_strings

from runtime.domain.canonical import Json
from runtime.domain.event import ErrorInfo
from runtime.errors import Invalid
from runtime.planners.jsonpath import check_cost, compile_query

MAX_LENGTH = 10_000
"""Characters of one condition."""

Verdict = bool | ErrorInfo


class Condition(Protocol):
    """A compiled condition."""

    text: str
    """As the author wrote it."""
    roots: frozenset[str]
    """Names that it reads from its data; others need not be given."""
    warnings: tuple[str, ...]

    def holds(self, data: Mapping[str, Json]) -> Verdict:
        """True, false, or the reason why neither can be said."""


def compile_condition(text: str, *, names: frozenset[str] | None = None) -> Condition:
    """Compile a condition. Raises Invalid, with the place and reason, when it is not one or cannot be a truth value.

    `names`: all that CEL may read, so that another one is `condition.unknown_name`; None: whatever it names.
    """
    if len(text) > MAX_LENGTH:
        raise Invalid(
            "condition.too_long", f"a condition may have {MAX_LENGTH:,} characters; this one has {len(text):,}"
        )
    if not text.strip():
        raise Invalid("condition.empty", "a condition may not be empty; write a CEL expression such as score < 0.7")
    if text.lstrip().startswith("$"):
        return _JsonPathCondition(text)
    return _CelCondition(text, names)


class _CelCondition:
    def __init__(self, text: str, names: frozenset[str] | None) -> None:
        self.text = text
        source, rewritten = _spell_length(text)
        self.warnings: tuple[str, ...] = ("CEL spells '.length' as size(x); it is read as that",) if rewritten else ()
        found = _names(source)
        self.roots = found if names is None else found & names
        environment = _environment(self.roots if names is None else names)
        try:
            self._program = environment.compile(source)
        except RuntimeError as error:
            reason = _reason(error)
            if names is not None and (unknown := _UNKNOWN.search(reason)) and unknown[1] in found:
                raise Invalid(
                    "condition.unknown_name", f"{text!r} reads {unknown[1]!r}, which is not there", name=unknown[1]
                ) from None
            raise Invalid("condition.invalid", f"{text!r} is not a CEL condition: {reason}") from None
        kind = self._program.return_type()
        if kind not in (cel.Type.BOOL, cel.Type.DYN):
            raise Invalid("condition.not_boolean", f"{text!r} gives {kind.name()}, not true or false")
        self._activation: Callable[[Mapping[str, Json]], cel.Activation] = environment.Activation

    def holds(self, data: Mapping[str, Json]) -> Verdict:
        given = {root: data[root] for root in self.roots if root in data}
        try:
            answer = self._program.eval(self._activation(given))
            value = answer.value()
        except (RuntimeError, ValueError, TypeError, OverflowError) as error:
            return _error(self.text, _reason(error))
        if value is True or value is False:
            return bool(value)
        if answer.type() == cel.Type.ERROR:
            return _error(self.text, str(value))
        return _error(self.text, f"it gives {answer.type().name()}, not true or false")


class _JsonPathCondition:
    """True when the query selects something; a single true or false that it selects is the answer itself."""

    warnings: tuple[str, ...] = ()

    def __init__(self, text: str) -> None:
        self.text = text
        self.roots = frozenset({"input", "steps", "response"})
        check_cost(text)
        self._query = compile_query(text.strip())

    def holds(self, data: Mapping[str, Json]) -> Verdict:
        try:
            values = self._query.values(dict(data))
        except RecursionError:
            return _error(self.text, "the data is nested too deep")
        if len(values) == 1 and isinstance(values[0], bool):
            return values[0]
        return bool(values)


@lru_cache(maxsize=256)
def _environment(names: frozenset[str]) -> cel.Env:
    """Making one costs twenty times what compiling a condition costs, and most conditions read the same names."""
    return cel.NewEnv(
        extensions=[ext_strings.ExtStrings(), ext_math.ExtMath(), ext_optional.ExtOptional()],
        variables=dict.fromkeys(names, cel.Type.DYN),
    )


# a string literal (raw or not, three quotes or one), a quoted field, or a name with what stands around it
_TOKEN = re.compile(
    r"""(?P<text>[rRbB]{0,2}(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?''')"""
    r"""|[rRbB]{0,2}(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|`[^`]*`)"""
    r"""|(?P<dot>\.\s*\??\s*)?(?P<name>[A-Za-z_]\w*)(?P<call>\s*\()?|(?P<number>\d[\w.]*)""",
    re.DOTALL,
)
_KEYWORDS = frozenset({"true", "false", "null", "in"})
_TYPES = frozenset({"bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"}) | {
    "duration",
    "optional_type",
}


_UNKNOWN = re.compile(r"undeclared reference to '([^'.]+)")


def _names(source: str) -> frozenset[str]:
    """Every name that could be a variable; declaring one that is not (a macro's own) does no harm."""
    return frozenset(
        found["name"]
        for found in _TOKEN.finditer(source)
        if found["name"] and not found["dot"] and not found["call"] and found["name"] not in _KEYWORDS | _TYPES
    )


def _spell_length(source: str) -> tuple[str, bool]:
    """Rewrite `.length` outside text to `.size()`; `x['length']` stays the way to a real key of that name."""

    def spell(found: re.Match[str]) -> str:
        is_length = found["dot"] and found["name"] == "length" and not found["call"]
        return ".size()" if is_length else found[0]

    rewritten = _TOKEN.sub(spell, source)
    return rewritten, rewritten != source


def _error(text: str, reason: str) -> ErrorInfo:
    return ErrorInfo("condition.error", f"condition {text!r} cannot be decided: {reason}")


def _reason(error: Exception) -> str:
    """The first finding of the library's report, without its drawing."""
    first = str(error).split("\n |", 1)[0].split("ERROR: <input>:", 1)[-1]
    return first.removeprefix("INVALID_ARGUMENT: ").strip()
