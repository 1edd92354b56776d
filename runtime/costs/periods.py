"""Hours, days and months of UTC, as the instants at which budgets renew."""

from datetime import UTC, datetime, timedelta

from runtime.domain.cost import Period

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def period_of(per: Period, now_us: int) -> tuple[int, int]:
    """When the period that `now_us` lies in began, and when the next one begins; (0, 0) for a run, which has none."""
    match per:
        case "run":
            return 0, 0
        case "month":
            first = instant(now_us).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            return micros(first), micros((first + timedelta(days=31)).replace(day=1))
        case _:
            length_us = HOUR_US if per == "hour" else DAY_US
            begin_us = now_us - now_us % length_us
            return begin_us, begin_us + length_us


def instant(at_us: int) -> datetime:
    """Microseconds since 1970 as an aware instant."""
    return _EPOCH + timedelta(microseconds=at_us)


def micros(at: datetime) -> int:
    """An aware instant as microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)
