"""The servers of tools that the settings name, checked."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from runtime.domain.mcp import McpServer
from runtime.domain.secret import SCHEME

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_EXAMPLE = '[{"name": "files", "command": ["/usr/bin/node", "/srv/mcp/server.js"], "reads": ["/srv/handbook"]}]'
_PLAIN = McpServer(name="")
_OF_PROGRAMS = (
    *("reads", "writes", "env", "isolation", "memory_bytes", "scratch_bytes"),
    *("cores", "tasks", "starts_programs", "lives_s"),
)
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})


def mcp_servers(value: object) -> list[dict[str, object]]:
    """A list of servers of tools; the environment gives it as JSON. Raises ValueError with what it takes."""
    try:
        found = msgspec.convert(json.loads(value) if isinstance(value, str) else value, list[McpServer])
    except ValueError as error:
        raise ValueError(f"a list of servers such as {_EXAMPLE} ({error})") from None
    _check(found)
    listed: list[dict[str, object]] = msgspec.to_builtins(found)
    return listed


def _check(servers: Sequence[McpServer]) -> None:
    names = [server.name for server in servers]
    for server in servers:
        if not _NAME.fullmatch(server.name):
            raise ValueError(f"names such as 'files', in lower case; found {server.name[:60]!r}")
        if names.count(server.name) > 1:
            raise ValueError(f"one server of the name {server.name!r}")
        fault = _fault(server)
        if fault:
            raise ValueError(f"{fault}; see server {server.name!r}")


def _fault(server: McpServer) -> str:
    if bool(server.command) is bool(server.url):
        return "either a command or a url"
    if server.url:
        return _fault_of_address(server)
    for folder in (*server.reads, *server.writes):
        if not Path(folder).is_absolute():
            return f"absolute paths in reads and writes, not {folder!r}"
    if server.headers:
        return "headers with a url alone"
    return _fault_of_limits(server)


def _fault_of_address(server: McpServer) -> str:
    address = urlsplit(server.url)
    if address.scheme not in ("http", "https") or not address.hostname or address.username:
        return "a url such as http://tools.example:9000/mcp, without a name or password"
    if any(getattr(server, name) != getattr(_PLAIN, name) for name in _OF_PROGRAMS):
        return f"{', '.join(_OF_PROGRAMS)} with a command alone"
    for name, text in server.headers.items():
        if name.lower() in _SECRET_HEADERS and SCHEME not in text:
            return (
                f"a reference in the header {name!r}, such as Bearer {SCHEME}NAME; af secrets set NAME keeps the value"
            )
    return _fault_of_limits(server)


def _fault_of_limits(server: McpServer) -> str:
    if not (0 < server.timeout_s <= 3_600 and 0 < server.start_s <= 600 and 0 <= server.relist_s <= 86_400):
        return "timeout_s up to 3600, start_s up to 600, relist_s up to 86400"
    if not (2**24 <= server.memory_bytes <= 64 * 2**30 and 2**12 <= server.scratch_bytes <= 64 * 2**30):
        return "memory_bytes from 16 MiB to 64 GiB, scratch_bytes from 4096 to 64 GiB"
    if not (0.01 <= server.cores <= 1_024 and 1 <= server.tasks <= 4_096 and 1 <= server.lives_s <= 30 * 86_400):
        return "cores from 0.01 to 1024, tasks from 1 to 4096, lives_s from 1 to 2592000"
    if not 1_024 <= server.max_reply_bytes <= 256 * 2**20:
        return "max_reply_bytes from 1024 to 256 MiB"
    return ""
