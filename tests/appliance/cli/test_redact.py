"""`af redact` shows what leaves."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.bench import redaction
from appliance.bench.engine import Goal, Result
from tests.appliance.cli.conftest import Af


class _Stdin:
    def __init__(self, text: str | bytes) -> None:
        self.buffer = io.BytesIO(text if isinstance(text, bytes) else text.encode())


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> "type[_Stdin]":
    """Calling it gives the command a text to read."""

    class Given(_Stdin):
        def __init__(self, text: str | bytes) -> None:
            super().__init__(text)
            monkeypatch.setattr("sys.stdin", self)

    return Given


def test_a_text_comes_out_as_it_would_leave(af: Af, stdin: type[_Stdin]) -> None:
    """Nothing else is on stdout, so that it can be piped on."""
    stdin("key AKIAIOSFODNN7EXAMPLE\n")
    assert (0, "key [API_KEY]\n") == af("redact")[:2]


@pytest.mark.parametrize(
    ("content", "place"),
    [("Herr Müller, bob@example.com".encode("latin-1"), "byte 7"), (b"\x89PNG\r\n\x1a\n", "byte 1")],
)
def test_what_is_no_text_is_refused(af: Af, stdin: type[_Stdin], content: bytes, place: str) -> None:
    """Signs that stand for what could not be read would be printed as if it had been looked through."""
    stdin(content)
    said = af("redact", "--no-names")
    assert (2, "") == said[:2]
    assert place in said.err


def test_json_names_each_find(af: Af, stdin: type[_Stdin]) -> None:
    """Offsets are those of the text that came in."""
    stdin("write to bob@example.com")
    said = af("redact", "--policy", "strict", "--json")
    expected = {
        "type": "EMAIL", "start": 9, "end": 24, "score": 1.0, "recogniser": "email", "action": "replace",
    }  # fmt: skip
    assert {"text": "write to [EMAIL]", "decision": "allow", "findings": [expected]} == said.document


def test_a_blocked_text_is_not_printed(af: Af, stdin: type[_Stdin]) -> None:
    """A pipe that ignores the exit code gets nothing."""
    stdin("key AKIAIOSFODNN7EXAMPLE")
    said = af("redact", "--policy", "strict")
    assert (3, "") == said[:2]
    assert "API_KEY" in said.err
    assert "AKIA" not in said.err


def test_each_line_has_a_decision_of_its_own(af: Af, stdin: type[_Stdin]) -> None:
    """One blocked payload does not stop the others."""
    lines = [
        {"id": 1, "destination": "log", "payload": {"password": "hunter22", "max_tokens": 5}},
        {"id": "b", "payload": [1, "hello"]},
    ]
    stdin("\n".join(map(json.dumps, lines)))
    said = af("redact", "--jsonl", "--policy", "strict")
    assert [
        {"id": 1, "decision": "block", "payload": None},
        {"id": "b", "decision": "allow", "payload": [1, "hello"]},
    ] == [json.loads(line) for line in said.out.splitlines()]


@pytest.mark.usefixtures("own_names")
def test_names_are_found_where_the_policy_wants_them(af: Af, stdin: type[_Stdin]) -> None:
    """The model is the real one, in its own process; stdout holds the text alone."""
    text = "Yesterday Xiulan Zhao flew to Chicago.\n"
    stdin(text)
    assert "Yesterday [PERSON] flew to [LOCATION].\n" == af("redact", "--policy", "strict").out
    stdin(text)
    assert text == af("redact", "--policy", "strict", "--no-names").out
    stdin(text)
    assert text == af("redact", "--policy", "secrets-only").out


def test_thousands_of_lines_come_out_in_order(af: Af, stdin: type[_Stdin]) -> None:
    """They are read ahead of what is written."""
    lines = [{"id": number, "payload": f"case {number}, Xiulan Zhao is asked about it"} for number in range(600)]
    stdin("\n".join(map(json.dumps, lines)))
    said = [json.loads(line) for line in af("redact", "--jsonl", "--policy", "strict").out.splitlines()]
    assert [f"case {number}, [PERSON] is asked about it" for number in range(600)] == [each["payload"] for each in said]
    assert list(range(600)) == [each["id"] for each in said]


@pytest.mark.usefixtures("own_names")
def test_a_line_that_cannot_be_looked_through_is_blocked(
    af: Af, stdin: type[_Stdin], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is a program that ends at once; what needs no model still passes."""
    monkeypatch.setattr("redaction.names.process._command", lambda: ["false"])
    stdin('{"id": 1, "payload": "Xiulan Zhao is here on Monday"}\n{"id": 2, "payload": "nobody is here"}')
    said = af("redact", "--jsonl")
    assert 4 == said.code
    assert ["block", "allow"] == [json.loads(line)["decision"] for line in said.out.splitlines()]
    assert "redaction.unavailable" in said.err
    assert "Xiulan" not in said.out + said.err
    stdin("Xiulan Zhao is here")
    assert (4, "") == af("redact")[:2]


