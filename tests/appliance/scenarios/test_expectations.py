"""Every expectation holds for what it says, and says what was found where it does not."""

import pytest
from msgspec.structs import replace

from appliance.scenarios.expectations import Found, differences, warnings
from appliance.scenarios.format import Expected
from appliance.scenarios.places import NOTHING, found_at
from runtime.domain.canonical import Json

FOUND = Found(
    status="succeeded",
    path=("sort", "answer", "answer", "done"),
    output={"label": "cards", "score": 1.0, "flag": True, "hits": [{"id": "a"}, {"id": "b"}], "answer": "It is here."},
    tools=("look_up", "look_up"),
    left=("http to api.example.org, refused",),
    usd_micros=20_000,
    tokens=120,
    duration_ms=900,
)


@pytest.mark.parametrize(
    ("expected", "at", "found"),
    [
        (Expected(status="failed"), "status", "succeeded"),
        (Expected(path=("sort", "done")), "path", "sort → answer → answer → done"),
        (Expected(end="ask"), "end", "done"),
        (Expected(visited=("ask",)), "visited", "never entered"),
        (Expected(not_visited=("answer",)), "not_visited", "entered 2 times"),
        (Expected(output={"label": "loans"}), "output.label", '"cards"'),
        (Expected(output={"flag": 1}), "output.flag", "true"),
        (Expected(output={"lable": "cards"}), "output.lable", "nothing"),
        (Expected(output={"$.hits[5].id": "a"}), "output.$.hits[5].id", "nothing"),
        (Expected(output={"$.hits[*].id": ["b", "a"]}), "output.$.hits[*].id", '["a", "b"]'),
        (Expected(contains={"answer": ("gone",)}), "contains.answer", '"It is here."'),
        (Expected(not_contains={"": ("here",)}), "not_contains", None),
        (Expected(not_contains={"anwser": ("secret",)}), "not_contains.anwser", "nothing"),
        (Expected(contains={"anwser": ("",)}), "contains.anwser", "nothing"),
        (Expected(matches={"anwser": (".*",)}), "matches.anwser", "nothing"),
        (Expected(matches={"label": ("^loans",)}), "matches.label", '"cards"'),
        (Expected(conditions=("output.score > 2.0",)), "conditions", "false"),
        (Expected(conditions=("output.none.x == 1",)), "conditions", None),
        (Expected(error="budget.exceeded"), "error", "no error"),
        (Expected(awaits=("person",)), "awaits", "nothing; it succeeded"),
        (Expected(called=("send",)), "tools.called", "look_up"),
        (Expected(not_called=("look_up",)), "tools.not_called", "called 2 times"),
        (Expected(egress="none"), "egress", "http to api.example.org, refused"),
        (Expected(max_usd_micros=10_000), "max_cost", "$0.02"),
        (Expected(max_tokens=100), "max_tokens", "120"),
    ],
)
def test_what_does_not_hold_says_what_was_found(expected: Expected, at: str, found: str | None) -> None:
    (difference,) = differences(expected, FOUND)
    assert at == difference.at
    assert found in (None, difference.found)


@pytest.mark.parametrize(
    "expected",
    [
        Expected(),
        Expected(status="succeeded", path=FOUND.path, end="done", visited=("sort",), not_visited=("ask",)),
        Expected(output={"label": "cards", "score": 1, "flag": True, "hits.1.id": "b", "$.hits[0].id": "a"}),
        Expected(output={"$": FOUND.output}),
        Expected(contains={"": ("here",), "answer": ("It", "is")}, not_contains={"label": ("loan",)}),
        Expected(matches={"answer": (r"^It is \w+\.$",)}),
        Expected(conditions=("size(path) == 4 && cost_usd < 0.03", "$.output.hits[?@.id == 'b']")),
        Expected(called=("look_up",), not_called=("send",), max_tokens=120, max_usd_micros=20_000),
    ],
)
def test_what_holds_says_nothing(expected: Expected) -> None:
    assert () == differences(expected, FOUND)


def test_a_slow_run_is_told_of_and_fails_nothing() -> None:
    """A machine may be busy."""
    assert () == differences(Expected(max_duration_ms=1), FOUND)
    assert ("took 900 ms, more than the 1 ms of max_duration",) == warnings(Expected(max_duration_ms=1), FOUND)


def test_hints_say_what_is_there_instead() -> None:
    refused = replace(FOUND, status="refused", path=(), error="run.input_invalid", error_message="it lacks text")
    waiting = replace(FOUND, status="waiting", awaiting=("person",))
    told = [
        *differences(Expected(output={"lable": 1}), FOUND),
        *differences(Expected(path=("sort", "answer", "ask")), FOUND),
        *differences(Expected(path=("sort", "answer")), FOUND),
        *differences(Expected(status="succeeded"), waiting),
        *differences(Expected(end="done"), refused),
    ]
    assert [
        "did you mean 'label'?",
        "they part at state 3: ask expected, answer entered",
        "it goes on to answer",
        "it waits for 'person'",
        "it lacks text",
        "",
    ] == [each.hint for each in told]


def test_places_are_fields_first_and_then_ways_through_them() -> None:
    output: Json = {"a.b": 1, "a": {"b": 2, "c": [3]}}
    assert [1, 3, 2, [3], NOTHING, NOTHING] == [
        found_at(output, place) for place in ("a.b", "a.c.0", "$.a.b", "$.a.c", "a.c.9", "$.x")
    ]


FAILED = replace(FOUND, status="failed", output=None, error="model.broken", error_message="it broke")


@pytest.mark.parametrize(
    "expected",
    [Expected(), Expected(not_visited=("ask",)), Expected(not_contains={"": ("secret",)}), Expected(egress="")],
)
def test_a_run_that_failed_unasked_does_not_hold(expected: Expected) -> None:
    (difference,) = differences(expected, FAILED)
    assert ("status", "a run that does not fail") == (difference.at, difference.expected)
    assert "model.broken: it broke" == difference.hint


@pytest.mark.parametrize(
    "expected",
    [
        Expected(status="failed"),
        Expected(error="model.broken"),
        Expected(end="done"),
        Expected(path=FOUND.path),
        Expected(conditions=("error == 'model.broken'",)),
    ],
)
def test_a_run_may_fail_where_its_end_is_asked_for(expected: Expected) -> None:
    assert () == differences(expected, FAILED)


def test_a_missing_place_is_one_difference_with_what_there_is() -> None:
    (difference,) = differences(Expected(not_contains={"anwser": ("a", "b")}), FOUND)
    assert ("something there", "did you mean 'answer'?") == (difference.expected, difference.hint)
