"""Keys of model servers: read from where the settings point when they are needed, and kept nowhere.

No error and no log holds a key, or a part of one.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from models.servers import ModelServer
from runtime.errors import Unavailable

_KEY = re.compile(r"[\x21-\x7e]{1,4096}")
_MAX_CHARACTERS = 8_192
"""Of a file that is read for a key."""


def read_key(server: ModelServer, env: Mapping[str, str] = os.environ) -> str:
    """The key of a server, or the reference that the door puts it in the place of; empty when its settings name none.

    Raises Unavailable when there is none there.
    """
    if server.key:
        return server.key
    if server.key_env:
        return _checked(server, env.get(server.key_env, ""), f"the environment variable {server.key_env}")
    if server.key_file:
        path = Path(server.key_file).expanduser()
        try:
            if path.exists() and not path.is_file():  # a pipe or a device would hold up everybody
                raise _missing(server, f"{path} is no file")
            with path.open(encoding="ascii", errors="replace") as stream:
                text = stream.read(_MAX_CHARACTERS)
        except OSError as error:
            raise _missing(server, f"{path} can't be read: {error.strerror}") from None
        return _checked(server, text.strip(), f"the file {path}")
    return ""


def _checked(server: ModelServer, key: str, where: str) -> str:
    if not key:
        raise _missing(server, f"{where} holds none")
    if not _KEY.fullmatch(key):
        raise _missing(server, f"{where} holds something else: a key is one word of ASCII characters")
    return key


def _missing(server: ModelServer, reason: str) -> Unavailable:
    return Unavailable(
        "model.no_key",
        f"model server {server.name!r} needs a key, and {reason}. Put it there, or change key, key_env or key_file "
        "under models.backends in the settings",
        retryable=False,
    )
