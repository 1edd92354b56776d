"""Servers of tools on stdin and stdout, in the sandbox that ships and in none."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.domain.ids import TenantId
from runtime.domain.mcp import McpServer
from runtime.policies.server_profile import server_profile
from runtime.sandbox import children, pythons
from runtime.sandbox.bubblewrap import Bubblewrap
from runtime.sandbox.known import Known
from runtime.sandbox.lasting import Begun, Running
from runtime.sandbox.streams import Pipes
from runtime.tools.mcp.starting import Place

HOSTILE = Path(__file__).parent / "hostile.py"


class Plain:
    """Starts servers in no sandbox, and remembers their processes."""

    def __init__(self) -> None:
        self.started: list[int] = []

    async def place(self, server: McpServer, tenant: TenantId) -> Place:
        """Where all of them run."""
        profile = server_profile(server, server.command, reads=(), writes=(), tenant=tenant)

        async def start() -> Running:
            with contextlib.ExitStack() as opened:
                pipes = Pipes()
                opened.callback(pipes.close)
                child = children.Child(server.command, streams=pipes.theirs, env=server.env)
                self.started.append(child.pid)
                pipes.close_theirs()

                def how() -> tuple[int, str]:
                    return child.exit_code or 0, ""

                begun = Begun(pipes, child.kill, lambda _: child.ended(), how)
                running = Running("none", profile, begun, opened.pop_all())
            await running.connect()
            return running

        return Place(driver="none", profile=profile, start=start)


class Programs:
    """A folder that every user can look into, with servers in it, and what is known of the sandbox."""

    def __init__(self, folder: Path, known: Path) -> None:
        self.folder = folder
        self._known = known
        shutil.copy(HOSTILE, folder / HOSTILE.name)

    def command(self, script: str = HOSTILE.name, *arguments: str) -> tuple[str, ...]:
        """What starts a script of the folder."""
        return (pythons.readable(), "-I", str(self.folder / script), *arguments)

    def prepare(self, data: Path) -> Path:
        """A data folder in which nobody needs to try the sandbox again, for that takes seconds."""
        (data / "run").mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy(self._known, data / "run" / "sandboxes.json")
        return data


@pytest.fixture(scope="session")
def known_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What bubblewrap holds here, found out once; skips where it cannot be used."""
    file = tmp_path_factory.mktemp("known") / "run" / "sandboxes.json"
    loop = asyncio.new_event_loop()
    try:
        report = loop.run_until_complete(Bubblewrap(known=Known(file)).probe())
    finally:
        loop.close()
    if not report.is_usable:
        pytest.skip(report.reason)
    return file


@pytest.fixture
def programs(known_sandbox: Path) -> Iterator[Programs]:
    """Servers to be started in the sandbox."""
    with tempfile.TemporaryDirectory(prefix="af-programs-") as name:
        os.chmod(name, 0o755)
        yield Programs(Path(name), known_sandbox)
