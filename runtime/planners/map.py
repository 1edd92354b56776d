"""A list's items, each with a run of its own: what is made of their answers. Pure."""

import math
from collections.abc import Sequence

from runtime.domain.canonical import Json
from runtime.domain.event import ErrorInfo

MAX_ITEMS = 1_000
"""Items of one list."""

Outcome = Json | ErrorInfo


def lost(outcomes: Sequence[Outcome | None], total: int, min_success_ratio: float) -> ErrorInfo | None:
    """Why so many of a list can no longer succeed, with its first failure; None while they can.

    `outcomes`: of the items that have come to an end; `total` is the list's length.
    """
    failed = [(number, each) for number, each in enumerate(outcomes) if isinstance(each, ErrorInfo)]
    needed = math.ceil(total * min_success_ratio - 1e-9)
    if total - len(failed) >= needed:
        return None
    number, first = failed[0]
    return ErrorInfo(
        "map.items_failed",
        f"{len(failed)} of {total} items failed, and {needed} must succeed; item {number} has {first.code}: "
        f"{first.message}",
        first.retryable,
    )


def answer(outcomes: Sequence[Outcome]) -> Json:
    """What the step answers: results in the order of the list, None for an item that failed, and the errors."""
    results: list[Json] = [None if isinstance(each, ErrorInfo) else each for each in outcomes]
    errors: list[Json] = [
        {"index": number, "code": each.code, "message": each.message}
        for number, each in enumerate(outcomes)
        if isinstance(each, ErrorInfo)
    ]
    return {
        "results": results,
        "errors": errors,
        "succeeded": len(outcomes) - len(errors),
        "failed": len(errors),
    }
