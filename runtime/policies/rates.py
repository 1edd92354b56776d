"""How often something may happen: a token bucket as one instant. Pure.

The generic cell rate algorithm (ITU-T I.371): what is kept is when the bucket would be full again; a bucket that
nobody has touched is full.
"""

from runtime.domain.tool import RateLimit


def taken(full_at_us: int, limit: RateLimit, now_us: int) -> tuple[int, int]:
    """Take one; when it will be full again, and 0, or as it was and the microseconds until one can be taken."""
    period_us = limit.per_ms * 1_000
    one_us = -(-period_us // limit.calls)
    wait_us = max(full_at_us, now_us) + one_us - period_us - now_us
    if wait_us > 0:
        return full_at_us, wait_us
    return max(full_at_us, now_us) + one_us, 0