def test_the_lines_before_a_bad_one_are_answered(af: Af, stdin: type[_Stdin]) -> None:
    """And the bad one is named."""
    stdin('{"id": 1, "payload": "hello"}\n{"id": 2}\n')
    said = af("redact", "--jsonl")
    assert 2 == said.code
    assert {"id": 1, "decision": "allow", "payload": "hello"} == json.loads(said.out)
    assert "line 2 of stdin" in said.err


def test_a_line_is_answered_before_the_next_one_comes() -> None:
    """Whoever writes one and waits for the answer must not wait for ever."""
    command = [sys.executable, "-m", "appliance", "redact", "--jsonl", "--no-names"]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[3], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        for number in range(3):
            running.stdin.write(json.dumps({"id": number, "payload": "hello"}) + "\n")
            running.stdin.flush()
            assert number == json.loads(running.stdout.readline())["id"]


def test_explain_names_the_recogniser_and_the_word_nearby(af: Af) -> None:
    """Who tunes a policy asks why."""
    said = af("redact", "explain", "SSN 123-45-6789", "--policy", "strict")
    assert 0 == said.code
    for word in ("NATIONAL_ID", "us_ssn", "ssn", "replace", "SSN [NATIONAL_ID]"):
        assert word in said.out


def test_every_problem_of_a_policy_is_named(af: Af, stdin: type[_Stdin], tmp_path: Path) -> None:
    """With its line, and the nearest word."""
    path = tmp_path / "policy.yaml"
    path.write_text("entities: {EMIAL: mask}\ngroups: {secret: blok}\n")
    stdin("hello")
    said = af("redact", "--policy", path)
    assert 2 == said.code
    assert "did you mean 'EMAIL'?" in said.err
    assert "did you mean 'block'?" in said.err
    assert f"{path}:2" in said.err


def test_a_policy_that_is_neither_ours_nor_a_file_is_named(af: Af, stdin: type[_Stdin]) -> None:
    """A misspelt preset must not fall back to another."""
    stdin("hello")
    said = af("redact", "--policy", "strickt")
    assert 2 == said.code
    assert "default, strict, phi, secrets-only" in said.err


def test_a_policy_of_ones_own_extends_a_preset(af: Af, stdin: type[_Stdin], tmp_path: Path) -> None:
    """The example of the manual."""
    manual = Path(__file__).parents[3] / "appliance/docs/redaction.md"
    path = tmp_path / "policy.yaml"
    path.write_text(manual.read_text().partition("```yaml\n")[2].partition("```")[0])
    stdin("bob@example.com from 203.0.113.9")
    said = af("redact", "--policy", path)
    assert said.out.startswith("[EMAIL=")
    assert said.out.endswith("from 203.0.113.9")
    stdin("bob@example.com from 203.0.113.9")
    assert " from 203.0.113.9" == af("redact", "--policy", path, "--destination", "log").out


def test_a_promise_of_redaction_that_is_not_kept_fails(af: Af, monkeypatch: pytest.MonkeyPatch) -> None:
    """The measuring itself is slow."""
    goal = Goal(name="canaries", value=1, limit=0)
    monkeypatch.setattr(redaction, "bench", lambda **_: Result(rows={"patterns": {"x": 1.0}}, goals=[goal], notes=[]))
    assert 1 == af("bench", "redaction").code


def test_the_measurement_measures() -> None:
    """Every unit stays far from a blow-up, and nothing slips out of a few streams."""
    found = redaction.bench(streams=20, payloads=20, with_names=True, report=lambda _: None)
    goals = {goal.name: goal for goal in found.goals}
    assert 0 == goals["canaries out of 20 streams"].value
    assert {"patterns", "with names"} <= found.rows.keys()
    assert found.rows["patterns"]["worst_repeated_ms"] < 1_000  # ten times what is promised, for a busy machine
