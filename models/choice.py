"""Which of several backends is asked first, and why: residency, then health, then cost and time. Pure."""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from models.routing import Route
from runtime.errors import AgentFlowError, Unavailable


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a backend at the moment."""

    breaker: Literal["closed", "open", "half_open"] = "closed"
    rest_s: float = 0.0
    """Until it is tried again, where its breaker is open."""
    last_failure: str = ""
    """The code of the last failure."""
    is_well: bool | None = None
    """What the last check said; None: there was none."""
    latency_s: float | None = None
    """Moving average of the time to an answer, or to a stream's first piece; None: not measured."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask, in order; and of those who are not, why."""

    order: tuple[Route, ...]
    skipped: tuple[tuple[Route, str], ...] = ()

    def told(self, route: Route, failures: Sequence[tuple[Route, AgentFlowError]] = ()) -> str:
        """In words, why `route` answered; empty where there was no choice."""
        if len(self.order) + len(self.skipped) < 2:
            return ""
        parts = [f"{route.label}: {'next' if failures else 'first'} of {len(self.order)} that can answer"]
        parts += [f"{failed.label}: {error.code}" for failed, error in failures]
        parts += [f"{skipped.label}: skipped, {reason}" for skipped, reason in self.skipped]
        return "; ".join(parts)


def choose(
    groups: Sequence[Sequence[Route]],
    refusal: Callable[[Route], AgentFlowError | None],
    standing: Callable[[Route], Standing],
) -> Choice:
    """Order the groups' backends: the permitted ones as the groups say, within a group by cost and time, and those
    that a check has found unwell behind all others.

    Where policy permits none, the first one alone is the order, so that the guard says why. Raises Unavailable when
    the breakers of all that are permitted are open.
    """
    routes = [route for group in groups for route in group]
    if len(routes) == 1 and standing(routes[0]).breaker != "open":
        return Choice(order=(routes[0],))  # the usual case, which the guard judges by itself
    refused = {route: error for route in routes if (error := refusal(route)) is not None}
    if len(refused) == len(routes):
        return Choice(order=(routes[0],))
    standings = {route: standing(route) for route in routes}
    order: list[Route] = []
    for group in groups:
        fit = [each for each in group if each not in refused and standings[each].breaker != "open"]
        order += sorted(fit, key=lambda each: (each.cost, standings[each].latency_s or 0.0))
    resting = [each for each in routes if each not in refused and standings[each].breaker == "open"]
    if not order:
        raise _all_rest(resting, standings)
    order.sort(key=lambda each: standings[each].is_well is False)
    reasons = [(route, refused[route].code) for route in refused]
    reasons += [(route, f"rests for {standings[route].rest_s:.0f} s") for route in resting]
    return Choice(order=tuple(order), skipped=tuple(reasons))


def _all_rest(resting: Sequence[Route], standings: dict[Route, Standing]) -> Unavailable:
    soonest_s = min(standings[route].rest_s for route in resting)
    said = ", ".join(f"{route.label} ({standings[route].last_failure})" for route in resting)
    return Unavailable(
        "model.resting",
        f"no model server is asked, because each has failed again and again: {said}. The next trial is in "
        f"{soonest_s:.0f} s; af models status shows more",
        retry_after_s=soonest_s,
    )
