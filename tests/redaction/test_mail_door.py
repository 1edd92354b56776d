"""The door for mail against a real server: what arrives, what is refused before a byte is sent, and what is told."""

import email
import email.policy
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path

import pytest
from msgspec.structs import replace

from redaction.doors.mail import MailDoor, destination_of
from redaction.guard import Guard
from redaction.known import KnownSecrets
from redaction.policy import EgressPolicy, redaction_of
from redaction.presets import PRESETS
from runtime.domain.audit import AuditEntry
from runtime.domain.egress import Destination, Outbound, Sender
from runtime.domain.ids import TenantId
from runtime.domain.mail import Attachment, Mail, MailReply, MailServer
from runtime.domain.secret import Reference
from runtime.errors import AgentFlowError, Invalid, Refused, StepFailure, Unavailable
from tests.redaction.mailing import PASSWORD, USER, Post, certificate, post_office

OPEN = EgressPolicy(redaction=redaction_of({"mail/site": None}))


def mail(post: Post, **fields: object) -> Mail:
    given = {
        "server": MailServer(host="127.0.0.1", port=post.port, security="none"),
        "sender": "af@bank.example",
        "to": ("ops@bank.example",),
        "subject": "Grüße",
        "text": "Hello,\n.\nit works.\n",
        "message_id": "1@bank.example",
        **fields,
    }
    return Mail(**given)  # type: ignore[arg-type]  # fields of a mail


async def sent(wanted: Mail, door: MailDoor | None = None, policy: EgressPolicy = OPEN, **guard: object) -> MailReply:
    destination = Destination("mail", "site", destination_of(wanted.server))
    guarded = Guard(policy, **guard)  # type: ignore[arg-type]  # arguments of a guard
    cleared = await guarded.clear(Outbound(destination=destination, payload=wanted))
    return await (door or MailDoor()).send(cleared)


def received(post: Post) -> EmailMessage:
    (envelope,) = post.envelopes
    assert isinstance(envelope.content, bytes)
    return email.message_from_bytes(envelope.content, policy=email.policy.SMTP)


async def test_a_mail_arrives_as_it_was_written() -> None:
    async with post_office() as post:
        wanted = mail(
            post,
            cc=("audit@bank.example",),
            bcc=("hidden@bank.example",),
            reply_to="desk@bank.example",
            html="<b>Hello</b>",
            headers={"X-Ticket": "T-7"},
            attachments=(Attachment(name="rows.csv", content=b"a,b\n1,2\n", content_type="text/csv"),),
        )
        reply = await sent(wanted)
    everybody = ("ops@bank.example", "audit@bank.example", "hidden@bank.example")
    assert MailReply(message_id="1@bank.example", accepted=everybody) == reply
    found = received(post)
    assert (post.envelopes[0].mail_from, sorted(post.envelopes[0].rcpt_tos)) == (
        "af@bank.example",
        ["audit@bank.example", "hidden@bank.example", "ops@bank.example"],
    )
    assert ("Grüße", "<1@bank.example>", "desk@bank.example", "T-7", "auto-generated", None) == tuple(
        found[name] for name in ("subject", "message-id", "reply-to", "x-ticket", "auto-submitted", "bcc")
    )
    body = found.get_body(("plain",))
    assert body is not None
    assert ["Hello,", ".", "it works."] == body.get_content().splitlines()
    assert [("rows.csv", ["a,b", "1,2"])] == [
        (part.get_filename(), part.get_content().splitlines()) for part in found.iter_attachments()
    ]


async def test_nobody_is_asked_for_this_machines_name() -> None:
    """The library would ask the name server who this is: a question that leaves by no door."""
    async with post_office() as post:
        await sent(mail(post))
    assert post.helo == "[127.0.0.1]"


