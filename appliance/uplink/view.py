"""How the uplink is, as those see it who look at it, and the place up to which it has come."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from appliance.config.settings import Settings
from runtime.domain.forward import broker_of
from runtime.store.private_file import write_private

CURSOR_FILE = "uplink.json"


class UplinkView(msgspec.Struct, frozen=True, kw_only=True):
    """How the uplink is."""

    host: str
    """Empty: there is none."""
    state: str
    """`off`, `connected`, `idle` (nothing was to be sent yet, or lately),
    `waiting` (the broker is away, or does not take what is sent), `not served` (no `af serve` has the data folder)."""
    stream: str = ""
    prefix: str = ""
    position: int = 0
    """The entry of the journal up to which everything was acknowledged."""
    waiting: int = 0
    """Entries behind it."""
    sent: int = 0
    """Envelopes acknowledged since the start."""
    duplicates: int = 0
    """Of them those that the stream had already."""
    withheld: int = 0
    """Those that policy does not let leave."""
    without_payload: int = 0
    """Those whose payload was left out, though settings send it along."""
    last_sent_at: str = ""
    fault: str = ""
    """Why nothing leaves now; empty: nothing is wrong."""
    fault_code: str = ""
    since: str = ""
    """Since when."""
    anchored_at: str = ""
    """When the audit log's checkpoints were found to be kept at the other end; empty: nobody asks for that."""
    anchor_fault: str = ""
    """Why they are not; empty: nothing is wrong."""


class Cursor(msgspec.Struct, frozen=True):
    """The last entry of the bus that the broker has acknowledged, with all before it."""

    sent: int


def idle_view(settings: Settings, head: int) -> UplinkView:
    """How the uplink of a data folder is that nobody serves."""
    if not settings.uplink.url:
        return UplinkView(host="", state="off")
    kept = read_cursor(settings.data / CURSOR_FILE)
    position = head if kept is None else min(kept, head)
    return UplinkView(
        host=broker_of(settings.uplink.url).host,
        state="not served",
        stream=settings.uplink.stream,
        prefix=settings.uplink.prefix,
        position=position,
        waiting=head - position,
    )


def read_cursor(path: Path) -> int | None:
    """The place that is kept; None where there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Cursor).sent
    except (OSError, msgspec.MsgspecError):
        return None


def keep_cursor(path: Path, position: int) -> None:
    """Write the place down. Raises what `write_private` does."""
    write_private(path, msgspec.json.encode(Cursor(position)))


def figures(view: UplinkView) -> Iterator[tuple[str, float]]:
    """What is counted of it, by the end of its metric's name; nothing where there is none."""
    if view.state == "off":
        return
    yield "sent_total", view.sent
    yield "withheld_total", view.withheld
    yield "waiting", view.waiting
    yield "up", float(view.state != "waiting")
