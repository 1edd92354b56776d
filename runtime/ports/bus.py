"""Messages between runs and whoever listens, and what is kept of them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

from runtime.domain.bus import DEFAULT_TERMS, Batch, ConsumerState, DeadLetter, Delivery, Failure, Posted, Terms
from runtime.domain.envelope import Envelope
from runtime.domain.ids import TenantId
from runtime.domain.subject import EVERYTHING

Receive = Callable[[Delivery], Awaitable[None]]
"""Takes a message. Returning acknowledges it; raising has it delivered again later, or makes it a dead letter at once
where the error says that a retry cannot help."""


Leave = Callable[[], Awaitable[None]]
"""Ends a subscription: what it has not acknowledged goes to the others of its consumer, or waits."""


class MessageBus(Protocol):
    """Envelopes from whoever publishes to whoever subscribes: at least once, in order per run, one tenant's only."""

    async def publish(self, envelope: Envelope) -> bool:
        """Have a message delivered; durable when this returns. False: one with its id is there already.

        Raises Invalid for an envelope or a subject that may not be published, StoreFull or Unavailable.
        """

    async def subscribe(
        self,
        tenant: TenantId,
        wanted: str,
        receive: Receive,
        *,
        consumer: str = "",
        start: int | None = None,
        terms: Terms = DEFAULT_TERMS,
    ) -> Leave:
        """Have what a filter chooses handed to `receive`.

        `consumer`: a name under which the place in the stream is kept, also over a crash; those that subscribe with
        the same one are a group, and one of them gets each message. Empty: everything, until it leaves.
        `start`: the position behind which a consumer that is new begins; None: what comes from now on.
        Raises Invalid for a filter or a name that is none, Conflict where the group wants something else.
        """

    async def request(self, envelope: Envelope, *, timeout_s: float) -> Envelope:
        """Publish and wait for the reply. Raises Unavailable when none comes in time, or nobody is there to give it."""

    def replay(
        self, tenant: TenantId, wanted: str = EVERYTHING, *, after: int = 0, since_us: int = 0
    ) -> AsyncIterator[Delivery]:
        """What was published so far, in order: behind a position, and not from before an instant."""


class BusStore(Protocol):
    """What the bus remembers: the journal's entries, messages besides, how far consumers have come, dead letters."""

    def listen(self, listener: Callable[[Batch], None]) -> None:
        """Have every batch handed over as soon as it is durable, in order; `listener` must be quick."""

    async def keep(self, envelope: Envelope) -> bool:
        """Keep a message; durable when this returns. False: one with its id is there already."""

    async def page(self, after: int, *, limit: int = 256, since_us: int = 0) -> Batch:
        """What lies behind a position, in order; with `since_us` only what happened from then on."""

    async def head(self) -> int:
        """The position of the newest message."""

    async def open_consumer(self, tenant: TenantId, name: str, wanted: str, *, start: int, at_us: int) -> ConsumerState:
        """The consumer of that name, which begins behind `start` when it is new; from here on it wants `wanted`."""

    async def consumers(self, tenant: TenantId | None = None) -> Sequence[ConsumerState]:
        """Every durable consumer, by name."""

    async def move(self, tenant: TenantId, name: str, cursor: int) -> None:
        """Keep how far a consumer has come, forward or back. Raises NotFound."""

    async def forget(self, tenant: TenantId, name: str) -> None:
        """Have no such consumer any more, nor its failures and dead letters; nothing where there is none."""

    async def failures(self, tenant: TenantId, name: str) -> Sequence[Failure]:
        """What a consumer was given before, and has not taken."""

    async def note(self, tenant: TenantId, name: str, failure: Failure) -> None:
        """Keep that a consumer did not take a message."""

    async def bury(self, tenant: TenantId, name: str, failure: Failure, *, at_us: int) -> None:
        """Make a message a dead letter of a consumer, or one again."""

    async def dead(
        self, tenant: TenantId, *, consumer: str = "", ids: Sequence[int] = (), limit: int = 100
    ) -> Sequence[DeadLetter]:
        """Dead letters, newest first."""

    async def revive(self, tenant: TenantId, ids: Sequence[int], *, at_us: int) -> Sequence[DeadLetter]:
        """Mark dead letters to be delivered once more; those that are there and were not marked."""

    async def revived(self, tenant: TenantId, name: str) -> Sequence[tuple[DeadLetter, Posted]]:
        """What is marked so of a consumer, with the messages."""

    async def resolve(self, tenant: TenantId, letter: int) -> None:
        """Forget a dead letter that was taken after all."""
