"""JSONPath (RFC 9535) for conditions: the strict library, with its regular expressions on a linear engine.

The library's own `match` and `search` backtrack: `(a|aa)+$` on thirty characters takes seconds. RE2 does not.
"""

from typing import cast

import re2
from iregexp_check import check
from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathError, JSONPathQuery
from jsonpath_rfc9535.exceptions import JSONPathRecursionError
from jsonpath_rfc9535.function_extensions import ExpressionType, FilterFunction
from jsonpath_rfc9535.node import JSONPathNodeList

from runtime.domain.canonical import Json
from runtime.errors import Invalid

MAX_DESCENTS = 2
"""`..` segments in one query; each multiplies the work by the size of the document."""


class Query:
    """A compiled query."""

    def __init__(self, text: str, query: JSONPathQuery) -> None:
        self.text = text
        self._query = query

    def values(self, document: Json) -> list[Json]:
        """The values of all nodes that the query selects, in document order.

        Raises RecursionError for data that is nested deeper than the library follows, about 100 levels.
        """
        try:
            return cast("list[Json]", self._query.find(document).values())
        except JSONPathRecursionError:
            raise RecursionError from None


def compile_query(text: str) -> Query:
    """Compile a query. Raises Invalid with the reason for one that RFC 9535 does not allow."""
    try:
        query = _ENVIRONMENT.compile(text)
    except (JSONPathError, RecursionError) as error:
        raise Invalid("jsonpath.invalid", f"not a JSONPath query (RFC 9535): {error}") from None
    return Query(text, query)


def check_cost(text: str) -> None:
    """Refuse a query whose work grows too fast with the document."""
    if text.count("..") > MAX_DESCENTS:
        raise Invalid("jsonpath.too_costly", f"a JSONPath condition may hold {MAX_DESCENTS} '..' segments at most")


class _Match(FilterFunction):
    """`match(value, pattern)`: the whole text matches the I-Regexp (RFC 9485)."""

    arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012  # the library's own shape
    return_type = ExpressionType.LOGICAL

    def __call__(self, value: object, pattern: object) -> bool:
        return _matches(value, pattern, whole=True)


class _Search(FilterFunction):
    """`search(value, pattern)`: some part of the text matches the I-Regexp (RFC 9485)."""

    arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012  # the library's own shape
    return_type = ExpressionType.LOGICAL

    def __call__(self, value: object, pattern: object) -> bool:
        return _matches(value, pattern, whole=False)


def _matches(value: object, pattern: object, *, whole: bool) -> bool:
    if isinstance(value, JSONPathNodeList) or not isinstance(value, str):
        return False
    if not isinstance(pattern, str) or not check(pattern):
        return False
    try:
        run = re2.fullmatch if whole else re2.search
        return run(_re2_spelling(pattern), value) is not None
    except re2.error:
        return False


def _re2_spelling(pattern: str) -> str:
    """An I-Regexp's dot leaves out both line ends; RE2's leaves out one."""
    parts: list[str] = []
    in_class = escaped = False
    for character in pattern:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character in "[]":
            in_class = character == "["
        elif character == "." and not in_class:
            character = r"[^\n\r]"
        parts.append(character)
    return "".join(parts)


def _environment() -> JSONPathEnvironment:
    environment = JSONPathEnvironment()
    environment.function_extensions["match"] = _Match()
    environment.function_extensions["search"] = _Search()
    return environment


_ENVIRONMENT = _environment()
