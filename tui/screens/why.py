"""Why a run failed, on one screen: from here every part of the answer is one key away."""

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType

from tui.lines import Line
from tui.panels.drawn import Lines
from tui.panels.runs import short
from tui.panels.why import named_in, screen_of, why_source
from tui.screens.views import Bar, Panel, ViewScreen
from tui.shapes import Why
from tui.words import sign


class WhyScreen(ViewScreen):
    """Asked once: what has failed does not change."""

    VIEWS: ClassVar[tuple[tuple[str, str], ...]] = (("why", "Why"),)
    HELP: ClassVar[str] = (
        "The first cause is where it began to go wrong, which need not be the last error: it is looked for back along "
        "the steps, in the runs of steps too. Under it stand what it led to, how often the same went wrong before, "
        "what was otherwise in the runs that succeeded, and what to do next. Enter follows what the cursor is on."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "travel", "Time travel", tooltip="the run where it began to go wrong"),
        Binding("s", "suppose", "What if", tooltip="suppose something else in front of the first cause, and run it"),
        Binding("v", "compare", "Compare", tooltip="side by side with the newest run that succeeded"),
        Binding("o", "open", "Open run", tooltip="the run in full"),
        Binding("y", "copy", "Copy command", show=False, tooltip="the same for a shell"),
    ]

    def __init__(self, why: Why) -> None:
        super().__init__()
        self._why = why

    def panels(self) -> Iterable[Panel]:
        """One text."""
        title = f"Why {short(self._why.run_id)} failed" if self._why.first else short(self._why.run_id)
        yield Panel("why", title, 1, Lines(id="text", classes="main"))

    def show_changes(self) -> None:
        """It is drawn for the width that there is."""
        why, text = self._why, self.query_one("#text", Lines)
        mark, style = sign(why.status)
        state: Line = [(f"{mark} {why.status}", style), (f"  {why.workflow}", "strong"), (f"  {why.run_id}", "dim")]
        self.query_one("#bar", Bar).say([(" Why  ", "strong"), *state])
        width = text.size.width - 1
        if width > 0 and self._drawn.get("text") != width:
            self._drawn["text"] = width
            source = why_source(why, width)
            text.show(source)
            text.choose_key(next((key for key in map(source.key, range(source.count)) if key[-1] != " "), ""))

    @on(Lines.Chosen, "#text")
    def _follow(self, event: Lines.Chosen) -> None:
        _, kind, *rest = event.key.split(" ", 2)
        told, app = rest[0] if rest else "", self.board_app
        if kind == "at":
            run, seq = told.split(" ")
            app.travel(run, int(seq))
        elif kind == "run":
            app.open_run(told)
        elif kind == "do":
            self._do(told)

    def _do(self, command: str) -> None:
        """A command of the list, by the screen that does the same; others are copied."""
        app, (runs, at) = self.board_app, named_in(command)
        match screen_of(command).removeprefix("Enter: "):
            case "time travel":
                app.travel(runs[0], at)
            case "what-if":
                app.suppose(runs[0], at)
            case "side by side":
                app.compare(runs[0], runs[1])
            case "answer":
                app.answer(runs[0])
            case "the list":
                app.to_list("runs", "waiting")
            case "costs":
                app.to_list("costs")
            case "agents and models":
                app.to_list("agents")
            case "its calls":
                app.to_list("calls", only=runs[0])
            case _:
                app.copy(f"af {command}")

    def action_travel(self) -> None:
        """Where it began."""
        first = self._why.first
        self.board_app.travel(
            first.run_id or self._why.run_id if first else self._why.run_id, first.seq if first else 0
        )

    def action_suppose(self) -> None:
        """In front of it."""
        first = self._why.first
        self.board_app.suppose(self._why.run_id, first.seq if first and first.run_id == self._why.run_id else 0)

    def action_compare(self) -> None:
        """With one that went well."""
        if self._why.beside:
            self.board_app.compare(self._why.beside[0], self._why.run_id)
        else:
            self.notify(f"No run of {self._why.workflow} has succeeded yet.", severity="warning")

    def action_open(self) -> None:
        """In full."""
        self.board_app.open_run(self._why.run_id)

    def action_copy(self) -> None:
        """The command."""
        self.board_app.copy(f"af runs why {self._why.run_id}")
