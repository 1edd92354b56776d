"""A mail as data, so that it can be cleared before it is sent; and which addresses and headers it may have. Pure."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.errors import Invalid

Security = Literal["starttls", "tls", "none"]

MAX_RECIPIENTS = 100
MAX_HEADER_CHARACTERS = 900
"""A line of a mail has at most 998 (RFC 5322, 2.1.1)."""

_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
"""`local@domain` (RFC 5321), without quoted local parts, address literals and display names."""
_HEADER = re.compile(r"X-[A-Za-z0-9-]{1,60}|In-Reply-To|References|List-(Id|Unsubscribe)|Importance|Priority", re.I)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}")


class MailServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where mail is handed in."""

    host: str
    port: int = 587
    security: Security = "starttls"
    """`starttls`: encrypted before anything is said; `tls`: from the first byte; `none`: in the clear."""
    username: str = ""
    password: str = ""
    """A reference to a secret, which only the door resolves; empty: nobody logs in."""


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file that goes along."""

    name: str
    content: bytes
    content_type: str = "application/octet-stream"


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool or the appliance wants to send."""

    server: MailServer
    sender: str
    """The address that it comes from."""
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    reply_to: str = ""
    subject: str = ""
    text: str = ""
    html: str = ""
    """The same for those who read HTML; empty: there is none."""
    headers: dict[str, str] = {}
    attachments: tuple[Attachment, ...] = ()
    message_id: str = ""
    """Equal for every attempt, so that receivers can tell them; without angle brackets."""
    at_us: int = 0
    """What its date says."""
    holder: TenantId = DEFAULT_TENANT
    """Whose secret the password is."""
    timeout_s: float = 30.0

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everybody who gets it, each once."""
        return tuple(dict.fromkeys((*self.to, *self.cc, *self.bcc)))


class MailReply(msgspec.Struct, frozen=True, kw_only=True):
    """What the server took."""

    message_id: str
    accepted: tuple[str, ...]
    refused: tuple[str, ...] = ()
    """Addresses that the server did not take; the others have the mail."""


def check_mail(mail: Mail) -> None:
    """Raise Invalid for what could put lines of its own into a mail, or what is no address. Names no value."""
    recipients = mail.recipients
    if not recipients:
        raise Invalid("mail.no_recipient", "the mail has no recipient; name at least one address in 'to'")
    if len(recipients) > MAX_RECIPIENTS:
        raise Invalid(
            "mail.too_many", f"the mail has {len(recipients):,} recipients; at most {MAX_RECIPIENTS} are taken"
        )
    places = {"the sender": (mail.sender,), "'to'": mail.to, "'cc'": mail.cc, "'bcc'": mail.bcc}
    if mail.reply_to:
        places["'reply_to'"] = (mail.reply_to,)
    for place, addresses in places.items():
        for number, address in enumerate(addresses, 1):
            check_address(address, f"address {number} of {place}")
    _check_line(mail.subject, "the subject")
    for text in (mail.text, mail.html, mail.subject, *mail.headers.values()):
        if any("\ud800" <= each <= "\udfff" for each in text):
            raise Invalid("mail.text", "the mail holds half a character (a lone surrogate), which no mail can carry")
    for name, value in mail.headers.items():
        if not _HEADER.fullmatch(name):
            raise Invalid(
                "mail.header",
                f"the header {name[:60]!r} is not one that a mail may be given: X-…, In-Reply-To, References, List-Id, "
                "List-Unsubscribe, Importance and Priority are",
            )
        _check_line(value, f"the header {name!r}")
    for number, attachment in enumerate(mail.attachments, 1):
        _check_line(attachment.name, f"the name of attachment {number}")
        is_part = attachment.content_type.startswith(("multipart/", "message/"))
        if not attachment.name or "/" in attachment.name or is_part or not _TYPE.fullmatch(attachment.content_type):
            raise Invalid(
                "mail.attachment", f"attachment {number} needs a file name without '/' and a type such as 'text/csv'"
            )


def check_address(address: str, place: str) -> None:
    """Raise Invalid for what is no plain address; the message says where it stands, not what it is."""
    if len(address) > 254 or not _ADDRESS.fullmatch(address):
        raise Invalid(
            "mail.address",
            f"{place} is no plain address; write name@domain in ASCII, without a display name (a domain with other "
            "letters in its xn-- form)",
        )


def forbidden(recipients: Sequence[str], allowed: Sequence[str]) -> Sequence[str]:
    """The recipients that no pattern (`*@bank.example`, `ops@bank.example`) allows."""
    patterns = [pattern.lower() for pattern in allowed]
    return [each for each in recipients if not any(fnmatchcase(each.lower(), pattern) for pattern in patterns)]


def _check_line(text: str, what: str) -> None:
    if _CONTROL.search(text):
        raise Invalid("mail.line_break", f"{what} holds a line break or another control character; nothing is sent")
    if len(text) > MAX_HEADER_CHARACTERS:
        raise Invalid("mail.header", f"{what} has {len(text):,} characters; at most {MAX_HEADER_CHARACTERS} are taken")
