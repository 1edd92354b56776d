"""One run in full: steps, the detail of one, the journal, timeline and plan."""

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget

from tui.lines import Line, fixed
from tui.link import Watch
from tui.panels.drawn import Lines
from tui.panels.plan_tree import plan_lines
from tui.panels.run import entry_lines, head_lines, journal_source, step_lines, steps_source
from tui.panels.timeline import bars_of, timeline
from tui.screens.views import Bar, Panel, ViewScreen


class RunScreen(ViewScreen):
    """Opened from a list; follows the run while it is looked at."""

    VIEWS: ClassVar[tuple[tuple[str, str], ...]] = (
        ("steps", "Steps"),
        ("detail", "Detail"),
        ("journal", "Journal"),
        ("timeline", "Timeline"),
        ("plan", "Plan"),
    )
    HELP: ClassVar[str] = (
        "One run, live until it ends. Steps are in the order in which they began; Detail is the step, or the entry of "
        "the journal, that the cursor is on; with neither, what the run was given and has answered."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "travel", "Time travel", tooltip="the run at any point of its journal"),
        Binding("w", "why", "Why", tooltip="why the run failed"),
        Binding("s", "suppose", "What if", tooltip="suppose something else of it, and run it"),
        Binding("a", "answer", "Answer", tooltip="answer what the run waits for"),
        Binding("x", "cancel", "Cancel", show=False, tooltip="stop the run"),
        Binding("i", "whole", "Input", tooltip="what the run was given and has answered"),
        Binding("y", "copy", "Copy id", show=False, tooltip="copy the run's id"),
    ]

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.followed = watch
        self._detail: tuple[str, str] = ("step", "")

    def heads(self) -> Iterable[Widget]:
        """What the run is."""
        head = Lines(id="head", has_cursor=False)
        head.can_focus = False
        yield head

    def panels(self) -> Iterable[Panel]:
        """In the order of their numbers."""
        yield Panel("steps", "Steps", 1, Lines(id="steps", classes="main"))
        yield Panel("detail", "Detail", 2, Lines(id="detail", classes="main", has_cursor=False))
        yield Panel("journal", "Journal", 3, Lines(id="journal", classes="main"))
        yield Panel("timeline", "Timeline", 4, Lines(id="timeline", classes="main", has_cursor=False))
        yield Panel("plan", "Plan", 5, Lines(id="plan", classes="main", has_cursor=False))

    def show_changes(self) -> None:
        """Show what has changed; a run that goes on changes all the time."""
        app, watch, state = self.board_app, self.followed, self.followed.log.state
        now_us = app.now_us()
        live = 0 if state.is_final else now_us // 500_000
        version = (watch.version, live, watch.problem, app.link.is_live)
        self._head(version)
        self.draw("steps", version, lambda _: steps_source(state, now_us))
        self.draw("journal", watch.version, lambda _: journal_source(list(watch.log.entries)))
        self.draw("timeline", version, lambda w: fixed(timeline(bars_of(watch.log.entries), now_us, w)))
        shape = app.shape if app.followed is watch else None
        self.draw("plan", (watch.version, shape is None), lambda w: fixed(plan_lines(shape, state, w), empty="…"))
        self.draw("detail", (watch.version, self._detail), lambda w: fixed(self._lines_of_detail(w)))

    def _head(self, version: object) -> None:
        if self._drawn.get("head") == (version, self.size.width):
            return
        self._drawn["head"] = (version, self.size.width)
        watch, head = self.followed, self.query_one("#head", Lines)
        lines = head_lines(watch.log.state, self.board_app.now_us(), self.size.width - 2)
        lines = lines[: max(2, self.size.height // 5)]
        head.styles.height = len(lines)
        head.show(fixed(lines))
        if watch.problem and not watch.log.state.is_final:
            self.query_one("#bar", Bar).say([(f" ✗ {watch.problem}", "bad")])
        elif not self.board_app.link.is_live:
            self.query_one("#bar", Bar).say([(" ✗ not connected; shown is what is known", "bad")])
        else:
            self.query_one("#bar", Bar).say([(" AgentFlow ", "strong"), ("one run", "dim")])

    def _lines_of_detail(self, width: int) -> list[Line]:
        kind, key = self._detail
        if kind == "entry":
            entry = next((each for each in self.followed.log.entries if str(each.seq) == key), None)
            if entry is not None:
                return entry_lines(entry, width)
        return step_lines(self.followed.log.state, key, width, self.followed.log.entries)

    @on(Lines.Moved, "#steps")
    def _on_step(self, event: Lines.Moved) -> None:
        if self.query_one("#steps", Lines).has_focus:
            self._detail = ("step", event.key)
            self.tick()

    @on(Lines.Moved, "#journal")
    def _on_entry(self, event: Lines.Moved) -> None:
        if self.query_one("#journal", Lines).has_focus:
            self._detail = ("entry", event.key)
            self.tick()

    @on(Lines.Chosen, "#steps")
    def _open_step(self, event: Lines.Chosen) -> None:
        self._detail = ("step", event.key)
        self.go("detail")

    @on(Lines.Chosen, "#journal")
    def _open_entry(self, event: Lines.Chosen) -> None:
        self._detail = ("entry", event.key)
        self.go("detail")

    def action_whole(self) -> None:
        """What the run was given, and has answered."""
        self._detail = ("step", "")
        self.go("detail")

    def action_why(self) -> None:
        """Why the run failed."""
        self.board_app.explain(self.followed.log.run)

    def action_travel(self) -> None:
        """The run at any point; at the entry that is looked at, where there is one."""
        kind, key = self._detail
        self.board_app.travel(self.followed.log.run, int(key) if kind == "entry" and key else 0)

    def action_suppose(self) -> None:
        """What if something had been otherwise?"""
        kind, key = self._detail
        self.board_app.suppose(self.followed.log.run, int(key) if kind == "entry" and key else None)

    def on_screen_resume(self) -> None:
        """Another run may have been looked at meanwhile."""
        self.board_app.follow(self.followed)
        super().on_screen_resume()

    def action_answer(self) -> None:
        """Answer what the run waits for."""
        waited = self.followed.log.state.awaits()
        if waited:
            self.board_app.answer(self.followed.log.run, waited[0])
        else:
            self.notify("This run waits for nobody.", severity="warning")

    def action_cancel(self) -> None:
        """Stop the run, once it is said why."""
        self.board_app.cancel(self.followed.log.run)

    def action_copy(self) -> None:
        """The run's id, to the clipboard."""
        self.board_app.copy(self.followed.log.run)
