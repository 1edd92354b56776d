"""What a scenario file says, as types. Reads no file and runs nothing."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from runtime.domain.canonical import Json

VERSION = 1
FILE = "scenarios.yaml"
"""The scenario file of a project's folder."""
FOLDER = "scenarios"
"""Further ones lie in a folder of this name."""
DEFAULT_TIMEOUT_MS = 300_000
NAMES = frozenset(
    {"input", "output", "steps", "path", "status", "error", "awaiting", "tools", "tokens", "cost_usd", "duration_ms"}
)
"""What conditions and templates may read of a run."""
Answers = Mapping[str, Json]
"""Agent or tool → what is played in its place."""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What must become of a run; a field that is not set expects nothing."""

    status: str = ""
    path: tuple[str, ...] | None = None
    """The states in the order in which they are entered, all of them."""
    end: str = ""
    """The state that was entered last."""
    visited: tuple[str, ...] = ()
    not_visited: tuple[str, ...] = ()
    output: Mapping[str, Json] = {}
    """Field of the output, or a JSONPath into it → its value."""
    contains: Mapping[str, tuple[str, ...]] = {}
    """The same places → texts that stand there; the place `""` is the whole answer."""
    not_contains: Mapping[str, tuple[str, ...]] = {}
    matches: Mapping[str, tuple[str, ...]] = {}
    """The same places → regular expressions that find something there."""
    conditions: tuple[str, ...] = ()
    """CEL or JSONPath over the run."""
    error: str = ""
    """The code of the error that it ends with."""
    awaits: tuple[str, ...] = ()
    """Signals that it waits for."""
    called: tuple[str, ...] = ()
    not_called: tuple[str, ...] = ()
    egress: str = ""
    """`none`: nothing left this machine, and nothing tried to."""
    max_usd_micros: int | None = None
    max_tokens: int | None = None
    max_duration_ms: int = 0
    """Told where it is exceeded, and no failure: a machine may be busy. 0: any."""
    is_known: bool = True
    """Whether the file has a version; one without has fields of the output among the keys."""


class Signal(msgspec.Struct, frozen=True):
    """An answer to a run that waits."""

    name: str
    data: Json = {}
    role: str = ""
    """In what role a task for people is answered; empty: the first that may."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One input, and what must become of it."""

    name: str
    file: str
    line: int
    workflow: Path
    """The definition: a file, or a project's folder."""
    input: Json = {}
    role: str = ""
    answers: Answers = {}
    tool_answers: Answers = {}
    signals: tuple[Signal, ...] = ()
    """Given in this order, each when the run waits for it."""
    repeat: int = 1
    pass_ratio: float = 1.0
    """How many of the repeats must hold."""
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    expect: Expected = Expected()
    skip: str = ""
    """Why it is not run now."""
    expected_label: str | None = None
    """In a dataset: what the row says that is to be found."""
    found_at: str = ""
    """In a dataset: where it is to be found."""


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """Many scenarios of one form, one for each row of a file."""

    name: str
    file: str
    line: int
    rows: tuple[Scenario, ...]
    min_accuracy: float = 1.0
    has_labels: bool = False


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario file."""

    file: Path
    scenarios: tuple[Scenario, ...] = ()
    datasets: tuple[Dataset, ...] = ()

    @property
    def all(self) -> tuple[Scenario, ...]:
        """Every scenario, rows of datasets too."""
        return (*self.scenarios, *(row for dataset in self.datasets for row in dataset.rows))
