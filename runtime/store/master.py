"""The master key: where it comes from, and who else could read it.

One of: a file (AGENTFLOW_MASTER_KEY_FILE), a credential of systemd (`agentflow.master` in CREDENTIALS_DIRECTORY), a
passphrase (AGENTFLOW_MASTER_PASSPHRASE_FILE, `-`: asked for). It is never in the data folder, nor in its backups.
"""

from __future__ import annotations

import os
import stat
import string
from collections.abc import Mapping
from pathlib import Path

from runtime.errors import Invalid, Unavailable
from runtime.store.envelope import KEY_BYTES, Cost, SealingKey, stretched

FILE_VARIABLE = "AGENTFLOW_MASTER_KEY_FILE"
PASSPHRASE_VARIABLE = "AGENTFLOW_MASTER_PASSPHRASE_FILE"
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
CREDENTIAL = "agentflow.master"
ASKED = "-"
MIN_PASSPHRASE = 12
_MAX_BYTES = 65_536


class Master:
    """Where the key comes from; it is read when it is first needed."""

    def __init__(self, where: str, path: Path, *, is_passphrase: bool, is_credential: bool = False) -> None:
        """`where`: what named it, for messages."""
        self.where = where
        self.path = path
        self.is_passphrase = is_passphrase
        self._is_credential = is_credential

    def keys(self, salt: bytes = b"", cost: Cost | None = None, *, is_first: bool = False) -> tuple[SealingKey, ...]:
        """The key in use, then older ones that something may still be wrapped under.

        `salt` and `cost` stretch a passphrase; `is_first`: nothing is locked with it yet, so that one that is typed is
        asked for twice. Raises Unavailable where others could read the file, or it can't be
        read, and Invalid for one that holds something else.
        """
        lines = self._lines(is_first=is_first)
        if not self.is_passphrase:
            return tuple(SealingKey(_hex(line, self)) for line in lines)
        if any(len(line) < MIN_PASSPHRASE for line in lines):
            raise Invalid("secret.passphrase", f"the passphrase of {self.where} has less than {MIN_PASSPHRASE} letters")
        return tuple(stretched(line, salt, cost or Cost()) for line in lines)

    def _lines(self, *, is_first: bool) -> list[str]:
        if self.is_passphrase and str(self.path) == ASKED:
            return [_asked(is_first=is_first)]
        text = _read(self.path, self.where, is_credential=self._is_credential)
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if not lines:
            raise Invalid("secret.no_master", f"{self.path}, which {self.where} names, holds no key")
        return lines


def master_in(environment: Mapping[str, str], data: Path) -> Master | None:
    """The master key that the environment names; None where it names none. Nothing is read yet.

    Raises Invalid when two are named, or when the file lies in the data folder.
    """
    found = [
        Master(variable, Path(environment[variable]), is_passphrase=variable == PASSPHRASE_VARIABLE)
        for variable in (FILE_VARIABLE, PASSPHRASE_VARIABLE)
        if environment.get(variable)
    ]
    if credentials := environment.get(CREDENTIALS_VARIABLE):
        path = Path(credentials) / CREDENTIAL
        if path.exists():
            where = f"{CREDENTIALS_VARIABLE}/{CREDENTIAL}"
            found.append(Master(where, path, is_passphrase=False, is_credential=True))
    if len(found) > 1:
        raise Invalid(
            "secret.two_masters", f"{' and '.join(each.where for each in found)} both give a master key; keep one"
        )
    for each in found:
        if str(each.path) != ASKED and each.path.resolve().is_relative_to(data.resolve()):
            raise Invalid(
                "secret.master_inside",
                f"the master key {each.path} lies in the data folder {data}, and so in its copies, beside what it "
                f"locks. Move it elsewhere, such as /etc/agentflow, and set {each.where} to it",
            )
    return found[0] if found else None


def _hex(line: str, master: Master) -> bytes:
    if len(line) != 2 * KEY_BYTES or not set(line) <= set(string.hexdigits):
        raise Invalid(
            "secret.malformed_master",
            f"{master.path}, which {master.where} names, must hold {2 * KEY_BYTES} hex digits a line; found a line of "
            f"{len(line)} characters. Make one with: openssl rand -hex 32",
        )
    return bytes.fromhex(line)


def _read(path: Path, where: str, *, is_credential: bool) -> str:
    try:
        with path.open("rb") as file:
            _require_private(path, os.fstat(file.fileno()), is_credential=is_credential)
            content = file.read(_MAX_BYTES)
        parent = path.resolve().parent.stat()
    except OSError as error:
        raise Unavailable(
            "secret.no_master_file",
            f"the master key {path} can't be read: {error.strerror}; {where} names it",
            retryable=False,
        ) from None
    if parent.st_mode & stat.S_IWOTH and not parent.st_mode & stat.S_ISVTX:
        raise _unsafe(path, f"lies in {path.resolve().parent}, where everybody may replace it", "chmod o-w that folder")
    return content.decode("utf-8", "replace")


def _require_private(path: Path, found: os.stat_result, *, is_credential: bool) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _unsafe(path, "is no file", "name a file")
    mode = stat.S_IMODE(found.st_mode)
    # systemd gives a service its credentials by an access list, which shows as a right of the group
    if mode & (0o007 if is_credential else 0o077):
        raise _unsafe(path, f"has mode {mode:04o}, so that others may read it", f"chmod 600 {path}")
    if found.st_uid not in (os.geteuid(), 0):
        raise _unsafe(
            path,
            f"belongs to user {found.st_uid}, and this runs as user {os.geteuid()}",
            f"chown {os.geteuid()} {path}, or run as its owner",
        )


def _unsafe(path: Path, what: str, advice: str) -> Unavailable:
    return Unavailable("secret.unsafe_master", f"the master key {path} {what}: {advice}", retryable=False)


def _asked(*, is_first: bool) -> str:
    import getpass  # for whoever types it; a service has a file

    try:
        os.close(os.open("/dev/tty", os.O_RDWR))  # without one, getpass would show what is typed
        given = getpass.getpass("Passphrase of the master key: ")
        again = getpass.getpass("Once more, for nothing is locked with it yet: ") if is_first else given
    except (EOFError, OSError):
        raise Unavailable(
            "secret.not_asked",
            f"{PASSPHRASE_VARIABLE} says that the passphrase is asked for, and there is no terminal to ask at",
            retryable=False,
        ) from None
    if given != again:
        raise Invalid("secret.passphrase", "the two passphrases differ; nothing was locked")
    return given
