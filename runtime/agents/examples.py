"""Reads a CSV of labelled examples: a header, then one example a line. Every problem is reported at once."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from runtime.domain.problem import Problem
from runtime.errors import Invalid, InvalidDefinition, NotFound

MAX_EXAMPLES = 50_000
MAX_CELLS = 10_000_000
"""Examples × labels: training holds several tables of this size, 80 MB each."""
MAX_PROBLEMS = 20

Example = tuple[str, str]
"""Text and label."""


def read_examples(folder: Path, name: str, *, text: str, label: str) -> list[Example]:
    """The examples of a file inside `folder`, in its order; an example that stands there twice counts once.

    Raises NotFound, InvalidDefinition with the lines that are wrong, or Invalid when there are too many.
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise NotFound("examples.missing", f"there is no file {name!r} beside the workflow; 'examples' names it")
    examples: dict[Example, None] = {}
    problems: list[Problem] = []
    for line, found in _rows(path, text, label):
        if isinstance(found, str):
            problems.append(Problem(code="examples.row", message=found, file=name, line=line))
        else:
            examples[found] = None
    if problems:
        raise InvalidDefinition(name, problems[:MAX_PROBLEMS])
    labels = len({label for _, label in examples})
    if len(examples) > MAX_EXAMPLES or len(examples) * labels > MAX_CELLS:
        raise Invalid(
            "examples.too_many",
            f"{name!r} has {len(examples):,} examples of {labels:,} labels; at most {MAX_EXAMPLES:,} examples, and "
            f"{MAX_CELLS:,} examples times labels, can be learnt",
        )
    return list(examples)


def _rows(path: Path, text: str, label: str) -> Iterator[tuple[int, Example | str]]:
    """The line and the example, or what is wrong with it."""
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            header = table.fieldnames or ()
            missing = [column for column in (text, label) if column not in header]
            if missing:
                named = " nor ".join(map(repr, missing))
                yield 1, f"the header has no column {named}; it has {', '.join(header) or 'none'}"
                return
            for row in table:
                line = table.line_num
                yield line, _example(row, text, label)
            if line == 1:
                yield line, "there are no examples below the header"
    except csv.Error as error:
        yield line + 1, f"not CSV from here on: {error}"
    except UnicodeDecodeError:
        yield line + 1, "not UTF-8 text from here on; save the file as UTF-8"


def _example(row: dict[str | None, str | list[str]], text: str, label: str) -> Example | str:
    if None in row:
        return "more fields than the header has; put quotes around a text with commas"
    values = [str(row[column] or "").strip() for column in (text, label)]
    for column, value in zip((text, label), values, strict=True):
        if not value:
            return f"the column {column!r} is empty"
    return values[0], values[1]
