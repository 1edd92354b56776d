"""Split labelled questions into examples to learn from and a holdout to measure on.

    python split.py train.csv --out DIR

The CSV has a header with a text and a label column. Each label keeps its share on both sides, and the sides
depend on the texts alone: not on their order in the file, the day or the machine. A text that occurs twice
counts once, so that nothing in the holdout has been learnt. Standard library only.
"""

import argparse
import csv
import hashlib
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

Row = tuple[str, str]
"""Text and label."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write `examples.csv` and `holdout.csv`; return 2, after one line on stderr, when the input is no use."""
    options = parse(arguments)
    try:
        rows = read(options.csv, options.text, options.label)
        examples, holdout = split(rows, options.holdout_ratio)
        options.out.mkdir(parents=True, exist_ok=True)
        write(options.out / "examples.csv", examples)
        write(options.out / "holdout.csv", holdout)
    except (OSError, ValueError) as error:
        print(f"split: {error}", file=sys.stderr)
        return 2
    labels = len({label for _, label in rows})
    print(f"{len(examples)} examples and {len(holdout)} held out, {labels} labels, in {options.out}")
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="split.py", description="Split labelled questions in two, label by label.")
    parser.add_argument("csv", type=Path, help="the labelled questions, with a header line")
    parser.add_argument("--out", type=Path, required=True, help="folder for examples.csv and holdout.csv")
    parser.add_argument("--text", default="text", help="column of the question (default: %(default)s)")
    parser.add_argument("--label", default="category", help="column of its label (default: %(default)s)")
    parser.add_argument(
        "--holdout-ratio", type=float, default=0.2, help="share held out, 0 to 1 (default: %(default)s)"
    )
    return parser.parse_args(arguments)


def read(path: Path, text: str, label: str) -> list[Row]:
    """The distinct labelled texts of a CSV; of a text with two labels, the first label by name."""
    labels: dict[str, str] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file, strict=True)
        try:
            for row in table:
                if row.get(text) is None or row.get(label) is None:
                    raise ValueError(f"expected columns {text!r} and {label!r}")
                question, name = row[text].strip(), row[label].strip()
                if question and name:
                    labels[question] = min(name, labels.get(question, name))
        except (csv.Error, ValueError) as error:  # ValueError also stands for bytes that are not UTF-8
            raise ValueError(f"{path}, line {table.line_num}: {error}") from error
    if not labels:
        raise ValueError(f"{path}: expected labelled texts under a header, found none")
    return list(labels.items())


def split(rows: Iterable[Row], holdout_ratio: float) -> tuple[list[Row], list[Row]]:
    """Examples and holdout. Within each label the texts with the highest SHA-256 are held out."""
    if not 0 <= holdout_ratio <= 1:
        raise ValueError(f"--holdout-ratio must be between 0 and 1, not {holdout_ratio}")
    by_label: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_label[row[1]].append(row)
    examples: list[Row] = []
    holdout: list[Row] = []
    for label in sorted(by_label):
        ranked = sorted(by_label[label], key=lambda row: hashlib.sha256(row[0].encode()).digest())
        cut = len(ranked) - round(len(ranked) * holdout_ratio)
        examples += ranked[:cut]
        holdout += ranked[cut:]
    return examples, holdout


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as `text,category`, the columns that the workflow reads."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("text", "category"))
        table.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
