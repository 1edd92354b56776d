"""A scenario file says what it means, or every line that does not."""

from pathlib import Path

import pytest

from appliance.scenarios.finding import chosen, files_of, read_all
from appliance.scenarios.format import Signal
from appliance.scenarios.reading import read_suite
from runtime.errors import InvalidDefinition, NotFound

WHOLE = """
version: 1
answers: {sort: [{known: true}]}
scenarios:
  - name: everything
    input: {message: hi}
    as: agent
    answers: {answer: hello}
    signals: {person: {answer: yes}}
    repeat: 3
    pass_rate: 0.5
    timeout: 2s
    expect:
      status: succeeded
      path: [sort, done]
      end: done
      visited: [sort]
      not_visited: [ask]
      output: {label: cards, citations.0.id: 7, "$.hits[0].id": 8}
      contains: hello
      not_contains: {label: x}
      matches: {label: ["^c", "s$"]}
      conditions: output.score > 0.5
      error: none.such
      awaits: person
      tools: {called: [a], not_called: [b]}
      egress: none
      max_cost: $0.01
      max_tokens: 100
      max_duration: 5s
"""


def written(folder: Path, text: str, name: str = "scenarios.yaml") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def problems(folder: Path, text: str) -> list[tuple[int, str, str]]:
    """Line, code and key path of each."""
    with pytest.raises(InvalidDefinition) as caught:
        read_suite(written(folder, text))
    return [(each.line, each.code, each.path) for each in caught.value.problems]


def test_every_key_is_read(tmp_path: Path) -> None:
    (found,) = read_suite(written(tmp_path, WHOLE)).scenarios
    assert (5, "agent", 3, 0.5, 2_000) == (found.line, found.role, found.repeat, found.pass_ratio, found.timeout_ms)
    assert {"sort": [{"known": True}], "answer": "hello"} == found.answers
    assert (Signal("person", {"answer": "yes"}),) == found.signals
    expect = found.expect
    assert {"label": "cards", "citations.0.id": 7, "$.hits[0].id": 8} == expect.output
    assert ({"": ("hello",)}, {"label": ("x",)}, {"label": ("^c", "s$")}) == (
        expect.contains,
        expect.not_contains,
        expect.matches,
    )
    assert (("output.score > 0.5",), ("person",), ("a",), ("b",)) == (
        expect.conditions,
        expect.awaits,
        expect.called,
        expect.not_called,
    )
    assert (10_000, 100, 5_000, "none") == (
        expect.max_usd_micros,
        expect.max_tokens,
        expect.max_duration_ms,
        expect.egress,
    )


def test_a_file_without_a_version_has_fields_of_the_output_side_by_side(tmp_path: Path) -> None:
    """Files that were written before the format had a version go on being read."""
    text = (
        "scenarios:\n  - name: a\n    input: {}\n"
        "    expect: {path: [x], status: waiting, article: kb-1, error: of a field}\n"
    )
    (found,) = read_suite(written(tmp_path, text)).scenarios
    assert (("x",), "waiting", "") == (found.expect.path, found.expect.status, found.expect.error)
    assert {"citations.0.article": "kb-1", "error": "of a field"} == found.expect.output


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [(1, "scenarios.empty", "")]),
        ("version: 1\n", [(1, "key.missing", "")]),
        ("version: 2\nscenarios: []\n", [(1, "version.unknown", "version")]),
        ('version: 1\nscenarios:\n  - name: "a\n', [(3, "yaml.malformed", "")]),
        ("version: 1\nscenarios:\n  - expect: {}\n", [(3, "key.missing", "scenarios.0")]),
        (
            "version: 1\nscenarios:\n  - name: a\n    expect: {stauts: failed}\n",
            [(4, "key.unknown", "scenarios.0.expect.stauts")],
        ),
        (
            "version: 1\nscenarios:\n  - name: a\n    expect:\n      matches: (\n",
            [(5, "value.pattern", "scenarios.0.expect.matches")],
        ),
        (
            "version: 1\nscenarios:\n  - name: a\n    expect:\n      conditions: [outptu == 1]\n",
            [(5, "condition.unknown_name", "scenarios.0.expect.conditions.0")],
        ),
        (
            "version: 1\nscenarios:\n  - name: a\n    expect:\n      output: {'$.a[': 1}\n",
            [(5, "value.path", "scenarios.0.expect.output.$.a[")],
        ),
        (
            "version: 1\nscenarios:\n  - name: a\n    expect: {}\n  - name: a\n    expect: {}\n",
            [(5, "scenarios.duplicate", "")],
        ),
        (
            "version: 1\nworkflow: other.yaml\nscenarios:\n  - {name: a, expect: {}}\n",
            [(2, "file.not_found", "workflow")],
        ),
        (
            "version: 1\ndatasets:\n  - {name: d, file: no.csv, expect: {}}\n",
            [(3, "file.not_found", "datasets.0.file")],
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, expected: list[tuple[int, str, str]]) -> None:
    assert expected == problems(tmp_path, text)


