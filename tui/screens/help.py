"""Help: what the screen is for, what every key does there, and what the signs mean."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen

from tui.framed import Framed
from tui.lines import Line, fixed, wrap
from tui.panels.drawn import Lines
from tui.words import sign

STATES = ("running", "waiting", "succeeded", "failed", "refused", "cancelled", "stopped", "idle")
ALWAYS = (
    ("↑ ↓  j k", "move"),
    ("PgUp PgDn  Space", "a page"),
    ("Home End  g G", "first, last"),
    ("Enter", "open, or choose"),
    ("Tab  Shift+Tab", "next, previous part"),
    ("1 … 9", "a view by its number"),
    ("z", "one view alone, and back"),
    ("Ctrl+P", "palette: every command by name, and runs"),
    ("d", "dark, light, high contrast"),
    ("Ctrl+Q", "leave"),
)


class Help(ModalScreen[None]):
    """Over the screen that it explains."""

    AUTO_FOCUS = ".main"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,q", "dismiss", "Close", key_display="Esc")
    ]

    def __init__(self, of: Screen[None]) -> None:
        super().__init__()
        self._of = of

    def compose(self) -> ComposeResult:
        """A box of text that scrolls."""
        with Framed(classes="box") as box:
            box.border_title = "Help"
            box.border_subtitle = "Esc closes"
            text = help_lines(self._of, min(75, self.app.size.width - 9))
            yield Lines(fixed(text), classes="main", has_cursor=False)


def help_lines(screen: Screen[None], width: int) -> list[Line]:
    """The whole text."""
    lines = wrap(getattr(screen, "HELP", ""), width)
    lines += [[], [("on this screen", "head")]]
    seen: set[str] = set()
    for _, binding, _, tooltip in screen.active_bindings.values():
        if binding.description in seen or not (binding.show or binding.tooltip):
            continue
        seen.add(binding.description)
        key = screen.app.get_key_display(binding)
        lines.append([(f"  {key:<18}", "strong"), (tooltip or binding.tooltip or binding.description, "")])
    lines += [[], [("everywhere", "head")]]
    lines += [[(f"  {key:<18}", "strong"), (does, "")] for key, does in ALWAYS]
    lines += [[], [("signs", "head")]]
    for state in STATES:
        mark, style = sign(state)
        lines.append([(f"  {mark} {state}", style)])
    return lines
