"""What starts runs by itself: the triggers of a definition, as types.

A definition declares them under `triggers`; what acts on them is no part of it. Pure.
"""

from collections import Counter
from typing import Literal, TypeAlias

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.ids import RunId
from runtime.domain.units import milliseconds

Signature = Literal["github", "gitlab", "slack", "standard", "stripe"]
Missed = Literal["last", "all", "skip"]
Overlap = Literal["skip", "allow"]
Taken = Literal["keep", "move"]
Via = Literal["schedule", "request", "file", "message", "mail", "hand"]


class HttpEndpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request with an API key."""

    path: str = "/"
    """Below `/hooks/WORKFLOW`, where there is nothing: only older definitions have none of their own."""
    method: str = "POST"
    wait: str | bool = True
    """How long the request waits for the run's end; true: a minute, false: not at all."""

    @property
    def wait_s(self) -> float:
        """The same in seconds."""
        return milliseconds(self.wait) / 1e3 if isinstance(self.wait, str) else 60.0 * self.wait


class Webhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request that its sender has signed."""

    path: str
    secret: str
    """Name of a stored secret."""
    signature: Signature = "standard"
    events: tuple[str, ...] = ()
    """Only these, where the sender names what happened; empty: all."""


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The clock."""

    cron: str = ""
    every: str = ""
    """A duration; counted from 1970, so that a restart moves nothing."""
    timezone: str = "UTC"
    missed: Missed = "last"
    """What of the times that passed while nothing ran is made up for."""
    overlap: Overlap = "skip"
    """What becomes of a time at which the run of the one before has not ended."""


class FileDrop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that was put into a folder."""

    folder: str
    """Name of one of the settings' folders."""
    pattern: str = "*"
    after: Taken = "move"
    """`move`: into the folder's `taken`, once there is a run for it."""


class OnMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message of the bus."""

    subject: str
    """A filter."""


class Mailbox(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mail that the machine's mail server put into a Maildir."""

    folder: str
    """Name of one of the settings' folders."""


How: TypeAlias = HttpEndpoint | Webhook | Schedule | FileDrop | OnMessage | Mailbox

KINDS: dict[str, type[How]] = {
    "http_endpoint": HttpEndpoint,
    "webhook": Webhook,
    "schedule": Schedule,
    "file_drop": FileDrop,
    "message": OnMessage,
    "mailbox": Mailbox,
}
DATA: dict[str, tuple[str, ...]] = {
    "http_endpoint": ("body", "query", "headers"),
    "webhook": ("body", "query", "headers"),
    "schedule": ("due",),
    "file_drop": ("file",),
    "message": ("message",),
    "mailbox": ("mail",),
}
"""What a template of the input may read, by kind."""


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """One trigger of a workflow."""

    name: str
    """Within its workflow."""
    kind: str
    how: How
    input: Json = None
    """A template of the run's input; None: what the kind gives by itself."""


def triggers_of(document: dict[str, Json]) -> tuple[Trigger, ...]:
    """The triggers that a normalised definition declares and that can act; each has a name."""
    declared = document.get("triggers")
    found: list[Trigger] = []
    seen: Counter[str] = Counter()
    for each in declared if isinstance(declared, list) else []:
        if not isinstance(each, dict):
            continue
        for kind, shape in KINDS.items():
            if (given := each.get(kind)) is None:
                continue
            seen[kind] += 1
            name = each.get("name") or default_name(kind, seen[kind])
            how = msgspec.convert(given, shape)
            found.append(Trigger(name=str(name), kind=kind, how=how, input=each.get("input")))
    return tuple(found)


def default_name(kind: str, number: int) -> str:
    """`schedule`, `schedule-2`, …"""
    word = kind.replace("_", "-")
    return word if number == 1 else f"{word}-{number}"


def default_input(kind: str, data: dict[str, Json]) -> Json:
    """What a run is given where no template says it."""
    match kind:
        case "http_endpoint" if data.get("body") is None:
            return data["query"]
        case "http_endpoint" | "webhook":
            return data["body"]
        case "schedule":
            return {"due": data["due"]}
        case "message":
            message = data["message"]
            return message.get("payload") if isinstance(message, dict) else None
        case _:
            return next(iter(data.values()))


class TriggerState(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a trigger."""

    workflow: str
    name: str
    is_paused: bool = False
    cursor_us: int = 0
    """Of a schedule: up to when its times were seen to; 0: it was never looked at."""
    fired: int = 0
    """Runs that it started."""
    failed: int = 0
    last_us: int = 0
    """When it last acted, or tried; 0: never."""
    last_run: RunId = RunId("")
    last_error: str = ""
    """Code and message of the last try; empty: it succeeded."""
