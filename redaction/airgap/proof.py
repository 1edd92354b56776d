"""What `af doctor --egress` has found, as data: the walls, what was read, what was tried, and the verdict on it all."""

from typing import Literal

import msgspec

from redaction.airgap.layers import Layer

REFUSALS = frozenset({"EPERM", "EACCES", "ENETUNREACH"})
LIMIT_MS = 50.0
Verdict = Literal["sealed", "open", "untested"]


class Check(msgspec.Struct, frozen=True):
    """One thing that was read, without sending anything."""

    name: str
    holds: bool | None
    """None: it cannot be told here."""
    detail: str
    is_opening: bool = False
    """Whether it not holding means that there is a way out, and not only that a wall is missing."""


class Probe(msgspec.Struct, frozen=True):
    """One try to get out."""

    way: str
    """From where: `python`, `ctypes`, `child process` and so on."""
    what: str
    target: str
    error: str
    """Name of the error that refused it; empty when it went out; `TIMEOUT` when it waited for an answer."""
    took_ms: float
    accepts: tuple[str, ...] = ()
    """Further names that mean a refusal for this kind of try."""

    @property
    def is_refused(self) -> bool:
        """Whether it failed as it should, and at once."""
        return (self.error in REFUSALS or self.error in self.accepts) and self.took_ms <= LIMIT_MS


class Proof(msgspec.Struct, frozen=True):
    """Everything that one child process found behind the walls."""

    layers: tuple[Layer, ...]
    checks: tuple[Check, ...]
    probes: tuple[Probe, ...]
    control: str
    """Empty when a connection over loopback works inside; else why not, and then no refusal above means anything."""
    untried: tuple[str, ...] = ()
    """Tries that were left out because a wall under them is missing: they would have gone out."""

    @property
    def verdict(self) -> Verdict:
        """`open` when anything got out or could, `untested` when something could not be tried, else `sealed`."""
        if any(not probe.is_refused for probe in self.probes):
            return "open"
        if any(check.holds is False and check.is_opening for check in self.checks):
            return "open"
        whole = all(layer.state == "holds" for layer in self.layers) and all(check.holds for check in self.checks)
        return "sealed" if whole and self.probes and not self.control and not self.untried else "untested"
