"""The one tree of errors, cut by what a caller does next.

    AgentFlowError
    ├── Invalid        the input is wrong: fix it                      exit 2 · HTTP 422
    │   ├── NotFound   no such run, workflow, model or file            exit 2 · HTTP 404
    │   └── InvalidDefinition   a document with a list of problems     exit 2 · HTTP 422
    ├── Refused        policy, budget or permission says no            exit 3 · HTTP 403
    ├── Unavailable    a part is missing, busy or down: retry may help exit 4 · HTTP 503
    │   └── Unusable   what was named stands in the way until changed  exit 2 · HTTP 503
    │       └── StoreFull   the disk takes no more                     exit 2 · HTTP 507
    ├── Conflict       somebody else was first, or the state is past   exit 1 · HTTP 409
    │   └── SequenceConflict   a journal is no longer where you think
    ├── StepFailure    an agent ran and failed                         exit 1
    └── Corrupt        stored bytes are wrong: stop, call an operator  exit 1 · HTTP 500

Every error has a stable `code` (`area.what`), says whether a retry may help, and keeps its facts as
attributes. A message names what failed, which one, what was expected and found, and what to do.
Messages never hold a secret, a prompt or personal data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.domain.problem import Problem


class AgentFlowError(Exception):
    """Root of the tree. `str(error)` is `code: message`."""

    exit_code = 1
    http_status = 500
    retryable = False

    def __init__(self, code: str, message: str, *, retryable: bool | None = None, **facts: object) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.facts = facts
        if retryable is not None:
            self.retryable = retryable


class Invalid(AgentFlowError):
    """The input is wrong; the same call will fail again until it is fixed."""

    exit_code = 2
    http_status = 422


class NotFound(Invalid):
    """The thing that was named does not exist here."""

    http_status = 404


class InvalidDefinition(Invalid):
    """A document with one or more problems, each with its place."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__("definition.invalid", f"{name} has {len(problems)} problem(s):\n{lines}", name=name)
        self.problems = tuple(problems)


class Refused(AgentFlowError):
    """Policy, budget or permission says no. The message names the rule and where it is set."""

    exit_code = 3
    http_status = 403


class Unavailable(AgentFlowError):
    """A part is missing, busy or down."""

    exit_code = 4
    http_status = 503
    retryable = True


class Unusable(Unavailable):
    """What the caller named cannot be used until somebody changes it: a folder that another process holds or that
    takes no writes, a port that is taken, a full disk."""

    exit_code = 2
    retryable = False


class StoreFull(Unusable):
    """The disk takes no more; nothing of the refused write was kept."""

    http_status = 507


class Conflict(AgentFlowError):
    """The state has moved on; read it again."""

    http_status = 409


class SequenceConflict(Conflict):
    """An append named a sequence number that is not the end of the journal."""

    def __init__(self, run: str, expected: int, found: int) -> None:
        super().__init__(
            "journal.sequence_conflict",
            f"run {run!r} is at sequence {found}, not {expected}; read it again before appending",
            run=run,
            expected=expected,
            found=found,
        )


class StepFailure(AgentFlowError):
    """An agent ran and failed; `retryable` says whether another attempt may succeed."""


class Corrupt(AgentFlowError):
    """Stored bytes do not say what was written. Stop and call an operator."""
