"""Signed notes and checkpoints: the head of an audit chain as public tools read it (C2SP signed-note, tlog-checkpoint).

A checkpoint is a note whose text is `origin`, the tree's size and its root in base64, each on a line. Ed25519 itself
is not here: whoever has the key signs, whoever has a library verifies.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from runtime.audit.tree import HASH_BYTES
from runtime.errors import Invalid

ED25519 = b"\x01"
"""The kind of signature, in keys and in what their ids are made of."""
KEY_BYTES = 32
SIGNATURE_BYTES = 64
MAX_NOTE_BYTES = 1_000_000

Sign = Callable[[bytes], bytes]
"""Signs bytes by Ed25519: 64 bytes."""
Verify = Callable[[bytes, bytes, bytes], bool]
"""Whether `(public_key, signature, message)` fit, by Ed25519."""

_NAME = re.compile(r"[^\s+]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")


class NoteKey(NamedTuple):
    """Who signs, as verifiers know them."""

    name: str
    public: bytes
    """32 bytes."""

    @property
    def id(self) -> bytes:
        """The four bytes in front of each signature, which tell keys of one name apart."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key as a line for verifiers: `name+id+base64`."""
        return f"{self.name}+{self.id.hex()}+{b64encode(ED25519 + self.public).decode()}"


class Checkpoint(NamedTuple):
    """The head of a chain: what is signed."""

    origin: str
    size: int
    """How many records there are."""
    root: bytes

    @property
    def text(self) -> str:
        """The three lines that the signature covers."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


def key_of(vkey: str) -> NoteKey:
    """The key of a verifier's line. Raises Invalid for what is none, or has another id than its key."""
    name, identity, encoded = ([*vkey.strip().split("+", 2), "", ""])[:3]
    held = _decoded(encoded)
    if _NAME.fullmatch(name) and held[:1] == ED25519 and len(held) == 1 + KEY_BYTES:
        key = NoteKey(name, held[1:])
        if key.id.hex() == identity:
            return key
    raise Invalid("audit.bad_vkey", "expected a verifier key such as NAME+0123abcd+AT…, as `af audit key` prints it")


def signed(checkpoint: Checkpoint, key: NoteKey, sign: Sign) -> str:
    """The checkpoint as a signed note."""
    return signed_note(checkpoint.text, key, sign)


def signed_note(text: str, key: NoteKey, sign: Sign) -> str:
    """A text that ends with a newline, and its signature."""
    return f"{text}\n— {key.name} {b64encode(key.id + sign(text.encode())).decode()}\n"


def opened(note: str, key: NoteKey, verify: Verify) -> str:
    """The text of a note that this key signed, other signatures aside. Raises Invalid."""
    text, signatures = _parts(note)
    is_signed = False
    for line in signatures.splitlines():
        found = _SIGNATURE.fullmatch(line)
        if found is None:
            raise _no_note("a line behind the blank one is no signature")
        held = _decoded(found[2])
        if len(held) < len(key.id) + 1:
            raise _no_note("a signature is cut off")
        if (found[1], held[:4]) == (key.name, key.id):
            if len(held) != 4 + SIGNATURE_BYTES or not verify(key.public, held[4:], text.encode()):
                raise Invalid("audit.bad_signature", f"the note's signature by {key.name!r} does not fit its text")
            is_signed = True
    if not is_signed:
        raise Invalid("audit.not_signed", f"the note is not signed by the key {key.id.hex()} of {key.name!r}")
    return text


def bears(note: str, key: NoteKey) -> bool:
    """Whether a note has a line of this key, be it a good one or not. Raises Invalid for what is no note."""
    found = (_SIGNATURE.fullmatch(line) for line in _parts(note)[1].splitlines())
    return any(line is not None and (line[1], _decoded(line[2])[:4]) == (key.name, key.id) for line in found)


def checkpoint_in(note: str, key: NoteKey, verify: Verify) -> Checkpoint:
    """The checkpoint in a note that this key signed. Raises Invalid."""
    return parsed(opened(note, key, verify))


def parsed(text: str) -> Checkpoint:
    """The checkpoint in the text of a note. Raises Invalid."""
    origin, size, root, *_ = [*text.split("\n"), "", ""]
    held = _decoded(root)
    if not origin or not _SIZE.fullmatch(size) or len(held) != HASH_BYTES:
        raise _no_note("it has no origin, size and root")
    return Checkpoint(origin, int(size), held)


def text_of(note: str) -> str:
    """The text of a note, whoever signed it. Raises Invalid for what is no note."""
    return _parts(note)[0]


def _parts(note: str) -> tuple[str, str]:
    """The text with its last newline, and the lines of signatures."""
    text, blank, signatures = note.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise _no_note("it has no text, blank line and signatures")
    if len(note) > MAX_NOTE_BYTES or any(ord(char) < 0x20 and char != "\n" for char in note):
        raise _no_note("it is too long, or holds control characters")
    return text + "\n", signatures


def _decoded(text: str) -> bytes:
    """What base64 holds; nothing for a text that is not its one spelling."""
    try:
        held = b64decode(text, validate=True)
    except (Error, ValueError):
        return b""
    return held if b64encode(held).decode() == text else b""


def _no_note(why: str) -> Invalid:
    return Invalid("audit.no_note", f"this is no signed note: {why}")
