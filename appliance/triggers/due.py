"""When a schedule is due: lines of cron in their time zone, and intervals. Pure; all instants are microseconds of UTC.

Around a change of the clock cron means what Debian's does: a job at a fixed hour that the clock skips runs right behind
the gap, one that it repeats runs once; jobs of every hour run by the time that has passed.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from itertools import takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from runtime.domain.trigger import Schedule
from runtime.domain.units import milliseconds
from runtime.errors import Invalid

MOST_MISSED = 100
"""Times that are made up for at most."""
_LOOKS_BACK_DAYS = (0.05, 1, 31, 366, 36_600)
_WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}


def dues(schedule: Schedule, after_us: int) -> Iterator[int]:
    """The instants behind one at which it is due, in order; they may end. Raises Invalid for what is no schedule."""
    if schedule.every:
        step_us = milliseconds(schedule.every) * 1_000
        at_us = (after_us // step_us + 1) * step_us
        while True:
            yield at_us
            at_us += step_us
    for at in _cron(schedule.cron, datetime.fromtimestamp(after_us // 1_000_000, zone_of(schedule.timezone))):
        at_us = int(at.timestamp()) * 1_000_000
        if at_us > after_us:
            yield at_us


def next_due(schedule: Schedule, after_us: int) -> int | None:
    """The first of them; None: there is none. Raises Invalid."""
    return next(dues(schedule, after_us), None)


def missed(schedule: Schedule, after_us: int, until_us: int) -> list[int]:
    """The newest of those in between, `MOST_MISSED` at most, in order."""
    found: list[int] = []
    for days in _LOOKS_BACK_DAYS:  # a year of minutes is half a million, and of all but the last nobody wants to know
        from_us = max(after_us, until_us - round(days * 86_400_000_000))
        found = list(takewhile(lambda at_us: at_us <= until_us, dues(schedule, from_us)))[-MOST_MISSED:]
        if from_us == after_us or len(found) == MOST_MISSED:
            break
    return found


def chosen(schedule: Schedule, due: list[int], now_us: int, grace_us: int) -> list[int]:
    """Those of the due times that get a run, as `missed` says; one is missed that is older than the grace."""
    match schedule.missed:
        case "all":
            return due
        case "last":
            return due[-1:]
        case "skip":
            return [at_us for at_us in due if now_us - at_us <= grace_us][-1:]


def zone_of(name: str) -> tzinfo:
    """A time zone by its name of the IANA database. Raises Invalid."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid("trigger.zone", f"{name[:60]!r} is no time zone; name one such as Europe/Berlin or UTC") from None


def _cron(line: str, after: datetime) -> Iterator[datetime]:
    expression = _WORDS.get(line, line)
    try:
        if len(expression.split()) != 5:
            raise CronSimError("expected five fields: minute, hour, day of the month, month, day of the week")
        yield from CronSim(expression, after)
    except CronSimError as error:
        problem = str(error).replace("Bad", "wrong")
        raise Invalid("trigger.cron", f"{line[:60]!r} is no line of cron: {problem}") from None
