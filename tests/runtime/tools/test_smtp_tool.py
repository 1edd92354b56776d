"""The kind `smtp`: whom a tool may write to, and that every attempt is the same mail."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.domain.canonical import Json
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.ids import DEFAULT_TENANT, RunId
from runtime.domain.mail import Mail, MailReply
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.engine.clock import ManualClock
from runtime.errors import AgentFlowError, Invalid, Refused, Unavailable
from runtime.store.database import Database
from runtime.store.journal import journal_database
from runtime.store.lock import hold
from runtime.store.tickets import Tickets
from runtime.tools.context import Means
from runtime.tools.registry import ToolServices
from runtime.tools.smtp import SmtpTool
from tests.runtime.tools.contexts import context

CONFIG: dict[str, Json] = {"host": "mail.bank.example", "from": "desk@bank.example"}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    with hold(tmp_path, what="test", now_us=0) as lock:
        opened = journal_database(tmp_path, lock=lock)
        await opened.start()
        yield opened
        await opened.stop()


class Post:
    """Stands for the guarded door: keeps mails."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def send(self, mail: Mail, *, sender: Sender = APPLIANCE) -> MailReply:
        self.mails.append(mail)
        return MailReply(message_id=mail.message_id, accepted=mail.recipients)


async def kept(run: RunId, value: Json) -> Json:
    return value


async def called(
    post: "Post | Down", arguments: dict[str, Json], key: str = "k", tickets: Tickets | None = None, **config: Json
) -> Json:
    spec = ToolSpec(
        id="send_email",
        kind="tool.smtp",
        permissions=("network.smtp:mail.bank.example:587",),
        config={**CONFIG, **config},
        set_by="tools.yaml",
    )
    tool = SmtpTool(spec, ToolServices(clock=ManualClock(), kept=kept, tickets=tickets))
    call = ToolCall(tool="send_email", arguments=arguments, idempotency_key=key)
    return await tool.call(call, context(spec, means=Means(mail=post, clock=ManualClock())))


MAIL: dict[str, Json] = {"to": "ops@bank.example", "subject": "Hello", "body": "It works."}


async def test_every_attempt_is_the_same_mail() -> None:
    post = Post()
    first, again = await called(post, MAIL), await called(post, MAIL)
    other = await called(post, MAIL, key="another")
    assert first == again
    assert first != other
    assert isinstance(first, dict)
    assert (1, 0) == (first["accepted"], first["refused"])
    assert str(first["message_id"]).endswith("@bank.example")


@pytest.mark.parametrize("field", ["to", "cc", "bcc"])
async def test_only_those_whom_the_tool_names_are_written_to(field: str) -> None:
    """Without a list, the sender's own domain; the message names nobody."""
    post = Post()
    with pytest.raises(Refused) as refused:
        await called(post, {**MAIL, field: ["ops@bank.example", "thief@evil.example"]})
    assert "mail.recipient_refused" == refused.value.code
    assert "thief" not in refused.value.message
    await called(post, {**MAIL, field: "anna@shop.example"}, recipients=["*@shop.example", "ops@bank.example"])
    with pytest.raises(Refused):
        await called(post, {**MAIL, field: "anna@shop.example"}, recipients=["*"], site_recipients=["*@bank.example"])
    assert len(post.mails) == 1


async def test_attachments_are_text_or_base64() -> None:
    post = Post()
    attachments: Json = [
        {"name": "a.csv", "content": "a,b", "content_type": "text/csv"},
        {"name": "a.pdf", "content": "JVBERg==", "content_type": "application/pdf"},
    ]
    await called(post, {**MAIL, "attachments": attachments})
    assert [b"a,b", b"%PDF"] == [each.content for each in post.mails[0].attachments]


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": 7},
        {"subject": ""},
        {"body": ["x"]},
        {"attachments": [{"name": "a", "content": "!", "content_type": "application/pdf"}]},
        {"attachments": "a"},
        {"from": "me@bank.example"},
        {"subject": "x\r\nBcc: thief@evil.example"},
    ],
)
async def test_other_arguments_are_refused(wrong: dict[str, Json]) -> None:
    post = Post()
    with pytest.raises(Invalid):
        await called(post, {**MAIL, **wrong})
    assert post.mails == []


async def test_a_tool_without_a_server_says_what_is_missing() -> None:
    with pytest.raises(Invalid, match=r"mail\.host and mail\.sender in the settings"):
        await called(Post(), MAIL, host="")


class Down:
    """A server that does not answer, then one that does not want the mail, then one that takes it."""

    def __init__(self, *errors: AgentFlowError) -> None:
        self.errors = list(errors)
        self.mails = 0

    async def send(self, mail: Mail, *, sender: Sender = APPLIANCE) -> MailReply:
        if self.errors:
            raise self.errors.pop(0)
        self.mails += 1
        return MailReply(message_id=mail.message_id, accepted=mail.recipients)


async def test_a_mail_that_was_taken_is_not_sent_again(database: Database) -> None:
    """Its ticket is open until the server has it, and says so then; its text stands nowhere."""
    tickets, down = Tickets(database), Down(Unavailable("mail.unreachable", "down"))
    with pytest.raises(Unavailable):
        await called(down, MAIL, tickets=tickets)
    [opened] = await tickets.newest(tenant=DEFAULT_TENANT)
    assert ("open", "mail", "Hello", False) == (
        opened.status, opened.category, opened.subject, "It works." in opened.summary
    )  # fmt: skip
    first, again = await called(down, MAIL, tickets=tickets), await called(down, MAIL, tickets=tickets)
    [closed] = await tickets.newest(tenant=DEFAULT_TENANT)
    assert (first, 1, "closed", "taken for 1, refused for 0") == (again, down.mails, closed.status, closed.note)
    assert "ops@bank.example" in closed.summary


async def test_a_mail_that_is_refused_for_good_says_so(database: Database) -> None:
    tickets = Tickets(database)
    with pytest.raises(Refused):
        await called(Down(Refused("egress.zone", "no")), MAIL, tickets=tickets)
    [closed] = await tickets.newest(tenant=DEFAULT_TENANT)
    assert ("closed", "not sent: egress.zone") == (closed.status, closed.note)
