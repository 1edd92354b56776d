"""A screen of several views: all side by side where the terminal is large, one at a time where it is small."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widget import Widget

from tui.footer import KeyLine
from tui.framed import Framed
from tui.lines import Line, Source, fixed
from tui.panels.drawn import Lines
from tui.screens.help import Help

if TYPE_CHECKING:
    from tui.app import Dashboard

WIDE = (140, 36)
"""Columns and rows from which on views stand side by side."""


class Panel(Framed):
    """A view with its frame."""

    def __init__(self, name: str, title: str, number: int, *content: Widget) -> None:
        super().__init__(*content, id=f"panel-{name}", classes="panel")
        self.view = name
        self.border_title = f"{number} {title}"


class Bar(Lines, can_focus=False):
    """One line that says something, and takes no keys."""

    def say(self, line: Line) -> None:
        """Say it."""
        self.show(fixed([line]))


class Tabs(Bar):
    """The views of a small terminal, to be clicked or chosen by number."""

    def mark(self, titles: Iterable[tuple[str, str]], active: str) -> None:
        """Show which view is the one."""
        line: Line = []
        self._ends: list[tuple[int, str]] = []
        for number, (name, title) in enumerate(titles, 1):
            said = f" {number} {title} "
            line.append((said, "strong" if name == active else "dim"))
            if name == active:
                line[-1] = (f"[{said.strip()}]", "strong")
            self._ends.append((sum(len(text) for text, _ in line), name))
        self.say(line)

    def on_click(self, event: events.Click) -> None:
        """Go to the view that was clicked."""
        for end, name in self._ends:
            if event.x < end:
                cast("ViewScreen", self.screen).go(name)
                return


class ViewScreen(Screen[None]):
    """What all screens with views have in common."""

    VIEWS: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Name and title of each view, in the order of their numbers."""
    HELP: ClassVar[str] = ""
    """What the screen is for, and what its signs mean."""
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(number), f"view({number})", f"View {number}", show=False) for number in range(1, 10)),
        Binding("tab", "app.focus_next", "Next", show=False),
        Binding("shift+tab", "app.focus_previous", "Previous", show=False),
        Binding("z", "zoom", "Zoom", show=False),
        Binding("question_mark,f1", "help", "Help", key_display="?", tooltip="this; F1 where letters are typed"),
        Binding("escape", "back", "Back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.active = self.VIEWS[0][0]
        self._drawn: dict[str, object] = {}
        self._is_ready = False
        """Whether all widgets are there."""
        self._opening = ExitStack()
        """Holds keys until a view that is shown has been drawn: before, a list has no rows to move over."""

    @property
    def board_app(self) -> "Dashboard":
        """The application, as what it is."""
        return cast("Dashboard", self.app)

    def heads(self) -> Iterable[Widget]:
        """What stands above the views."""
        return ()

    def panels(self) -> Iterable[Panel]:
        """The views, in the order of VIEWS."""
        raise NotImplementedError

    def tick(self) -> None:
        """Called four times a second: show what has changed."""
        if self._is_ready:
            with suppress(NoMatches):  # the screen is being taken down
                self.show_changes()

    def show_changes(self) -> None:
        """Draw what is not what was drawn."""

    def draw(self, name: str, version: object, source: Callable[[int], Source]) -> None:
        """Draw a view that is seen, unless this is what was drawn; `source` takes the width of its lines."""
        lines = self.query_one(f"#{name}", Lines)
        width = lines.size.width - 1
        if self.is_seen(name) and width > 0 and self._drawn.get(name) != (version, width):
            self._drawn[name] = (version, width)
            lines.show(source(width))

    def back(self) -> None:
        """Esc, where nothing is zoomed."""
        self.app.pop_screen()

    def compose(self) -> ComposeResult:
        """Heads, tabs, views, keys."""
        yield Bar(id="bar", has_cursor=False)
        yield from self.heads()
        if len(self.VIEWS) > 1:
            yield Tabs(id="tabs", has_cursor=False)
        yield Container(*self.panels(), id="views")
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin with the first view."""
        self._is_ready = True
        self._arrange(self.app.size.width, self.app.size.height)
        with suppress(NoMatches):  # whoever opened it has left it again before it was there
            self.go(self.active)

    def on_unmount(self) -> None:
        """Left before it was there."""
        self._opening.close()

    def on_resize(self, event: events.Resize) -> None:
        """Side by side, or one at a time."""
        self._arrange(event.size.width, event.size.height)

    def on_screen_resume(self) -> None:
        """Coming back, show what has changed meanwhile."""
        self.tick()

    def is_seen(self, name: str) -> bool:
        """Whether a view is on the screen now."""
        return (self.has_class("-wide") and not self.has_class("-zoom")) or name == self.active

    def go(self, name: str) -> None:
        """Show a view and give it the keyboard; keys wait until it has been drawn."""
        self.active = name
        self._opening.enter_context(self.board_app.keys.held())
        self._mark()
        panel = self.query_one(f"#panel-{name}", Panel)
        target = next((widget for widget in panel.query(".main") if widget.focusable), None)
        if target is not None:
            target.focus()
        self.tick()
        self.call_after_refresh(self._shown)

    def _shown(self) -> None:
        self.tick()
        self._opening.close()

    def action_view(self, number: int) -> None:
        """The view of that number."""
        if number <= len(self.VIEWS):
            self.go(self.VIEWS[number - 1][0])

    def action_zoom(self) -> None:
        """One view alone, or all again."""
        self.toggle_class("-zoom")
        self._mark()
        self.tick()

    def action_back(self) -> None:
        """Out of the zoom, then out of the screen."""
        if self.has_class("-zoom") and self.has_class("-wide"):
            self.action_zoom()
        else:
            self.back()

    def action_help(self) -> None:
        """What every key does here."""
        self.app.push_screen(Help(self))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The view with the keyboard is the active one."""
        for panel in event.widget.ancestors:
            if isinstance(panel, Panel) and panel.view != self.active:
                self.active = panel.view
                self._mark()

    def _arrange(self, width: int, height: int) -> None:
        self.set_class(width >= WIDE[0] and height >= WIDE[1], "-wide")
        self._mark()
        self.call_after_refresh(self.tick)

    def _mark(self) -> None:
        for tabs in self.query(Tabs):
            tabs.mark(self.VIEWS, self.active)
        for panel in self.query(Panel):
            panel.set_class(panel.view == self.active, "-active")