async def test_the_login_is_resolved_in_the_door_and_goes_over_tls_alone(tmp_path: Path) -> None:
    asked: list[tuple[TenantId, str, str]] = []

    async def reveal(tenant: TenantId, reference: Reference, host: str) -> str:
        asked.append((tenant, str(reference), host))
        return PASSWORD

    server_side, authority = certificate(tmp_path)
    door = MailDoor(reveal=reveal, trust=lambda: ssl.create_default_context(cafile=str(authority)))
    async with post_office(tls=server_side, wants_login=True) as post:
        server = MailServer(host="127.0.0.1", port=post.port, username=USER, password="secret://smtp")
        await sent(mail(post, server=server, holder=TenantId("acme")), door)
        assert [("acme", "secret://smtp", f"127.0.0.1:{post.port}")] == asked
        assert [(USER.encode(), PASSWORD.encode())] == post.logins
        assert len(post.envelopes) == 1


async def test_tls_from_the_first_byte(tmp_path: Path) -> None:
    server_side, authority = certificate(tmp_path)
    door = MailDoor(trust=lambda: ssl.create_default_context(cafile=str(authority)))
    async with post_office(tls=server_side, is_tls_from_the_start=True) as post:
        await sent(mail(post, server=MailServer(host="127.0.0.1", port=post.port, security="tls")), door)
        assert len(post.envelopes) == 1


async def test_the_name_is_what_the_certificate_is_held_to_not_the_address(tmp_path: Path) -> None:
    """The connection goes to the address that was checked; who answers there must be whom the name names."""
    server_side, authority = certificate(tmp_path, name="mail.bank.example")

    async def resolve(name: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    door = MailDoor(resolve=resolve, trust=lambda: ssl.create_default_context(cafile=str(authority)))
    policy = replace(OPEN, site_hosts=("mail.bank.example", "other.bank.example"))
    async with post_office(tls=server_side) as post:
        await sent(mail(post, server=MailServer(host="mail.bank.example", port=post.port)), door, policy)
        with pytest.raises(Unavailable, match=r"mail\.no_tls: no encrypted connection to other\.bank\.example"):
            await sent(mail(post, server=MailServer(host="other.bank.example", port=post.port)), door, policy)
        assert len(post.envelopes) == 1


async def test_a_server_that_does_not_encrypt_gets_nothing(tmp_path: Path) -> None:
    """An attacker on the way takes the offer of STARTTLS out; the mail must not go on in the clear."""
    server_side, _ = certificate(tmp_path)
    async with post_office() as post:
        with pytest.raises(Unavailable, match=r"mail\.no_tls.*does not offer to encrypt"):
            await sent(mail(post, server=MailServer(host="127.0.0.1", port=post.port)))
    async with post_office(tls=server_side) as other:
        with pytest.raises(Unavailable, match=r"mail\.no_tls.*certificate"):
            await sent(mail(other, server=MailServer(host="127.0.0.1", port=other.port)))
    assert post.envelopes == other.envelopes == []


async def test_a_password_goes_nowhere_in_the_clear() -> None:
    async def resolve(name: str, port: int) -> Sequence[str]:
        raise AssertionError("nothing may be looked up any more")

    server = MailServer(host="mail.bank.example", port=25, security="none", username="af", password="secret://smtp")
    with pytest.raises(Refused, match=r"mail\.clear_password"):
        await sent(
            Mail(server=server, sender="a@bank.example", to=("b@bank.example",)),
            MailDoor(resolve=resolve),
            replace(OPEN, site_hosts=("mail.bank.example",)),
        )


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"subject": "x\r\nBcc: thief@evil.example"}, "mail.line_break"),
        ({"subject": "x\u2028Bcc: thief@evil.example"}, "mail.line_break"),
        ({"headers": {"X-A": "x\nBcc: thief@evil.example"}}, "mail.line_break"),
        ({"headers": {"Bcc": "thief@evil.example"}}, "mail.header"),
        ({"headers": {"X-A\r\nBcc": "thief@evil.example"}}, "mail.header"),
        ({"to": ("a@bank.example\r\nBcc: thief@evil.example",)}, "mail.address"),
        ({"to": ("a@bank.example>, <thief@evil.example",)}, "mail.address"),
        ({"to": ("a@bank.example,thief@evil.example",)}, "mail.address"),
        ({"to": ("Thief <thief@evil.example>",)}, "mail.address"),
        ({"to": ("a@bank.example SIZE=1",)}, "mail.address"),
        ({"to": ()}, "mail.no_recipient"),
        ({"to": tuple(f"a{number}@bank.example" for number in range(101))}, "mail.too_many"),
        ({"sender": "a\r\n@bank.example"}, "mail.address"),
        ({"reply_to": "desk"}, "mail.address"),
        ({"text": "half \ud800"}, "mail.text"),
        ({"attachments": (Attachment(name='a"\r\nX: y', content=b""),)}, "mail.line_break"),
        ({"attachments": (Attachment(name="a", content=b"", content_type="text/html; x"),)}, "mail.attachment"),
        ({"attachments": (Attachment(name="../a", content=b""),)}, "mail.attachment"),
        ({"attachments": (Attachment(name="a", content=b"", content_type="message/rfc822"),)}, "mail.attachment"),
    ],
)
async def test_nothing_is_smuggled_into_a_mail(fields: dict[str, object], code: str) -> None:
    async with post_office() as post:
        with pytest.raises(Invalid) as refused:
            await sent(mail(post, **fields))
        assert (code, []) == (refused.value.code, post.envelopes)
        assert "evil" not in refused.value.message


