"""What reaches a terminal is aligned, fits, and cannot harm it."""

import pytest

from appliance.cli import units
from appliance.cli.terminal import clip, compact, printable, table, width
from runtime.domain.units import span


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The narrowest terminal that is promised to work."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("text", ["\x1b]0;title\x07", "\x1b[2J", "\r\x08gone", "\x9b31m", "\u202eflipped"])
def test_no_control_character_passes(text: str) -> None:
    """A customer's message could otherwise clear the operator's screen, or answer for them."""
    assert not set(printable(text)) & set(text[:1])


def test_a_table_fits_and_its_columns_line_up() -> None:
    """Wide characters take two columns."""
    drawn = table(("A", "B", "C"), [("x", "日本", "z" * 200), ("long name", "1", "end")], right=(1,))
    lines = drawn.splitlines()
    assert all(width(line) <= 80 for line in lines)
    assert width(lines[1].split("z")[0]) == width(lines[2].split("end")[0])
    assert lines[1].endswith("…")


@pytest.mark.parametrize(("text", "room", "clipped"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("日本語", 5, "日本…")])
def test_clip_counts_columns(text: str, room: int, clipped: str) -> None:
    """Not characters."""
    assert clipped == clip(text, room)


def test_json_is_shown_on_one_line() -> None:
    """Texts as they are, everything else as JSON."""
    assert ["a\ufffdb", '{"a": "ü"}'] == [compact("a\x00b"), compact({"a": "ü"})]


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (34.4, "34 ms"),
        (1_250, "1.25 s"),
        (12_340, "12.3 s"),
        (125_000, "2 min 05 s"),
        (7_260_000, "2 h 01 min"),
    ],
)
def test_durations(ms: float, text: str) -> None:
    """Three digits are enough to compare."""
    assert text == span(ms)


@pytest.mark.parametrize(
    ("usd", "text"), [(0, "$0"), (0.0042, "$0.0042"), (1.5, "$1.50"), (12, "$12.00"), (1e-6, "$0.000001")]
)
def test_money(usd: float, text: str) -> None:
    """Down to the micro-dollar that is counted."""
    assert text == units.money(usd)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (59, "59 s ago"), (119, "119 s ago"), (7_199, "119 min ago"), (86_400 * 3, "3 d ago")],
)
def test_how_long_ago(seconds: int, text: str) -> None:
    """In the largest unit of which there are two."""
    assert text == units.ago(0, seconds * 1_000_000)


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (98_362_432, "98.4 MB"), (3e12, "3.0 TB")])
def test_sizes(count: float, text: str) -> None:
    """In powers of a thousand, as disks are sold."""
    assert text == units.size(count)