DATASET = """
version: 1
datasets:
  - name: held out
    file: rows.csv
    columns: {amount: number}
    input: {text: "{{ row.text }}", amount: "{{ row.amount }}"}
    expect: {status: "{{ row.status }}"}
    label: "{{ row.label }}"
    found: label
    min_accuracy: 0.5
"""


def test_a_row_is_a_scenario(tmp_path: Path) -> None:
    """A cell is a text unless its column says otherwise; quoted cells may hold commas and lines."""
    written(tmp_path, 'text,amount,status,label\n"a, b",1.5,succeeded,x\n"c\nd",2,failed,y\n', "rows.csv")
    (dataset,) = read_suite(written(tmp_path, DATASET)).datasets
    assert [{"text": "a, b", "amount": 1.5}, {"text": "c\nd", "amount": 2.0}] == [row.input for row in dataset.rows]
    assert [("succeeded", "x"), ("failed", "y")] == [(row.expect.status, row.expected_label) for row in dataset.rows]
    assert ["held out:2", "held out:4"] == [row.name for row in dataset.rows]


def test_json_lines_keep_their_types_and_a_row_is_the_input_by_itself(tmp_path: Path) -> None:
    written(tmp_path, '{"text": "a", "n": 1}\n\n{"text": "b", "n": null}\n', "rows.jsonl")
    text = "version: 1\ndatasets:\n  - {name: d, file: rows.jsonl, limit: 1, expect: {status: succeeded}}\n"
    (dataset,) = read_suite(written(tmp_path, text)).datasets
    assert [{"text": "a", "n": 1}] == [row.input for row in dataset.rows]


@pytest.mark.parametrize(
    ("rows", "change", "code"),
    [
        ("text,amount,status,label\na,1,succeeded\n", ("", ""), "dataset.ragged"),
        ("text,amount,status,label\na,one,succeeded,x\n", ("", ""), "dataset.cell"),
        ("text,amount,status,label\n", ("", ""), "dataset.empty"),
        ("text,amount,status,label\na,1,succeeded,x\n", ("row.text", "row.txet"), "dataset.no_column"),
        ("text,amount,status,label\na,1,succeeded,x\n", ("row.text", "text"), "template.unknown_name"),
        ("text,amount,status,label\na,1,done,x\n", ("", ""), "value.unknown"),
        ("text,amount,status,label\na,1,succeeded,x\n", ("    found: label\n", ""), "key.missing"),
        (
            "text,amount,status,label\na,1,succeeded,x\n",
            ("found: label", 'found: "{{ row.x }}"'),
            "template.unknown_name",
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, rows: str, change: tuple[str, str], code: str) -> None:
    written(tmp_path, rows, "rows.csv")
    text = DATASET.replace(*change) if change[0] else DATASET
    assert [code] == [found for _, found, _ in problems(tmp_path, text)]


ONE = "version: 1\nscenarios:\n  - {name: NAME, expect: {status: succeeded}}\n"


def test_files_are_found_in_a_project_and_in_a_folder_of_projects(tmp_path: Path) -> None:
    for name in ("a/scenarios.yaml", "a/scenarios/more.yaml", "b/scenarios.yaml"):
        written(tmp_path, ONE.replace("NAME", name), name)
    assert ["scenarios.yaml", "scenarios/more.yaml"] == [
        str(file.relative_to(tmp_path / "a")) for file in files_of(tmp_path / "a")
    ]
    assert 3 == len(files_of(tmp_path))
    (tmp_path / "empty").mkdir()
    for nothing, code in ((tmp_path / "empty", "scenarios.none"), (tmp_path / "gone", "scenarios.not_found")):
        with pytest.raises(NotFound) as caught:
            files_of(nothing)
        assert code == caught.value.code


def test_scenarios_are_chosen_by_a_part_of_their_names(tmp_path: Path) -> None:
    other = "  - {name: other, expect: {status: succeeded}}\n"
    suites = read_all([written(tmp_path, ONE.replace("NAME", "Refund missing") + other)])
    (left,) = chosen(suites, names=["refund"])
    assert ["Refund missing"] == [each.name for each in left.scenarios]
    assert suites == chosen(suites, workflows=[tmp_path.name])
    for asked in ({"names": ["refnud"]}, {"workflows": ["desk"]}):
        with pytest.raises(NotFound, match=r"did you mean 'Refund missing'|there are: "):
            chosen(suites, **asked)
