"""What is redacted of a mail. Addresses stay, as they are where it goes; everything that they carry is looked through.

Pure but for the redactor.
"""

from collections.abc import Callable

from msgspec.structs import replace

from redaction.work import Work, text_of
from runtime.domain.mail import Attachment, Mail

_READABLE = ("text/", "application/json", "application/xml", "message/")
"""Types whose bytes say what they say to whoever decodes them; the rest (archives, office files) hides its content."""


def size_of_mail(mail: Mail) -> int:
    """Bytes of what a mail says, before its parts are encoded for the way."""
    texts = (mail.sender, *mail.recipients, mail.reply_to, mail.subject, mail.text, mail.html)
    headers = sum(len(name) + _size(value) for name, value in mail.headers.items())
    return sum(map(_size, texts)) + headers + sum(_size(each.name) + len(each.content) for each in mail.attachments)


def redacted_mail(mail: Mail, work: Work) -> Mail:
    """The mail as it may leave. Raises Refused when the policy blocks a part of it."""
    for address in (*mail.recipients, mail.sender, mail.reply_to):
        work.pass_identifier(address.partition("@")[0])
    found = work.values({"subject": mail.subject, "text": mail.text, "html": mail.html})
    headers = work.values(dict(mail.headers))
    return replace(
        mail,
        subject=_line(text_of(found, "subject")),
        text=text_of(found, "text"),
        html=text_of(found, "html"),
        headers={name: _line(text_of(headers, name)) for name in mail.headers},
        attachments=tuple(_attachment(each, work) for each in mail.attachments),
    )


def masked_mail(mail: Mail, mask: Callable[[str], str]) -> Mail:
    """The mail without the values of known secrets."""

    def attachment(each: Attachment) -> Attachment:
        try:
            content = mask(each.content.decode()).encode()
        except UnicodeDecodeError:
            content = each.content
        return replace(each, name=mask(each.name), content=content)

    return replace(
        mail,
        subject=mask(mail.subject),
        text=mask(mail.text),
        html=mask(mail.html),
        headers={name: mask(value) for name, value in mail.headers.items()},
        attachments=tuple(map(attachment, mail.attachments)),
    )


def _attachment(attachment: Attachment, work: Work) -> Attachment:
    name = _line(text_of(work.values({"file": attachment.name}), "file"))
    try:
        if not attachment.content_type.startswith(_READABLE):
            raise ValueError
        text = attachment.content.decode()
    except ValueError:
        work.pass_binary("an attachment that is no text")
        return replace(attachment, name=name)
    content = text_of(work.values({"content": text}), "content").encode()
    return replace(attachment, name=name or "attachment", content=content)


def _line(text: str) -> str:
    """One line: what was put in the place of a value adds none."""
    return " ".join(text.split("\n"))


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
