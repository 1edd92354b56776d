"""The curve of `af bench estimate`: the same runs at each point, and none that is forecast is learned from."""

import xml.etree.ElementTree as Xml
from pathlib import Path

import pytest

from appliance.bench.estimate import Case, curve, drawing, read_questions
from runtime.costs.calibration import Lesson, Visit
from runtime.costs.preflight import Ask
from runtime.domain.event import Usage
from runtime.domain.ids import DefinitionHash, RunId
from runtime.errors import Invalid, NotFound

ONCE = [((("say", 1),), 1.0)]


def case(number: int, answered: int) -> Case:
    usage = Usage(100, answered)
    visit = Visit(agent="say", model="small", usage=usage)
    lesson = Lesson(run=RunId(f"r-{number}"), definition=DefinitionHash("d"), visits=(visit,), usage=usage)
    ask = Ask(agent="say", model="local/small", input_tokens=100, is_exact=True, most_output_tokens=40)
    return Case(asks=(ask,), lesson=lesson)


def test_the_curve_falls_as_runs_are_learned_from() -> None:
    """At 0 the prior speaks: 20 of 40 tokens, where 10 are answered."""
    points = curve([case(number, 10) for number in range(120)], ONCE)
    assert [0, 1, 2, 5, 10, 20, 50] == [point.runs for point in points]
    assert (10 / 110, 0.0) == (points[0].tokens_median_ratio, points[-1].tokens_median_ratio)
    assert [1.0] * len(points) == [point.within_p95_ratio for point in points]


def test_what_is_forecast_is_not_learned_from() -> None:
    """The second half answers otherwise, and nobody could have known."""
    cases = [case(number, 10 if number < 5 else 40) for number in range(10)]
    assert 30 / 140 == curve(cases, ONCE)[-1].tokens_median_ratio


def test_the_picture_is_one_and_shows_every_point() -> None:
    """Well-formed, without anything from elsewhere."""
    points = curve([case(number, 10) for number in range(40)], ONCE)
    picture = Xml.fromstring(drawing(points))
    lines = [node for node in picture if node.tag.endswith("polyline")]
    assert [len(points)] * 3 == [len(line.attrib["points"].split()) for line in lines]
    assert {str(point.runs) for point in points} <= {node.text for node in picture}


def test_questions_come_in_an_order_that_the_texts_decide(tmp_path: Path) -> None:
    """Twice the same, once; a file with too few, or none, is named."""
    table, lines = tmp_path / "q.csv", tmp_path / "q.jsonl"
    table.write_text("category,text\na,one\nb,two\na,one\nc,three\n")
    lines.write_text('{"message": "one"}\n\n{"message": "two"}\n{"message": "two"}\n')
    found = read_questions(table, 3)
    table.write_text("category,text\nc,three\nb,two\na,one\n")
    assert found == read_questions(table, 3)
    assert 2 == len(read_questions(lines, 2))
    with pytest.raises(Invalid, match=r"holds 2 questions; 3 are needed"):
        read_questions(lines, 3)
    with pytest.raises(NotFound, match="--questions"):
        read_questions(tmp_path / "absent.csv", 1)
