"""The widget that draws lines: a list with a cursor, or a text that scrolls. Makes only the lines that are seen."""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.lines import STYLES, Line, Source, fixed, wrap

COMPONENTS = {f"lines--{name}" for name in STYLES} | {"lines--cursor", "lines--cursor-away"}


class Lines(ScrollView, can_focus=True):
    """Shows a `Source`. The cursor stays on its line when lines are added above it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENTS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown,space", "page(1)", "Page down", show=False),
        Binding("home,g", "edge(0)", "First", show=False),
        Binding("end,G", "edge(1)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]
    cursor: reactive[int] = reactive(0)

    class OfLine(Message):
        """Something about one line."""

        def __init__(self, lines: "Lines", key: str) -> None:
            super().__init__()
            self.lines = lines
            self.key = key

        @property
        def control(self) -> "Lines":
            """The widget."""
            return self.lines

    class Chosen(OfLine):
        """Enter, or a click on the line that the cursor is on; the key of a text without a cursor is empty."""

    class Moved(OfLine):
        """The cursor is on another line."""

    def __init__(
        self,
        source: Source | None = None,
        *,
        id: str | None = None,
        classes: str | None = None,
        has_cursor: bool = True,
    ) -> None:
        """`source`: what to show from the beginning; None: nothing yet."""
        super().__init__(id=id, classes=classes)
        self.source = source or fixed([])
        self._has_cursor = has_cursor
        self._key = ""
        self._styles: dict[tuple[str, bool], Style] = {}
        self._drawn: list[tuple[Line, bool]] | None = None
        self._offset_drawn = 0
        self._is_held = False
        """Whether somebody has moved the cursor; until then it stays on the first line."""

    @property
    def key(self) -> str:
        """What the cursor is on; empty: nothing."""
        return self._key

    def show(self, source: Source) -> None:
        """Show these lines from now on."""
        before = None if self._offset_drawn != self.scroll_offset.y else self._drawn
        self.source = source
        self._measure()
        if self._has_cursor and source.count:
            self._hold()
        self._redraw(before)

    def _redraw(self, before: "list[tuple[Line, bool]] | None") -> None:
        """Have those rows drawn that are not what they were; `before`: what they were, where that is known."""
        height, width = self.size.height, self._width
        self._offset_drawn, self._drawn = self.scroll_offset.y, [self._row(y, width) for y in range(height)]
        if before is None or len(before) != height:
            self.refresh()
            return
        changed = [y for y, row in enumerate(self._drawn) if row != before[y]]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def seen_keys(self) -> list[str]:
        """The lines that are on the screen."""
        first = self.scroll_offset.y
        return [self.source.key(i) for i in range(first, min(self.source.count, first + self.size.height))]

    def choose_key(self, key: str) -> None:
        """Put the cursor on a line."""
        for index in range(self.source.count):
            if self.source.key(index) == key:
                self._is_held = True
                self._to(index)
                return

    def _hold(self) -> None:
        """Keep the cursor on the line that it was on, wherever that is now."""
        source, index = self.source, min(self.cursor, self.source.count - 1)
        if not self._is_held:
            index = 0
        elif source.key(index) != self._key:
            index = next((i for i in range(source.count) if source.key(i) == self._key), index)
            if index != self.cursor:
                self.scroll_to(y=self.scroll_offset.y + index - self.cursor, animate=False)
        self.set_reactive(Lines.cursor, index)
        self._took(source.key(index))

    def _took(self, key: str) -> None:
        if key != self._key:
            self._key = key
            self.post_message(self.Moved(self, key))

    def on_mount(self) -> None:
        """Show what there was from the beginning."""
        self.show(self.source)

    def on_resize(self) -> None:
        """Lines are as wide as the widget."""
        self._measure()

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; on the line that it is on, it opens it."""
        index = self._index_at(event.y)
        if index is None or not self._has_cursor:
            return
        if index == self.cursor and self._is_held:
            self.action_choose()
        self._is_held = True
        self._to(index)

    def action_move(self, by: int) -> None:
        """The cursor up or down; without one, the text."""
        if not self._has_cursor:
            self.scroll_relative(y=by, animate=False)
        elif self.source.count:
            self._is_held = True
            self._to(min(self.source.count - 1, max(0, self.cursor + by)))

    def action_page(self, by: int) -> None:
        """A page up or down."""
        self.action_move(by * max(1, self.size.height - 2))

    def action_edge(self, last: int) -> None:
        """To the first or the last line."""
        if not self._has_cursor:
            self.scroll_to(y=self.max_scroll_y if last else 0, animate=False)
        elif self.source.count:
            self._is_held = bool(last)  # at the top, new lines push nothing away
            self._to(self.source.count - 1 if last else 0)

    def action_choose(self) -> None:
        """Open what the cursor is on, or what a text without one stands for."""
        if self._key or not self._has_cursor:
            self.post_message(self.Chosen(self, self._key))

    def watch_cursor(self) -> None:
        """Draw it where it is."""
        self.refresh()

    def watch_has_focus(self, _focused: bool) -> None:
        """The cursor looks different without the keyboard."""
        super().watch_has_focus(_focused)
        self._styles.clear()
        self.refresh()

    def _to(self, index: int) -> None:
        self.cursor = index
        self.scroll_to_region(Region(0, index, 1, 1 + self._head), animate=False, force=True)
        self._took(self.source.key(index))

    @property
    def _head(self) -> int:
        return 0 if self.source.header is None or not self.source.count else 1

    def _index_at(self, y: int) -> int | None:
        index = y + self.scroll_offset.y - self._head
        return index if y >= self._head and 0 <= index < self.source.count else None

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width or self.size.width

    def _measure(self) -> None:
        size, known = Size(self.scrollable_content_region.width, self.source.count + self._head), self.virtual_size
        if size == known:
            return
        if size.width == known.width and min(size.height, known.height) > self.size.height > 0:
            # only the scroll bar is another: no need to lay out the whole screen for every new run
            self.set_reactive(Lines.virtual_size, size)
            self._scroll_update(size)
        else:
            self.virtual_size = size

    def notify_style_update(self) -> None:
        """The theme is another."""
        super().notify_style_update()
        self._styles.clear()

    def render_line(self, y: int) -> Strip:
        """One row of the widget; the header stays where it is."""
        width = self._width
        line, is_cursor = self._row(y, width)
        segments = [Segment(said, self._style(name, is_cursor)) for said, name in line if said]
        return Strip(segments).adjust_cell_length(width, self._style("", is_cursor)).crop(0, width)

    def _row(self, y: int, width: int) -> tuple[Line, bool]:
        """What stands in a row of the widget, and whether the cursor is on it."""
        source = self.source
        if not source.count:
            said = wrap(source.empty, max(10, width - 2), "dim", indent=" ") if source.empty else []
            return (said[y] if y < len(said) else []), False
        if self._head and y == 0 and source.header is not None:
            return source.header(width), False
        index = y + self.scroll_offset.y - self._head
        if index >= source.count:
            return [], False
        return source.line(index, width), self._has_cursor and index == self.cursor

    def _style(self, name: str, is_cursor: bool) -> Style:
        key = (name, is_cursor)
        if key not in self._styles:
            base = self.rich_style
            own = self.get_component_rich_style(f"lines--{name}", partial=True) if name else Style()
            # under the cursor the row's own colours carry the contrast; weight still tells states apart
            cursor = f"lines--cursor{'' if self.has_focus else '-away'}"
            over = self.get_component_rich_style(cursor) if is_cursor else Style()
            self._styles[key] = base + own + over
        return self._styles[key]
