"""Text of data on the screen: what stands in a title is no markup, and no letter is a command to the terminal."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.containers import Vertical
from textual.content import Content, ContentText
from textual.filter import LineFilter

JOINERS = "\u200c\u200d"
"""They make one sign of several, and move nothing."""


class Framed(Vertical):
    """A box whose titles are text as it stands."""

    def render_str(self, text_content: ContentText) -> Content:
        """The title."""
        return text_content if isinstance(text_content, Content) else Content(str(text_content))


class LettersAlone(LineFilter):
    """Takes out of every line, whatever widget drew it, what a terminal would obey."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The line, in as many cells as before."""
        if all(said.isprintable() for said, _, _ in segments):
            return segments
        return [segment if segment.control else Segment(_letters(segment.text), segment.style) for segment in segments]


def _letters(said: str) -> str:
    return "".join(c if c.isprintable() or c in JOINERS else " " * cell_len(c) for c in said)


LETTERS_ALONE: Sequence[LineFilter] = (LettersAlone(),)