@pytest.mark.parametrize(
    ("says", "kind", "code", "is_retried"),
    [
        ({"RCPT": "550 5.1.1 <ops@bank.example> unknown"}, StepFailure, "mail.rejected", False),
        ({"RCPT": "451 4.7.1 greylisted"}, Unavailable, "mail.deferred", True),
        ({"DATA": "552 5.3.4 too big"}, StepFailure, "mail.rejected", False),
        ({"DATA": "452 4.3.1 full"}, Unavailable, "mail.deferred", True),
        ({"DATA": "drop"}, Unavailable, "mail.broken", True),
        ({"DATA": "hang"}, Unavailable, "mail.timeout", True),
    ],
)
async def test_what_a_server_says_becomes_one_clear_error(
    says: dict[str, str], kind: type[AgentFlowError], code: str, is_retried: bool
) -> None:
    async with post_office() as post:
        post.says = says
        with pytest.raises(kind) as raised:
            await sent(mail(post, timeout_s=1.0))
    assert (code, is_retried) == (raised.value.code, raised.value.retryable)
    assert "ops@" not in raised.value.message


async def test_a_wrong_password_is_not_tried_for_ever(tmp_path: Path) -> None:
    async def reveal(tenant: TenantId, reference: Reference, host: str) -> str:
        return "a-wrong-one"

    async with post_office(wants_login=True) as post:
        server = MailServer(host="127.0.0.1", port=post.port, security="none", username=USER, password="secret://smtp")
        with pytest.raises(StepFailure, match=r"mail\.login_refused.*535") as raised:
            await sent(mail(post, server=server), MailDoor(reveal=reveal))
    assert not raised.value.retryable
    assert "a-wrong-one" not in raised.value.message


async def test_one_refused_recipient_does_not_take_the_mail_from_the_others() -> None:
    async with post_office() as post:
        post.says = {"RCPT:gone@bank.example": "550 5.1.1 unknown"}
        reply = await sent(mail(post, to=("gone@bank.example", "ops@bank.example")))
    assert (("ops@bank.example",), ("gone@bank.example",)) == (reply.accepted, reply.refused)


async def test_nobody_there_is_unavailable() -> None:
    async with post_office() as post:
        pass
    with pytest.raises(Unavailable, match=r"egress\.unreachable"):
        await sent(mail(post))


async def test_an_address_that_is_never_reached_is_not_reached_by_mail() -> None:
    async def resolve(name: str, port: int) -> Sequence[str]:
        return ["10.0.0.7", "169.254.169.254"]

    server = MailServer(host="mail.bank.example", security="none")
    with pytest.raises(Refused, match=r"egress\.forbidden_address"):
        await sent(
            Mail(server=server, sender="a@bank.example", to=("b@bank.example",)),
            MailDoor(resolve=resolve),
            replace(OPEN, site_hosts=("mail.bank.example",)),
        )


async def test_leave_for_one_server_is_not_leave_for_another() -> None:
    async with post_office() as post:
        wanted = mail(post)
        destination = Destination("mail", "site", "localhost:25")
        cleared = await Guard(OPEN).clear(Outbound(destination=destination, payload=wanted))
        with pytest.raises(Refused, match=r"egress\.other_destination"):
            await MailDoor().send(cleared)
        assert post.envelopes == []


