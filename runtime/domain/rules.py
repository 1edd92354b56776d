"""A decision table as data. The hit policies have the names of DMN 1.5 (OMG formal/24-01-01, 8.2.10)."""

from typing import Literal, get_args

import msgspec

from runtime.domain.canonical import Json

HitPolicy = Literal["first", "unique", "any", "priority", "collect"]
Aggregate = Literal["sum", "min", "max", "count"]
HIT_POLICIES: tuple[HitPolicy, ...] = get_args(HitPolicy)
AGGREGATES: tuple[Aggregate, ...] = get_args(Aggregate)
OTHERWISE = "otherwise"
"""What the rule is called that counts where no other does."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that a rule calls."""

    tool: str
    arguments: dict[str, Json] = {}
    """Templates."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table."""

    name: str
    when: str = ""
    """A condition; empty for the rule that counts where no other does."""
    then: Json = None
    """The decision: a template, or a mapping or list of them."""
    call: tuple[Call, ...] = ()
    priority: int = 0
    """Under `priority`: the highest counts, of equal ones the first."""
