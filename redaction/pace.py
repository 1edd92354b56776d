"""How fast a tenant may send to one host: a bucket of tokens each, in memory. Takes the time as data."""

from collections import OrderedDict

from runtime.errors import Refused

KEPT = 4_096
"""Buckets that are kept; one that was not used for the longest is full again anyway."""


class Pace:
    """Buckets that hold a minute's worth and fill evenly."""

    def __init__(self, per_minute: int) -> None:
        """`per_minute`: tokens of one bucket; 0: any number."""
        self._per_minute = per_minute
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def take(self, tenant: str, host: str, now_s: float) -> None:
        """Take a token. Raises Refused when there is none; `retryable`, with the seconds until there is."""
        if not self._per_minute:
            return
        level, since_s = self._buckets.pop((tenant, host), (float(self._per_minute), now_s))
        level = min(self._per_minute, level + (now_s - since_s) * self._per_minute / 60)
        is_left = level >= 1
        self._buckets[tenant, host] = (level - is_left, now_s)
        if len(self._buckets) > KEPT:
            self._buckets.popitem(last=False)
        if not is_left:
            raise Refused(
                "egress.rate_refused",
                f"tenant {tenant!r} sends more than {self._per_minute:,} requests a minute to {host}; the rule is "
                "egress.per_minute in the settings",
                retryable=True,
                retry_after_s=(1 - level) * 60 / self._per_minute,
            )
