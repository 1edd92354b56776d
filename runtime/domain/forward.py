"""What goes over the uplink, and what is asked of the broker at its other end."""

import re
from urllib.parse import urlsplit

import msgspec

from runtime.domain.envelope import Envelope
from runtime.errors import Invalid

DEFAULT_PORT = 4222
_HOST = re.compile(r"[A-Za-z0-9._:-]+")


class Broker(msgspec.Struct, frozen=True):
    """What the address of a broker says."""

    name: str
    port: int
    is_tls: bool

    @property
    def host(self) -> str:
        """`name:port`."""
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


def broker_of(url: str) -> Broker:
    """`nats://HOST:PORT` or `tls://HOST:PORT`. Raises Invalid."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise _bad_url() from None
    is_plain = not (parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"))
    if parts.scheme not in ("nats", "tls") or not parts.hostname or not is_plain or not _HOST.fullmatch(parts.hostname):
        raise _bad_url()
    return Broker(parts.hostname, port, parts.scheme == "tls")


def is_broker(url: str) -> bool:
    """Whether a text is such an address."""
    try:
        broker_of(url)
    except Invalid:
        return False
    return True


def _bad_url() -> Invalid:
    return Invalid(
        "nats.bad_url",
        "the address of a broker is nats://HOST:PORT or tls://HOST:PORT, without a name or password in it",
    )


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


class Anchored(msgspec.Struct, frozen=True, kw_only=True):
    """A signed checkpoint of the audit log on its way to a broker: hashes alone, and changed it would not verify."""

    envelope: Envelope
    prefix: str
    stream: str


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
