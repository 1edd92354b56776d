"""What goes over the uplink, and what is asked of the broker at its other end."""

import msgspec

from runtime.domain.envelope import Envelope


class Forward(msgspec.Struct, frozen=True, kw_only=True):
    """Envelopes on their way to a broker, in the order in which it is to keep them."""

    envelopes: tuple[Envelope, ...]
    prefix: str = ""
    """Put before each subject, with a dot between; empty: nothing."""
    stream: str = ""
    """The stream that must keep them; empty: whichever takes the subject."""

    def subject(self, envelope: Envelope) -> str:
        """Where an envelope is published."""
        return f"{self.prefix}.{envelope.subject}" if self.prefix else envelope.subject


class StreamAsked(msgspec.Struct, frozen=True, kw_only=True):
    """A question about a stream; it says nothing of what is in the appliance."""

    stream: str
    subject: str = ""
    """Of the newest message that is wanted; empty: none is."""
    create_for: tuple[str, ...] = ()
    """Subjects of a stream that is made where there is none; empty: it is not made."""


class StreamView(msgspec.Struct, frozen=True, kw_only=True):
    """What a broker says of a stream."""

    stream: str
    subjects: tuple[str, ...]
    messages: int
    last_seq: int
    duplicate_window_s: float
    """For how long a second message with the id of an earlier one is dropped."""
    was_made: bool = False


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What a broker acknowledged of one envelope: it is kept."""

    id: str
    stream: str
    seq: int
    is_duplicate: bool
    """It had been kept before."""
