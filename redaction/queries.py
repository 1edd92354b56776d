"""What is redacted of a question to a database: its parameters. A statement is never changed, it is refused.

Pure but for the redactor.
"""

import json
from collections.abc import Callable

from msgspec.structs import replace

from redaction.work import Work
from runtime.domain.canonical import Json
from runtime.domain.sql import SqlQuery


def size_of_query(query: SqlQuery) -> int:
    """Bytes of a statement and its parameters as JSON."""
    parameters = json.dumps(query.parameters, ensure_ascii=False)
    return len(f"{query.statement}{parameters}".encode("utf-8", "surrogatepass"))


def redacted_query(query: SqlQuery, work: Work) -> SqlQuery:
    """The question as it may leave. Raises Refused where the policy blocks it, or acts on the statement itself."""
    found = work.values({"statement": query.statement})
    if found.get("statement") != query.statement:
        work.block("value within a statement; values belong into its parameters, and such a value")
    given = work.values({f"${number}": each for number, each in enumerate(query.parameters, 1)})
    return replace(query, parameters=tuple(given.get(f"${number}") for number in range(1, len(query.parameters) + 1)))


def masked_query(query: SqlQuery, mask: Callable[[str], str]) -> SqlQuery:
    """The question without the values of known secrets; one in the statement is masked there."""

    def value(each: Json) -> Json:
        match each:
            case str():
                return mask(each)
            case list():
                return [value(item) for item in each]
            case dict():
                return {mask(name): value(item) for name, item in each.items()}
        return each

    return replace(query, statement=mask(query.statement), parameters=tuple(value(each) for each in query.parameters))
