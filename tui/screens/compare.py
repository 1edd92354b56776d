"""Two runs side by side: a what-if and what happened, or any two that were chosen."""

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget

from runtime.errors import AgentFlowError
from tui.lines import Line, fixed, wrap
from tui.link import Watch
from tui.panels.compared import MEANS, answer_lines, cost_lines, pairs_source, side_lines, step_lines
from tui.panels.drawn import Lines
from tui.screens.views import Bar, Panel, ViewScreen
from tui.supposing import Comparison

ASK_EVERY_TICKS = 2
"""While one of them goes on they are compared twice a second at most."""


class CompareScreen(ViewScreen):
    """Asks the server what is different, and follows both runs until they end."""

    VIEWS: ClassVar[tuple[tuple[str, str], ...]] = (
        ("pairs", "Steps"),
        ("both", "Both answers"),
        ("answers", "Differences"),
        ("money", "Cost"),
    )
    HELP: ClassVar[str] = (
        "Two runs side by side, live until both have ended. Steps are the same where they came to the same, whatever "
        f"they took: {MEANS}. A step that is recorded took the other run's answer, and cost nothing; one that is "
        "supposed was made up. Enter shows what a step came to in each of them."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "open(1)", "Open B", tooltip="the run on the right in full"),
        Binding("O", "open(0)", "Open A", show=False, tooltip="the run on the left in full"),
        Binding("t", "travel", "Time travel", tooltip="B where the two part, at any point of its journal"),
        Binding("s", "suppose", "What if", tooltip="suppose something of A, and run it"),
        Binding("x", "swap", "Swap", tooltip="A to the right, B to the left"),
        Binding("y", "copy", "Copy command", show=False, tooltip="the same for a shell"),
    ]

    def __init__(self, left: str, right: str) -> None:
        super().__init__()
        self._names = (left, right)
        self._watches: tuple[Watch, Watch] | None = None
        self._view: Comparison | None = None
        self._problem = ""
        self._asked: object = None
        self._answered = 0
        self._ticks = 0
        self._step = ""

    def heads(self) -> Iterable[Widget]:
        """Who they are."""
        head = Lines(id="sides", has_cursor=False)
        head.can_focus = False
        yield head

    def panels(self) -> Iterable[Panel]:
        """In the order of their numbers."""
        yield Panel("pairs", "Steps", 1, Lines(id="pairs", classes="main"))
        yield Panel("both", "One step in both", 2, Lines(id="both", classes="main", has_cursor=False))
        yield Panel("answers", "What is different", 3, Lines(id="answers", classes="main", has_cursor=False))
        yield Panel("money", "Cost", 4, Lines(id="money", classes="main", has_cursor=False))

    def on_mount(self) -> None:
        """Follow both."""
        super().on_mount()
        client = self.board_app.client
        self._watches = (Watch(client, self._names[0]), Watch(client, self._names[1]))
        for watch in self._watches:
            self.run_worker(watch.run(), group=f"watch-{watch.log.run}")

    def show_changes(self) -> None:
        """Compare them again when one has gone on, and show what is new."""
        if self._watches is None:
            return
        self._ticks += 1
        version = tuple(watch.version for watch in self._watches)
        if version != self._asked and self._ticks % ASK_EVERY_TICKS == 0:
            self._asked = version
            self.run_worker(self._compare(), group="compare", exclusive=True)
        self._say()
        view, states = self._view, tuple(watch.log.state for watch in self._watches)
        if view is None:
            return
        self.draw("pairs", self._answered, lambda width: pairs_source(view, width))
        self.draw("both", (self._answered, self._step), lambda w: fixed(step_lines(self._step, view, states, w)))
        self.draw("answers", self._answered, lambda width: fixed(answer_lines(view, states, width)))
        self.draw("money", self._answered, lambda width: fixed(cost_lines(view, width)))

    async def _compare(self) -> None:
        try:
            self._view = await self.board_app.client.compare(*self._names)
        except AgentFlowError as error:
            self._problem = error.message
        else:
            self._problem = ""
        self._answered += 1
        self.tick()

    def _say(self) -> None:
        lines: list[Line] = []
        if self._view is not None:
            lines = side_lines(self._view, self.size.width - 2)
        elif self._problem:
            lines = wrap(self._problem, self.size.width - 2, "bad")
        head = self.query_one("#sides", Lines)
        head.styles.height = max(1, min(4, len(lines)))
        head.show(fixed(lines, empty="comparing …"))
        state: Line = [(f"  ✗ {self._problem}", "bad")] if self._problem and self._view else []
        self.query_one("#bar", Bar).say([(" Compare  ", "strong"), ("A and B, side by side", "dim"), *state])

    @on(Lines.Moved, "#pairs")
    def _on_step(self, event: Lines.Moved) -> None:
        self._step = event.key
        self.tick()

    @on(Lines.Chosen, "#pairs")
    def _open_step(self, event: Lines.Chosen) -> None:
        self._step = event.key
        self.go("both")

    def action_open(self, side: int) -> None:
        """One of them in full."""
        self.board_app.open_run(self._names[side])

    def action_travel(self) -> None:
        """The right one where they part."""
        parting = self._view.parting if self._view is not None else None
        self.board_app.travel(self._names[1], parting.right_seq if parting is not None else 0)

    def action_suppose(self) -> None:
        """Something else of the left one."""
        self.board_app.suppose(self._names[0])

    def action_swap(self) -> None:
        """The other way round."""
        self.app.pop_screen()
        self.board_app.compare(self._names[1], self._names[0])

    def action_copy(self) -> None:
        """The command."""
        self.board_app.copy(f"af runs compare {self._names[0]} {self._names[1]}")
