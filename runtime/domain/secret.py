"""References to secrets: `secret://NAME`, with a version or a field where one is meant. Pure; never holds a value."""

import re
from collections.abc import Sequence

import msgspec

from runtime.errors import Invalid

SCHEME = "secret://"
MIN_CHARACTERS = 4
"""A shorter value could not be told from other text where it turns up."""
MAX_BYTES = 65_536

_NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
_REFERENCE = re.compile(rf"secret://({_NAME})(?:@([1-9][0-9]{{0,8}}))?(?:#([A-Za-z0-9_.-]{{1,64}}))?")
_WHOLE_NAME = re.compile(_NAME)


class Reference(msgspec.Struct, frozen=True):
    """Which secret is meant."""

    name: str
    version: int = 0
    """0: the newest."""
    field: str = ""
    """Of a secret with several, as OpenBao and Vault keep them; empty: `value`."""

    def __str__(self) -> str:
        version = f"@{self.version}" if self.version else ""
        return f"{SCHEME}{self.name}{version}{f'#{self.field}' if self.field else ''}"


def is_reference(text: str) -> bool:
    """Whether a text is one reference and nothing else."""
    return _REFERENCE.fullmatch(text) is not None


def reference_of(text: str) -> Reference:
    """The reference that a text is. Raises Invalid."""
    found = _REFERENCE.fullmatch(text)
    if found is None:
        raise _malformed(text)
    return _made(found)


def references_in(text: str) -> Sequence[Reference]:
    """The references in a text, in order. Raises Invalid for one that can't be read."""
    found = [_made(match) for match in _REFERENCE.finditer(text)]
    if len(found) != text.count(SCHEME):
        raise _malformed(text[text.index(SCHEME) :])
    return found


def check_name(name: str) -> None:
    """Raises Invalid for what can't be the name of a secret."""
    if not _WHOLE_NAME.fullmatch(name):
        raise Invalid(
            "secret.name",
            f"{name[:80]!r} is no name for a secret; use up to 64 of a-z, 0-9, '.', '_' and '-', and begin with a "
            "letter or a digit",
        )


def check_value(name: str, value: str) -> None:
    """Raises Invalid for a value that can't be kept, or not be recognised where it turns up."""
    if len(value) < MIN_CHARACTERS or len(value.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Invalid(
            "secret.size",
            f"the value of secret {name!r} has {len(value):,} characters; from {MIN_CHARACTERS} characters to "
            f"{MAX_BYTES:,} bytes are taken: a shorter one could not be masked where it turns up",
        )
    if value.startswith(SCHEME):
        raise Invalid("secret.reference", f"the value of secret {name!r} is a reference itself; give the value")


def _made(match: re.Match[str]) -> Reference:
    name, version, field = match.groups()
    return Reference(name, int(version or 0), field or "")


def _malformed(text: str) -> Invalid:
    shown = text[: len(SCHEME) + 24]
    return Invalid(
        "secret.reference",
        f"{shown!r} is no reference to a secret; write secret://NAME, secret://NAME@VERSION or secret://NAME#FIELD",
    )
