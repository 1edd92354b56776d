"""When schedules are due, across changes of the clock and long absences."""

from datetime import UTC, datetime
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.triggers.due import MOST_MISSED, chosen, dues, missed, next_due
from runtime.domain.trigger import Schedule
from runtime.errors import Invalid

MINUTE_US = 60_000_000
BERLIN = "Europe/Berlin"


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e6)


def text(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M")


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        # the clock goes from 02:00 to 03:00: what was to run at 02:30 runs at once, and the next day as ever
        (Schedule(cron="30 2 * * *", timezone=BERLIN), "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        # it goes from 03:00 back to 02:00: 02:30 is there twice, and counts once
        (Schedule(cron="30 2 * * *", timezone=BERLIN), "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        # every hour is every hour, whatever the clock shows
        (Schedule(cron="0 * * * *", timezone=BERLIN), "2026-10-24T23:30", ["2026-10-25T00:00", "2026-10-25T01:00"]),
        (Schedule(cron="0 7 * * 1-5"), "2026-11-27T08:00", ["2026-11-30T07:00", "2026-12-01T07:00"]),
        (Schedule(cron="0 0 29 2 *"), "2026-01-01T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        (Schedule(cron="@monthly"), "2026-01-31T00:00", ["2026-02-01T00:00", "2026-03-01T00:00"]),
        (Schedule(every="15m"), "2026-01-01T00:07", ["2026-01-01T00:15", "2026-01-01T00:30"]),
        (Schedule(every="15m"), "2026-01-01T00:15", ["2026-01-01T00:30", "2026-01-01T00:45"]),
    ],
)
def test_the_next_times_are_those(schedule: Schedule, after: str, expected: list[str]) -> None:
    assert expected == [text(at_us) for at_us in islice(dues(schedule, us(after)), 2)]


@pytest.mark.parametrize(
    ("schedule", "code"),
    [
        (Schedule(cron="61 * * * *"), "trigger.cron"),
        (Schedule(cron="* * * *"), "trigger.cron"),
        (Schedule(cron="0 0 31 2 *"), "trigger.cron"),
        (Schedule(cron="0 0 * * * *"), "trigger.cron"),
        (Schedule(cron="0 0 * * *", timezone="Europe/Nowhere"), "trigger.zone"),
        (Schedule(cron="0 0 * * *", timezone="../etc/passwd"), "trigger.zone"),
    ],
)
def test_what_is_no_schedule_is_named(schedule: Schedule, code: str) -> None:
    with pytest.raises(Invalid) as found:
        next_due(schedule, us("2026-01-01T00:00"))
    assert code == found.value.code


@given(
    st.sampled_from(["*/7 * * * *", "0 3 * * *", "30 2 * * 0", "0 0 1 * *", "15,45 */3 * * *"]),
    st.integers(1_600_000_000_000_000, 1_900_000_000_000_000),
    st.integers(0, 40 * 86_400_000_000),
)
def test_what_was_missed_are_the_newest_of_all_times_in_between(cron: str, after_us: int, long_us: int) -> None:
    """Whatever the shortcut through a long absence."""
    schedule, until_us = Schedule(cron=cron, timezone=BERLIN), after_us + long_us
    every = []
    for at_us in dues(schedule, after_us):
        if at_us > until_us:
            break
        every.append(at_us)
    assert every[-MOST_MISSED:] == missed(schedule, after_us, until_us)


def test_a_long_absence_has_its_last_time_right() -> None:
    until_us = us("2026-01-01T00:00")
    assert until_us == missed(Schedule(cron="* * * * *"), us("2006-01-01T00:00"), until_us)[-1]
    assert 20 == len(missed(Schedule(cron="@yearly"), us("2006-01-01T00:00"), until_us))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("all", [1, 2, 3]), ("last", [3]), ("skip", [3])],
)
def test_missed_times_are_made_up_for_as_declared(rule: str, expected: list[int]) -> None:
    due = [minute * MINUTE_US for minute in (1, 2, 3)]
    schedule = Schedule(every="1m", missed=rule)  # type: ignore[arg-type]  # one of its words
    assert [minute * MINUTE_US for minute in expected] == chosen(schedule, due, 3 * MINUTE_US + 5, MINUTE_US)


def test_a_time_that_is_long_past_can_be_left_out() -> None:
    assert [] == chosen(Schedule(every="1m", missed="skip"), [MINUTE_US], 10 * MINUTE_US, MINUTE_US)
