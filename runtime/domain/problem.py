"""A problem in a document: what, where, what was expected, what to do."""

from typing import Literal

import msgspec

Severity = Literal["error", "warning", "refusal"]
"""`error`: does not load. `warning`: loads, look at it. `refusal`: loads, but a run is refused with this message."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finding about one place in one file."""

    code: str
    """Stable name of the rule, such as `key.unknown`."""
    message: str
    """What is wrong and what was expected, in one sentence."""
    file: str = ""
    line: int = 0
    """From 1; 0 when the document has no lines (it came as JSON)."""
    path: str = ""
    """The key path, such as `agents.answer.model.provider`."""
    hint: str = ""
    """What to do, such as the nearest known key."""
    severity: Severity = "error"

    def __str__(self) -> str:
        place = f"{self.file or 'document'}{f':{self.line}' if self.line else ''}"
        path = f" {self.path}:" if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {self.severity}[{self.code}]{path} {self.message}{hint}"
