"""Who the appliance is to a broker: a name and password, a token, or a JWT and the seed that signs for it."""

import base64
import binascii
import re
from pathlib import Path

from runtime.errors import Invalid, NotFound, Refused, Unavailable
from runtime.store.signing import SigningKey

_SECTION = re.compile(r"-----BEGIN ([A-Z ]+)-----\s+(\S+)\s+-{4,}END")
_SEED = re.compile(r"SU[A-Z2-7]{56}")
_SEED_BYTES = 32


class Credentials:
    """What is said at the start of a connection. Shows nothing of itself in a message, a repr or a traceback."""

    def __init__(self, *, user: str = "", password: str = "", token: str = "", jwt: str = "", seed: str = "") -> None:
        self.user = user
        self.password = password
        self.token = token
        self._jwt = jwt
        self._key = SigningKey(_seed_of(seed)) if seed else None

    def __repr__(self) -> str:
        return "Credentials(…)"

    @property
    def has_jwt(self) -> bool:
        """Whether it is a creds file's."""
        return bool(self._jwt)

    def jwt(self) -> bytes:
        """The JWT."""
        return self._jwt.encode()

    def signature(self, nonce: str) -> bytes:
        """The broker's nonce, signed, in base64."""
        assert self._key is not None, "a JWT comes with its seed"
        return base64.b64encode(self._key.sign(nonce.encode()))


def credentials_of(text: str, source: str) -> Credentials:
    """What a secret or a file says; `source` names it in errors. Raises Invalid."""
    if "-----BEGIN" in text:
        sections = dict(_SECTION.findall(text))
        jwt, seed = sections.get("NATS USER JWT", ""), sections.get("USER NKEY SEED", "")
        if not jwt or not seed:
            raise Invalid("nats.bad_credentials", f"{source} lacks the JWT or the seed of a creds file")
        return Credentials(jwt=jwt, seed=seed)
    given = text.strip()
    if not given or not given.isprintable() or _SEED.fullmatch(given):
        raise Invalid(
            "nats.bad_credentials",
            f"{source} must hold a creds file with a JWT, USER:PASSWORD, or a token; a seed alone is not taken",
        )
    user, colon, password = given.partition(":")
    return Credentials(user=user, password=password) if colon else Credentials(token=given)


def read_credentials(path: str) -> Credentials:
    """Those of a file that only its owner may read. Raises NotFound, Refused, Unavailable and Invalid."""
    file = Path(path).expanduser()
    try:
        mode = file.stat().st_mode & 0o777
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise NotFound("nats.no_credentials", f"{file} does not exist; uplink.credentials_file names it") from None
    except (OSError, UnicodeDecodeError):
        raise Unavailable("nats.no_credentials", f"{file} can't be read as text", retryable=False) from None
    if mode & 0o077:
        raise Refused(
            "nats.credentials_exposed", f"{file} has mode {mode:04o}, so others may read it; run: chmod 600 {file}"
        )
    return credentials_of(text, str(file))


def _seed_of(text: str) -> bytes:
    """The 32 bytes of a user's seed as NATS spells it: two bytes of kind, the seed, CRC-16 of both."""
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        raw = b""
    if not _SEED.fullmatch(text) or len(raw) != 2 + _SEED_BYTES + 2:
        raise Invalid(
            "nats.bad_credentials", "the seed of the creds file is none: it begins with SU and has 58 characters"
        )
    if binascii.crc_hqx(raw[:-2], 0) != int.from_bytes(raw[-2:], "little"):
        raise Invalid("nats.bad_credentials", "the seed of the creds file was changed: its checksum does not fit")
    return raw[2:-2]
