"""Lines, words and the list of runs, without any widget."""

from collections.abc import Sequence

import pytest
from rich.cells import cell_len

from tui import words
from tui.board import Board
from tui.journal import MOST, compact
from tui.lines import Column, fit, header, listed, plain, row, widths, wrap
from tui.panels import agents, costs, runs, tool_calls, waiting
from tui.panels.runs import runs_source, short, summary
from tui.screens.asking import waiting_lines
from tui.shapes import RunLine, Told

AT = "2026-01-31T12:00:{:02}.000000Z"


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [("abc", 5, "abc  "), ("abcdef", 5, "abcd…"), ("日本語", 5, "日本…"), ("日本語", 6, "日本語"), ("ab", 1, "a")],
)
def test_text_takes_exactly_its_cells(text: str, width: int, expected: str) -> None:
    """One cell too many shifts every column behind it; a Chinese letter is two."""
    assert (expected, width) == (fit(text, width), cell_len(fit(text, width)))
    assert width == cell_len(fit(text, width, is_right=True))


def test_columns_without_room_are_left_out() -> None:
    """In 80 columns the least telling go first, and the open one gets what is left."""
    columns = (Column("a", 5), Column("b", 0), Column("c", 6, from_width=60))
    assert [5, 33, 0] == widths(columns, 40)
    assert [5, 49, 6] == widths(columns, 64)
    assert "a      b" == plain([header(columns, 40)])
    assert 40 == cell_len("".join(text for text, _ in row(columns, [("x", ""), ("y", ""), ("z", "")], 40)))


@pytest.mark.parametrize(
    "columns",
    [agents.COLUMNS, agents.SERVER, runs.COLUMNS, tool_calls.COLUMNS, waiting.COLUMNS, costs.MODELS],
)
def test_names_can_be_read_in_a_panel_of_any_width(columns: Sequence[Column]) -> None:
    """Three panels stand side by side from 140 columns on, and a panel alone has what a terminal has."""
    for width in range(42, 200):
        found = [cells for cells in widths(columns, width) if cells]
        assert sum(found) + 2 * (len(found) - 1) <= width, width
        assert 4 < found[next(index for index, column in enumerate(columns) if not column.width)], width


def test_text_is_wrapped_at_spaces_and_never_lost() -> None:
    """What an agent said is read to its end."""
    text = "one two three four five\n\nsix " + "x" * 30
    lines = [plain([line]) for line in wrap(text, 12)]
    assert all(cell_len(line) <= 12 for line in lines)
    assert text.replace(" ", "").replace("\n", "") == "".join(lines).replace(" ", "")
    assert "" in lines


def test_signs_of_several_letters_are_counted_as_they_are_drawn() -> None:
    """A letter can make the one in front of it two cells wide: lines that are too long break the frame."""
    text = "☎\ufe0f" * 20 + " e\u0301" * 20 + "👩🏽" * 20
    lines = [plain([line]) for line in wrap(text, 12)]
    assert max(map(cell_len, lines)) <= 12
    assert text.replace(" ", "") == "".join(lines).replace(" ", "")


