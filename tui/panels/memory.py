"""The memory inspector: what a question finds in a collection, with every score and why."""

from collections.abc import Sequence

from tui.lines import Line, wrap
from tui.shapes import CollectionLine, Recall
from tui.words import counted, meter

EMPTY = "Memory holds nothing yet. Fill it:  af memory ingest FOLDER"


def collection_lines(collections: Sequence[CollectionLine], width: int) -> list[Line]:
    """What there is to search."""
    if not collections:
        return wrap(EMPTY, width, "dim")
    lines: list[Line] = [[("collections", "head")]]
    for found in collections:
        holds = f" {counted(found.documents, 'document')}, {counted(found.passages, 'passage')}"
        lines.append([(f"  {found.name:<20}", "strong"), (holds, "dim")])
    return [*lines, [], *wrap("Type a question as an agent would ask it, and Enter.", width, "dim")]


def recall_lines(found: Recall, width: int) -> list[Line]:
    """What was found, best first."""
    if not found.passages:
        return wrap(f"{found.collection} has nothing like that.", width, "dim")
    sure = found.confidence
    lines: list[Line] = [
        [
            (f"{sure:.0%} sure", "good" if sure >= 0.5 else "warn"),
            (" that the subject is here  ", ""),
            (found.collection, "dim"),
        ]
    ]
    for place, passage in enumerate(found.passages, 1):
        lines += [
            [],
            [(f"{place:>2} ", "dim"), (passage.heading or passage.source, "strong"), (f"  {passage.source}", "dim")],
            [
                ("   ", ""),
                (f"score {passage.score:.3f} ", "head"),
                (f"meaning {meter(max(0.0, passage.similarity), 6)} {passage.similarity:.2f}  ", ""),
                (f"words {meter(max(0.0, passage.words_ratio), 6)} {max(0.0, passage.words_ratio):.2f}", ""),
            ],
            *wrap(passage.why, width, "dim", indent="   "),
            *wrap(passage.text, width, "", indent="   ")[:3],
        ]
    return lines
