"""Envelopes: bytes under AES-256-GCM, bound to what they are for, with the id of their key in the header.

Layout: `AFE1`, key id (8 bytes), nonce (12 random bytes), ciphertext with its tag. The header is authenticated too.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from runtime.errors import Corrupt

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_MAGIC = b"AFE1"
_ID_BYTES, _NONCE_BYTES, _TAG_BYTES = 8, 12, 16
_HEADER_BYTES = len(_MAGIC) + _ID_BYTES


class Cost(msgspec.Struct, frozen=True):
    """What a guess at a passphrase costs (Argon2id, RFC 9106); a second on the machines that this runs on."""

    memory_kib: int = 65_536
    iterations: int = 3
    lanes: int = 4


class SealingKey:
    """32 secret bytes and their id. Never shown by a message, a repr or a traceback."""

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_BYTES, "a key is 32 bytes"
        self._key = key
        self.id = sha256(b"agentflow key id\0" + key).hexdigest()[: 2 * _ID_BYTES]
        """Hex; says nothing about the key."""

    def __repr__(self) -> str:
        return f"SealingKey({self.id})"

    def reveal(self) -> bytes:
        """The bytes, to be wrapped under another key or handed to a database."""
        return self._key


def fresh_key() -> SealingKey:
    """A new random key."""
    return SealingKey(secrets.token_bytes(KEY_BYTES))


def stretched(passphrase: str, salt: bytes, cost: Cost) -> SealingKey:
    """The key of a passphrase, by Argon2id."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # 40 ms that a start without secrets need not pay

    argon = Argon2id(
        salt=salt, length=KEY_BYTES, iterations=cost.iterations, lanes=cost.lanes, memory_cost=cost.memory_kib
    )
    return SealingKey(argon.derive(passphrase.encode()))


def seal(key: SealingKey, content: bytes, bound_to: Sequence[str]) -> bytes:
    """Encrypt; only who names the same things in `bound_to` can open it."""
    header = _MAGIC + bytes.fromhex(key.id)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return header + nonce + _cipher(key).encrypt(nonce, content, _associated(header, bound_to))


def key_id_of(sealed: bytes) -> str:
    """The id of the key that an envelope was sealed with. Raises Corrupt for what is none."""
    if len(sealed) < _HEADER_BYTES + _NONCE_BYTES + _TAG_BYTES or not sealed.startswith(_MAGIC):
        raise Corrupt("secret.damaged", "what should be an encrypted value is none; restore it from a backup")
    return sealed[len(_MAGIC) : _HEADER_BYTES].hex()


def unseal(key: SealingKey, sealed: bytes, bound_to: Sequence[str]) -> bytes:
    """Decrypt. Raises Corrupt for an envelope of another key, for something else, or that was changed."""
    from cryptography.exceptions import InvalidTag

    header, rest = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
    try:
        if key_id_of(sealed) != key.id:
            raise InvalidTag
        return _cipher(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], _associated(header, bound_to))
    except InvalidTag:
        raise Corrupt(
            "secret.damaged",
            f"the encrypted value of {'/'.join(bound_to)} was changed, or put in the place of another one; restore it "
            "from a backup",
        ) from None


def _cipher(key: SealingKey) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key.reveal())


def _associated(header: bytes, bound_to: Sequence[str]) -> bytes:
    return header + json.dumps(list(bound_to), separators=(",", ":")).encode()
