"""Reports of `af doctor --egress`: kept in the data folder, signed with a key of that folder, so that a change shows.

The signature is HMAC-SHA256 over the report's canonical JSON (RFC 8785). It proves that this appliance made the
report; whoever holds the key file could make another, so copy reports away to keep them from the machine's own root.
"""

import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path

import msgspec

from runtime.domain.canonical import Json, encode
from runtime.errors import Corrupt, Invalid, NotFound, Refused
from runtime.store.failures import translate

FOLDER = "reports"
KEY_FILE = "auth/report.key"
ALGORITHM = "HMAC-SHA256"
_KEY_BYTES = 32


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who made a report."""

    algorithm: str
    key_id: str
    """The first 16 hex digits of SHA-256 over the key."""
    value: str
    """Hex digits."""


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A report as it is kept."""

    report: dict[str, Json]
    signature: Signature


def keep(data: Path, report: dict[str, Json]) -> Path:
    """Sign a report and write it to the data folder; return its file. Raises Unusable, Refused and Corrupt."""
    made_at = "".join(char for char in str(report["made_at"]) if char.isalnum())
    path = data / FOLDER / f"egress-{made_at}.json"
    try:
        key = _key(data, makes=True)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(sign(report, key)), indent=2) + b"\n")
    except OSError as error:
        raise translate(error, path) from None
    return path


def verify(data: Path, path: Path) -> Signed:
    """The report of a file, signed by this data folder's key and unchanged since.

    Raises NotFound, Invalid for a file that is no report or one of another key, Corrupt for one that was changed.
    """
    try:
        signed = msgspec.json.decode(path.read_bytes(), type=Signed)
    except OSError as error:
        raise NotFound("airgap.no_report", f"cannot read {path}: {error.strerror}") from None
    except (msgspec.MsgspecError, RecursionError):
        raise Invalid("airgap.no_report", f"{path} is no report of af doctor --egress") from None
    try:
        key = _key(data, makes=False)
    except OSError as error:
        raise NotFound("airgap.no_report_key", f"cannot read {data / KEY_FILE}: {error.strerror}") from None
    expected = sign(signed.report, key).signature
    if (signed.signature.algorithm, signed.signature.key_id) != (expected.algorithm, expected.key_id):
        raise Invalid(
            "airgap.other_key",
            f"{path} was signed with key {signed.signature.key_id[:16]!r}; {data} has {expected.key_id!r}. Name the "
            "data folder that made it with --data",
        )
    if not hmac.compare_digest(signed.signature.value, expected.value):
        raise Corrupt("airgap.report_changed", f"{path} was changed after it was signed; trust nothing in it")
    return signed


def sign(report: dict[str, Json], key: bytes) -> Signed:
    """A report with its signature."""
    value = hmac.new(key, encode(report), sha256).hexdigest()
    return Signed(report, Signature(ALGORITHM, sha256(key).hexdigest()[:16], value))


def _key(data: Path, *, makes: bool) -> bytes:
    """The key of a data folder, made when it is missing and `makes` says so. Raises OSError, Refused and Corrupt."""
    path = data / KEY_FILE
    if makes and not path.exists():
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
    if path.stat().st_mode & 0o077:
        raise Refused("airgap.key_readable", f"others may read {path}; make it private with: chmod 600 {path}")
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise Corrupt("airgap.bad_key", f"{path} holds {len(key)} bytes, and a key has {_KEY_BYTES}; remove it")
    return key
