"""The door for mail. It hands in what the guard has cleared at one server, and nothing else.

The server's name is resolved once, and the connection goes to an address that was checked. Nothing is said before the
connection is encrypted, where it is to be; the password is a reference until then. Each mail has a connection of its
own, and what a server says is read as a code: its text may hold an address, and is not told to anybody.
"""

import asyncio
import email.policy
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib

from redaction.doors.reaching import (
    Resolve,
    Reveal,
    Trust,
    check_place,
    connected,
    place_of,
    system_resolve,
    system_trust,
)
from redaction.policy import is_loopback
from runtime.domain.egress import Cleared, Destination
from runtime.domain.mail import Mail, MailReply, MailServer, check_mail
from runtime.domain.secret import reference_of
from runtime.errors import Invalid, Refused, StepFailure, Unavailable

_CONNECT_S = 10.0
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
"""An enhanced status code (RFC 3463)."""


def destination_of(server: MailServer) -> str:
    """The `host:port` that a mail is handed in at."""
    return place_of(server.host, server.port)


async def reach(host: str, port: int, *, timeout_s: float) -> None:
    """Connect as the door does and hand in nothing, past every check: for the proof that nothing gets out."""
    client = aiosmtplib.SMTP(hostname=host, port=port, timeout=timeout_s, start_tls=False, local_hostname="localhost")
    await client.connect()
    client.close()


class MailDoor:
    """Sends mails."""

    def __init__(
        self, *, resolve: Resolve | None = None, reveal: Reveal | None = None, trust: Trust = system_trust
    ) -> None:
        """`resolve`: None: the system's resolver. `reveal`: None: there are no secrets here. `trust`: makes what
        certificates are held to."""
        self._resolve = resolve or system_resolve
        self._reveal = reveal
        self._trust = trust

    async def send(self, cleared: Cleared[Mail]) -> MailReply:
        """Hand one mail in; return when the server has taken it for at least one recipient.

        Raises Refused (address, password in the clear), Unavailable (no answer, not now), StepFailure (turned away)
        or Invalid (an address or a header that no mail may have).
        """
        mail, server = cleared.payload, cleared.payload.server
        place = destination_of(server)
        check_place(cleared.destination, place)
        check_mail(mail)
        _check_login(server, place)
        message = _written(mail)
        with _in_our_words(place, mail.timeout_s):
            async with asyncio.timeout(mail.timeout_s):
                return await self._hand_in(mail, message, cleared.destination)

    async def _hand_in(self, mail: Mail, message: bytes, destination: Destination) -> MailReply:
        server, timeout_s = mail.server, min(_CONNECT_S, mail.timeout_s)
        reached = await connected(server.host, server.port, self._resolve, zone=destination.zone, timeout_s=timeout_s)
        name = reached.getsockname()[0]
        client = aiosmtplib.SMTP(
            hostname=server.host,
            sock=reached,
            local_hostname=f"[IPv6:{name}]" if ":" in name else f"[{name}]",  # nobody is asked for this machine's name
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=None if server.security == "none" else self._trust(),
            timeout=mail.timeout_s,
        )
        try:
            await client.connect()
            if server.username:
                await _log_in(client, server.username, await self._password(mail, destination.host))
            refused, _ = await client.sendmail(mail.sender, list(mail.recipients), message)
            with suppress(aiosmtplib.SMTPException, OSError):  # the mail is with the server already
                await client.quit()
        finally:
            client.close()
            reached.close()
        return MailReply(
            message_id=mail.message_id,
            accepted=tuple(each for each in mail.recipients if each not in refused),
            refused=tuple(refused),
        )

    async def _password(self, mail: Mail, place: str) -> str:
        reference = reference_of(mail.server.password)
        if self._reveal is None:
            raise Unavailable("secret.no_store", f"{reference} can't be resolved here", retryable=False)
        return await self._reveal(mail.holder, reference, place)


async def _log_in(client: aiosmtplib.SMTP, username: str, password: str) -> None:
    """One try by one method: a wrong password that is tried by each locks an account."""
    await client.ehlo()
    offered = client.supported_auth_methods
    if "plain" in offered:
        await client.auth_plain(username, password)
    elif "login" in offered:
        await client.auth_login(username, password)
    elif "cram-md5" in offered:
        await client.auth_crammd5(username, password)
    else:
        raise aiosmtplib.SMTPNotSupported("AUTH")


