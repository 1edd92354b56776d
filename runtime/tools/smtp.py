"""The kind `smtp`: a mail by the site's own server, to those whom the tool may write to, through the door.

Every attempt at a call has the same `Message-ID`, so that a receiver can tell a mail that was handed in twice.
"""

import base64
import binascii
from collections.abc import Mapping
from hashlib import sha256
from typing import ClassVar, cast

from runtime.domain.canonical import Json
from runtime.domain.mail import Attachment, Mail, MailServer, Security, check_mail, forbidden
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.errors import Invalid, Refused
from runtime.ports import ToolContext
from runtime.tools.arguments import only, text_of, texts_of
from runtime.tools.registry import ToolServices

SITE_RECIPIENTS = "site_recipients"
"""The key under which the settings bound what a tool says."""

_SETTING = "mail.recipients in the settings"
_OWN = "'recipients' of {}, else the sender's own domain"
_KNOWN = ("to", "subject", "body", "html", "cc", "bcc", "reply_to", "attachments")
_TEXTUAL = ("text/", "application/json", "application/xml")


class SmtpTool:
    """Sends mails. Implements Tool; the answer is `{message_id, accepted, refused}`, the last two as counts."""

    dry_answer: ClassVar[Json] = {"message_id": "", "accepted": 0, "refused": 0}
    """What a what-if is told, which sends nothing."""

    def __init__(self, spec: ToolSpec, services: ToolServices) -> None:
        config = spec.config
        self.spec = spec
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
        reply = await ctx.mail.send(mail)
        return {"message_id": reply.message_id, "accepted": len(reply.accepted), "refused": len(reply.refused)}

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
