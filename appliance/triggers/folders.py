"""Folders that start runs: files that are dropped, and mails in a Maildir. Looks, reads, and moves what has a run.

No error names a file: names tell of people, and what is remembered of a trigger is kept as it is.
"""

import email
import email.policy
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.message import EmailMessage, MIMEPart
from fnmatch import fnmatch
from hashlib import file_digest, sha256
from pathlib import Path

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.trigger import FileDrop
from runtime.errors import Invalid, NotFound, Unavailable

MOST_TEXT_BYTES = 256 * 1024
"""Of a file, or a mail's text, that stands in the run's input."""
MOST_MAIL_BYTES = 25 * 2**20
MOST_HEAD_BYTES = 256 * 1024
MOST_CONTENT_FIELD_BYTES = 128 * 1024
MOST_PARTS = 10_000
"""Of a mail. The standard library reads fields at about 0.1 ms a byte, and anybody can send 25 MiB of them: an hour."""
MOST_NAME_BYTES = 255
"""Of a name in a folder: what Linux's file systems have."""
TAKEN = "taken"
"""Folder in a drop folder for what has a run."""

_HEAD_ENDS = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_CONTENT_FIELD = re.compile(rb"(?i:(?:^|[\r\n])content-[^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*)")
_PART = re.compile(rb"[\r\n]--")
_NO_CHARACTER = re.compile("[\ud800-\udfff]")

Stamp = tuple[int, int]
"""Time of change in nanoseconds, and size."""


class Found(msgspec.Struct, frozen=True):
    """Something in a folder that a run is wanted for."""

    path: Path
    key: str
    """Equal for the same file as long as nobody writes it."""
    data: dict[str, Json]
    """What a template of the input reads."""


def folder_of(folders: Mapping[str, str], name: str) -> Path:
    """The folder of a name in the settings. Raises NotFound and Unavailable."""
    if name not in folders:
        raise NotFound(
            "trigger.folder", f"no folder is called {name!r} in the settings; name its path: folders: {{{name}: /…}}"
        )
    folder = Path(folders[name])
    if not folder.is_dir():
        raise Unavailable("trigger.folder", f"folder {name!r} is not there; it was to be {folder}")
    return folder


def stamps(folder: Path, pattern: str) -> dict[str, Stamp]:
    """The files of a folder, not of those in it, by name; without what is hidden or still being brought.

    Raises Unavailable where the folder cannot be read.
    """
    found: dict[str, Stamp] = {}
    with _reading("trigger.folder", f"{folder} cannot be read"), os.scandir(folder) as entries:
        for each in entries:
            if each.name.startswith(".") or each.name.endswith(("~", ".part", ".tmp", ".crdownload", ".filepart")):
                continue
            with suppress(FileNotFoundError):  # whoever brought it has taken it away
                if fnmatch(each.name, pattern) and each.is_file(follow_symlinks=False):
                    stat = each.stat(follow_symlinks=False)
                    found[each.name] = (stat.st_mtime_ns, stat.st_size)
    return found


def dropped(folder: Path, name: str, stamp: Stamp, drop: FileDrop) -> Found | None:
    """A file that has come; None for one that is written, or taken away, meanwhile.

    Raises Unavailable where it cannot be read, Invalid where no run could name it.
    """
    path, shown = folder / name, _clean(name)
    if drop.after == "keep" and shown != name:
        raise Invalid("trigger.file", "the name of a file is no UTF-8; rename it, or say after: move")
    with (
        _reading("trigger.file", "a file cannot be read"),
        suppress(FileNotFoundError),
        open(path, "rb", opener=_no_link) as file,
    ):
        head = file.read(MOST_TEXT_BYTES + 1)
        file.seek(0)
        digest = file_digest(file, "sha256").hexdigest()
        stat = os.fstat(file.fileno())
        if (stat.st_mtime_ns, stat.st_size) == stamp:
            key = sha256(f"{name}\0{stamp[0]}\0{digest}".encode(errors="surrogateescape")).hexdigest()
            place = path if drop.after == "keep" else folder / TAKEN / _taken_name(shown, key)
            told: Json = {
                "name": shown,
                "path": str(place),
                "size_bytes": stamp[1],
                "sha256": digest,
                "text": _text(head),
            }
            return Found(path, key, {"file": told})
    return None


def link_taken(found: Found) -> None:
    """Have a file stand where its run looks for it, before there is a run; the first place is there still.

    What stands there already has the same name, time of change and content, for these are its key.
    Raises Unavailable where the file system has no links.
    """
    place = _place(found)
    try:
        place.parent.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileExistsError):
            os.link(found.path, place)
    except OSError as error:
        raise Unavailable(
            "trigger.file", f"a file cannot be moved to {place.parent}: {error.strerror}; or say after: keep"
        ) from None


def unlink_taken(found: Found) -> None:
    """Undo `link_taken` for a file that has no run."""
    place = _place(found)
    with suppress(OSError):
        if place.samefile(found.path):
            place.unlink()


