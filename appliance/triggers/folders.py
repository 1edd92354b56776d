"""Folders that start runs: files that are dropped, and mails in a Maildir. Looks, reads, and moves what has a run."""

import email
import email.policy
import os
from collections.abc import Mapping
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
TAKEN = "taken"
"""Folder in a drop folder for what has a run."""

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
    """The files of a folder, not of those in it, by name; without what is hidden or still being brought."""
    found: dict[str, Stamp] = {}
    with os.scandir(folder) as entries:
        for each in entries:
            if each.name.startswith(".") or each.name.endswith(("~", ".part", ".tmp", ".crdownload", ".filepart")):
                continue
            if fnmatch(each.name, pattern) and each.is_file(follow_symlinks=False):
                stat = each.stat(follow_symlinks=False)
                found[each.name] = (stat.st_mtime_ns, stat.st_size)
    return found


def dropped(folder: Path, name: str, stamp: Stamp, drop: FileDrop) -> Found:
    """A file that has come. Raises Unavailable where it cannot be read."""
    path = folder / name
    try:
        with open(path, "rb", opener=_no_link) as file:
            head = file.read(MOST_TEXT_BYTES + 1)
            file.seek(0)
            digest = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Unavailable("trigger.file", f"{path} cannot be read: {error.strerror}") from None
    key = sha256(f"{name}\0{stamp[0]}\0{digest}".encode()).hexdigest()
    place = path if drop.after == "keep" else folder / TAKEN / _taken_name(name, key)
    told: Json = {"name": name, "path": str(place), "size_bytes": stamp[1], "sha256": digest, "text": _text(head)}
    return Found(path, key, {"file": told})


def link_taken(found: Found) -> None:
    """Have a file stand where its run looks for it, before there is a run; the first place is there still.

    Raises Unavailable where the file system has no links.
    """
    place = _place(found)
    try:
        place.parent.mkdir(mode=0o700, exist_ok=True)
        if not (place.exists() and place.samefile(found.path)):
            os.link(found.path, place)
    except OSError as error:
        raise Unavailable(
            "trigger.file", f"{found.path} cannot be moved to {place.parent}: {error.strerror}; or say after: keep"
        ) from None


def unlink_first(found: Found) -> None:
    """Take a file away from where it was dropped: it has its run."""
    found.path.unlink(missing_ok=True)


def mails(folder: Path) -> list[Path]:
    """The new mails of a Maildir, the oldest first. https://cr.yp.to/proto/maildir.html"""
    new = folder / "new"
    if not new.is_dir():
        return []
    return sorted(path for path in new.iterdir() if not path.name.startswith(".") and path.is_file())


def mail(path: Path) -> Found:
    """A mail, read. Raises Invalid for one that is too large, Unavailable where it cannot be read."""
    try:
        if path.stat().st_size > MOST_MAIL_BYTES:
            raise Invalid("trigger.mail", f"{path} has more than {MOST_MAIL_BYTES // 2**20} MiB")
        content = path.read_bytes()
    except OSError as error:
        raise Unavailable("trigger.mail", f"{path} cannot be read: {error.strerror}") from None
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage), "the policy makes these"
    body = parsed.get_body(("plain", "html"))
    told: Json = {
        "from": _header(parsed, "from"),
        "to": _header(parsed, "to"),
        "subject": _header(parsed, "subject"),
        "date": _header(parsed, "date"),
        "id": _header(parsed, "message-id"),
        "text": _content(body)[:MOST_TEXT_BYTES] if body is not None else "",
        "attachments": [part.get_filename() or "" for part in parsed.iter_attachments()],
    }
    return Found(path, sha256(path.name.encode() + b"\0" + content).hexdigest(), {"mail": told})


def keep_mail(found: Found) -> None:
    """Move a mail to `cur`, seen: it has its run."""
    cur = found.path.parent.parent / "cur"
    cur.mkdir(mode=0o700, exist_ok=True)
    found.path.rename(cur / f"{found.path.name.partition(':')[0]}:2,S")


def _place(found: Found) -> Path:
    told = found.data["file"]
    assert isinstance(told, dict), "as `dropped` makes it"
    return Path(str(told["path"]))


def _taken_name(name: str, key: str) -> str:
    path = Path(name)
    return f"{path.stem}-{key[:8]}{path.suffix}"


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
        return str(message.get(name, ""))
    except (ValueError, LookupError, AttributeError):  # what the standard library's parser raises for mangled ones
        return ""


def _content(part: MIMEPart) -> str:
    try:
        return str(part.get_content())
    except (LookupError, KeyError, ValueError):  # an unknown charset, or one that it is not in
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
