"""Questions to the person: one line of text, or one of a list."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from runtime.domain.canonical import Json, parse
from runtime.errors import Invalid
from tui.framed import Framed
from tui.lines import Column, Line, fixed, listed, wrap
from tui.panels.drawn import Lines

BOX_WIDTH = 71
"""Cells of what is shown in full, on a screen of 80, its scroll bar left out."""
TOLD_WIDTH = 60
TOLD_LINES = 6
"""Of what was answered so far; the box fits a screen of 24 lines."""


class Asked(ModalScreen[str | None]):
    """Asks for a line of text; None when the person thinks better of it."""

    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back")]

    def __init__(
        self,
        title: str,
        lines: Sequence[Line],
        *,
        hint: str,
        button: str,
        may_be_empty: bool = False,
        value: str = "",
    ) -> None:
        """`value`: what stands in the line already."""
        super().__init__()
        self._value = value
        self._title, self._lines = title, lines
        self._hint, self._button, self._may_be_empty = hint, button, may_be_empty

    def compose(self) -> ComposeResult:
        """What it is about, the line, two buttons."""
        with Framed(classes="box ask") as box:
            box.border_title = self._title
            text = Lines(fixed(list(self._lines)), has_cursor=False, classes="about")
            text.can_focus = False
            text.styles.height = min(len(self._lines), max(1, self.app.size.height - 12))
            yield text
            yield Input(self._value, placeholder=self._hint)
            with Horizontal(classes="buttons"):
                yield Button(f"{self._button}  ⏎", id="yes", variant="primary")
                yield Button("Back  Esc", id="no")

    @on(Input.Submitted)
    @on(Button.Pressed, "#yes")
    def send(self) -> None:
        """Enter, or the button."""
        said = self.query_one(Input).value.strip()
        if said or self._may_be_empty:
            self.dismiss(said)

    @on(Button.Pressed, "#no")
    def action_leave(self) -> None:
        """Nothing was decided."""
        self.dismiss(None)


class Picked(ModalScreen[str | None]):
    """Asks for one of a list."""

    AUTO_FOCUS = ".main"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back")]

    def __init__(self, title: str, names: Sequence[str], *, empty: str, lines: Sequence[Line] = ()) -> None:
        """`lines`: what it is about."""
        super().__init__()
        self._title, self._names, self._empty, self._lines = title, names, empty, lines

    def compose(self) -> ComposeResult:
        """What it is about, and the list."""
        with Framed(classes="box task" if self._lines else "box pick") as box:
            if self._lines:
                text = Lines(fixed(list(self._lines)), has_cursor=False, classes="about")
                text.can_focus = False
                text.styles.height = min(len(self._lines), max(1, self.app.size.height - 10))
                yield text
            box.border_title = self._title
            box.border_subtitle = "Enter chooses · Esc back"
            column = (Column("", 0),)
            names = listed(column, self._names, lambda name: ((name, ""),), str, empty=self._empty)
            yield Lines(names, classes="main")

    @on(Lines.Chosen)
    def choose(self, event: Lines.Chosen) -> None:
        """Enter, or a second click."""
        self.dismiss(event.key)

    def action_leave(self) -> None:
        """None of them."""
        self.dismiss(None)


class Shown(ModalScreen[None]):
    """Shows something in full."""

    AUTO_FOCUS = ".main"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q", "dismiss", "Close")]

    def __init__(self, title: str, lines: Sequence[Line]) -> None:
        super().__init__()
        self._title, self._lines = title, lines

    def compose(self) -> ComposeResult:
        """A box of text that scrolls."""
        with Framed(classes="box") as box:
            box.border_title = self._title
            box.border_subtitle = "Esc closes"
            yield Lines(fixed(list(self._lines)), classes="main", has_cursor=False)


def waiting_lines(workflow: str, run: str, signal: str, why: str, said: str) -> list[Line]:
    """What a person is asked: which run waits, for what, why, and what was answered so far, which is to be judged."""
    lines: list[Line] = [
        [(workflow, "strong"), (f"  {run}", "dim")],
        [("waits for ", ""), (signal, "strong")],
    ]
    lines += wrap(f"because {why}", TOLD_WIDTH, "dim") if why else []
    told = wrap(said, TOLD_WIDTH, indent="  ") if said else []
    if told:
        lines += [[("the answer so far", "dim")], *told[:TOLD_LINES]]
    if len(told) > TOLD_LINES:
        lines.append([(f"  … {len(told) - TOLD_LINES} more lines: Esc, then Enter shows the run", "dim")])
    return lines


def given(said: str) -> Json:
    """What a person typed: JSON where it is some, else text. Raises Invalid for what begins as JSON and is none."""
    if said[:1] in "{[":
        try:
            return parse(said.encode())
        except Invalid as error:
            raise Invalid("tui.bad_json", f"this begins like JSON and is none: {error.message}") from None
    return said
