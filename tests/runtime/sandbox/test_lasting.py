"""What every sandbox promises of programs that last: they answer until they are ended, and never outlive anybody."""

import asyncio
import contextlib
import copy
import os
import select
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from runtime.domain.exec_profile import ExecProfile
from runtime.errors import Refused, Unavailable
from runtime.policies.exec_profile import required
from runtime.sandbox import pythons, users
from runtime.sandbox.bubblewrap import Bubblewrap
from runtime.sandbox.gvisor import Gvisor
from runtime.sandbox.lasting import LastingDriver, Running
from runtime.sandbox.process import Process
from runtime.sandbox.registry import Sandboxes
from tests.contracts.test_sandbox import PROBED

ECHO = "import sys\nprint('ready', flush=True)\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"
ANSWERS_WITHIN_S = 60.0
"""A bound for machines that are busy with other things; an answer takes half a second."""


def profile_of(source: str = ECHO, **changes: object) -> ExecProfile:
    """A program of one thread that echoes."""
    return msgspec.structs.replace(
        ExecProfile(
            tool="t",
            tenant="default",
            policy_version="",
            runtime="argv",
            argv=(pythons.readable(), "-I", "-S", "-c", source),
            filesystem="scratch",
            scratch_bytes=2**20,
            pids_max=1,
            cpu_ms=60_000,
            timeout_ms=600_000,
            is_lasting=True,
        ),
        **changes,
    )


@pytest.fixture(params=(Bubblewrap, Gvisor))
async def driver(request: pytest.FixtureRequest) -> LastingDriver:
    """Each is probed once for all contracts of sandboxes."""
    made = PROBED.setdefault(request.param, request.param())
    assert isinstance(made, LastingDriver)
    report = await made.probe()
    if not report.is_usable:
        pytest.skip(f"{report.driver}: {report.reason}")
    return made


@contextlib.asynccontextmanager
async def running(driver: LastingDriver, profile: ExecProfile) -> AsyncIterator[Running]:
    """It, until the block ends."""
    started = await driver.start(profile)
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            yield started
    finally:
        await started.stop(within_s=0.0)


async def test_it_answers_until_its_stdin_is_closed(driver: LastingDriver) -> None:
    """What a server does all day; its name is in the record."""
    async with running(driver, profile_of()) as program:
        assert b"ready\n" == await program.stdout.readline()
        for line in (b"one\n", b"two\n"):
            program.stdin.write(line)
            assert line.upper() == await program.stdout.readline()
        assert (None, driver.id) == (program.exit_code, program.driver)
        await program.stop(within_s=ANSWERS_WITHIN_S)
    assert (0, "") == (program.exit_code, program.killed_for)


async def test_it_holds_everything_but_a_bound_on_folders_of_the_host(driver: LastingDriver) -> None:
    """Nobody counts what lies there; whoever grants such a folder knows."""
    own = profile_of()
    assert required(own) == driver.enforces(own)
    written = profile_of(rw_paths=("/srv",))
    assert "disk" not in driver.enforces(written)
    assert required(written) <= driver.enforces(written)


async def test_its_time_is_a_limit(driver: LastingDriver) -> None:
    """However busy it is; who restarts it decides when."""
    async with running(driver, profile_of(timeout_ms=100)) as program:
        code = await program.ended()
    assert (-signal.SIGKILL, "time") == (code, program.killed_for)


async def test_its_memory_is_a_limit(driver: LastingDriver) -> None:
    """Asking for more is an error in the program, or its end."""
    source = "held = bytearray(1 << 29)\nprint('OUT', flush=True)\nimport time\ntime.sleep(60)"
    async with running(driver, profile_of(source, memory_bytes=2**28)) as program:
        assert b"" == await program.stdout.read()
        assert 0 != await program.ended()


