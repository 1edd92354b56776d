"""A slider over the entries of a journal."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive

from runtime.domain.command import FinishRun
from runtime.domain.event import SignalReceived, StepFailed
from runtime.domain.journal import Entry
from tui.lines import Line, fixed
from tui.panels.drawn import Lines


def track(entries: Sequence[Entry], seq: int, width: int) -> Line:
    """`├──✗────●────────⚑`: failures and signals are marked where they stand, and where one is now."""
    cells = ["─"] * width
    last = max(1, len(entries) - 1)
    for index, entry in enumerate(entries):
        mark = _mark(entry)
        if mark:
            cells[index * (width - 1) // last] = mark
    here = max(0, seq - 1) * (width - 1) // last
    line: Line = []
    for place, cell in enumerate(cells):
        if place == here:
            line.append(("●", "strong"))
        else:
            line.append((cell, {"✗": "bad", "◆": "warn", "⚑": "busy"}.get(cell, "dim")))
    return line


def _mark(entry: Entry) -> str:
    match entry.body:
        case StepFailed():
            return "✗"
        case SignalReceived():
            return "◆"
        case FinishRun():
            return "⚑"
        case _:
            return ""


class Slider(Lines):
    """Left and right move it; a click jumps."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "by(-1)", "Back one", show=False),
        Binding("right,l", "by(1)", "On one", show=False),
        Binding("up,pageup", "by(-10)", "Back ten", show=False),
        Binding("down,pagedown", "by(10)", "On ten", show=False),
        Binding("home,g", "to_end(0)", "First", show=False),
        Binding("end,G", "to_end(1)", "Last", show=False),
    ]
    seq: reactive[int] = reactive(0)

    class At(Message):
        """The slider is at an entry."""

        def __init__(self, seq: int) -> None:
            super().__init__()
            self.seq = seq

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, has_cursor=False)
        self._entries: Sequence[Entry] = ()
        self._asked = 0

    def over(self, entries: Sequence[Entry]) -> None:
        """Slide over these; at the last one it stays at the last one."""
        was_last = self.seq >= len(self._entries)
        self._entries = entries
        if self._asked:
            self.ask(self._asked)
        elif was_last:
            self.seq = len(entries)
        self._draw()

    def ask(self, seq: int) -> None:
        """To an entry, once it is there."""
        self._asked = seq if seq > len(self._entries) else 0
        self.go_to(seq)

    def watch_seq(self) -> None:
        """Draw it, and tell."""
        self._draw()
        self.post_message(self.At(self.seq))

    def on_resize(self) -> None:
        """As long as the widget."""
        super().on_resize()
        self._draw()

    def on_click(self, event: events.Click) -> None:
        """To the entry that was clicked."""
        if self._entries and self.size.width > 1:
            self.go_to(1 + round(event.x * (len(self._entries) - 1) / (self.size.width - 1)))

    def go_to(self, seq: int) -> None:
        """To an entry, or the nearest there is."""
        self.seq = min(len(self._entries), max(1, seq)) if self._entries else 0

    def action_by(self, steps: int) -> None:
        """So many entries on, or back."""
        self.go_to(self.seq + steps)

    def action_to_end(self, last: int) -> None:
        """To the first or the last entry."""
        self.go_to(len(self._entries) if last else 1)

    def _draw(self) -> None:
        if self.size.width > 1 and self._entries:
            self.show(fixed([track(self._entries, self.seq, self.size.width)]))
