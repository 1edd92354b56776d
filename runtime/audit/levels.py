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
    """Levels by `TENANT`, `TENANT/TOOL`, `*` and `*/TOOL`; the nearest one counts, and a tool's before a tenant's.

    `TENANT/*` and `*/*` are of all tools together. What a workflow asks for counts where nothing is said here, or where
    it asks for more.
    """

    def __init__(self, levels: Mapping[str, Level]) -> None:
        self._levels = dict(levels)

    def level(self, tenant: str, tool: str = "", wanted: str = "") -> Level:
        """The level of a tenant, or of one tool of its; `wanted`: what the workflow asks for, empty: nothing."""
        of_tool = (f"{tenant}/{tool}", f"{ANY}/{tool}", f"{tenant}/{ANY}", f"{ANY}/{ANY}") if tool else ()
        said = next((self._levels[name] for name in (*of_tool, tenant, ANY) if name in self._levels), None)
        asked = next((level for level in LEVELS if level == wanted), None)
        if said is None or asked is None:
            return said or asked or "full"
        return max(said, asked, key=LEVELS.index)

    def takes(self, entry: AuditEntry) -> bool:
        """Whether a line is written."""
        if entry.event.startswith(_KEPT_ANYWAY):
            return True
        tool = entry.subject if entry.event.startswith("tool.") else ""
        level = self.level(entry.sender.tenant, tool, entry.wanted)
        return level == "full" or (level == "basic" and not entry.event.endswith(".settled"))


EVERYTHING: Final = Levels({})
