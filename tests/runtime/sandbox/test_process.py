"""The process sandbox where it has less than everything: no root, no root of its own for a program, nobody's parent."""

import asyncio
import concurrent.futures.thread  # noqa: F401  # asyncio would import it as a user who may not read the library
import contextlib
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.bench.hostile import ATTEMPTS
from runtime.domain.exec_profile import ExecProfile, Outcome
from runtime.errors import Unavailable
from runtime.sandbox import kernel, landlock, pythons, seccomp
from runtime.sandbox.process import Process
from tests.runtime.sandbox.ours import is_gone

PROFILE = ExecProfile(tool="t", tenant="default", policy_version="", runtime="python", timeout_ms=60_000)
PLAIN_USER = 65_533
_LONGEST_S = 120


@pytest.mark.parametrize("has_root", [True, False], ids=["own_root", "host_root"])
@pytest.mark.parametrize("user", [0, PLAIN_USER], ids=["root", "user"])
def test_nothing_gets_out_whatever_the_kernel_allows(user: int, has_root: bool) -> None:
    """`host_root` is what a machine gives that forbids namespaces: Landlock, seccomp and limits are all there is."""

    async def tried() -> object:
        driver = Process()
        report = await driver.probe()
        if not report.is_usable:
            return {"skip": report.reason}
        outcomes = await asyncio.gather(*(driver.run(PROFILE, source.encode()) for source in ATTEMPTS.values()))
        await driver.stop()
        out = [name for name, outcome in zip(ATTEMPTS, outcomes, strict=True) if b"OUT" in outcome.stdout]
        return {"out": out, "facts": report.facts, "held": sorted(report.guarantees)}

    found = _as_somebody(user, tried, has_root=has_root)
    if "skip" in found:
        pytest.skip(str(found["skip"]))
    assert [] == found["out"]
    assert 10 == len(found["held"])
    assert has_root == found["facts"]["private_root"]


@pytest.mark.parametrize("change", ["os.chmod(path, 0o666)", "os.truncate(path, 0)", "os.utime(path, (0, 0))"])
def test_files_of_the_same_user_are_not_changed(tmp_path: Path, change: str) -> None:
    """Landlock alone does not see a change of a file's attributes."""
    file = tmp_path / "theirs"
    file.write_text("precious")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(0o755)
    if os.getuid() == 0:
        os.chown(file, PLAIN_USER, PLAIN_USER)
    profile = msgspec.structs.replace(PROFILE, filesystem="read_only", ro_paths=(str(file),))
    source = f"import os\npath = {str(file)!r}\nprint(open(path).read())\n{change}\nprint('OUT')"

    async def tried() -> object:
        driver = _unprobed()
        outcome = await driver._run(profile, source.encode(), b"")
        await driver.stop()
        return {"said": outcome.stdout.decode(), "errors": outcome.stderr.decode()}

    found = _as_somebody(PLAIN_USER if os.getuid() == 0 else os.getuid(), tried, has_root=False)
    assert "precious\n" == found["said"]
    assert "PermissionError" in str(found["errors"])


async def test_empty_files_and_links_fill_a_scratch_folder_too() -> None:
    """A file without content, and a link with a name of 4 KB, count nothing in bytes and take the kernel's memory."""
    driver = Process()
    report = await driver.probe()
    if not (report.is_usable and report.facts["private_root"]):
        pytest.skip(report.reason or "no root of its own here")
    profile = msgspec.structs.replace(PROFILE, filesystem="scratch", scratch_bytes=2**20)
    source = """
import errno, os, socket
made = 0
try:
    for made in range(5_000): os.symlink("x" * 4_000, f"/tmp/{made}")
except OSError as error: print(made < 300, errno.errorcode[error.errno], socket.gethostname())
"""
    outcome = await driver.run(profile, source.encode())
    await driver.stop()
    assert b"True ENOSPC sandbox\n" == outcome.stdout


async def test_a_killed_appliance_leaves_no_program(tmp_path: Path) -> None:
    """kill -9 of whoever asked: the fork server sees that nobody can ask any more, and ends its children and itself."""
    _unprobed()  # which skips where it cannot be tried
    reads, writes = os.pipe()
    appliance = os.fork()
    if appliance == 0:
        try:
            asyncio.run(_endless(writes))
        finally:
            os._exit(1)
    os.close(writes)
    said = os.read(reads, 4_096)
    os.close(reads)
    os.kill(appliance, signal.SIGKILL)
    os.waitpid(appliance, 0)
    server, program = json.loads(said)
    assert await _gone(program)
    assert await _gone(server)


async def test_a_killed_fork_server_takes_its_programs_along_and_is_started_again() -> None:
    driver = _unprobed()
    call = asyncio.create_task(_run(driver, b"import time\ntime.sleep(60)"))
    server = (await driver._forks())._process.pid
    program = await _program_of(server)
    os.kill(server, signal.SIGKILL)
    with pytest.raises(Unavailable, match="ended before the program did"):
        await call
    assert await _gone(program)
    assert b"again\n" == (await _run(driver, b"print('again')")).stdout
    await driver.stop()