def unlink_first(found: Found) -> None:
    """Take a file away from where it was dropped: it has its run. Raises Unavailable where that cannot be."""
    with _reading("trigger.file", "a file cannot be taken away"), suppress(FileNotFoundError):
        found.path.unlink()


def mails(folder: Path) -> list[Path]:
    """The new mails of a Maildir, the oldest first. https://cr.yp.to/proto/maildir.html

    Raises Unavailable where it cannot be read, as where it is no Maildir.
    """
    new = folder / "new"
    with _reading("trigger.folder", f"{new} cannot be read"):
        return sorted(path for path in new.iterdir() if not path.name.startswith(".") and path.is_file())


def mail(path: Path) -> Found | None:
    """A mail, read; None for one that somebody else took. Raises Invalid for one that is too large or that no reader
    of mails makes sense of, Unavailable where it cannot be read."""
    with _reading("trigger.mail", "a mail cannot be read"):
        try:
            if path.stat().st_size > MOST_MAIL_BYTES:
                raise Invalid("trigger.mail", f"a mail has more than {MOST_MAIL_BYTES // 2**20} MiB")
            content = path.read_bytes()
        except FileNotFoundError:
            return None
    if _is_costly(content):
        raise Invalid("trigger.mail", "a mail has more of headers, or more parts, than is read")
    try:
        told = _told(content)
    except Exception as error:  # the standard library's reader of mails raises whatever it happens upon
        raise Invalid("trigger.mail", f"what came is no mail that can be read ({type(error).__name__})") from None
    return Found(path, sha256(os.fsencode(path.name) + b"\0" + content).hexdigest(), {"mail": told})


def keep_mail(found: Found) -> None:
    """Move a mail to `cur`, seen: it has its run. Raises Unavailable where that cannot be."""
    cur = found.path.parent.parent / "cur"
    with _reading("trigger.mail", "a mail cannot be moved to cur"), suppress(FileNotFoundError):
        cur.mkdir(mode=0o700, exist_ok=True)
        found.path.rename(cur / f"{found.path.name.partition(':')[0]}:2,S")


def _is_costly(content: bytes) -> bool:
    """Whether reading it would take more than seconds."""
    head = _HEAD_ENDS.search(content)
    return (
        (head.start() if head else len(content)) > MOST_HEAD_BYTES
        or sum(len(found[0]) for found in _CONTENT_FIELD.finditer(content)) > MOST_CONTENT_FIELD_BYTES
        or sum(1 for _ in _PART.finditer(content)) > MOST_PARTS
    )


def _told(content: bytes) -> Json:
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage), "the policy makes these"
    body = parsed.get_body(("plain", "html"))
    text = _content(body).encode(errors="replace") if body is not None else b""
    return {
        "from": _header(parsed, "from"),
        "to": _header(parsed, "to"),
        "subject": _header(parsed, "subject"),
        "date": _header(parsed, "date"),
        "id": _header(parsed, "message-id"),
        "text": text[:MOST_TEXT_BYTES].decode(errors="ignore"),
        "attachments": [_file_name(part) for part in parsed.iter_attachments()] if parsed.is_multipart() else [],
    }


@contextmanager
def _reading(code: str, what: str) -> Iterator[None]:
    """What a file system says, as Unavailable."""
    try:
        yield
    except OSError as error:
        raise Unavailable(code, f"{what}: {error.strerror}") from None


def _place(found: Found) -> Path:
    told = found.data["file"]
    assert isinstance(told, dict), "as `dropped` makes it"
    return Path(str(told["path"]))


def _taken_name(name: str, key: str) -> str:
    end = f"-{key[:16]}{Path(name).suffix.encode()[:32].decode(errors='ignore')}"
    return Path(name).stem.encode()[: MOST_NAME_BYTES - len(end.encode())].decode(errors="ignore") + end


def _clean(text: str) -> str:
    """Without what is no character: file names and mails hold any bytes, JSON does not."""
    return _NO_CHARACTER.sub("\ufffd", text)


def _no_link(path: str, flags: int) -> int:
    """What was a file when the folder was looked at may be a link to anything by now."""
    return os.open(path, flags | os.O_NOFOLLOW)


def _text(head: bytes) -> str | None:
    """What a small file says; None for one that is large, or no UTF-8."""
    try:
        return head.decode("utf-8-sig") if len(head) <= MOST_TEXT_BYTES else None
    except UnicodeDecodeError:
        return None


def _header(message: EmailMessage, name: str) -> str:
    try:
        return _clean(str(message.get(name, "")))
    except (ValueError, LookupError, AttributeError):  # what the standard library's parser raises for mangled ones
        return ""


def _file_name(part: MIMEPart) -> str:
    return _clean(part.get_filename() or "")


def _content(part: MIMEPart) -> str:
    try:
        return str(part.get_content())
    except (LookupError, KeyError, ValueError):  # an unknown charset, or one that it is not in
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
