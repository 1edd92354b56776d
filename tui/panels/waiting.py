"""What waits for a person."""

from collections.abc import Sequence

from tui.lines import Column, Source, Span, listed
from tui.panels.runs import short
from tui.shapes import Wait, Waits
from tui.words import age, micros

COLUMNS = (
    Column("waits", 6, is_right=True),
    Column("workflow", 14),
    Column("for", 0),
    Column("until", 8, is_right=True, from_width=60),
    Column("run", 11),
)
EMPTY = "Nothing waits for a person."


def waits_source(found: Waits, now_us: int) -> Source:
    """The list, the longest wait first."""
    return listed(COLUMNS, found.waits, lambda wait: _cells(wait, now_us), key_of, empty=EMPTY)


def key_of(wait: Wait) -> str:
    """What names one wait."""
    return f"{wait.run_id} {wait.signal}"


def _cells(wait: Wait, now_us: int) -> Sequence[Span]:
    within = f"  in {short(wait.part_of)}" if wait.part_of else ""
    left = f"in {age(2 * now_us - micros(wait.until), now_us)}" if wait.until else "–"
    whose = f"  {wait.holder} has it" if wait.holder else f"  for {' or '.join(wait.roles)}" if wait.roles else ""
    return (
        (age(micros(wait.since), now_us), "warn"),
        (wait.workflow, "strong"),
        (f"{wait.signal}{whose}{f'  ({wait.why})' if wait.why else ''}{within}", ""),
        (left, "dim"),
        (short(wait.run_id), "dim"),
    )
