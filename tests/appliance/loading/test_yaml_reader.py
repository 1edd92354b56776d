"""YAML that is not what it seems. Each case is one clear problem with a line, and costs next to nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.loading.node import Node, plain
from appliance.loading.report import Report
from appliance.loading.yaml_reader import MAX_ALIASED, MAX_BYTES, MAX_DEPTH, decode, read_documents
from runtime.domain.canonical import encode


def read(text: str) -> tuple[list[Node], list[tuple[str, int]]]:
    report = Report()
    documents = read_documents(text, report, file="f.yaml")
    return documents, [(each.code, each.line) for each in report.problems()]


def value(text: str) -> object:
    documents, problems = read(text)
    assert [] == problems
    return plain(documents[0])


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {k: [x, x, x]}\n" + "".join(
    f"{b}: &{b} {{<<: *{a}, l{b}: *{a}, m{b}: *{a}, n{b}: *{a}}}\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

BAD = {
    "not YAML": ("a: b: c\n", "yaml.malformed", 1),
    "an open quote": ('a: 1\nb: "x\nc: 2\n', "yaml.malformed", 2),
    "an open bracket": ("a: [1, 2\nb: 3\n", "yaml.malformed", 2),
    "a wrong indent": ("a:\n    b: 1\n  c: 2\n", "yaml.malformed", 3),
    "a tab": ("a:\n\tb: 1\n", "yaml.tab", 2),
    "a tab further down": ("a:\n  b: 1\n\tc: 2\n", "yaml.tab", 3),
    "a duplicate key": ("a: 1\nb: 2\na: 3\n", "yaml.duplicate_key", 3),
    "a duplicate key in braces": ("x: {a: 1, 'a': 2}\n", "yaml.duplicate_key", 1),
    "a Python object": ("a: !!python/object/apply:os.system [ls]\n", "yaml.tag", 1),
    "a tag of one's own": ("a: !secret x\n", "yaml.tag", 1),
    "a standard tag": ("a: !!int '3'\n", "yaml.tag", 1),
    "not a number": ("a: 1\nb: .nan\n", "yaml.number", 2),
    "an infinity": ("b: -.inf\n", "yaml.number", 1),
    "a number that overflows": ("b: 1e999\n", "yaml.number", 1),
    "a number beyond 2^53": ("b: 9007199254740993\n", "yaml.number", 1),
    "a number of 5,000 digits": (f"b: {'9' * 5_000}\n", "yaml.number", 1),
    "a number as a key": ("1: x\n", "yaml.key", 1),
    "nothing as a key": ("~: x\n", "yaml.key", 1),
    "a list as a key": ("? [a]\n: x\n", "yaml.key", 1),
    "an alias as a key": ("a: &a x\n*a : y\n", "yaml.key", 2),
    "an alias to nowhere": ("a: *b\n", "yaml.alias", 1),
    "an alias to itself": ("a: &a\n  b: *a\n", "yaml.alias", 2),
    "a merge of a text": ("a:\n  <<: x\n", "yaml.merge", 2),
    "a billion laughs": (LAUGHS, "yaml.too_many_aliases", 4),
    "a billion merges": (MERGES, "yaml.too_many_aliases", 7),
    "brackets without end": ("a: " + "[" * 1_000_000, "yaml.too_deep", 1),
    "a staircase": ("\n".join(" " * depth + "a:" for depth in range(60)), "yaml.too_deep", MAX_DEPTH + 1),
    "a control character": ("a: 1\nb: \x07\n", "yaml.character", 2),
    "a surrogate": ('a: "\\ud800"\n', "yaml.malformed", 1),
}


@pytest.mark.parametrize(("text", "code", "line"), BAD.values(), ids=BAD.keys())
def test_bad_yaml_is_one_problem_with_its_line(text: str, code: str, line: int) -> None:
    """Whoever wrote it sees where; nobody's process grows or hangs."""
    _, problems = read(text)
    assert (code, line) in problems
    assert 1 == len(problems)


def test_a_message_says_what_to_do() -> None:
    """Position alone helps nobody who has never read the YAML specification."""
    report = Report()
    read_documents("title: this: that\n", report)
    (problem,) = report.problems()
    assert "a text with ': ' in it needs quotes" == problem.hint


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("yes", "yes"), ("off", "off"), ("On", "On"), ("y", "y"),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("12", 12), ("-3", -3), ("+4", 4), ("0x1F", 31), ("0o17", 15), ("0", 0),
        ("0123", "0123"), ("1_000", "1_000"), ("12:30", "12:30"), ("2026-01-31", "2026-01-31"),
        ("1.5", 1.5), ("-.5", -0.5), ("1e3", 1000.0), ("1.", 1.0), ("00.5", "00.5"), ("1.2.3", "1.2.3"),
        ("'12'", "12"), ('"true"', "true"), ("-", [None]), ("--", "--"), ("99.9%", "99.9%"),
    ],
)  # fmt: skip
def test_plain_values_follow_yaml_1_2(written: str, expected: object) -> None:
    """`on` is a text, `0123` keeps its zero, and a time of day is no number in base 60."""
    assert expected == (value(f"a:\n  {written}") or {"a": None})["a"]  # type: ignore[index]  # a mapping


