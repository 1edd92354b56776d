"""The list of runs."""

from collections.abc import Mapping, Sequence

from tui.board import Board, Filter, Run
from tui.lines import Column, Line, Source, Span, listed
from tui.words import age, count, sign

COLUMNS = (
    Column("state", 11),
    Column("workflow", 14),
    Column("doing", 0),
    Column("tokens", 7, is_right=True, from_width=96),
    Column("entries", 7, is_right=True, from_width=80),
    Column("age", 5, is_right=True),
    Column("run", 11, from_width=70),
)
WORDS_FROM = 72
EMPTY = "No run yet. Press c to chat with a workflow, or start one:  af run WORKFLOW --input JSON"


def runs_source(runs: Sequence[Run], now_us: int, *, is_filtered: bool, marked: Sequence[str] = ()) -> Source:
    """The list; runs that are marked have a letter."""
    letters = dict(zip(marked, "AB", strict=False))
    empty = "No run is like that. Esc clears the search, f changes the filter." if is_filtered else EMPTY
    return listed(COLUMNS, runs, lambda run: _cells(run, now_us, letters), lambda run: run.run, empty=empty)


def summary(
    board: Board, shown: int, chosen: Filter, search: str, *, marked: Sequence[str] = (), width: int = 80
) -> Line:
    """`12 of 10,000 · open · "card"`, and how many there are of each state, in words where there is room."""
    if marked:
        return _marked(marked)
    known = board.what_ifs if chosen == "what-if" else len(board) - board.what_ifs
    line: Line = [(f"{shown:,}", "strong"), (f" of {known:,} runs", "")]
    if chosen != "all":
        line.append((f" · {chosen}", "warn"))
    if search:
        line.append((f" · {search!r}", "warn"))
    for status in ("running", "waiting", "failed", "succeeded", "cancelled"):
        if number := board.counts.get(status, 0):
            mark, style = sign(status)
            word = f" {status}" if width >= WORDS_FROM or status in ("waiting", "failed") else ""
            line += [("  ", ""), (f"{mark} {number:,}{word}", style)]
    return line


def _marked(marked: Sequence[str]) -> Line:
    """What is marked to be compared, and what to do next."""
    line: Line = []
    for letter, run in zip("AB", marked, strict=False):
        line += [(f"[{letter}] ", "warn"), (short(run), "strong"), ("  ", "")]
    other = "" if len(marked) > 1 else " with the run that the cursor is on"
    return [*line, (f"v compares{other}, m marks, Esc forgets", "dim")]


def short(run: str) -> str:
    """The end of a run's id: ids of one second begin alike."""
    return f"…{run[-10:]}" if len(run) > 11 else run


def _cells(run: Run, now_us: int, letters: Mapping[str, str]) -> Sequence[Span]:
    mark, style = sign(run.status)
    where = f"{run.doing}  {run.error}" if run.error else run.doing
    return (
        (f"{mark} {run.status}", style),
        (f"[{letters[run.run]}] {run.workflow}", "warn") if run.run in letters else (run.workflow, "strong"),
        (where, "bad" if run.error else ""),
        (count(run.tokens) if run.tokens else "", "dim"),
        (str(run.entries), "dim"),
        (age(run.updated_us, now_us), "dim"),
        (short(run.run), "dim"),
    )
