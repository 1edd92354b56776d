"""`af runs show --at`: runs as they were."""

from pathlib import Path

import pytest

from appliance.cli.history import point
from tests.appliance.cli.conftest import Af


@pytest.fixture
def broken(af: Af, desk: Path) -> str:
    """The id of a run that failed in its second step."""
    return str(af("run", desk, "--input", '{"message": "card broken"}', "--json").document["run_id"])


def test_a_run_is_shown_at_an_entry_with_what_it_changed(af: Af, broken: str) -> None:
    """In 80 columns, with the way to the points before and after."""
    said = af("runs", "show", broken, "--at", "3")
    assert 0 == said.code
    assert "entry 3 of 6" in said.out
    assert "steps.sort.status               running → succeeded" in said.out
    assert f"af runs show {broken} --at 2" in said.out
    assert f"af runs show {broken} --at 4" in said.out
    assert max(len(line) for line in said.out.splitlines()) <= 80


def test_the_last_point_is_the_run_as_it_is(af: Af, broken: str) -> None:
    """The same document, so that tools need know one."""
    assert (
        af("runs", "show", broken, "--json").document
        == af("runs", "show", broken, "--at", "6", "--json").document["run"]
    )


def test_a_time_is_a_point_too(af: Af, broken: str) -> None:
    """As an instant, and as the local time that a log shows."""
    at = str(af("runs", "show", broken, "--at", "5", "--json").document["entry"]["at"])  # type: ignore[index]
    assert {"5", "6"} >= {str(af("runs", "show", broken, "--at", at, "--json").document["seq"])}
    assert 6 == af("runs", "show", broken, "--at", "23:59:59.999", "--json").document["seq"]


def test_a_point_that_the_run_has_not_is_bad_input(af: Af, broken: str) -> None:
    """Exit code 2, and what there is."""
    said = af("runs", "show", broken, "--at", "7")
    assert (2, True) == (said.code, "has the entries 1 to 6" in said.err)


def test_local_times_get_the_day_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody types a date for what happened today."""
    noon_us = 1_769_860_800_000_000
    assert "7" == point("7", noon_us)
    assert point("14:03", noon_us).startswith("2026-01-31T14:03:59.999999")
    assert point("2026-01-30", noon_us).startswith("2026-01-30T23:59:59.999999")
    assert point("2026-01-30T14", noon_us).startswith("2026-01-30T14:59:59.999999")
    assert point("2026-01-30 14:03:12", noon_us).startswith("2026-01-30T14:03:12")
    assert "2026-01-31T14:03:12.999999+00:00" == point("2026-01-31T14:03:12Z", noon_us)
    assert "2026-01-31T14:03:12.377999+00:00" == point("2026-01-31T14:03:12.377Z", noon_us)
    assert "2026-01-31T14:03:12.377123+00:00" == point("2026-01-31T14:03:12.377123Z", noon_us)


def test_a_time_as_a_screen_shows_it_is_the_entry_that_it_stands_at(af: Af, broken: str) -> None:
    """Screens cut times off, and entries have microseconds."""
    line = next(line for line in af("logs", broken).out.splitlines() if "step.failed" in line)
    assert "5" == line.split()[1]
    assert 5 <= int(str(af("runs", "show", broken, "--at", line.split()[0], "--json").document["seq"]))


def test_what_is_no_point_is_told_with_what_is_one(af: Af, broken: str) -> None:
    """In the words of this command: times are local here."""
    said = af("runs", "show", broken, "--at", "yesterday")
    assert (2, True) == (said.code, "a local time, such as 14:03:12.5" in said.err)
