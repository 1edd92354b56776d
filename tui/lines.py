"""Lines of styled text, and columns: what panels are made of before any widget draws them. Pure.

A span is text and the name of a style; widgets know what a style looks like in each theme.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec
from rich.cells import cell_len, set_cell_size

from tui.words import one_line

Span = tuple[str, str]
Line = list[Span]
T = TypeVar("T")

LETTERS = 8
"""Letters that a cell can hold, marks above and below included; of a longer text no more is looked at."""
STYLES = ("head", "dim", "strong", "good", "bad", "warn", "busy")


class Column(msgspec.Struct, frozen=True):
    """One column of a list."""

    title: str
    width: int
    """Cells; 0: whatever is left."""
    is_right: bool = False
    from_width: int = 0
    """Shown only where the list is at least so wide."""


def text(said: str, style: str = "") -> Line:
    """A line of one span."""
    return [(said, style)]


def fit(said: str, width: int, *, is_right: bool = False) -> str:
    """Exactly `width` cells, with an ellipsis where text was cut; no letter of it moves the cursor."""
    said = one_line(said[: LETTERS * max(1, width)])
    length = cell_len(said)
    if length > width:
        return set_cell_size(said, width - 1) + "…" if width > 1 else set_cell_size(said, width)
    return " " * (width - length) + said if is_right else said + " " * (width - length)


def widths(columns: Sequence[Column], width: int) -> list[int]:
    """Cells of each column, 0 for those that have no room; columns stand two cells apart."""
    shown = [column for column in columns if width >= column.from_width]
    fixed = sum(column.width for column in shown) + 2 * (len(shown) - 1)
    left = max(4, width - fixed)
    return [0 if column not in shown else column.width or left for column in columns]


def row(columns: Sequence[Column], cells: Sequence[Span], width: int) -> Line:
    """One row of a list."""
    line: Line = []
    for column, (said, style), cells_wide in zip(columns, cells, widths(columns, width), strict=True):
        if cells_wide:
            if line:
                line.append(("  ", ""))
            line.append((fit(said, cells_wide, is_right=column.is_right), style))
    return line


def header(columns: Sequence[Column], width: int) -> Line:
    """The titles of a list."""
    return row(columns, [(column.title, "head") for column in columns], width)


def wrap(said: str, width: int, style: str = "", *, indent: str = "") -> list[Line]:
    """Text in lines of at most `width` cells, at spaces where there are any; its own line breaks stay.

    No other letter of it moves the cursor.
    """
    lines: list[Line] = []
    room = max(8, width - cell_len(indent))
    for paragraph in said.split("\n"):
        said, begin = one_line(paragraph), 0
        while (end := _end(said, begin, room)) < len(said):
            lines.append([(indent, ""), (said[begin:end].rstrip(), style)])
            begin = end
            while begin < len(said) and said[begin] == " ":
                begin += 1
        lines.append([(indent, ""), (said[begin:], style)])
    return lines


def named(facts: Iterable[tuple[str, str]], width: int, *, room: int) -> list[Line]:
    """Names and their values, each value in as many lines as it takes; `room`: cells for a name."""
    lines: list[Line] = []
    for name, value in facts:
        (_, first), *rest = wrap(value, width, indent=" " * room)
        lines += [[(fit(name, room), "dim"), first], *rest]
    return lines


def plain(lines: Iterable[Line]) -> str:
    """The text without styles, for tests and for the clipboard."""
    return "\n".join("".join(said for said, _ in line).rstrip() for line in lines)


class Source(msgspec.Struct, frozen=True):
    """Lines that are made when they are seen: ten thousand runs cost no more than the forty on the screen."""

    count: int
    line: Callable[[int, int], Line]
    """(index, width) → the line."""
    key: Callable[[int], str] = lambda index: ""
    """What the cursor holds on to when lines are added; empty: nothing can be chosen."""
    header: Callable[[int], Line] | None = None
    empty: str = ""
    """What to say where there are no lines."""


def fixed(lines: Sequence[Line], *, empty: str = "") -> Source:
    """Lines that are there already, and cannot be chosen."""
    return Source(count=len(lines), line=lambda index, width: lines[index], empty=empty)


def listed(
    columns: Sequence[Column],
    items: Sequence[T],
    cells: Callable[[T], Sequence[Span]],
    key: Callable[[T], str],
    *,
    empty: str = "",
) -> Source:
    """A list with columns."""
    return Source(
        count=len(items),
        line=lambda index, width: row(columns, cells(items[index]), width),
        key=lambda index: key(items[index]),
        header=lambda width: header(columns, width),
        empty=empty,
    )


def _end(said: str, begin: int, room: int) -> int:
    """Where the line ends that begins there: at a space where there is one, at the end where the rest has room."""
    end = begin + len(_fitting(said[begin : begin + LETTERS * room], room))
    if end == len(said):
        return end
    space = said.rfind(" ", begin, end + 1)
    return space if space - begin > room // 2 else max(begin + 1, end)


def _fitting(said: str, room: int) -> str:
    """As much of it as has room."""
    if said[: room + 1].isascii():
        return said[:room]
    cells, cut = 0, 0
    for cut, letter in enumerate(said):  # noqa: B007  # the index behind the last letter that fits
        cells += cell_len(letter)
        if cells > room:
            break
    else:
        cut = len(said)
    while cell_len(said[:cut]) > room:  # some letters make the one in front of them wider
        cut -= 1
    return said[:cut]