async def test_it_reads_and_writes_what_it_is_given(driver: LastingDriver, given: Path) -> None:
    """The one folder to read, the other to write, and nothing else of the host."""
    reads, writes = given / "reads", given / "writes"
    source = f"""
def tried(path, mode):
    try:
        with open(path, mode) as file:
            return file.read() if mode == "r" else str(file.write("new"))
    except OSError as error:
        return type(error).__name__
print(tried({str(reads / "a")!r}, "r"), tried({str(reads / "b")!r}, "w"), tried({str(writes / "b")!r}, "w"),
    tried("/etc/passwd", "r"), tried("/tmp/mine", "w"), flush=True)
"""
    profile = profile_of(source, ro_paths=(str(reads),), rw_paths=(str(writes),))
    async with running(driver, profile) as program:
        said = (await program.stdout.readline()).decode().split()
    assert ["old", "3", "FileNotFoundError", "3"] == [*said[:1], *said[2:]]
    assert said[1] in ("OSError", "PermissionError")  # it is mounted for reading, and another user's
    assert ("new", False) == ((writes / "b").read_text(), Path("/tmp/mine").exists())


async def test_a_folder_of_root_is_no_programs_to_write(driver: LastingDriver, given: Path) -> None:
    """Where we are root a program is run as the folder's owner, and root is nobody to run one as."""
    if not users.can_switch():
        pytest.skip("a plain user runs programs as itself")
    os.chown(given / "writes", 0, 0)
    with pytest.raises(Refused, match=r"sandbox\.whose_folder.*chown"):
        await driver.start(profile_of(rw_paths=(str(given / "writes"),)))


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 9, 30])
async def test_cancelling_its_start_leaves_nothing_of_it(driver: LastingDriver, turns: int) -> None:
    """However early, `turns` of the loop after it was asked for; or late, then it is stopped."""
    before = _children()
    starting = asyncio.create_task(driver.start(profile_of()))
    for _ in range(turns):
        await asyncio.sleep(0)
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await (await starting).stop(within_s=0.0)
    assert set() == _children() - before


async def test_killing_the_appliance_ends_it(driver: LastingDriver) -> None:
    """kill -9 takes no leave; a server that goes on would hold its folders, and nobody reads what it says."""
    reads, writes = os.pipe()
    appliance = os.fork()
    if appliance == 0:
        try:
            own = copy.copy(driver)
            vars(own).update({name: None for name in ("_folder",) if name in vars(own)})
            asyncio.run(_kept(own, writes))
        finally:
            os._exit(1)
    os.close(writes)
    with os.fdopen(reads, "rb") as said:
        assert b"ready\n" == said.readline()
    ends = [os.pidfd_open(pid) for pid in _descendants(appliance)]
    os.kill(appliance, signal.SIGKILL)
    os.waitpid(appliance, 0)
    try:
        assert 2 <= len(ends)
        for end in ends:
            assert [end] == select.select([end], [], [], ANSWERS_WITHIN_S)[0]
    finally:
        for end in ends:
            os.close(end)


async def test_a_sandbox_that_keeps_nothing_running_is_passed_over() -> None:
    """And the refusal says which could not, and why."""
    weak = PROBED.setdefault(Process, Process())
    with pytest.raises(Unavailable, match=r"sandbox\.none_holds.*sandbox\.process"):
        await Sandboxes([weak]).chosen(profile_of(isolation_min="process"))
    with pytest.raises(Unavailable, match=r"sandbox\.process is weaker than namespace"):
        await Sandboxes([weak]).chosen(profile_of(isolation_min="namespace"))


async def test_a_program_of_many_threads_is_none_for_a_sandbox_that_counts_none() -> None:
    """gVisor refuses the calls that begin them, so that a server of one thread alone runs there."""
    made = PROBED.setdefault(Gvisor, Gvisor())
    report = await made.probe()
    if not report.is_usable:
        pytest.skip(report.reason)
    assert "pids" not in made.enforces(profile_of(pids_max=2))


@pytest.fixture
def given() -> Iterator[Path]:
    """Two folders that whoever programs are run as may look into, and may write the second."""
    with tempfile.TemporaryDirectory(prefix="af-given-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for each in ("reads", "writes"):
            (folder / each).mkdir(mode=0o755)
        (folder / "reads/a").write_text("old")
        if users.can_switch():
            os.chown(folder / "writes", users.FIRST, users.FIRST)
        yield folder


async def _kept(driver: LastingDriver, writes: int) -> None:
    program = await driver.start(profile_of())
    os.write(writes, await program.stdout.readline())
    await program.ended()


def _children(pid: int | str = "self") -> set[int]:
    found: set[int] = set()
    for each in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found |= set(map(int, each.read_text().split()))
    return found


def _descendants(pid: int) -> set[int]:
    own = _children(pid)
    return own.union(*(_descendants(each) for each in own))
