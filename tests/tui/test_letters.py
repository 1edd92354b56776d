"""Data that look like markup, or like commands to a terminal, are shown as text and obeyed by nobody."""

import pytest
from rich.cells import cell_len
from rich.segment import ControlType, Segment
from textual.color import Color

from tests.appliance.api.serving import Served
from tests.tui.screens import Seen, ask, dashboard
from tui.framed import JOINERS, LettersAlone
from tui.lines import fit, plain, wrap

TITLE = "\x1b]0;owned\x07"
"""Has a terminal call its window so."""
NASTY = f"[/nope] [red]x[/] {TITLE}\u202e世界"


@pytest.mark.parametrize("said", ["a\x1b[2Jb", "a\tb", "a\rb", "a\x9bb", "a\u202eb", "👨\u200d👩"])
def test_no_letter_of_a_line_moves_the_cursor(said: str) -> None:
    """A message of an agent could clear the screen, write the clipboard, or shift the frame."""
    lines = [fit(said, 40), *(plain([line]) for line in wrap(said, 40))]
    assert all(line.isprintable() for line in lines), lines
    assert 40 == cell_len(lines[0])


def test_what_a_terminal_would_obey_is_taken_out_of_any_widget() -> None:
    """Cells stay as many; signs that are made of several stay whole."""
    segments = [Segment(f"a{TITLE}\u00a0b"), Segment("👩\u200d🚀"), Segment("\x1b[H", None, [(ControlType.HOME,)])]
    found = LettersAlone().apply(segments, Color(0, 0, 0))
    assert ["a]0;owned b", "👩\u200d🚀", "\x1b[H"] == [text for text, _, _ in found]
    assert [segment.cell_length for segment in segments] == [segment.cell_length for segment in found]


async def test_data_in_titles_fields_and_notices_are_shown_as_they_stand(served: Served) -> None:
    """A name of an input in brackets ended the dashboard, and one with an escape named the operator's window."""
    await ask(served, "echo", input={"text": "x", NASTY: NASTY})
    async with dashboard(served) as seen:
        await seen.press("enter", "i")
        await seen.until(lambda: "[/nope]" in seen.lines("detail"), "the input")
        assert "" == _obeyed(seen)
        await seen.press("s")
        await seen.until(lambda: "[/nope]" in seen.lines("form"), "the form")
        assert "" == _obeyed(seen)
        await seen.press("enter")
        await seen.until(lambda: "━ input.[/nope] [red]x[/]" in seen.text(), "the title")
        assert "" == _obeyed(seen)
        await seen.press("end", "left", "x", "enter", "y")
        await seen.until(lambda: "→ [/nope]" in seen.lines("form"), "what is supposed")
        (notice,) = seen.app._notifications
        assert (False, True) == (notice.markup, "[/nope] [red]x[/]" in notice.message)


def _obeyed(seen: Seen) -> str:
    """What a terminal would take for something else than a letter."""
    strips = seen.app.screen._compositor.render_strips()
    return "".join(c for strip in strips for c in strip.text if not c.isprintable() and c not in JOINERS)
