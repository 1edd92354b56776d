"""What every Sandbox promises: it runs what it may, holds what it says it holds, and refuses the rest."""

import asyncio
import copy
import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.bench.hostile import ATTEMPTS
from runtime.domain.exec_profile import ExecProfile, Outcome
from runtime.errors import Refused, Unavailable
from runtime.policies.exec_profile import required
from runtime.ports import Sandbox
from runtime.sandbox import canaries
from runtime.sandbox.bubblewrap import Bubblewrap
from runtime.sandbox.bundles import Folder
from runtime.sandbox.gvisor import Gvisor
from runtime.sandbox.process import Process
from tests.runtime.sandbox.ours import adopted, programs

PROFILE = ExecProfile(tool="t", tenant="default", policy_version="", runtime="python", timeout_ms=60_000)

DRIVERS = (Bubblewrap, Gvisor, Process)
PROBED: dict[type, Bubblewrap | Gvisor | Process] = {}
"""Each is probed once, which takes seconds; none keeps anything of a call."""

FEW = (
    "passwd", "homes", "own_program", "write_tmp", "core_pattern", "tcp", "vsock", "inherited", "fork", "memfd",
    "memory", "threads", "kill_everybody", "core_limit",
)  # fmt: skip
"""Of the battery, where a start is dear; all of it with -m slow."""


@pytest.fixture(autouse=True, scope="module")
def _ours() -> Iterator[None]:
    with adopted():
        yield


@pytest.fixture(params=DRIVERS)
async def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    made = PROBED.setdefault(request.param, request.param())
    report = await made.probe()
    if not report.is_usable:
        pytest.skip(f"{report.driver}: {report.reason}")
    return made


async def test_a_program_runs_and_answers(sandbox: Sandbox) -> None:
    source = b"import sys; print(sys.stdin.read().upper(), end=''); print('e', file=sys.stderr); sys.exit(3)"
    outcome = await sandbox.run(PROFILE, source, stdin=b"hello")
    assert (3, b"HELLO", b"e\n", sandbox.id) == (outcome.exit_code, outcome.stdout, outcome.stderr, outcome.driver)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("import os; os.kill(os.getpid(), 15)", -signal.SIGTERM),
        ("import os; os.abort()", -signal.SIGABRT),
        ("import sys; sys.exit(254)", 254),
    ],
)
async def test_a_program_that_ends_by_a_signal_is_said_to(sandbox: Sandbox, source: str, code: int) -> None:
    """Also where one process passes it on to the next; and what a program says itself stays what it said."""
    outcome = await sandbox.run(PROFILE, source.encode())
    assert (code, "") == (outcome.exit_code, outcome.killed_for)


async def test_it_holds_everything_for_a_program_that_asks_for_nothing(sandbox: Sandbox) -> None:
    assert required(PROFILE) == sandbox.enforces(PROFILE)


async def test_no_attempt_gets_out(sandbox: Sandbox) -> None:
    """The battery: what prints OUT got what it was not given."""
    assert {} == await _got_out(sandbox, FEW if sandbox.id == Gvisor.id else tuple(ATTEMPTS))


@pytest.mark.slow
async def test_no_attempt_of_all_gets_out_of_a_kernel_of_its_own() -> None:
    driver = Gvisor()
    if not (await driver.probe()).is_usable:
        pytest.skip("it does not run here")
    assert {} == await _got_out(driver, tuple(ATTEMPTS))


async def _got_out(sandbox: Sandbox, names: tuple[str, ...]) -> dict[str, bytes]:
    """Which got out, or did not even try, and what it said."""
    at_once = asyncio.Semaphore(4)

    async def tried(name: str) -> tuple[str, Outcome]:
        async with at_once:
            return name, await sandbox.run(PROFILE, ATTEMPTS[name].encode())

    found = await asyncio.gather(*map(tried, names))
    return {
        name: each.stdout + each.stderr for name, each in found if b"OUT" in each.stdout or b"Syntax" in each.stderr
    }