CARD = "4929 1234 5678 9016"


async def test_every_part_of_a_mail_is_redacted_and_addresses_stay() -> None:
    names_off = replace(PRESETS["default"], names=False)
    async with post_office() as post:
        wanted = mail(
            post,
            subject=f"card {CARD}",
            text=f"the card {CARD} was lost",
            html=f"<p>{CARD}</p>",
            headers={"X-Note": f"card {CARD}"},
            attachments=(
                Attachment(name=f"{CARD}.csv", content=f"card\n{CARD}\n".encode(), content_type="text/csv"),
                Attachment(name="j.json", content=f'{{"card": "{CARD}"}}'.encode(), content_type="application/json"),
            ),
        )
        await sent(wanted, policy=EgressPolicy(redaction=redaction_of({"mail/site": names_off})))
    found = received(post)
    parts = [str(found["subject"]), str(found["x-note"]), str(found["to"])]
    for part in found.walk():
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            parts += [content.decode(), part.get_filename() or ""]
    said = "\n".join(parts)
    assert "ops@bank.example" in said
    assert CARD not in said
    assert "9016" not in said


async def test_an_attachment_that_nobody_can_read_stays_here() -> None:
    names_off = replace(PRESETS["default"], names=False)
    async with post_office() as post:
        wanted = mail(post, attachments=(Attachment(name="a.zip", content=b"PK\x03\x04"),))
        with pytest.raises(Refused, match="BINARY"):
            await sent(wanted, policy=EgressPolicy(redaction=redaction_of({"mail/site": names_off})))
        assert post.envelopes == []


async def test_no_card_number_leaves_as_an_address() -> None:
    names_off = replace(PRESETS["default"], names=False)
    async with post_office() as post:
        with pytest.raises(Refused, match=r"redaction\.blocked"):
            await sent(
                mail(post, to=("4111111111111111@bank.example",)),
                policy=EgressPolicy(redaction=redaction_of({"mail/site": names_off})),
            )
        assert post.envelopes == []


async def test_known_secrets_leave_in_no_part_of_a_mail() -> None:
    known = KnownSecrets()
    known.add("crm", "hunter22-hunter22")
    async with post_office() as post:
        wanted = mail(
            post,
            subject="hunter22-hunter22",
            text="it is hunter22-hunter22",
            attachments=(Attachment(name="a.txt", content=b"hunter22-hunter22", content_type="text/plain"),),
        )
        await sent(wanted, known=known)
    content = post.envelopes[0].content
    assert isinstance(content, bytes)
    assert b"hunter22-hunter22" not in content
    assert all("hunter22" not in str(part.get_content()) for part in received(post).walk() if not part.is_multipart())


async def test_the_audit_log_knows_of_it_before_the_first_byte() -> None:
    async with post_office() as post:
        written: list[tuple[str, int]] = []

        async def record(entry: AuditEntry) -> None:
            written.append((entry.event, len(post.envelopes)))

        wanted = mail(post)
        guard = Guard(OPEN, record=record)
        outbound = Outbound(destination=Destination("mail", "site", destination_of(wanted.server)), payload=wanted)
        async with guard.passage(outbound) as passage:
            await MailDoor().send(passage.cleared)
        await guard.written()
        assert [("egress.sent", 0), ("egress.settled", 1)] == written


async def test_the_rules_are_asked_before_a_connection_is_made() -> None:
    """Air gap and class of data hold for mail as for everything else."""
    async with post_office() as post:
        with pytest.raises(Refused, match=r"egress\.air_gapped"):
            await sent(mail(post), policy=replace(OPEN, mode="air_gapped"))
        outbound = Outbound(
            destination=Destination("mail", "site", f"127.0.0.1:{post.port}"),
            payload=mail(post),
            sender=Sender(data_class="restricted"),
        )
        with pytest.raises(Refused, match=r"egress\.data_class_refused"):
            await Guard(OPEN).clear(outbound)
        with pytest.raises(Refused, match=r"egress\.too_large"):
            await sent(mail(post), policy=replace(OPEN, max_bytes=10))
        assert post.envelopes == []