def _check_login(server: MailServer, place: str) -> None:
    if bool(server.username) != bool(server.password):
        raise Invalid("mail.login", f"the login for {place} needs a username and a password, or neither")
    if server.username and server.security == "none" and not is_loopback(place):
        raise Refused(
            "mail.clear_password",
            f"the password for {place} would go in the clear; set security to starttls or tls, or log in without one",
        )


def _written(mail: Mail) -> bytes:
    """The mail as it goes over the wire, headers folded and bodies encoded (RFC 5322, MIME)."""
    message = EmailMessage(policy=email.policy.SMTP.clone(cte_type="7bit"))
    message["From"] = mail.sender
    for name, addresses in (("To", mail.to), ("Cc", mail.cc)):
        if addresses:
            message[name] = ", ".join(addresses)
    if mail.reply_to:
        message["Reply-To"] = mail.reply_to
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(datetime.fromtimestamp(mail.at_us / 1e6, UTC))
    if mail.message_id:
        message["Message-ID"] = f"<{mail.message_id}>"
    message["Auto-Submitted"] = "auto-generated"  # no holiday note answers it (RFC 3834)
    for name, value in mail.headers.items():
        message[name] = value
    message.set_content(mail.text)
    if mail.html:
        message.add_alternative(mail.html, subtype="html")
    for each in mail.attachments:
        main, _, sub = each.content_type.partition("/")
        message.add_attachment(each.content, maintype=main, subtype=sub, filename=each.name)
    return message.as_bytes()


@contextmanager
def _in_our_words(place: str, timeout_s: float) -> Iterator[None]:
    """Whatever goes wrong with a server, as one of our errors, without what the server said."""
    try:
        yield
    except aiosmtplib.SMTPAuthenticationError as error:
        raise StepFailure(
            "mail.login_refused",
            f"{place} does not take the login{_status(error)}; correct username and password",
            retryable=False,
        ) from None
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise _turned_away(place, max(error.recipients, key=lambda each: each.code), "every recipient") from None
    except aiosmtplib.SMTPResponseException as error:
        raise _turned_away(place, error, "the mail") from None
    except ssl.SSLError as error:
        raise _no_tls(place, f"its certificate or its protocol is not taken ({error.reason or 'unknown'})") from None
    except (TimeoutError, aiosmtplib.SMTPTimeoutError):
        raise Unavailable("mail.timeout", f"{place} did not take the mail within {timeout_s:g} s") from None
    except aiosmtplib.SMTPNotSupported:
        raise StepFailure("mail.unsupported", f"{place} can't do what this mail needs", retryable=False) from None
    except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPConnectError, OSError) as error:
        if isinstance(error.__cause__, ssl.SSLError):
            raise _no_tls(place, f"its certificate or its protocol is not taken ({error.__cause__.reason})") from None
        raise Unavailable("mail.broken", f"the connection to {place} broke off before the mail was taken") from None
    except aiosmtplib.SMTPException as error:
        if "STARTTLS" in str(error) or "TLS" in str(error):
            raise _no_tls(place, "it does not offer to encrypt") from None
        raise StepFailure("mail.unsupported", f"{place} can't do what this mail needs", retryable=False) from None


def _turned_away(place: str, said: aiosmtplib.SMTPResponseException, what: str) -> StepFailure | Unavailable:
    if 400 <= said.code < 500:
        return Unavailable("mail.deferred", f"{place} does not take {what} now{_status(said)}; tried again later")
    return StepFailure("mail.rejected", f"{place} does not take {what}{_status(said)}", retryable=False)


def _status(said: aiosmtplib.SMTPResponseException) -> str:
    enhanced = _STATUS.match(said.message or "")
    return f" (it said {said.code}{f' {enhanced.group()}' if enhanced else ''})"


def _no_tls(place: str, why: str) -> Unavailable:
    return Unavailable(
        "mail.no_tls",
        f"no encrypted connection to {place}: {why}. Give the server a certificate that this machine trusts, or set "
        "security to what it speaks: starttls (mostly port 587), tls (mostly port 465) or none",
        retryable=False,
    )
