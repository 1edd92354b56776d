"""What the bus hands over and keeps: deliveries, consumers, dead letters. Pure."""

import re
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from runtime.domain.envelope import Envelope
from runtime.domain.ids import RunId, TenantId
from runtime.errors import Invalid

_CONSUMER = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)


class Delivery(msgspec.Struct, frozen=True):
    """One message on its way to one who takes it."""

    envelope: Envelope
    position: int
    """Its place in the order of the bus, which grows with every message."""
    attempt: int = 1
    """From 2 on it may have been taken before: at least once is what is promised."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How a consumer's messages are handed over."""

    ack_s: float = 30.0
    """Who has not taken a message for so long gets it again, or another does."""
    max_deliveries: int = 5
    """Behind the last of them a message is a dead letter."""
    back_off_s: tuple[float, ...] = (0.1, 1.0, 5.0, 30.0)
    """How long to wait before the second delivery, the third, and so on; the last one holds for all further."""
    at_once: int = 1
    """Messages that one taker gets at the same time; never two of one run."""

    def wait_s(self, attempt: int) -> float:
        """How long to wait behind a delivery that failed, counted from 1."""
        return self.back_off_s[min(attempt, len(self.back_off_s)) - 1] if self.back_off_s else 0.0


DEFAULT_TERMS = Terms()


class Posted:
    """A message that is durable; its envelope is made when somebody wants it."""

    __slots__ = ("_made", "_make", "at_us", "position", "run", "size", "subject", "tenant")

    def __init__(
        self,
        position: int,
        tenant: TenantId,
        subject: str,
        run: RunId,
        *,
        at_us: int,
        size: int,
        make: Callable[[], Envelope],
    ) -> None:
        """`size`: bytes that it holds in memory, about."""
        self.position, self.tenant, self.subject, self.run = position, tenant, subject, run
        self.at_us, self.size = at_us, size
        self._make = make
        self._made: Envelope | None = None

    @property
    def lane(self) -> str:
        """What it is delivered in order with: its run, or its subject where it belongs to none."""
        return self.run or self.subject

    def envelope(self) -> Envelope:
        """The envelope. Raises Corrupt where what is kept is not what was written."""
        if self._made is None:
            self._made = self._make()
        return self._made


class Batch(msgspec.Struct, frozen=True):
    """All that became durable between two positions; what is not for subscribers is left out."""

    after: int
    upto: int
    posts: Sequence[Posted]


class ConsumerState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a durable consumer has come."""

    tenant: TenantId
    name: str
    wanted: str
    """Its filter."""
    cursor: int
    """Everything up to here is acknowledged or a dead letter."""
    created_us: int = 0
    dead: int = 0
    """Its dead letters."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A message that a consumer did not take."""

    position: int
    deliveries: int
    reason: str
    """The code and message of an error of ours, or the name of another exception: never what the message said."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that a consumer will not get again by itself."""

    id: int
    tenant: TenantId
    consumer: str
    position: int
    message: str
    """The envelope's id."""
    subject: str
    deliveries: int
    reason: str
    at_us: int
    """When it was given up."""
    is_retried: bool = False
    """Whether somebody asked for another delivery, which has not ended yet."""


Standing = Literal["live", "behind", "away"]
"""Of a consumer: it has everything as it comes; it reads what it has missed; nobody takes for it here."""


def checked_consumer(name: str) -> str:
    """A name that a durable consumer may have. Raises Invalid."""
    if not _CONSUMER.fullmatch(name):
        raise Invalid(
            "bus.bad_consumer",
            f"{name[:80]!r} cannot be a consumer's name; expected 1 to 64 of a-z, 0-9, _ and -, such as billing",
        )
    return name