WATCHING = """
import ctypes, fcntl, os
libc = ctypes.CDLL(None)
print("watches", libc.inotify_add_watch(libc.inotify_init1(0), b"/usr/bin", 0xFFF) >= 0)
try: fcntl.fcntl(os.open("/usr/bin", os.O_RDONLY), 1026, 0x3F)
except OSError: print("is told nothing")
"""


async def test_nobody_watches_what_the_host_does_with_its_files(sandbox: Sandbox) -> None:
    """The libraries in a sandbox are the host's own files: who is told of reads there learns what it starts."""
    if sandbox.id == Gvisor.id:
        pytest.skip("its files are watched in a kernel of its own, which hears nothing of the host")
    outcome = await sandbox.run(PROFILE, WATCHING.encode())
    assert b"watches False\nis told nothing\n" == outcome.stdout


async def test_socket_pairs_hold_no_memory_beside_the_limit(sandbox: Sandbox) -> None:
    """What waits in a socket is the kernel's, and no limit of a process counts it: 120 pairs held 988 MB."""
    source = """
import socket
pairs, held = [], 0
try:
    for _ in range(120):
        pairs.append(socket.socketpair())
        pairs[-1][0].setblocking(False)
        try: pairs[-1][0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 26)
        except OSError: pass
        try:
            while held < 1 << 30: held += pairs[-1][0].send(b"x" * 65536)
        except BlockingIOError: pass
except (OSError, MemoryError): pass
print(held)
"""
    outcome = await sandbox.run(PROFILE, source.encode())
    assert outcome.killed_for == "memory" or int(outcome.stdout) < PROFILE.memory_bytes


async def test_time_is_limited_whatever_a_program_does(sandbox: Sandbox) -> None:
    started = time.monotonic()
    source = b"import os, signal, time\nfor s in range(1, 32):\n    try: signal.signal(s, signal.SIG_IGN)\n"
    source += b"    except (OSError, ValueError): pass\nos.close(1); os.close(2)\ntime.sleep(60)"
    outcome = await sandbox.run(msgspec.structs.replace(PROFILE, timeout_ms=800), source)
    assert (True, "time") == (outcome.is_timed_out, outcome.killed_for)
    assert time.monotonic() - started < 30, "it would sleep for 60 s"


async def test_output_is_cut_and_the_program_ended(sandbox: Sandbox) -> None:
    outcome = await sandbox.run(PROFILE, b"while True: print('x' * 65536)")
    assert (True, "output", 2**20) == (outcome.is_truncated, outcome.killed_for, len(outcome.stdout))


@pytest.mark.parametrize("turns", [1, 2, 3, 4, 6, 8, 12, 20, 50, 200, 1_000, 5_000])
async def test_cancelling_leaves_nothing_behind_however_early(sandbox: Sandbox, turns: int) -> None:
    """`turns` of the loop after it was asked for: before there is a process, before it is confined, while it works."""
    call = asyncio.create_task(sandbox.run(PROFILE, b"import time\ntime.sleep(60)"))
    for _ in range(turns):
        await asyncio.sleep(0)
    call.cancel()
    started = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert time.monotonic() - started < 30, "it would sleep for 60 s"
    assert not programs()


