"""A CSV of examples is read strictly, and every bad line is named at once."""

from pathlib import Path

import pytest

from runtime.agents.examples import read_examples
from runtime.errors import Invalid, InvalidDefinition, NotFound


def read(tmp_path: Path, content: str | bytes) -> list[tuple[str, str]]:
    (tmp_path / "examples.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_examples(tmp_path, "examples.csv", text="text", label="category")


def test_examples_come_in_the_order_of_the_file_and_once(tmp_path: Path) -> None:
    header, rows = (
        "\ufeffid,text,category\r\n",
        '1,"Lost, or stolen?",cards\n2,Fees,fees\n\n3,Fees,fees\n4,Fees,cards\n',
    )
    assert read(tmp_path, f'{header}{rows}5," Fees\n now ",fees\n') == [
        ("Lost, or stolen?", "cards"),
        ("Fees", "fees"),
        ("Fees", "cards"),
        ("Fees\n now", "fees"),
    ]


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        read(tmp_path, "text,category\nlost,cards\n,fees\nHow much, please,fees\nwhy\n")
    assert [(problem.line, problem.message) for problem in caught.value.problems] == [
        (3, "the column 'text' is empty"),
        (4, "more fields than the header has; put quotes around a text with commas"),
        (5, "the column 'category' is empty"),
    ]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("question,label\na,b\n", 1, "the header has no column 'text' nor 'category'; it has question, label"),
        ("", 1, "the header has no column 'text' nor 'category'; it has none"),
        ("text,category\n", 1, "there are no examples below the header"),
        ('text,category\n"a" b,c\n', 2, "not CSV from here on"),
        ('text,category\na,b\n"open,b\n', 3, "not CSV from here on"),
        (b"text,category\ncaf\xe9,b\n", 2, "not UTF-8 text from here on"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: str | bytes, line: int, message: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        read(tmp_path, content)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == ("examples.csv", line)
    assert problem.message.startswith(message)


@pytest.mark.parametrize("name", ["nothing.csv", "../secret.csv", "/etc/passwd", "."])
def test_only_files_beside_the_workflow_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.csv").write_text("text,category\na,b\n")
    (tmp_path / "project").mkdir()
    with pytest.raises(NotFound, match=r"examples\.missing"):
        read_examples(tmp_path / "project", name, text="text", label="category")


def test_more_than_can_be_learnt_is_refused(tmp_path: Path) -> None:
    """As many labels as examples: a column of ids was taken for the label."""
    with pytest.raises(Invalid, match=r"4,000 examples of 4,000 labels"):
        read(tmp_path, "text,category\n" + "".join(f"question {number},{number}\n" for number in range(4_000)))
