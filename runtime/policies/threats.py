"""Unusual use of tools: what a tenant's agents do, against what they have done before. Pure; no model, no clock.

Each tenant has a baseline of its own, learned from the audit log's lines in their order, so that the same log gives the
same alerts. Nothing is alerted that has no baseline yet, but for bursts of refusals, which need none.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

AlertKind = Literal["rate", "first_use", "new_target", "denied_burst", "data_volume"]

MINUTE_US = 60_000_000
LEARNED_USES = 20
"""Calls of a tenant after which something that was never seen is news."""
LEARNED_MINUTES = 5
"""Minutes in which a tool was used, after which its rate is known."""
LEARNED_SIZES = 10
"""Calls of a tool after which the size of its data is known."""
KEPT_MINUTES, KEPT_SIZES = 500, 200
RATE_FACTOR, RATE_LEAST = 3, 10
"""A minute is unusual above so many times the busiest before, and above so many calls."""
BURST_REFUSALS = 5
VOLUME_FACTOR, VOLUME_LEAST_BYTES = 10, 100_000
"""Data of one call are unusual above so many times the largest before, and above so many bytes."""
QUIET_US = 10 * MINUTE_US
"""How long the same alert is not repeated."""
MOST_KNOWN = 20_000
"""Tools, agents and targets of a tenant that are remembered."""


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that an agent did, or was refused."""

    at_us: int
    tenant: str
    what: Literal["call", "refusal", "transfer"]
    """`transfer`: data went to a target, or came from a tool."""
    tool: str = ""
    """Empty where an agent sends by itself."""
    target: str = ""
    """`name:port`; empty: none is known."""
    size_bytes: int = 0
    agent: str = ""
    workflow: str = ""
    run: str = ""
    code: str = ""
    """Of a refusal."""
    seq: int = 0
    """The line of the audit log that says so."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something unusual, and why it is."""

    kind: AlertKind
    at_us: int
    tenant: str
    subject: str
    """A tool, a target or an agent."""
    agent: str
    workflow: str
    run: str
    observed: int
    """Calls in a minute, refusals in a minute, or bytes; 1 for what was never seen."""
    usual: int
    """The most before, in the same unit."""
    why: str
    """One sentence for a person."""
    seq: int


class Detector:
    """Takes uses in the order of their log."""

    def __init__(self) -> None:
        self._tenants: dict[str, _Baseline] = {}

    def observe(self, use: Use) -> Sequence[Alert]:
        """What is unusual about a use; it belongs to the baseline from then on."""
        baseline = self._tenants.setdefault(use.tenant, _Baseline())
        return [alert for alert in baseline.observe(use) if baseline.is_news(alert)]


