"""How much of a tenant's and a tool's doings is written down. Pure."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

from runtime.domain.audit import AuditEntry

Level = Literal["none", "basic", "full"]
"""`none`: nothing but what concerns the appliance itself. `basic`: what happened. `full`: also how it ended."""
LEVELS: Final[tuple[Level, ...]] = get_args(Level)
ANY: Final = "*"

_KEPT_ANYWAY: Final = ("vault.", "key.", "secret.", "login.", "config.", "definition.", "data.", "audit.", "budget.")
"""What no level leaves out: who may do what, what was changed, what was taken out or erased."""


class Levels:
    """Levels by `TENANT`, `TENANT/TOOL`, `*` and `*/TOOL`; the nearest one counts, and a tool's before a tenant's."""

    def __init__(self, levels: Mapping[str, Level]) -> None:
        self._levels = dict(levels)

    def level(self, tenant: str, tool: str = "") -> Level:
        """The level of a tenant, or of one tool of its."""
        names = [f"{tenant}/{tool}", f"{ANY}/{tool}"] if tool else []
        return next((self._levels[name] for name in (*names, tenant, ANY) if name in self._levels), "full")

    def takes(self, entry: AuditEntry) -> bool:
        """Whether a line is written."""
        if entry.event.startswith(_KEPT_ANYWAY):
            return True
        tool = entry.subject if entry.event.startswith("tool.") else ""
        level = self.level(entry.sender.tenant, tool)
        return level == "full" or (level == "basic" and not entry.event.endswith(".settled"))


EVERYTHING: Final = Levels({})