def test_a_long_text_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer of half a million letters held every screen for minutes; in a column only what is seen counts."""
    looked = 0

    def counted(said: str) -> int:
        nonlocal looked
        looked += len(said)
        return cell_len(said)

    monkeypatch.setattr("tui.lines.cell_len", counted)
    text = "世界 and words " * 2_000
    assert len(wrap(text, 60)) == 500
    assert looked < 4 * len(text)
    looked = 0
    fit(text, 60)
    assert looked < 1_000
    assert len(compact({"answer": text})) == MOST


def test_a_list_makes_only_the_lines_that_are_asked_for() -> None:
    """Ten thousand runs cost no more than the forty on the screen."""
    made: list[int] = []

    def cells(item: int) -> list[tuple[str, str]]:
        made.append(item)
        return [(str(item), "")]

    source = listed((Column("n", 0),), range(10_000), cells, str)
    source.line(9_999, 40)
    assert ([9_999], 10_000, "9999") == (made, source.count, source.key(9_999))


@pytest.mark.parametrize(
    ("ms", "expected"),
    [(0, "0 ms"), (999, "999 ms"), (1_500, "1.5 s"), (61_000, "1m01s"), (3_700_000, "1h01m"), (90_000_000, "1d01h")],
)
def test_durations_are_short(ms: float, expected: str) -> None:
    """Six characters fit in every list."""
    assert expected == words.span(ms)


def test_numbers_are_short_and_honest() -> None:
    """Money is never rounded to nothing."""
    assert ("9,999", "12.3k", "4.5M") == (words.count(9_999), words.count(12_345), words.count(4_500_000))
    assert ("$0", "$0.000042", "$1.25") == (words.dollars(0), words.dollars(0.000042), words.dollars(1.25))
    assert ("812 B", "12.3 kB") == (words.size(812), words.size(12_300))
    assert ("·▄█", "··") == (words.sparkline([0, 1, 2], 5), words.sparkline([0, 0], 5))
    assert "█████░░░░░" == words.meter(0.5, 10)
    assert "a  b" == words.one_line("a\x1b\nb")
    assert ("5m", "now") == (words.age(0, 300_000_000), words.age(5, 5))


def test_no_two_states_share_sign_and_style_with_another_meaning() -> None:
    """Without colours, succeeded and failed must still look different."""
    signs = {state: words.sign(state)[0] for state in ("running", "waiting", "succeeded", "failed", "cancelled")}
    assert len(signs) == len(set(signs.values()))


def _line(number: int, status: str = "succeeded", entries: int = 4) -> RunLine:
    return RunLine(f"r-{number:03}", "echo", "sha256:1", status, AT.format(number), AT.format(number), entries)


def _told(type: str, run: str, seq: int, **data: object) -> Told:
    return Told(at=AT.format(30), data=data, run=run, seq=seq, type=type)


def test_entries_change_runs_and_new_ones_come_first() -> None:
    """What the list said is the beginning, and the stream goes on from there."""
    board = Board()
    board.load([_line(2, "running", 2), _line(1)])
    board.take(_told("run.started", "r-003", 1, workflow="ask", definition="sha256:2"))
    board.take(_told("signal.awaited", "r-003", 2, step="person", signal="resolved"))
    board.take(_told("step.failed", "r-002", 3, step="say", error={"code": "step.timeout"}, usage={"input_tokens": 7}))
    board.take(_told("run.finished", "r-002", 4, status="failed", error={"code": "step.timeout"}))
    assert ["r-003", "r-002", "r-001"] == [run.run for run in board.listed()]
    new, failed, _ = board.listed()
    assert ("waiting", "person: resolved", "ask") == (new.status, new.doing, new.workflow)
    assert ("failed", "say", "step.timeout", 7) == (failed.status, failed.doing, failed.error, failed.tokens)
    assert {"waiting": 1, "failed": 1, "succeeded": 1, "running": 0} == board.counts


def test_an_entry_that_the_list_has_told_of_changes_nothing() -> None:
    """The list and the stream overlap where they meet."""
    board = Board()
    board.load([_line(1, "succeeded", 4)])
    board.take(_told("step.scheduled", "r-001", 2, step="say"))
    assert ("succeeded", 4) == (board.listed()[0].status, board.listed()[0].entries)
    board.load([_line(1, "succeeded", 4)])
    assert 1 == len(board)


@pytest.mark.parametrize(
    ("chosen", "search", "expected"),
    [
        ("all", "", ["r-003", "r-002", "r-001"]),
        ("open", "", ["r-003"]),
        ("failed", "", ["r-002"]),
        ("all", "ECHO r-001", ["r-001"]),
        ("failed", "r-001", []),
    ],
)
def test_filter_and_search_take_what_they_say(chosen: str, search: str, expected: list[str]) -> None:
    """Every word must be there, in any letters."""
    board = Board()
    board.load([_line(3, "running"), _line(2, "failed"), _line(1)])
    assert expected == [run.run for run in board.listed(chosen, search)]  # type: ignore[arg-type]


def test_the_list_says_how_many_there_are_and_what_to_do_when_there_are_none() -> None:
    """An empty list that says nothing looks broken."""
    board = Board()
    assert "af run WORKFLOW" in runs_source(board.listed(), 0, is_filtered=False).empty
    assert "Esc" in runs_source([], 0, is_filtered=True).empty
    board.load([_line(2, "failed"), _line(1)])
    said = plain([summary(board, 1, "failed", "x")])
    assert "1 of 2 runs · failed · 'x'  ✗ 1 failed  ✓ 1 succeeded" == said
    assert "…5678901234" == short("r-012345678901234")


def test_the_rate_is_of_the_last_ten_seconds() -> None:
    """A number that never falls again says nothing."""
    board = Board()
    for seq in range(1, 21):
        board.take(_told("step.scheduled", "r-001", seq, step="say"))
    now_us = words.micros(AT.format(31))
    assert (2.0, 0.0) == (board.rate(now_us), board.rate(now_us + 60_000_000))


def test_whoever_is_asked_sees_what_is_to_be_judged() -> None:
    """A run that waits for an approval has something to be approved; a long text says where all of it is."""
    told = plain(waiting_lines("letters", "r-1", "approval", "amount > 100", "Dear Ada,\nwe are sorry."))
    assert "waits for approval" in told
    assert "because amount > 100" in told
    assert "the answer so far\n  Dear Ada,\n  we are sorry." in told
    lines = waiting_lines("letters", "r-1", "approval", "", "a\n" * 20)
    assert len(lines) <= 24 - 12, "the box is no higher than the smallest screen has room for"
    assert "15 more lines" in plain(lines)
    assert "because" not in plain(lines)
