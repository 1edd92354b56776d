"""The key that signs the audit log's checkpoints: Ed25519, in a file that only its owner can read.

Whoever has it can sign a history that never was: keep it where the data folder's readers are not.
"""

from __future__ import annotations

import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.audit.note import KEY_BYTES, NoteKey
from runtime.errors import Corrupt, Refused
from runtime.store.failures import translate

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PREFIX = b"agentflow-ed25519:"


class SigningKey:
    """A private key. Its bytes never show in a message, a repr or a traceback."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    def __repr__(self) -> str:
        return "SigningKey(…)"

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)

    def named(self, name: str) -> NoteKey:
        """The public half under a name, for verifiers."""
        return NoteKey(name, self._key.public_key().public_bytes_raw())

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # 40 ms, and only who signs

        return Ed25519PrivateKey.from_private_bytes(self._seed)


def verify_ed25519(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether they fit."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def open_key(path: Path) -> SigningKey | None:
    """The key of a file; None where there is none.

    Raises Refused when others may read it, Corrupt when it is no key, Unavailable when it cannot be used.
    """
    try:
        if not path.exists():
            return None
        mode = path.stat().st_mode & 0o777
        held = path.read_bytes()
    except OSError as error:
        raise translate(error, path) from None
    if mode & 0o077:
        raise Refused(
            "audit.key_exposed", f"{path} has mode {mode:04o}, so others may sign with it; run: chmod 600 {path}"
        )
    try:
        seed = bytes.fromhex(held.removeprefix(_PREFIX).decode().strip())
    except ValueError:
        seed = b""
    if not held.startswith(_PREFIX) or len(seed) != KEY_BYTES:
        raise Corrupt("audit.bad_key", f"{path} is no key of the audit log; put it back from a backup")
    return SigningKey(seed)


def make_key(path: Path) -> None:
    """Write a fresh key, for its owner alone. Raises StoreFull, Unusable or Unavailable."""
    try:
        _write(path)
    except OSError as error:
        raise translate(error, path) from None


def _write(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_PREFIX + secrets.token_bytes(KEY_BYTES).hex().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
