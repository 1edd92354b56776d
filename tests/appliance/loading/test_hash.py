"""The hash that runs are pinned to: formatting does not change it, anything else does."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.loader import check_bytes, from_document, load
from runtime.domain.canonical import Json, digest, encode, parse
from runtime.domain.workflow import Workflow
from runtime.errors import Invalid, InvalidDefinition

BASE = """\
name: x
agents:
  first:
    type: llm
    prompt: "Say {{ input.message }}"
    model: {provider: local, model: smollm2-135m-instruct}
  second: {type: http, url: "http://h/", timeout: 5s}
planner:
  type: fsm
  initial_state: first
  states:
    first: {on_success: second}
    second: {on_success: end}
    end:
"""
MODEL = "{provider: local, model: smollm2-135m-instruct}"
FIRST, SECOND = "    first: {on_success: second}\n", "    second: {on_success: end}\n"
GOLDEN = "sha256:10ac2ef62c904b4754afb1ce2fd56604b9c9e11b55f52a90b5d11ce1950659b8"


def workflow(text: str) -> Workflow:
    result = check_bytes(text.encode())
    assert result.workflow is not None, result.problems
    return result.workflow


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("name: x\n", "# a comment\nname:   'x'  # another\n\n"),
        (MODEL, "\n      model: smollm2-135m-instruct\n      provider: local"),
        (MODEL, "local/smollm2-135m-instruct"),
        (MODEL, "{provider: local, name: smollm2-135m-instruct}"),
        (f"{FIRST}{SECOND}", f"{SECOND}{FIRST}"),
        ("    end:\n", "    end: {}\n"),
        ("name: x\n", "version: 1\nname: x\n"),
        ("timeout: 5s}", "timeout: 5s, tools: }"),
        ('"Say {{ input.message }}"', ">-\n      Say\n      {{ input.message }}"),
        ("\n", "\r\n"),
    ],
)  # fmt: skip
def test_formatting_does_not_change_the_hash(before: str, after: str) -> None:
    """Tidying a file up must not cut running work off from its definition."""
    assert before in BASE
    assert workflow(BASE).hash == workflow(BASE.replace(before, after)).hash


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("name: x", "name: y"),
        ("Say", "say"),
        ("timeout: 5s", "timeout: 6s"),
        ("smollm2-135m-instruct", "other"),
        ("first: {on_success: second}", "first: {on_success: second, on_error: end}"),
        ("    end:\n", "    end:\n  final_states: [end]\n"),
        ("name: x\n", "name: x\ndescription: d\n"),
    ],
)
def test_anything_else_does(before: str, after: str) -> None:
    """Two definitions that could act differently must not share a hash."""
    assert before in BASE
    assert workflow(BASE).hash != workflow(BASE.replace(before, after)).hash


def test_the_order_of_a_sequence_is_part_of_the_definition() -> None:
    """It is the plan."""
    ab = workflow("name: x\nagents:\n  a: {type: llm}\n  b: {type: llm}\n")
    ba = workflow("name: x\nagents:\n  b: {type: llm}\n  a: {type: llm}\n")
    assert ab.hash != ba.hash
    assert ba.fsm == from_document(encode(ba.document), "").fsm


def test_the_order_of_a_schemas_properties_is_kept() -> None:
    """A model fills them in that order: `reasoning` before `answer` is another question than the reverse."""
    text = """
name: x
agents:
  a:
    type: llm
    output_schema:
      type: object
      properties:
        reasoning: {type: string}
        answer: {type: object, properties: {z: {type: string}, b: {type: string}}}
"""
    stored = from_document(encode(workflow(text).document), "")
    for each in (workflow(text), stored):
        (spec,) = each.agents.values()
        assert spec.output_schema is not None
        properties = spec.output_schema["properties"]
        assert isinstance(properties, dict)
        assert ["reasoning", "answer"] == list(properties)
        assert "x-property-order" not in str(spec.output_schema)
        assert '{"z": {' in str(properties["answer"]).replace("'", '"')
    reverse = text.replace("reasoning", "zzz").replace("answer", "reasoning").replace("zzz", "answer")
    assert workflow(text).hash != workflow(reverse).hash


def test_the_hash_of_a_known_definition_never_changes() -> None:
    """Stored runs name it: a change here cuts them off from their definitions."""
    assert GOLDEN == workflow(BASE).hash


def test_the_hash_is_the_digest_of_the_stored_document() -> None:
    """Anybody can check it with a canonical JSON writer and sha256sum."""
    found = workflow(BASE)
    assert found.hash == digest(found.document)
    assert found.hash == digest(parse(encode(found.document)))


def test_a_stored_definition_comes_back_as_it_was(tmp_path: Path) -> None:
    """With its files' hashes, from another folder, without looking at the files."""
    (tmp_path / "workflow.yaml").write_text("name: x\nagents: {a: {type: custom, handler: 'f.py:g'}}\n")
    (tmp_path / "f.py").write_text("def g(task, ctx): ...\n")
    before = load(tmp_path)
    (tmp_path / "f.py").unlink()
    after = from_document(encode(before.document), "/elsewhere")
    assert before == msgspec.structs.replace(after, folder=str(tmp_path))
    assert ("/elsewhere", {"f.py"}) == (after.folder, set(after.files))


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", b'{"name": "x"}', b'{"name": 1, "agents": {"a": 2}}', b'{"a": 1, "a": 2}', b"\xff"]
)
def test_what_is_no_stored_definition_is_invalid(document: bytes) -> None:
    """It came from a damaged store or another program."""
    with pytest.raises(Invalid):
        from_document(document, "")


def test_a_document_written_by_hand_cannot_claim_files() -> None:
    """`files` belongs to stored definitions; in YAML it is an unknown key."""
    result = check_bytes(b"name: x\nagents: {a: {type: llm}}\nfiles: {/etc/passwd: x}\n")
    assert ["key.unknown"] == [each.code for each in result.problems]


_KEYS = st.sampled_from(
    [
        "name",
        "agents",
        "a",
        "type",
        "planner",
        "definition",
        "states",
        "on_success",
        "initial_state",
        "root",
        "children",
    ]
)
_JSON: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(_JSON)
def test_no_stored_document_breaks_the_loader(document: Json) -> None:
    """A workflow or InvalidDefinition, whatever was stored."""
    try:
        found = from_document({"name": "x", "agents": {"a": {"type": "llm"}}, "planner": document}, "")
    except InvalidDefinition:
        return
    assert found.hash == digest(found.document)
