"""What goes to the terminal: results on stdout, everything else on stderr.

With `--json` stdout carries JSON and nothing else: one document, or one value a line. Text that comes from users,
models or files is made harmless first: no control character of theirs reaches the terminal.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator

import click
import msgspec

WIDTH = 80
_HARMLESS = {"\n", "\t"}


class Terminal:
    """How this invocation speaks."""

    def __init__(self) -> None:
        self.is_json = False
        self.is_quiet = False
        self.is_verbose = False
        self.has_color: bool | None = None
        """None: where the stream is a terminal and NO_COLOR is not set."""
        self._drawn = 0
        """Columns of the status line that is on the screen now."""

    def say(self, text: str = "") -> None:
        """Write a line for people to stdout; nothing with `--json`."""
        if not self.is_json:
            self.erase()
            click.echo(text, color=self._color())

    def note(self, text: str) -> None:
        """Write a line to stderr, unless `--quiet`."""
        if not self.is_quiet:
            self.complain(text)

    def complain(self, text: str) -> None:
        """Write a line to stderr whatever was asked for."""
        self.erase()
        click.echo(text, err=True, color=self._color())

    def document(self, value: object) -> None:
        """Write one JSON document to stdout; nothing without `--json`. Indented when a person looks at it."""
        if self.is_json:
            encoded = msgspec.json.encode(value)
            click.echo(msgspec.json.format(encoded, indent=2) if sys.stdout.isatty() else encoded)

    def line(self, value: object) -> None:
        """Write one value as a line of JSON to stdout, whether or not `--json` was asked for."""
        self.raw_line(msgspec.json.encode(value))

    def raw_line(self, encoded: bytes) -> None:
        """Write a line that is JSON already."""
        self.erase()
        click.echo(encoded)
        sys.stdout.flush()

    def draw(self, text: str) -> None:
        """Draw the status line: one line on stderr that the next text takes the place of. Only on a terminal."""
        if self.shows_progress:
            shown = clip(text, columns() - 1)
            click.echo("\r" + shown + " " * (self._drawn - width(shown)), err=True, nl=False)
            sys.stderr.flush()
            self._drawn = width(shown)

    def erase(self) -> None:
        """Take the status line away."""
        if self._drawn:
            click.echo("\r" + " " * self._drawn + "\r", err=True, nl=False)
            sys.stderr.flush()
            self._drawn = 0

    @property
    def shows_progress(self) -> bool:
        """Whether a line on stderr can be drawn over and over."""
        return not self.is_quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def _color(self) -> bool | None:
        if self.has_color is None and (os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"):
            return False
        return self.has_color


class StatusLine:
    """The status line while something lasts."""

    def __init__(self, terminal: Terminal) -> None:
        self.show = terminal.draw
        self.clear = terminal.erase

    def __enter__(self) -> "StatusLine":
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()


def columns() -> int:
    """Columns of the terminal; 80 where there is none."""
    import shutil  # 5 ms that `af --help` need not pay

    return max(40, min(120, shutil.get_terminal_size((WIDTH, 24)).columns))


def printable(text: object) -> str:
    """The text without control characters, so that it can neither colour, move nor answer the terminal."""
    return "".join(
        char if char in _HARMLESS or char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text)
    )


def compact(value: object) -> str:
    """A JSON value on one line, for people."""
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def width(text: str) -> int:
    """Columns that a text takes, styles not counted."""
    import unicodedata

    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in click.unstyle(text)
    )


def clip(text: str, room: int) -> str:
    """The text on one line, cut with `…` to at most `room` columns."""
    line = " ".join(text.split("\n"))
    if width(line) <= room:
        return line
    kept = click.unstyle(line)
    while width(kept) > max(0, room - 1):
        kept = kept[: -max(1, (width(kept) - room) // 2)]
    return kept.rstrip() + "…"


def table(header: Iterable[str], rows: Iterable[Iterable[str]], *, right: Iterable[int] = (), indent: int = 0) -> str:
    """Aligned columns; those of `right` flush right; the last one is cut to the terminal's width."""
    heads = list(header)
    lines = [heads, *(list(row) for row in rows)]
    widths = [max(width(line[column]) for line in lines) for column in range(len(heads))]
    flush_right = set(right)
    room = columns() - indent
    drawn = []
    for number, line in enumerate(lines):
        cells = [_pad(cell, widths[i], i in flush_right) for i, cell in enumerate(line)]
        taken = sum(width(cell) + 2 for cell in cells[:-1])
        last = cells[-1] if width(cells[-1]) <= room - taken else clip(line[-1], max(8, room - taken))
        text = ("  ".join([*cells[:-1], last])).rstrip()
        drawn.append(" " * indent + (click.style(text, dim=True) if number == 0 else text))
    return "\n".join(drawn)


def paragraphs(text: str, *, indent: int = 2) -> str:
    """Text wrapped to the terminal's width, its own line breaks kept."""
    import textwrap

    room = columns() - 2 * indent
    margin = " " * indent
    lines = [textwrap.wrap(line, room, break_on_hyphens=False) or [""] for line in printable(text).split("\n")]
    narrow = [part for wrapped in lines for line in wrapped for part in _folded(line, room)]
    return "\n".join(f"{margin}{line}".rstrip() for line in narrow)


def _folded(line: str, room: int) -> Iterator[str]:
    """A line in pieces that fit: its characters may take two columns each."""
    while width(line) > room:
        kept = max(1, next(at for at in range(len(line), 0, -1) if width(line[:at]) <= room))
        yield line[:kept]
        line = line[kept:]
    yield line


def hanging(text: str, *, indent: int) -> str:
    """Text wrapped to the terminal's width; lines behind the first begin further in."""
    import textwrap

    return textwrap.fill(printable(text), columns(), subsequent_indent=" " * indent, break_on_hyphens=False)


def _pad(cell: str, to: int, is_right: bool) -> str:
    space = " " * (to - width(cell))
    return space + cell if is_right else cell + space
