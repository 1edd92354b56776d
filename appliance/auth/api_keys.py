"""API keys: made once, kept as hashes, compared in constant time.

A key is `af_` and 32 random bytes in base32, so a plain SHA-256 cannot be turned back: there is nothing to guess.
`keys.json` holds the hashes; `first.key` holds the very first key in clear text until its owner deletes it.
"""

import base64
import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path

import msgspec

from runtime.domain.journal import rfc3339
from runtime.errors import Corrupt, Refused, Unusable

PREFIX = "af_"
FIRST_KEY = "first"


class ApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key as it is kept."""

    name: str
    """Stands as the actor in the journal of every run asked for with this key."""
    sha256: str
    """64 hex digits over the whole clear text."""
    created_at: str
    role: str = ""
    """What budgets of a role go by; empty: none."""


class KeyRing:
    """The keys of one appliance."""

    def __init__(self, keys: tuple[ApiKey, ...]) -> None:
        self._keys = keys

    @property
    def all(self) -> tuple[ApiKey, ...]:
        """Every key as it is kept."""
        return self._keys

    def find(self, clear_text: str) -> ApiKey | None:
        """The key with this clear text, or None. Takes equally long for any wrong one."""
        digest = sha256(clear_text.encode()).hexdigest()
        found = [key for key in self._keys if hmac.compare_digest(key.sha256, digest)]
        return found[0] if found else None

    def owner(self, clear_text: str) -> str | None:
        """The name of the key, or None."""
        found = self.find(clear_text)
        return found.name if found else None


def open_keys(folder: Path, *, now_us: int) -> tuple[KeyRing, Path | None]:
    """Read the keys in `folder`, or make the first one; then the second value names the file that holds it.

    Both files are durable when this returns. Raises Refused when others may read the keys, Corrupt when they are not
    keys, Unusable when the files cannot be read or written.
    """
    path = folder / "keys.json"
    try:
        if path.exists():
            return KeyRing(_read(path)), None
        return _make_first(folder, path, now_us)
    except OSError as error:
        raise Unusable("auth.no_access", f"cannot use the API keys in {folder}: {error.strerror}") from None


def new_key() -> str:
    """A fresh key in clear text."""
    return PREFIX + base64.b32encode(secrets.token_bytes(32)).decode().rstrip("=").lower()


def _make_first(folder: Path, path: Path, now_us: int) -> tuple[KeyRing, Path]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    clear_text = new_key()
    first = folder / f"{FIRST_KEY}.key"
    # the clear text first: a crash in between leaves no hash whose key nobody knows
    _write_private(first, clear_text.encode() + b"\n")
    keys = (ApiKey(FIRST_KEY, sha256(clear_text.encode()).hexdigest(), rfc3339(now_us)),)
    _write_private(path, msgspec.json.format(msgspec.json.encode(keys)) + b"\n")
    return KeyRing(keys), first


def _read(path: Path) -> tuple[ApiKey, ...]:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise Refused(
            "auth.keys_exposed", f"{path} has mode {mode:04o}, so others may read it; run: chmod 600 {path}", mode=mode
        )
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[ApiKey, ...])
    except msgspec.MsgspecError as error:
        raise Corrupt("auth.keys_unreadable", f"{path} is not a list of API keys: {error}; restore it") from None


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, wholly or not at all."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
