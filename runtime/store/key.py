"""The key that encrypts the database files, and where it comes from."""

from __future__ import annotations

import os
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from runtime.errors import Invalid, Unavailable

DIGITS: Final = 64
"""A key is 32 random bytes as hex digits; a passphrase would cost 0.3 s of CPU per connection."""


class Key:
    """A raw key. Its text never shows in a message, a repr or a traceback."""

    def __init__(self, digits: str) -> None:
        """Raises Invalid unless `digits` are 64 hex digits."""
        if len(digits) != DIGITS or not set(digits) <= set(string.hexdigits):
            raise Invalid(
                "store.malformed_key",
                f"the database key must be {DIGITS} hex digits; found {len(digits)} characters. "
                "Make one with: openssl rand -hex 32",
            )
        self._digits = digits

    def __repr__(self) -> str:
        return "Key(…)"

    def reveal(self) -> str:
        """The hex digits, for the driver alone."""
        return self._digits


def key_from(environment: Mapping[str, str]) -> Key | None:
    """The key that AGENTFLOW_DB_KEY_FILE or AGENTFLOW_DB_KEY gives; None when neither is set.

    Raises Invalid for a malformed key or when both are set, Unavailable when the file is missing, unreadable, or
    can be read by anybody but its owner.
    """
    file, digits = environment.get("AGENTFLOW_DB_KEY_FILE", ""), environment.get("AGENTFLOW_DB_KEY", "")
    if file and digits:
        raise Invalid("store.two_keys", "AGENTFLOW_DB_KEY_FILE and AGENTFLOW_DB_KEY are both set; unset one of them")
    if file:
        return key_in(Path(file))
    return Key(digits) if digits else None


def key_in(path: Path, *, named_by: str = "AGENTFLOW_DB_KEY_FILE") -> Key:
    """The key in a file. Raises Unavailable as `key_from` does, Invalid for a malformed one."""
    return Key(_read(path, named_by))


def _read(path: Path, named_by: str) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            text = file.read(1024)
    except OSError as error:
        raise Unavailable(
            "store.no_key_file",
            f"the key file {path} cannot be read: {error.strerror}; {named_by} names it",
            retryable=False,
        ) from None
    if mode & 0o077:
        raise Unavailable(
            "store.key_file_mode",
            f"the key file {path} has mode {mode:04o}; only its owner may read it: chmod 600 {path}",
            retryable=False,
        )
    return text.decode("ascii", "replace").strip()
