"""The three functions that the rest of the appliance calls."""

import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.loader import check, check_bytes, from_document, load
from runtime.domain.canonical import encode
from runtime.errors import Invalid, InvalidDefinition, NotFound

GOOD = "name: x\nagents:\n  a: {type: llm}\n"


def test_a_file_or_a_folder_with_a_workflow_is_loaded(tmp_path: Path) -> None:
    """The folder is the project; the file names it as well."""
    (tmp_path / "workflow.yaml").write_text(GOOD)
    (tmp_path / "other.yaml").write_text(GOOD.replace("x", "y", 1))
    assert "x" == load(tmp_path).name
    assert ("y", str(tmp_path)) == (load(tmp_path / "other.yaml").name, load(tmp_path / "other.yaml").folder)


def test_json_is_yaml(tmp_path: Path) -> None:
    """Tabs between its tokens included."""
    (tmp_path / "w.json").write_text('{\n\t"name": "x",\n\t"agents": {"a": {"type": "llm"}}\n}\n')
    assert "x" == load(tmp_path / "w.json").name


def test_every_problem_is_in_the_one_error(tmp_path: Path) -> None:
    """Errors and what is merely refused, with file and line; exit code 2."""
    file = tmp_path / "w.yaml"
    file.write_text("name: x y\nagents:\n  a: {type: llm, modell: openai/gpt-4}\n  b: {typ: llm}\n")
    with pytest.raises(InvalidDefinition) as caught:
        load(file)
    assert 2 == caught.value.exit_code
    assert [(1, "error"), (3, "error"), (3, "refusal"), (4, "error")] == [
        (each.line, each.severity) for each in caught.value.problems
    ]
    assert {str(file)} == {each.file for each in caught.value.problems}
    assert f"{file}:4: error[key.unknown] agents.b.typ:" in str(caught.value)


def test_what_cannot_be_read_is_said_plainly(tmp_path: Path) -> None:
    """A missing file and a missing workflow.yaml name what was looked for."""
    with pytest.raises(NotFound, match=r"no file .*gone\.yaml"):
        load(tmp_path / "gone.yaml")
    with pytest.raises(NotFound, match=r"no file .*workflow\.yaml"):
        load(tmp_path)
    with pytest.raises(Invalid):
        load(tmp_path / ("x" * 300))
    assert ["file.not_found"] == [each.code for each in check(tmp_path).problems]
    assert not check(tmp_path).is_valid


def test_a_fragment_is_checked_but_is_no_workflow(tmp_path: Path) -> None:
    """`af validate` takes it, `af run` says what is missing."""
    file = tmp_path / "memory.yaml"
    file.write_text("memory: {short_term: {enabled: true}}\n")
    assert ("memory", True, None) == (check(file).kind, check(file).is_valid, check(file).workflow)
    with pytest.raises(InvalidDefinition, match="a workflow has a name and agents"):
        load(file)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("memory: {}\ntool_security: {}\n", "memory+tool_security"),
        ("states: {a: {}}\ninitial_state: a\n", "state_machine"),
        ("root: {type: condition, check: x}\n", "behavior_tree"),
        ("type: condition\ncheck: x\n", "behavior_tree"),
        ("type: sequense\nchildren: []\n", "behavior_tree"),
        ("type: retry\nnum_attempts: 3\nchild: {type: action, agent: a}\n", "behavior_tree"),
        ("type: sequence\nchildren: []\nagents: {}\n", "workflow"),
        ("apiVersion: v1\nkind: Service\n---\napiVersion: v1\nkind: Pod\n", "kubernetes"),
        (GOOD, "workflow"),
        ("nmae: x\n", "workflow"),
        ("", "nothing"),
        ("just prose", "nothing"),
    ],
)
def test_a_document_is_what_its_keys_say(text: str, kind: str) -> None:
    """One command validates a folder of all kinds."""
    assert kind == check_bytes(text.encode()).kind


@pytest.mark.parametrize("text", ["", "# nothing\n", "just prose", "- a\n- b\n", "---\n"])
def test_a_document_that_says_nothing_is_an_error(text: str) -> None:
    """Silence would look like success."""
    assert not check_bytes(text.encode()).is_valid


def test_a_second_document_is_an_error() -> None:
    """Half of the file would be ignored."""
    problems = check_bytes(f"{GOOD}---\n{GOOD}".encode()).problems
    assert [("yaml.documents", 5)] == [(each.code, each.line) for each in problems]