class _Baseline:
    """What one tenant has done."""

    def __init__(self) -> None:
        self._uses = 0
        self._known: set[tuple[str, str, str]] = set()
        self._rates: dict[str, _Rate] = {}
        self._refusals: dict[str, deque[int]] = {}
        self._sizes: dict[str, deque[int]] = {}
        self._told: dict[tuple[str, str, str], int] = {}

    def observe(self, use: Use) -> Iterator[Alert]:
        match use.what:
            case "refusal":
                yield from self._refused(use)
            case "call":
                yield from self._called(use)
            case "transfer":
                yield from self._transferred(use)

    def is_news(self, alert: Alert) -> bool:
        place = (alert.kind, alert.subject, alert.agent)
        told_us = self._told.get(place)
        if told_us is not None and alert.at_us < told_us + QUIET_US:
            return False
        self._told[place] = alert.at_us
        return True

    def _called(self, use: Use) -> Iterator[Alert]:
        self._uses += 1
        if self._is_new(("tool", use.tool, f"{use.workflow}/{use.agent}")):
            why = f"{_who(use)} called tool {use.tool!r} for the first time"
            yield _alert("first_use", use, use.tool, observed=1, usual=0, why=f"{why}; {self._so_far()}")
        rate = self._rates.setdefault(use.tool, _Rate())
        count, busiest = rate.count(use.at_us)
        limit = max(RATE_LEAST, RATE_FACTOR * busiest)
        if rate.is_learned and count > limit:
            why = (
                f"tool {use.tool!r} was called {count} times within a minute; the busiest of {rate.minutes} minutes "
                f"before had {busiest}, and more than {limit} is unusual"
            )
            yield _alert("rate", use, use.tool, observed=count, usual=busiest, why=why)

    def _refused(self, use: Use) -> Iterator[Alert]:
        at = self._refusals.setdefault(f"{use.workflow}/{use.agent}", deque(maxlen=1_000))
        at.append(use.at_us)
        while at[0] <= use.at_us - MINUTE_US:
            at.popleft()
        if len(at) >= BURST_REFUSALS:
            wanted = use.tool or use.target or "something"
            why = (
                f"{_who(use)} was refused {len(at)} times within a minute, the "
                f"last time {wanted} ({use.code}); {BURST_REFUSALS} or more look like somebody trying what is open"
            )
            yield _alert("denied_burst", use, wanted, observed=len(at), usual=0, why=why)

    def _transferred(self, use: Use) -> Iterator[Alert]:
        subject = use.tool or use.target
        if use.target:
            self._uses += 1
            if self._is_new(("target", use.target, use.tool or f"{use.workflow}/{use.agent}")):
                who = f"tool {use.tool!r}" if use.tool else _who(use)
                why = f"{who} sent to {use.target} for the first time; {self._so_far()}"
                yield _alert("new_target", use, use.target, observed=1, usual=0, why=why)
        sizes = self._sizes.setdefault(subject, deque(maxlen=KEPT_SIZES))
        largest = max(sizes, default=0)
        limit = max(VOLUME_LEAST_BYTES, VOLUME_FACTOR * largest)
        if len(sizes) >= LEARNED_SIZES and use.size_bytes > limit:
            why = (
                f"{use.size_bytes:,} bytes passed {subject} in one call; the largest of {len(sizes)} before had "
                f"{largest:,}, and more than {limit:,} is unusual"
            )
            yield _alert("data_volume", use, subject, observed=use.size_bytes, usual=largest, why=why)
        sizes.append(use.size_bytes)

    def _is_new(self, thing: tuple[str, str, str]) -> bool:
        """Whether it was never seen, in a baseline that is long enough to say so."""
        if thing in self._known:
            return False
        if len(self._known) < MOST_KNOWN:
            self._known.add(thing)
        return self._uses > LEARNED_USES

    def _so_far(self) -> str:
        return f"the baseline has {self._uses:,} uses of {len(self._known):,} kinds"


class _Rate:
    """Calls of one tool by the minute; minutes without any do not count."""

    def __init__(self) -> None:
        self._minute = -1
        self._now = 0
        self._before: deque[int] = deque(maxlen=KEPT_MINUTES)

    @property
    def minutes(self) -> int:
        """How many minutes there were before this one."""
        return len(self._before)

    @property
    def is_learned(self) -> bool:
        """Whether there were enough."""
        return self.minutes >= LEARNED_MINUTES

    def count(self, at_us: int) -> tuple[int, int]:
        """Count a call; how many this minute has, and the busiest one before."""
        minute = at_us // MINUTE_US
        if minute != self._minute:
            if self._now:
                self._before.append(self._now)
            self._minute, self._now = minute, 0
        self._now += 1
        return self._now, max(self._before, default=0)


def _who(use: Use) -> str:
    """Who did it, for people: an agent, or whoever calls tools directly."""
    if use.agent:
        return f"agent {use.agent!r} of workflow {use.workflow!r}"
    return f"somebody outside of any run{f', with workflow {use.workflow!r},' if use.workflow else ''}"


def _alert(kind: AlertKind, use: Use, subject: str, *, observed: int, usual: int, why: str) -> Alert:
    return Alert(
        kind=kind,
        at_us=use.at_us,
        tenant=use.tenant,
        subject=subject,
        agent=use.agent,
        workflow=use.workflow,
        run=use.run,
        observed=observed,
        usual=usual,
        why=why,
        seq=use.seq,
    )