async def test_nothing_of_one_call_is_seen_by_the_next() -> None:
    driver = _unprobed()
    first = b"import builtins, json, os\njson.leak = builtins.leak = 'left'\nos.environ['LEAK'] = 'left'\n# needle-left"
    await _run(driver, first)
    second = b"""
import builtins, gc, json, os, sys
print(hasattr(json, 'leak'), hasattr(builtins, 'leak'), os.environ.get('LEAK'), sorted(os.environ))
print(any('needle-' + 'left' in text for text in gc.get_objects() if isinstance(text, str)))
print([name for name in sys.modules if name.startswith('runtime')], sys.argv, __name__)
import random; print(random.random())
"""
    seen = [(await _run(driver, second)).stdout.decode().splitlines() for _ in range(2)]
    assert "False False None ['LANG', 'PATH']" == seen[0][0]
    assert ["False", "[] ['/program'] __main__"] == seen[0][1:3]
    assert seen[0][3] != seen[1][3]
    await driver.stop()


async def test_a_program_ends_as_with_an_interpreter_of_its_own() -> None:
    driver = _unprobed()

    async def ended(source: str) -> tuple[int, bytes, bytes]:
        outcome = await _run(driver, source.encode())
        return outcome.exit_code, outcome.stdout, outcome.stderr

    assert (0, b"", b"") == await ended("")
    assert (1, b"", b"no\n") == await ended("raise SystemExit('no')")
    assert (7, b"", b"") == await ended("import os; os._exit(7)")
    assert (0, b"12", b"") == await ended(
        "import atexit, threading, time\natexit.register(print, 2, end='')\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print(1, end=''))).start()"
    )
    assert (-signal.SIGSEGV, b"", b"") == await ended("import ctypes; ctypes.string_at(0)")
    code, _, words = await ended("def f():\n    1 / 0\nf()")
    assert (1, b'  File "/program", line 2, in f\n    1 / 0\n') == (code, b"".join(words.splitlines(True)[3:5]))
    code, _, words = await ended("print(")
    assert (1, True) == (code, b"SyntaxError" in words)
    await driver.stop()


def _unprobed() -> Process:
    """To be run past its examination, which takes seconds and is tried elsewhere."""
    if not landlock.version() or not pythons.readable():
        pytest.skip("no Landlock here, or no Python that every user can read")
    return Process(python=pythons.readable())


async def _run(driver: Process, program: bytes) -> Outcome:
    return await driver._run(PROFILE, program, b"")


def _as_somebody(user: int, work: Callable[[], Awaitable[object]], *, has_root: bool) -> dict[str, Any]:
    """Do it in a process of that user, on a kernel that does or does not give namespaces."""
    if os.geteuid() not in (0, user):
        pytest.skip("only root can be somebody else")
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        said: object = {"error": "it ended early"}
        signal.alarm(_LONGEST_S)  # or whoever reads what it says would wait for ever
        try:
            if user != os.geteuid():
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
                kernel.prctl(4, 1)  # dumpable, as a process that was started as the user is
            if not has_root:
                kernel.forbid_new_privileges()
                kernel.install_filter(seccomp.program(["unshare", "mount"], families=[kernel.AF_UNIX]))
            said = asyncio.run(work())  # type: ignore[arg-type]  # a coroutine
        except BaseException as error:
            said = {"error": f"{type(error).__name__}: {error}"}
        finally:
            os.write(writes, json.dumps(said).encode())
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as answer:
        words = answer.read()
    _, status = os.waitpid(child, 0)
    assert words, f"it said nothing and ended with {os.waitstatus_to_exitcode(status)}"
    found: dict[str, Any] = json.loads(words)
    assert "error" not in found, found
    return found


async def _endless(writes: int) -> None:
    driver = _unprobed()
    call = asyncio.create_task(_run(driver, b"import time\ntime.sleep(60)"))
    server = (await driver._forks())._process.pid
    os.write(writes, json.dumps([server, await _program_of(server)]).encode())
    await call


async def _program_of(server: int) -> int:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for path in Path(f"/proc/{server}/task/{server}").glob("children"):
            for pid in path.read_text().split():
                with contextlib.suppress(OSError):  # it has ended meanwhile
                    if Path(f"/proc/{pid}/comm").read_text() == "af-program\n":
                        return int(pid)
        await asyncio.sleep(0.01)
    raise AssertionError(f"the fork server {server} began no program")


async def _gone(pid: int) -> bool:
    until = time.monotonic() + 30
    while not is_gone(pid) and time.monotonic() < until:
        await asyncio.sleep(0.01)
    return is_gone(pid)