_LINES = st.sampled_from(
    """\
name: x
agents:
  a: {type: llm}
  b:
    type: custom
    handler: a.py:b
    model: m
planner:
  type: fsm
  type: behavior_tree
  definition: |
    states:
      a: {on_success: b}
      b:
    initial_state: a
    root: {type: sequence, children: []}
workflow:
  type: sequential
  timeout: 2s
memory: &m
<<: *m
  long_term: {k: 5, folder: ..}
triggers: [{http_endpoint: }]
policies: {cost_budget: -1}
- x
\t
---
## Heading
output: .nan
input_schema: {type: [x]}""".splitlines()
)


@given(st.lists(_LINES, max_size=14).map("\n".join))
def test_check_never_raises(text: str) -> None:
    """`af validate` meets every document there is; a workflow that it calls valid is one."""
    result = check_bytes(text.encode())
    assert result.is_valid or result.workflow is None
    assert result.workflow is not None or result.kind != "workflow" or not result.is_valid


RICH = """\
name: x
agents:
  a: {type: llm, model: {provider: openai, model: gpt-4}, retry: {max_attempts: 2}, prompt: "{{ input.a }}"}
  b: {type: ml_model, model: {endpoint: "http://h/"}, planner: {type: behavior_tree, root: {type: action, agent: a}}}
  c: {type: fsm, planner: {type: fsm, definition: "{states: {s: {}}, initial_state: s}"}}
  d: &d {type: rag, memory: {long_term: {collection: k}}, output_schema: {type: object, properties: {z: {}, a: {}}}}
  e: {<<: *d, timeout: 2s}
planner:
  type: fsm
  definition: |
    states:
      a: {condition: "response.x.length > 1", on_true: b, on_false: e}
      b: {conditional_transitions: [{condition: $.x, target: c}], on_success: c}
      c: {on_success: d}
      d: {wait_for: person, on_success: end}
      e: {on_success: end}
    initial_state: a
    final_states: [end]
workflow: {timeout: 2s, sla: 99.9%}
"""
_EDITS = st.lists(
    st.tuples(
        st.integers(0, len(RICH)), st.integers(0, 4), st.sampled_from(["", *"ab:-{}[]&*|'\"#\t\n 0", "null", "{}"])
    ),
    min_size=1,
    max_size=4,
)


@given(_EDITS)
@example([(RICH.index(": a}}}"), 3, "")])
def test_no_slip_of_the_pen_breaks_it(edits: list[tuple[int, int, str]]) -> None:
    """A document with everything in it, and a few characters wrong; what still loads can be stored and read back."""
    text = RICH
    for at, length, written in edits:
        text = text[:at] + written + text[at + length :]
    found = check_bytes(text.encode()).workflow
    if found is not None:
        again = from_document(encode(found.document), "")
        assert msgspec.structs.replace(found, problems=()) == msgspec.structs.replace(again, problems=())


@given(st.binary(max_size=80))
def test_no_bytes_break_it(data: bytes) -> None:
    """Whatever is uploaded."""
    check_bytes(data)


def test_a_large_definition_loads_in_no_time() -> None:
    """30 states take about 15 ms of CPU; the bound leaves room for a slow machine and none for a square law."""
    agents = "".join(f"  a{n}: {{type: llm, prompt: 'Do {{{{ input.x }}}} {n}', timeout: 30s}}\n" for n in range(30))
    states = "".join(f"    a{n}: {{on_success: a{n + 1}, on_error: failed, timeout: 10s}}\n" for n in range(30))
    plan = f"planner:\n  type: fsm\n  initial_state: a0\n  states:\n{states}    a30:\n    failed:\n"
    text = f"name: x\nagents:\n{agents}{plan}".encode()
    spent = []
    for _ in range(5):
        began = time.process_time()
        assert check_bytes(text).workflow is not None
        spent.append(time.process_time() - began)
    assert min(spent) < 0.3


@pytest.mark.parametrize(
    "text",
    [
        GOOD + "planner:\n  type: fsm\n  initial_state: s0\n  states:\n"
        + "".join(f"    s{n}: {{agent: a, on_success: s{n + 1}}}\n" for n in range(3_000)),
        GOOD + "planner:\n  type: fsm\n  initial_state: s0\n  states:\n"
        + "".join(f"    s{n}: {{agent: a, on_success: typo{n}}}\n" for n in range(3_000)),
        "name: x\nagents:\n" + "".join(f"  a{n}: {{type: llm}}\n" for n in range(5_000)),
        GOOD + "".join(f"zz{n}: 1\n" for n in range(10_000)),
    ],
    ids=["a long circle", "slips", "agents", "unknown keys"],
)  # fmt: skip
def test_a_huge_definition_takes_time_in_proportion(text: str) -> None:
    """An upload must not stall the appliance; these take well under a second, and minutes by a square law."""
    began = time.process_time()
    check_bytes(text.encode())
    assert time.process_time() - began < 15
