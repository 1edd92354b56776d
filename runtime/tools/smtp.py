"""The kind `smtp`: a mail by the site's own server, to those whom the tool may write to, through the door.

Every attempt at a call has the same `Message-ID`, so that a receiver can tell a mail that was handed in twice. A ticket
of the category `mail` is opened before one is handed in and closed behind that, and a call whose mail was taken sends
no second one. One that stays open never arrived, or nobody knows.
"""

import base64
import binascii
import logging
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import ClassVar, cast

from runtime.domain.canonical import Json
from runtime.domain.ids import RunId, StepId
from runtime.domain.mail import Attachment, Mail, MailServer, Security, check_mail, forbidden
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.errors import AgentFlowError, Invalid, Refused
from runtime.ports import ToolContext
from runtime.store.tickets import Ticket
from runtime.tools.arguments import only, text_of, texts_of
from runtime.tools.registry import ToolServices

CATEGORY = "mail"
SITE_RECIPIENTS = "site_recipients"
"""The key under which the settings bound what a tool says."""

_SETTING = "mail.recipients in the settings"
_OWN = "'recipients' of {}, else the sender's own domain"
_KNOWN = ("to", "subject", "body", "html", "cc", "bcc", "reply_to", "attachments")
_TAKEN = re.compile(r"taken for (\d+), refused for (\d+)")
"""What a ticket says of a mail that the server has."""
_TEXTUAL = ("text/", "application/json", "application/xml")

log = logging.getLogger(__name__)


class SmtpTool:
    """Sends mails. Implements Tool; the answer is `{message_id, accepted, refused}`, the last two as counts."""

    dry_answer: ClassVar[Json] = {"message_id": "", "accepted": 0, "refused": 0}
    """What a what-if is told, which sends nothing."""

    def __init__(self, spec: ToolSpec, services: ToolServices) -> None:
        config = spec.config
        self.spec = spec
        self._services = services
        self._server = MailServer(
            host=str(config.get("host", "")),
            port=int(str(config.get("port", 587))),
            security=cast("Security", config.get("security", "starttls")),
            username=str(config.get("username", "")),
            password=str(config.get("password", "")),
        )
        self._sender = str(config.get("from", ""))
        domain = self._sender.partition("@")[2]
        site = tuple(cast("list[str]", config.get(SITE_RECIPIENTS, []))) or ("*",)
        own = tuple(cast("list[str]", config.get("recipients", [])))
        bound = (site, _SETTING)
        self._allowed = [bound] if not own and site != ("*",) else [(own or (f"*@{domain}",), _OWN), bound]

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        """Send one. Raises Refused for a recipient that it may not write to, Invalid for what no mail may have."""
        if not self._server.host or not self._sender:
            raise Invalid(
                "mail.not_set_up",
                f"tool {self.spec.id!r} has no mail server or no sender; name 'host' and 'from' in {self.spec.set_by}, "
                "or mail.host and mail.sender in the settings",
            )
        mail = self._mail(call, ctx)
        check_mail(mail)
        for allowed, rule in self._allowed:
            strangers = forbidden(mail.recipients, allowed)
            if strangers:
                raise Refused(
                    "mail.recipient_refused",
                    f"tool {self.spec.id!r} may not write to {len(strangers)} of {len(mail.recipients)} recipients; it "
                    f"may write to {', '.join(allowed)}. The rule is {rule.format(self.spec.set_by)}",
                )
        kept = await self._kept(mail, call, ctx)
        if kept is not None and (taken := _TAKEN.fullmatch(kept.note)):
            return {"message_id": mail.message_id, "accepted": int(taken[1]), "refused": int(taken[2])}
        try:
            reply = await ctx.mail.send(mail)
        except AgentFlowError as error:
            if not error.retryable:
                await self._done(kept, ctx, f"not sent: {error.code}")
            raise
        await self._done(kept, ctx, f"taken for {len(reply.accepted)}, refused for {len(reply.refused)}")
        return {"message_id": reply.message_id, "accepted": len(reply.accepted), "refused": len(reply.refused)}

    async def _kept(self, mail: Mail, call: ToolCall, ctx: ToolContext) -> Ticket | None:
        """The mail's ticket, the same for every attempt; its text is not kept."""
        tickets, run = self._services.tickets, RunId(ctx.sender.run)
        if tickets is None:
            return None
        said: Json = {"subject": mail.subject, "recipients": ", ".join(mail.recipients)}
        given = await self._services.kept(run, said)
        told = given if isinstance(given, dict) else {}
        return await tickets.create(
            idempotency_key=f"mail/{call.idempotency_key}",
            at_us=ctx.clock.now_us(),
            tenant=ctx.sender.tenant,
            run=run,
            step=StepId(ctx.sender.step),
            subject=str(told.get("subject", "")),
            category=CATEGORY,
            summary=f"to {told.get('recipients', '')}\nMessage-ID <{mail.message_id}>, by tool {self.spec.id}",
        )

    async def _done(self, kept: Ticket | None, ctx: ToolContext, note: str) -> None:
        """Close it. What happened has happened: where the ticket cannot be written the log says so, and no more."""
        if kept is None or self._services.tickets is None:
            return
        by = f"tool {self.spec.id}"
        try:
            await self._services.tickets.close(
                kept.id, tenant=kept.tenant, at_us=ctx.clock.now_us(), by=by, note=note, is_by_hand=False
            )
        except AgentFlowError as error:
            log.error("ticket %s of a mail stays open, though it was %s: %s", kept.id, note, error.code)

    def _mail(self, call: ToolCall, ctx: ToolContext) -> Mail:
        tool, given = self.spec.id, call.arguments
        only(given, _KNOWN, tool)
        key = sha256(f"{ctx.sender.tenant}\0{call.idempotency_key}".encode()).hexdigest()[:40]
        return Mail(
            server=self._server,
            sender=self._sender,
            to=texts_of(given, "to", tool),
            cc=texts_of(given, "cc", tool),
            bcc=texts_of(given, "bcc", tool),
            reply_to=text_of(given, "reply_to", tool, default=""),
            subject=text_of(given, "subject", tool),
            text=text_of(given, "body", tool, default=""),
            html=text_of(given, "html", tool, default=""),
            attachments=self._attachments(given.get("attachments")),
            message_id=f"{key}@{self._sender.partition('@')[2]}",
            at_us=ctx.clock.now_us(),
            timeout_s=ctx.profile.timeout_ms / 1_000,
        )

    def _attachments(self, given: Json) -> tuple[Attachment, ...]:
        found = [] if given is None else given
        if not isinstance(found, list):
            raise self._bad_attachment()
        return tuple(self._attachment(each) for each in found)

    def _attachment(self, given: Json) -> Attachment:
        if not isinstance(given, Mapping) or not given.keys() <= {"name", "content", "content_type"}:
            raise self._bad_attachment()
        name, content = given.get("name"), given.get("content")
        kind = given.get("content_type", "text/plain")
        if not (isinstance(name, str) and isinstance(content, str) and isinstance(kind, str)):
            raise self._bad_attachment()
        try:
            data = content.encode() if kind.startswith(_TEXTUAL) else base64.b64decode(content, validate=True)
        except (UnicodeEncodeError, binascii.Error, ValueError):
            raise self._bad_attachment() from None
        return Attachment(name=name, content=data, content_type=kind)

    def _bad_attachment(self) -> Invalid:
        return Invalid(
            "tool.arguments",
            f"tool {self.spec.id!r} takes 'attachments' as a list of {{name, content, content_type}}; content is text "
            "for text/…, JSON and XML, else base64",
        )
