"""How `af` enters the air gap of `mode: air_gapped`, and what it leaves behind for whoever asks.

`af serve` leaves its listener outside with an ingress process first; commands that only work have none. Everything
here happens before a second thread exists, and cannot be undone: a process leaves its air gap by ending.
"""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from redaction.airgap.facts import Facts, facts_of
from redaction.airgap.hook import Ledger
from redaction.airgap.layers import TITLES, AirGap, Layer
from redaction.airgap.seal import seal
from redaction.policy import is_loopback
from runtime.domain.journal import rfc3339
from runtime.errors import Refused
from runtime.store.failures import translate

if TYPE_CHECKING:
    from appliance.config.settings import Settings
    from appliance.front import Front
    from redaction.doors.ingress import Ingress

STATE_FILE: Final = "run/airgap.json"
LEDGER_FILE: Final = "logs/egress.jsonl"

log = logging.getLogger(__name__)


class State(msgspec.Struct, frozen=True):
    """What a server says of its air gap, in the data folder."""

    pid: int
    since: str
    """RFC 3339."""
    status: str
    layers: tuple[Layer, ...]


class Entered:
    """The air gap that this process is in."""

    def __init__(self, settings: "Settings", walls: AirGap, ingress: "Ingress | None") -> None:
        self._settings = settings
        self._walls = walls
        self._ingress = ingress

    def settle(self) -> AirGap:
        """Hear how the ingress has confined itself, and judge the whole; call it once.

        Warns of every wall that does not hold. Raises Refused where the settings require all, Unavailable when the
        ingress did not start.
        """
        if self._ingress is not None:
            told = [f"{layer}: {why}" for layer, why in self._ingress.report().items() if why]
            kept = "outside, relays to a UNIX socket only"
            layer = Layer("ingress", "partial" if told else "holds", "; ".join(told) or kept)
            self._walls = self._walls.with_layer(layer)
        if self._walls.status != "sealed":
            lacking = "; ".join(f"{TITLES[layer.name]}: {layer.detail}" for layer in self._walls.gaps)
            if self._settings.airgap == "required":
                raise Refused(
                    "airgap.incomplete",
                    f"the air gap is not whole here, and airgap in the settings requires it ({lacking}). Mend that, or "
                    "set airgap to preferred; see: af doctor --egress",
                )
            log.warning("the air gap is DEGRADED: %s. See: af doctor --egress", lacking)
        return self._walls

    def record(self, now_us: int) -> None:
        """Leave the state of this process in the data folder; call it while holding the folder's lock."""
        state = State(os.getpid(), rfc3339(now_us), self._walls.status, self._walls.layers)
        path = self._settings.data / STATE_FILE
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(state))
        part.replace(path)

    def forget(self) -> None:
        """Take the state away again."""
        (self._settings.data / STATE_FILE).unlink(missing_ok=True)


def enter(settings: "Settings", now_us: Callable[[], int], *, front: "Front | None" = None) -> Entered:
    """Enter the air gap as far as the kernel allows it; the listener of `front` stays outside, with an ingress.

    Raises Unusable where the ingress cannot be started, or the data folder takes no ledger, and Unavailable while
    other threads exist.
    """
    ledger = _ledger(settings.data, now_us)
    ingress = front.move_out(settings.data / "run") if front else None
    kept = [settings.socket, *_notify_socket(os.environ)]
    return Entered(settings, seal(ports=loopback_ports(settings), kept=kept, ledger=ledger), ingress)


def loopback_ports(settings: "Settings") -> tuple[int, ...]:
    """Ports of this machine that the settings name; they may be used inside as well."""
    urls = [urlsplit(server.url) for server in settings.models.backends]
    return tuple(sorted({url.port for url in urls if url.port and is_loopback(f"{url.hostname}:{url.port}")}))


def read_state(data: Path) -> tuple[State, Facts] | None:
    """What the server of a data folder says of its air gap, and what the kernel says of that process.

    None when no server has left a state, or the one that did is gone.
    """
    try:
        state = msgspec.json.decode((data / STATE_FILE).read_bytes(), type=State)
        return state, facts_of(state.pid)
    except (OSError, msgspec.MsgspecError):
        return None


def _ledger(data: Path, now_us: Callable[[], int]) -> Ledger:
    path = data / LEDGER_FILE
    try:
        for folder in (data, path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Ledger(path, now_us)
    except OSError as error:
        raise translate(error, path) from None


def _notify_socket(environment: Mapping[str, str]) -> list[Path]:
    address = environment.get("NOTIFY_SOCKET", "")
    return [Path(address)] if address.startswith("/") else []
