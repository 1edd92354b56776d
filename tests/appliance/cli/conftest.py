"""The `af` command, run in this process, and workflows that need no model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from appliance.cli.main import run
from redaction.names.host import NamesHost

GREET = """
name: greet
agents:
  greet:
    type: llm
    model: {provider: scripted, answers: {"^slow": {text: done, delay_ms: 60000}, "^(?!slow)": "hello"}}
    prompt: "{{ input.message }}"
"""
DESK = """
name: desk
agents:
  sort:
    type: llm
    model: {provider: scripted, answers: {"^card": {json: {known: true}}, "^(?!card)": {json: {known: false}}}}
    prompt: "{{ input.message }}"
    output_schema: {type: object, required: [known]}
  answer:
    type: llm
    model:
      provider: scripted
      answers: {"broken": {error: {code: model.broken, message: it broke}}, "^((?!broken).)*$": "hello"}
    prompt: "{{ input.message }}"
planner:
  type: fsm
  definition:
    initial_state: sort
    states:
      sort: {condition: response.known, on_true: answer, on_false: ask}
      answer: {on_success: done}
      ask: {wait_for: person, on_success: done}
    final_states: [done]
"""


class Said(NamedTuple):
    """What one invocation of `af` came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, object]:
        """Stdout as one JSON document."""
        found: dict[str, object] = json.loads(self.out)
        return found


Af = Callable[..., Said]


@pytest.fixture(autouse=True)
def _one_worker_for_names(names: NamesHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("appliance.wiring", "redaction.names.host"):
        monkeypatch.setattr(f"{place}.NamesHost", lambda **_: names)


@pytest.fixture
def own_names(_one_worker_for_names: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command starts a worker of its own, as the program does."""
    monkeypatch.setattr("redaction.names.host.NamesHost", NamesHost)


@pytest.fixture
def af(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Af:
    """Run `af` with these arguments; its data folder is this test's own."""
    for name in ("NO_COLOR", "AGENTFLOW_MODELS", "AGENTFLOW_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def invoke(*arguments: str | Path) -> Said:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        said = capfd.readouterr()
        return Said(code, said.out, said.err)

    return invoke


@pytest.fixture
def greet(tmp_path: Path) -> Path:
    """A workflow of one step that says hello; the message `slow` takes a minute."""
    return _written(tmp_path / "greet.yaml", GREET)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A workflow that answers messages about a card, waits for a person otherwise, and fails for `card broken`."""
    return _written(tmp_path / "desk.yaml", DESK)


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
