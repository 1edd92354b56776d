"""A circuit breaker: what fails again and again is left alone for a while, then tried once. Pure: the time is data.

closed ──`failures` within `window_s`──▶ open ──`rest_s`, doubled each time──▶ half-open ──one success──▶ closed
                                           ▲                                      │
                                           └───────────── the trial fails ────────┘
"""

from typing import Literal

import msgspec
from msgspec.structs import replace

State = Literal["closed", "open", "half_open"]


class BreakerRule(msgspec.Struct, frozen=True, kw_only=True):
    """When a breaker opens, and for how long."""

    failures: int = 5
    """So many failures …"""
    window_s: float = 60.0
    """… within so long, with no success between them, open it …"""
    rest_s: float = 10.0
    """… for so long; twice as long each time that the trial after it fails …"""
    longest_rest_s: float = 300.0
    """… but never longer."""


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one thing that may fail. Made anew for every change."""

    failed_at_s: tuple[float, ...] = ()
    """Failures since the last success, oldest first."""
    opened_at_s: float | None = None
    """None: closed."""
    openings: int = 0
    """How often it opened since it was last closed."""
    trial_at_s: float | None = None
    """When the one trial began; None: none is under way."""


RULE = BreakerRule()


def rest_s(breaker: Breaker, now_s: float, rule: BreakerRule = RULE) -> float:
    """Seconds until the next trial; 0 when it is closed, or a trial is due."""
    if breaker.opened_at_s is None:
        return 0.0
    return max(0.0, breaker.opened_at_s + _length_s(breaker, rule) - now_s)


def state(breaker: Breaker, now_s: float, rule: BreakerRule = RULE) -> State:
    """What it is now."""
    if breaker.opened_at_s is None:
        return "closed"
    return "open" if rest_s(breaker, now_s, rule) > 0 else "half_open"


def allows(breaker: Breaker, now_s: float, rule: BreakerRule = RULE) -> bool:
    """Whether a call may be made: when closed, and one at a time when half open.

    A trial of which nothing was heard for a whole rest does not count any more.
    """
    if breaker.opened_at_s is None:
        return True
    if rest_s(breaker, now_s, rule) > 0:
        return False
    return breaker.trial_at_s is None or now_s - breaker.trial_at_s >= _length_s(breaker, rule)


def began(breaker: Breaker, now_s: float) -> Breaker:
    """A call is made; one that the breaker has allowed."""
    return breaker if breaker.opened_at_s is None else replace(breaker, trial_at_s=now_s)


def succeeded(breaker: Breaker) -> Breaker:
    """A call went well, so everything is."""
    return breaker if breaker == CLOSED else CLOSED


def failed(breaker: Breaker, now_s: float, rule: BreakerRule = RULE) -> Breaker:
    """A call failed. Failures of calls that began before it opened change nothing more."""
    if breaker.opened_at_s is not None:
        if breaker.trial_at_s is None:
            return breaker
        return replace(breaker, opened_at_s=now_s, openings=breaker.openings + 1, trial_at_s=None)
    recent = (*(at_s for at_s in breaker.failed_at_s if now_s - at_s < rule.window_s), now_s)[-rule.failures :]
    if len(recent) < rule.failures:
        return replace(breaker, failed_at_s=recent)
    return Breaker(failed_at_s=recent, opened_at_s=now_s, openings=1)


def abandoned(breaker: Breaker) -> Breaker:
    """A call ended without an outcome: its caller went away."""
    return breaker if breaker.trial_at_s is None else replace(breaker, trial_at_s=None)


def _length_s(breaker: Breaker, rule: BreakerRule) -> float:
    doublings = min(max(breaker.openings - 1, 0), 30)
    return min(rule.longest_rest_s, rule.rest_s * 2.0**doublings)


CLOSED = Breaker()
