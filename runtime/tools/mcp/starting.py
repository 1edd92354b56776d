"""Starts the programs of servers, each in the first sandbox here that holds all that its profile needs."""

import logging
import os
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from runtime.domain.exec_profile import ExecProfile
from runtime.domain.ids import TenantId
from runtime.domain.mcp import McpServer
from runtime.errors import Refused, Unavailable
from runtime.policies.exec_profile import is_private
from runtime.policies.server_profile import PATH, server_profile
from runtime.sandbox.lasting import LastingDriver, Running

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32")
"""What every program in a sandbox reads anyway."""
INSTALLED = ("bin", "lib", "lib64", "libexec", "pyvenv.cfg")
"""Of the folder that a program is installed in; the rest of it may be somebody's home."""
CLOCK = "/etc/localtime"

log = logging.getLogger(__name__)

Chosen = Callable[[ExecProfile], Awaitable[LastingDriver]]
"""The sandbox for a profile. Raises Unavailable where none here holds it."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a server's program runs, and how it is started there."""

    driver: str
    profile: ExecProfile
    start: Callable[[], Awaitable[Running]]
    """Starts it. Raises Unavailable where it does not start, Refused for folders that it may not have."""


class Starter:
    """Finds a sandbox for each server."""

    def __init__(self, chosen: Chosen, forbidden: Sequence[Path]) -> None:
        """`forbidden`: folders that no server is given, whatever the settings say, such as the appliance's own data."""
        self._chosen = chosen
        self._forbidden = [str(folder.resolve()) for folder in forbidden]

    async def place(self, server: McpServer, tenant: TenantId) -> Place:
        """Where it would run; takes seconds where the sandboxes have not been tried yet.

        Raises Refused for a folder it may not have, Unavailable where the program, a folder or a sandbox is missing.
        """
        program = shutil.which(server.command[0], path=PATH)
        if program is None:
            raise Unavailable(
                "mcp.no_program",
                f"MCP server {server.name!r} is started by {server.command[0]!r}, which is no program here; name it "
                f"with its whole path, or put it into one of {PATH}",
            )
        writes = self._given(server, server.writes)
        reads = self._given(server, [*server.reads, *own_files(program, server.command[1:])])
        reads += [CLOCK] if os.path.exists(CLOCK) else []
        profile = server_profile(server, [program, *server.command[1:]], reads=reads, writes=writes, tenant=tenant)
        driver = await self._chosen(profile)

        async def start() -> Running:
            running = await driver.start(profile)
            log.info("MCP server %s runs in %s with profile %s", server.name, driver.id, profile.profile_id)
            return running

        return Place(driver=driver.id, profile=profile, start=start)

    def _given(self, server: McpServer, folders: Sequence[str]) -> list[str]:
        for folder in folders:
            if not os.path.exists(folder):
                raise Unavailable(
                    "mcp.no_folder",
                    f"MCP server {server.name!r} is given {folder!r}, which is not there; make it, or change reads "
                    f"and writes of mcp.servers[{server.name}] in the settings",
                )
            if any(is_private(path, self._forbidden) for path in named([folder])):
                raise Refused(
                    "mcp.forbidden_folder",
                    f"MCP server {server.name!r} may not have {folder!r}: the appliance's own data or the kernel's "
                    f"files lie there. Change reads and writes of mcp.servers[{server.name}] in the settings, or "
                    "install its program elsewhere",
                )
        return named(folders)


def named(paths: Sequence[str]) -> list[str]:
    """Each by the name it was given, and by the one that it has without links; not what is there anyway."""
    found = {name for path in paths for name in (os.path.normpath(path), os.path.realpath(path))}
    return sorted(path for path in found if not _is_in(path, SYSTEM))


def own_files(program: str, arguments: Sequence[str]) -> list[str]:
    """What a program needs to read of itself: where it is installed, and the scripts it is started with."""
    found = []
    for path in {Path(program), Path(program).resolve()}:
        if path.parent.name == "bin" and len(path.parts) > 3:
            found += [str(part) for name in INSTALLED if (part := path.parent.parent / name).exists()]
        else:
            found.append(str(path))
    for argument in arguments:
        script = Path(argument)
        if script.is_absolute() and script.is_file():
            modules = [parent for parent in script.parents if parent.name == "node_modules"]
            found.append(str(modules[-1]) if modules else str(script))
    return found


def _is_in(path: str, roots: Sequence[str]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in roots)
