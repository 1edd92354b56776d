"""The code of a project has no network of its own: it reaches the world through the tools it was granted."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance.wiring import NO_NETWORK
from runtime.agents.custom import CustomAgent
from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId
from runtime.domain.workflow import AgentSpec
from runtime.errors import Invalid
from runtime.sandbox import seccomp
from tests.runtime.agents.tasks import Context, task
from tests.runtime.memory.word_models import WordModels

CODE = """
import asyncio, ctypes, os, socket, struct, subprocess, sys

def tcp(port):
    socket.create_connection(("127.0.0.1", port), 1)

def udp(port):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port))

def six(port):
    socket.socket(socket.AF_INET6, socket.SOCK_STREAM)

def unix(port):
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

def vsock(port):
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)

def packet(port):
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW)

def netlink(port):
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)

def lookup(port):
    socket.getaddrinfo("localhost.example", 80)

def native(port):
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.socket(2, 1, 0)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    address = struct.pack("=HH4s8x", 2, socket.htons(port), bytes([127, 0, 0, 1]))
    if libc.connect(descriptor, address, 16) != 0:
        raise OSError(ctypes.get_errno(), "connect")

def ring(port):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(425, 8, ctypes.create_string_buffer(120)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def child(port):
    code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)"
    if subprocess.run([sys.executable, "-c", code], capture_output=True).returncode != 0:
        raise OSError("the child came no further")

def attempt(task, ctx):
    try:
        globals()[task["way"]](task["port"])
    except OSError as error:
        return type(error).__name__
    return "open"

async def _sleep():
    await asyncio.sleep(0)
    return "done"

def own_work(task, ctx):
    return [asyncio.run(_sleep()), subprocess.run(["echo", "hi"], capture_output=True, text=True).stdout]
"""
WAYS = ("tcp", "udp", "six", "unix", "vsock", "packet", "netlink", "lookup", "native", "ring", "child")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.setblocking(False)
        yield server


async def agent(folder: Path, function: str, confinement: bytes) -> CustomAgent:
    (folder / "code.py").write_text(CODE)
    spec = AgentSpec(id=AgentId("a"), type="custom", config={"handler": f"code.py:{function}"})
    made = CustomAgent(spec, folder=str(folder), confinement=confinement)
    await made.start()
    return made


@pytest.fixture
async def confined(tmp_path: Path) -> AsyncIterator[CustomAgent]:
    made = await agent(tmp_path, "attempt", seccomp.program(NO_NETWORK, families=()))
    yield made
    await made.stop()


async def ask(agent: CustomAgent, given: Json) -> Json:
    return (await agent.act(task(given), Context(WordModels()))).output


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_out_is_shut(confined: CustomAgent, listener: socket.socket, way: str) -> None:
    assert "open" != await ask(confined, {"way": way, "port": listener.getsockname()[1]})
    with pytest.raises(BlockingIOError):
        listener.accept()


async def test_without_the_filter_the_same_code_gets_out(tmp_path: Path, listener: socket.socket) -> None:
    """The control: otherwise the test above would prove nothing."""
    free = await agent(tmp_path, "attempt", b"")
    for way in ("tcp", "native", "child"):
        assert "open" == await ask(free, {"way": way, "port": listener.getsockname()[1]})
        connection, _ = await asyncio.to_thread(_accepted, listener)
        connection.close()
    await free.stop()


def _accepted(listener: socket.socket) -> tuple[socket.socket, object]:
    listener.settimeout(10)
    return listener.accept()


async def test_its_own_work_goes_on(tmp_path: Path) -> None:
    """An event loop and other programs need no network."""
    made = await agent(tmp_path, "own_work", seccomp.program(NO_NETWORK, families=()))
    assert ["done", "hi\n"] == await ask(made, None)
    await made.stop()


async def test_a_filter_that_the_kernel_does_not_take_ends_the_worker(tmp_path: Path) -> None:
    """Nothing of the project runs unconfined."""
    with pytest.raises(Invalid, match="does not load"):
        await agent(tmp_path, "attempt", b"\xff" * 8)
