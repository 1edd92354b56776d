"""What may be spent: budgets as data. Money is integer micro-dollars, periods are of UTC."""

from typing import Literal, cast, get_args

import msgspec

from runtime.domain.units import usd_micros

Dimension = Literal["tenant", "workflow", "agent", "role", "tool", "model", "memory"]
Period = Literal["run", "hour", "day", "month"]

EACH = "*"
"""In a budget's scope: any name, and each has the whole budget for itself."""


def limit_of(value: object, default: Period = "day") -> tuple[int, Period]:
    """Read a limit on money, as micro-dollars and what they are for: `50.0`, `$50/day`, `0.05/run`.

    Raises ValueError for what is none.
    """
    amount, slash, period = str(value).rpartition("/")
    if not slash:
        return usd_micros(value), default
    if period.strip() not in get_args(Period):
        periods = ", ".join(get_args(Period))
        raise ValueError(f"expected an amount of US dollars such as 50, or 50/day ({periods}), found {value!r}")
    return usd_micros(amount), cast("Period", period.strip())


class Budget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much may be spent on something in a period."""

    scope: tuple[tuple[Dimension, str], ...] = ()
    """Whose spending counts: every one of these names must be the sender's. Empty: everybody's, together."""
    per: Period
    usd_micros: int | None = None
    """None: any amount."""
    tokens: int | None = None
    """Input and output together; None: any number."""
    is_hard: bool = True
    """Whether it refuses what it has no room for; a soft one warns."""
    set_by: str
    """Where it is set, such as `policies.cost_budget of agent 'draft'`."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run was expected to take before it began; half of such runs take less than `p50`, 95 % less than `p95`."""

    tokens_p50: int = 0
    """Input and output together."""
    tokens_p95: int = 0
    usd_micros_p50: int = 0
    usd_micros_p95: int = 0
    runs: int = 0
    """Past runs that it was learned from; 0: it rests on the definition alone."""
    unpriced: tuple[str, ...] = ()
    """Models that nobody has said the price of; they count as free."""
