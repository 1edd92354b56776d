"""Starts the programs of servers, confined to what the settings name; a scratch folder each, gone with the program."""

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from runtime.domain.mcp import McpServer
from runtime.errors import Refused, Unavailable

SCRIPT = Path(__file__).with_name("confined.py")
PATH = "/usr/local/bin:/usr/bin:/bin"
STREAM_BYTES = 2**20
STOP_S = 5.0

_PIPE = asyncio.subprocess.PIPE


class Starter:
    """Starts servers with one filter of system calls."""

    def __init__(self, network_filter: bytes, forbidden: Sequence[Path]) -> None:
        """`forbidden`: folders that no server is given, whatever the settings say, such as the appliance's own data."""
        self._filter = network_filter
        self._forbidden = [folder.resolve() for folder in forbidden]
        self._clearing: set[asyncio.Task[None]] = set()

    async def start(self, server: McpServer) -> asyncio.subprocess.Process:
        """A confined program with pipes. Raises Refused for a folder it may not have, Unavailable where it is none."""
        for folder in (*server.reads, *server.writes):
            self._check(server, Path(folder))
        program = shutil.which(server.command[0], path=PATH)
        if program is None:
            raise Unavailable(
                "mcp.no_program",
                f"MCP server {server.name!r} is started by {server.command[0]!r}, which is no program here; name it "
                f"with its whole path, or put it into one of {PATH}",
            )
        scratch = Path(tempfile.mkdtemp(prefix="af-mcp-"))
        order = {
            "argv": [program, *server.command[1:]],
            "reads": [*own_files(program, server.command[1:]), *server.reads],
            "writes": list(server.writes),
            "scratch": str(scratch),
            "filter": self._filter.hex(),
        }
        environment = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": str(scratch), "TMPDIR": str(scratch), **server.env}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(SCRIPT),
            json.dumps(order),
            stdin=_PIPE,
            stdout=_PIPE,
            stderr=_PIPE,
            env=environment,
            start_new_session=True,
            limit=STREAM_BYTES,
        )
        clearing = asyncio.create_task(_clear(process, scratch))
        self._clearing.add(clearing)
        clearing.add_done_callback(self._clearing.discard)
        return process

    async def stop(self) -> None:
        """Wait until the scratch folders of programs that have ended are gone."""
        if self._clearing:
            await asyncio.wait(self._clearing, timeout=STOP_S)

    def _check(self, server: McpServer, folder: Path) -> None:
        found = folder.resolve()
        for forbidden in self._forbidden:
            if found == forbidden or forbidden in found.parents or found in forbidden.parents:
                raise Refused(
                    "mcp.forbidden_folder",
                    f"MCP server {server.name!r} may not have {str(folder)!r}: the appliance's own data lie there. "
                    f"Change reads and writes of mcp.servers[{server.name}] in the settings",
                )


def own_files(program: str, arguments: Sequence[str]) -> list[str]:
    """What a program needs to read of itself: the folder it is installed in, and the scripts it is started with."""
    found = []
    for path in {Path(program), Path(program).resolve()}:
        found.append(str(path.parent.parent) if path.parent.name == "bin" and len(path.parts) > 3 else str(path))
    for argument in arguments:
        script = Path(argument)
        if script.is_absolute() and script.is_file():
            modules = [parent for parent in script.parents if parent.name == "node_modules"]
            found.append(str(modules[-1]) if modules else str(script))
    return found


async def _clear(process: asyncio.subprocess.Process, scratch: Path) -> None:
    await process.wait()
    await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