def test_words_that_older_yaml_takes_for_booleans_are_keys_like_any_other() -> None:
    """`on:` is a key of many tools' files."""
    assert {"on": 1, "yes": 2, "true": 3, "null_": 4} == value("on: 1\nyes: 2\ntrue: 3\nnull_: 4\n")


def test_aliases_and_merges_work_within_bounds() -> None:
    """Shared settings are what they are for; what stands in the mapping itself wins."""
    text = "base: &base {a: 1, b: 2}\none: {<<: *base, b: 3}\ntwo: {<<: [{b: 9}, *base]}\nthree: *base\n"
    expected = {"base": {"a": 1, "b": 2}, "one": {"a": 1, "b": 3}, "two": {"a": 1, "b": 9}, "three": {"a": 1, "b": 2}}
    assert expected == value(text)


def test_aliases_up_to_the_limit_are_read() -> None:
    """The limit counts what aliases stand for, not what is written."""
    half = MAX_ALIASED // 2 - 1
    text = f"a: &a [{', '.join(['x'] * half)}]\nb: *a\nc: *a\n"
    _, problems = read(text)
    assert [] == problems
    _, problems = read(text + "d: *a\n")
    assert [("yaml.too_many_aliases", 4)] == problems


def test_every_key_and_value_knows_its_place() -> None:
    """Problems point at them."""
    (document,), _ = read("a:\n  bb: 1\n  cc:\n    - x\n    -   y\n")
    inner = document.member("a")
    assert inner is not None
    assert {"bb": (2, 3), "cc": (3, 3)} == inner.keys
    node, line = document.find(("a", "cc", "1"))
    assert ("y", 5, 9, 5) == (node.value, node.line, node.column, line)


def test_a_block_text_knows_the_line_on_which_it_begins() -> None:
    """YAML inside it is reported with lines of the outer file."""
    (document,), _ = read("a: |  # a comment\n  first\n  second\nb: 'text'\n")
    assert [2, 4] == [document.find((key,))[0].text_line for key in "ab"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\n\n#### Heading\n- prose\n- more\n", {"a": 1}),
        ("a: 1\n## Heading\nprose over\ntwo lines: and more: so\n", {"a": 1}),
    ],
)
def test_markdown_behind_the_document_ends_it_with_a_warning(text: str, expected: object) -> None:
    """The source document has such a block; the rest of it must not be lost to a parser's error."""
    documents, problems = read(text)
    assert [expected] == [plain(each) for each in documents]
    assert ["yaml.markdown"] == [code for code, _ in problems]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("## Settings\na: 1\nb: c: d\n", 3),
        ("a: 1\n## More\nb: 2\nc: [\n", 4),
        ("## Heading\n- a\nb\n", 3),
        ("a: 1\n  ## indented\n - b\n", 3),
    ],
)
def test_a_comment_that_looks_like_a_heading_hides_no_error(text: str, line: int) -> None:
    """Only prose behind a heading ends a document; keys behind it are part of it."""
    documents, problems = read(text)
    assert [] == documents
    assert [("yaml.malformed", line)] == problems


def test_decoding_takes_utf8_up_to_a_mebibyte() -> None:
    """A byte-order mark is an editor's, not the author's."""
    report = Report()
    assert "a: é\n" == decode("\ufeffa: é\n".encode(), report, "f")
    assert "x" * MAX_BYTES == decode(b"x" * MAX_BYTES, report, "f")
    assert () == report.problems()
    for data in (b"x" * (MAX_BYTES + 1), "a: é".encode("latin-1"), "a: é".encode("utf-16")):
        assert None is decode(data, report, "f")
    assert ["yaml.too_large", "yaml.not_utf8"] == list(dict.fromkeys(each.code for each in report.problems()))


_PIECES = st.sampled_from(
    ["a", "b: ", "- ", "? ", "[", "]", "{", "}", "&a ", "*a", "!t ", "|\n", ">\n", "'", '"', "#", "@"]
)
_BLANKS = st.sampled_from(
    ["\n", "\n  ", " ", "\t", "---\n", "\u2028", "\x85", "\x07", "\n## x\n", "<<: ", ",", "1", ".nan"]
)


@given(st.lists(_PIECES | _BLANKS, max_size=20).map("".join))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Documents or problems, never an exception; what is read without problems has a JSON form."""
    documents, problems = read(text)
    if not problems:
        for document in documents:
            encode(plain(document))
