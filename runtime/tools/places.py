"""What the addresses and connections of tools say. Pure."""

import re
from collections.abc import Mapping

_BRACES = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")
_SQLITE = "sqlite:"


def in_braces(address: str, value: str) -> str:
    """The address with one value in the place of whatever stands in braces."""
    return _BRACES.sub(value, address)


def filled(address: str, values: Mapping[str, str]) -> str:
    """The address with a value in the place of each name in braces."""
    return _BRACES.sub(lambda name: values[name.group(1)], address)


def in_braces_names(address: str) -> list[str]:
    """The names that stand in braces, each once, in order."""
    return list(dict.fromkeys(_BRACES.findall(address)))


def sqlite_path(connection: str) -> str:
    """The path of `sqlite:/path` and `sqlite:///path`."""
    path = connection.removeprefix(_SQLITE)
    return path[2:] if path.startswith("///") else path


def is_sql_script(connection: str) -> bool:
    """Whether `sqlite:rows.sql` names a file of the project whose statements fill a database in memory."""
    path = sqlite_path(connection)
    return connection.startswith(_SQLITE) and path.endswith(".sql") and not path.startswith("/")
