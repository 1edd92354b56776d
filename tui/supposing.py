"""What-ifs and comparisons as the API tells them, and what a person supposes of a run. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from runtime.domain.canonical import Json, parse
from runtime.domain.event import StepFailed
from runtime.domain.history import Change
from runtime.domain.ids import state_of
from runtime.domain.journal import Entry
from runtime.domain.run import RunState, StepState
from runtime.errors import Invalid

Answers = Literal["live", "recorded", "scripted"]
ANSWERS: tuple[Answers, ...] = ("live", "recorded", "scripted")
DEEPEST = 4
"""Keys within keys that are listed by themselves; what is deeper is one value."""


class Took(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    @property
    def tokens(self) -> int:
        """Both together."""
        return self.input_tokens + self.output_tokens


class Supposed(msgspec.Struct, frozen=True, kw_only=True):
    """What a what-if supposes."""

    run_id: str
    at: int
    answers: str = "live"
    live_tools: bool = False
    values: Any = None


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of two runs."""

    run_id: str
    workflow: str
    status: str
    usage: Took = Took()
    spent: Took = Took()
    duration_ms: int = 0
    what_if: Supposed | None = None

    @property
    def supposed_steps(self) -> set[str]:
        """The steps whose results are supposed, and `input`."""
        values = self.what_if.values if self.what_if else None
        changes = values.get("changes") if isinstance(values, dict) else None
        return {str(change[0]) for change in changes or () if isinstance(change, list) and change}


class StepSide(msgspec.Struct, frozen=True, kw_only=True):
    """One step in one of them."""

    status: str
    agent: str | None = None
    duration_ms: int = 0
    usage: Took = Took()
    error: str | None = None
    reused: bool = False
    is_other_input: bool = False


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One step in both."""

    step: str
    verdict: str
    left: StepSide | None = None
    right: StepSide | None = None


class Parting(msgspec.Struct, frozen=True, kw_only=True):
    """The first entries that say something else; 0 where one of the runs had ended."""

    left_seq: int
    right_seq: int
    left: str
    right: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs beside each other; differences are those of the right one from the left one."""

    left: Side
    right: Side
    is_equal: bool = False
    parting: Parting | None = None
    steps: list[Pair] = []
    input_changes: list[Change] = []
    output_changes: list[Change] = []
    tokens_difference: int = 0
    cost_usd_difference: float = 0.0


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A value of a run that can be supposed to be another."""

    name: str
    """`input.FIELD`, `STEP.result.FIELD`; for a model the step's agent."""
    value: Json = None
    """What is recorded; for a model what it was, where that is known."""
    is_model: bool = False
    error: str = ""
    """The code with which the step failed; its result is then whatever is supposed."""


class Supposition(msgspec.Struct, kw_only=True):
    """What a person supposes; changed in place, key by key."""

    at: int = 0
    """Up to this entry things are taken as they stand; 0: up to the change."""
    set: dict[str, Json] = {}
    models: dict[str, str] = {}
    definition: str = ""
    """Empty: the run's own."""
    answers: Answers = "live"
    script: dict[str, Json] = {}
    live_tools: bool = False

    def body(self) -> Json:
        """As the API wants to be told."""
        told: dict[str, Json] = {"at": self.at, "answers": self.answers, "live_tools": self.live_tools}
        told["set"], told["models"] = dict(self.set), dict(self.models)
        if self.definition:
            told["definition"] = self.definition
        if self.answers == "scripted":
            told["script"] = dict(self.script)
        return {"suppose": told}

    def command(self, run: str) -> str:
        """The same for a shell."""
        words = [f"af what-if {run}"]
        words += [f"--at {self.at}"] if self.at else []
        words += [f"--set {_quoted(f'{place}={_typed(value)}')}" for place, value in self.set.items()]
        words += [f"--definition {_quoted(self.definition)}"] if self.definition else []
        words += [f"--model {_quoted(f'{name}={model}')}" for name, model in self.models.items()]
        if self.answers != "live":
            words.append(f"--with {self.answers}")
        if self.answers == "scripted":
            words.append(f"--script {_quoted(_json(dict(self.script)))}")
        return " ".join([*words, "--live-tools"] if self.live_tools else words)


def starting_point(entries: list[Entry], seq: int) -> int:
    """Where a what-if sets out that is asked for at an entry: in front of a failure, so that it is tried again; at the
    end nothing would be different, so it is left to the change."""
    if 0 < seq <= len(entries) and isinstance(entries[seq - 1].body, StepFailed):
        return seq - 1
    return 0 if seq >= len(entries) else seq


def places(state: RunState) -> list[Place]:
    """The values that a run was given and came to, and the models that it asked."""
    found = [*_within("input", state.input, DEEPEST)]
    asked: dict[str, Place] = {}
    for step in state.steps.values():
        error = step.error.code if step.error is not None and step.status == "failed" else ""
        found += _within(f"{step.step}.result", step.output, DEEPEST, error=error)
        if _asks_model(step):
            model, agent = (step.evidence or {}).get("model"), step.agent or state_of(step.step)
            asked[agent] = Place(name=agent, value=model if isinstance(model, str) else None, is_model=True)
    return [*found, *asked.values()]


def meant(said: str, recorded: Json) -> Json:
    """What was typed, as the value that it stands for: text stays text where there was text; else JSON where it is
    some. Raises Invalid for what begins as JSON and is none."""
    if isinstance(recorded, str) and said[:1] not in '{["':
        return said
    try:
        return parse(said.encode())
    except Invalid as error:
        if said[:1] in '{["':
            raise Invalid("tui.bad_json", f"this begins like JSON and is none: {error.message}") from None
        return said


def shown(value: Json) -> str:
    """A value as it is typed: text as it is, all else as JSON."""
    return value if isinstance(value, str) and value[:1] not in '{["' else _json(value)


def _within(name: str, value: Json, depth: int, *, error: str = "") -> Iterator[Place]:
    if isinstance(value, Mapping) and value and depth and all(key and "." not in key for key in value):
        for key, inner in value.items():
            yield from _within(f"{name}.{key}", inner, depth - 1)
    elif value is not None or error:
        yield Place(name=name, value=value, error=error)


def _asks_model(step: StepState) -> bool:
    failed_of_model = step.error is not None and step.error.code.startswith("model.")
    return bool(step.usage.input_tokens) or failed_of_model or "model" in (step.evidence or {})


def _json(value: Json) -> str:
    return msgspec.json.encode(value).decode()


def _typed(value: Json) -> str:
    """What the command line reads back as this very value."""
    if not isinstance(value, str):
        return _json(value)
    try:
        parse(value.encode())
    except Invalid:
        return value
    return _json(value)


def _quoted(text: str) -> str:
    """For a shell."""
    if text and all(letter.isalnum() or letter in "-_./=:@%+," for letter in text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"
