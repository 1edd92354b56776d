"""Where a check stands in a document, and what all checks of one document share."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from appliance.loading.files import ProjectFiles
from appliance.loading.node import Node
from appliance.loading.report import Report
from appliance.loading.site import ANY_SITE, Site
from runtime.domain.canonical import Json
from runtime.domain.problem import Problem, Severity
from runtime.domain.spelling import nearest


@dataclass(slots=True, frozen=True)
class Machine:
    """A state machine found in the document, to be checked when all agents are known."""

    path: str
    node: Node
    definition: dict[str, Json]
    is_lenient: bool


@dataclass(slots=True, frozen=True)
class FoundNode:
    """A node of a behaviour tree, as it was read, with those below it."""

    node: Node
    place: "Place"
    keys: dict[str, Json]
    children: tuple["FoundNode", ...]


@dataclass(slots=True, frozen=True)
class FoundTree:
    """A behaviour tree found in the document, to be checked when all agents are known."""

    root: FoundNode
    is_lenient: bool


@dataclass(slots=True, frozen=True)
class FoundRules:
    """Rules of an agent, as they were read."""

    place: "Place"
    node: Node
    are_many: bool = True
    """Whether it is a table; else the one rule behind it."""


@dataclass(slots=True)
class Reading:
    """One document being read."""

    report: Report
    files: ProjectFiles
    site: Site = ANY_SITE
    machines: list[Machine] = field(default_factory=list)
    trees: list[FoundTree] = field(default_factory=list)
    rules: list[FoundRules] = field(default_factory=list)
    file: str = ""
    """What problems call the outermost document."""
    chain: tuple[str, ...] = ()
    """The files of the workflows around this one, from the project's folder, and its own; empty for one in place."""
    workflows: list[int] = field(default_factory=lambda: [0])
    """How many workflows within each other were read so far, shared by all of them."""
    read_nested: "Callable[[Node, Reading], dict[str, Json]] | None" = None
    """Reads a workflow within this one."""


@dataclass(slots=True, frozen=True)
class Place:
    """The key path of the value under inspection."""

    reading: Reading
    path: str = ""

    def child(self, key: str | int) -> "Place":
        """The place of a member."""
        return Place(self.reading, f"{self.path}.{key}" if self.path else str(key))

    def guess(self, word: str, known: Collection[str], *, cutoff: float = 0.6) -> str:
        """The known word that a misspelt one was probably meant to be; none when nobody would be told."""
        return "" if self.reading.report.is_full else nearest(word, known, cutoff=cutoff)

    def error(self, code: str, message: str, at: Node, hint: str = "") -> None:
        """What stands at `at` keeps the document from loading."""
        self.add(code, message, at, hint)

    def warn(self, code: str, message: str, at: Node, hint: str = "") -> None:
        """What stands at `at` loads, and is worth a look."""
        self.add(code, message, at, hint, "warning")

    def refuse(self, code: str, message: str, at: Node, hint: str = "") -> None:
        """What stands at `at` loads, and a run is refused with this message."""
        self.add(code, message, at, hint, "refusal")

    def add(
        self, code: str, message: str, at: Node, hint: str = "", severity: Severity = "error", *, line: int = 0
    ) -> None:
        """Report a problem in the line of `at`, or in another line of the same file."""
        self.reading.report.add(
            Problem(
                code=code,
                message=message,
                file=at.file,
                line=line or at.line,
                path=self.path,
                hint=hint,
                severity=severity,
            )
        )