async def test_killing_the_appliance_leaves_nothing_behind(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 takes no leave: what it started ends by itself, and what it left on disk goes at the next start."""
    folders = Path(tempfile.mkdtemp())
    folders.chmod(0o711)  # programs are run as others, and have to get there
    monkeypatch.setattr(tempfile, "tempdir", str(folders))
    reads, writes = os.pipe()
    appliance = os.fork()
    if appliance == 0:
        try:
            own = copy.copy(sandbox)
            vars(own).update({name: None for name in ("_server", "_folder") if name in vars(own)})
            asyncio.run(_endless(own, writes))
        finally:
            os._exit(1)
    os.close(writes)
    with os.fdopen(reads, "rb") as said:
        heard = said.read(1)
    os.kill(appliance, signal.SIGKILL)
    os.waitpid(appliance, 0)
    assert b"+" == heard, "it ended before its program ran"
    until = time.monotonic() + 30
    while programs() and time.monotonic() < until:
        await asyncio.sleep(0.02)
    assert not programs()
    Folder.made("gvisor").remove()
    assert not [each for each in folders.glob("agentflow-sandbox-*") if not _is_locked(each)]
    shutil.rmtree(folders)


async def _endless(sandbox: Sandbox, writes: int) -> None:
    """Run, and say when there is something to be left behind; ends by itself where there never is."""
    call = asyncio.create_task(sandbox.run(PROFILE, b"import time\ntime.sleep(60)"))
    while not programs() and not call.done():
        await asyncio.sleep(0.01)
    await asyncio.wait([call], timeout=0.3)  # until the program itself is reached, as a rule
    if not call.done():
        os.write(writes, b"+")
    await call


def _is_locked(folder: Path) -> bool:
    with open(folder / "lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


async def test_only_given_folders_can_be_read(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> None:
    profile = msgspec.structs.replace(PROFILE, filesystem="read_only", ro_paths=("/etc/ssl",))
    source = b"import os; print(len(os.listdir('/etc/ssl')) > 0, os.path.exists('/etc/passwd'))\n"
    source += b"try: open('/etc/ssl/x', 'w')\nexcept OSError as e: print(e.errno in (13, 30))"
    outcome = await sandbox.run(profile, source)
    assert b"True False\nTrue\n" == outcome.stdout


async def test_scratch_is_a_folder_of_its_size(sandbox: Sandbox) -> None:
    profile = msgspec.structs.replace(PROFILE, filesystem="scratch", scratch_bytes=2**20)
    source = b"""
n = 0
try:
    for i in range(64):
        with open(f'/tmp/{i}', 'wb') as f: n += f.write(bytes(65536))
except OSError as e: print(e.errno, n <= 1 << 20)
"""
    outcome = await sandbox.run(profile, source)
    assert b"28 True\n" == outcome.stdout


async def test_secrets_are_read_from_a_descriptor_and_are_nowhere_else(sandbox: Sandbox) -> None:
    profile = msgspec.structs.replace(PROFILE, secrets=("key",))
    if sandbox.id == Gvisor.id:
        with pytest.raises(Refused, match="cannot hold"):
            await sandbox.run(profile, b"", secrets={"key": "hidden"})
        return
    source = b"import json, os\nhanded = json.load(os.fdopen(int(os.environ['AGENTFLOW_SECRETS_FD'])))\n"
    source += b"print(handed, 'hidden' in str(os.environ))"
    outcome = await sandbox.run(profile, source, secrets={"key": "hidden"})
    assert b"{'key': 'hidden'} False\n" == outcome.stdout
    with pytest.raises(Refused, match="key"):
        await sandbox.run(profile, source)
    with pytest.raises(Refused, match="key"):
        await sandbox.run(PROFILE, source, secrets={"key": "hidden"})


async def test_a_door_is_all_that_a_program_has_of_the_network(sandbox: Sandbox) -> None:
    profile = msgspec.structs.replace(PROFILE, network="egress_door", egress_allow=("x:80",))
    asked: list[bytes] = []

    async def answer(line: bytes) -> bytes:
        asked.append(line)
        return b'{"status": 200}'

    source = b"import json, os, socket\ndoor = open(int(os.environ['AGENTFLOW_EGRESS_FD']), 'r+b', buffering=0)\n"
    source += b"for path in 'ab':\n    door.write(json.dumps({'url': f'http://x/{path}'}).encode() + b'\\n')\n"
    source += b"    print(json.loads(door.readline()))\n"
    source += b"for family in (1, 2):\n    try: socket.socket(family)\n    except OSError as e: print(e.errno)"
    if required(profile) > sandbox.enforces(profile):
        with pytest.raises(Refused, match="cannot hold"):
            await sandbox.run(profile, source, egress=answer)
        return
    outcome = await sandbox.run(profile, source, egress=answer)
    assert b"{'status': 200}\n" * 2 + b"1\n1\n" == outcome.stdout, outcome.stderr
    assert [b'{"url": "http://x/a"}', b'{"url": "http://x/b"}'] == asked
    with pytest.raises(Refused, match="opens a door"):
        await sandbox.run(PROFILE, source, egress=answer)


async def test_what_it_used_is_measured(sandbox: Sandbox) -> None:
    source = b"import time\nheld = bytearray(64 << 20)\nwhile time.process_time() < 0.2: pass"
    outcome = await sandbox.run(PROFILE, source)
    if (0, 0) != (outcome.cpu_ms, outcome.memory_bytes):  # bubblewrap without control groups: nobody counts
        # gVisor's guests count by a clock of their own: on a busy machine 0.2 s there are 0.14 s of the host's
        assert 100 <= outcome.cpu_ms < 3_000
        assert outcome.memory_bytes == 0 or 64 << 20 <= outcome.memory_bytes < 256 << 20
    assert 0 < outcome.wall_ms


async def test_calls_at_once_do_not_meet(sandbox: Sandbox) -> None:
    source = b"import sys; print(sys.stdin.read() * 2, end='')"
    outcomes = await asyncio.gather(*(sandbox.run(PROFILE, source, stdin=b"%d." % number) for number in range(8)))
    assert [b"%d.%d." % (number, number) for number in range(8)] == [each.stdout for each in outcomes]


async def test_limits_add_up_over_all_processes_or_it_is_refused(sandbox: Sandbox) -> None:
    profile = msgspec.structs.replace(PROFILE, allows_subprocess=True, pids_max=16, memory_bytes=128 << 20)
    source = b"import os, subprocess\nprint(subprocess.run(['/bin/echo', 'hello'], capture_output=True).stdout)\n"
    source += b"print(os.getpid())"
    if required(profile) > sandbox.enforces(profile):
        with pytest.raises(Refused, match="cannot hold"):
            await sandbox.run(profile, source)
        return
    outcome = await sandbox.run(profile, source)
    assert (0, b"b'hello\\n'") == (outcome.exit_code, outcome.stdout.splitlines()[0])
    assert 0 < outcome.memory_bytes <= 128 << 20
    heavy = await sandbox.run(msgspec.structs.replace(profile, memory_bytes=192 << 20), canaries._HEAVY.encode())
    assert heavy.killed_for == "memory" or heavy.stdout.split() in ([b"alive", b"1"], [b"alive", b"2"])
    daemon = (
        b"import os, time\nif os.fork() == 0:\n    os.setsid()\n    for n in range(3): os.close(n)\n    time.sleep(60)"
    )
    assert 0 == (await sandbox.run(profile, daemon)).exit_code
    assert not programs()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/agentflow-{os.getpid()}-*"))


@pytest.mark.parametrize("turns", [1, 3, 6, 12, 50, 500, 3_000])
async def test_cancelling_ends_all_processes_however_early(sandbox: Sandbox, turns: int) -> None:
    profile = msgspec.structs.replace(PROFILE, allows_subprocess=True)
    if required(profile) > sandbox.enforces(profile):
        pytest.skip("it runs no program that may start others")
    source = b"import os, time\nos.fork()\nos.fork()\ntime.sleep(60)"
    call = asyncio.create_task(sandbox.run(profile, source))
    for _ in range(turns):
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not programs()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/agentflow-{os.getpid()}-*"))


async def test_what_it_cannot_hold_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(Refused, match="cannot hold"):
        await sandbox.run(msgspec.structs.replace(PROFILE, runtime="wasm"), b"")
    with pytest.raises(Refused, match=r"cannot hold|opens no door"):
        await sandbox.run(msgspec.structs.replace(PROFILE, network="egress_door", egress_allow=("x:1",)), b"")
    with pytest.raises(Refused, match="bytes of input"):
        await sandbox.run(PROFILE, b"", stdin=bytes(2**20 + 1))


async def test_a_driver_that_is_not_there_says_so() -> None:
    report = await Bubblewrap(command="/nowhere/bwrap").probe()
    assert not report.is_usable
    assert "/nowhere/bwrap" in report.reason
    with pytest.raises(Refused, match="cannot hold"):
        await Bubblewrap(command="/nowhere/bwrap").run(PROFILE, b"")


async def test_a_driver_that_vanishes_is_no_fault_of_the_program(tmp_path: Path) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\nexit 0\n")
    fake.chmod(0o755)
    vanishing = Bubblewrap(command=str(fake))
    with pytest.raises(Unavailable):
        await vanishing._run(PROFILE, b"", b"")
