"""Runs programs in namespaces of their own by bubblewrap: no network, no host process, no file but the given ones.

Never started by the real root: as root a spare user is taken first, for inside the namespaces the program would
otherwise be the host's root to files of the kernel.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from runtime.domain.exec_profile import DriverReport, ExecProfile, Guarantee, Isolation, Outcome
from runtime.errors import Refused, Unavailable
from runtime.policies.exec_profile import required
from runtime.sandbox import canaries, children, seccomp

SPARE_USER = 64_000
"""Whom a program is run as where the appliance is root: a number that belongs to nobody."""
SETTLED_WITHIN_S = 5.0
"""How long the end of all of a program's processes may take once they are killed."""
_BLOCK = 65_536
_MOUNTED = ("/bin", "/sbin", "/lib", "/lib64", "/lib32")
_LOADER = ("/etc/ld.so.cache", "/etc/alternatives")


class Bubblewrap:
    """The `bwrap` program that is on PATH, with a system-call filter and limits on top."""

    id = "sandbox.bubblewrap"
    isolation: Isolation = "namespace"

    def __init__(self, *, command: str = "") -> None:
        """`command`: another `bwrap` than that on PATH."""
        self._command = command
        self._report: DriverReport | None = None
        self._python = ""

    async def probe(self) -> DriverReport:
        """Find out by trying. Raises nothing: what is wrong is in the report."""
        if self._report is None:
            self._report = await self._examined()
        return self._report

    def enforces(self, profile: ExecProfile) -> frozenset[Guarantee]:
        """What holds of this profile here; nothing before `probe`, and nothing for what it cannot run."""
        if self._report is None or not self._report.is_usable or profile.runtime in ("javascript", "wasm"):
            return frozenset()
        held = set(self._report.guarantees)
        if profile.allows_subprocess:  # limits of one process do not add up over its children
            held -= {"mem_total", "cpu_total"}
        if profile.network != "deny_all" or profile.secrets:  # it has no way to hand either in
            held -= {"net_deny"}
        return frozenset(held)

    async def run(self, profile: ExecProfile, program: bytes, *, stdin: bytes = b"") -> Outcome:
        """Run it to its end. Raises Unavailable where bubblewrap itself fails, Refused for a profile it cannot hold."""
        await self.probe()
        missing = required(profile) - self.enforces(profile)
        if missing:
            raise Refused("sandbox.not_held", f"{self.id} cannot hold {', '.join(sorted(missing))} of this profile")
        if len(stdin) > profile.stdin_max_bytes:
            raise Refused("sandbox.stdin_too_long", f"{len(stdin)} bytes of input; {profile.stdin_max_bytes} may be")
        return await self._run(profile, program, stdin)

    async def _examined(self) -> DriverReport:
        self._command = self._command or _packaged() or ""
        self._python = _readable_python()
        reason = ""
        if not self._command:
            reason = "there is no bwrap on PATH; install the package bubblewrap"
        elif not shutil.which("prlimit"):
            reason = "there is no prlimit on PATH; install the package util-linux"
        elif not self._python:
            reason = "no Python here can be read by every user; install the package python3"
        held: tuple[Guarantee, ...] = ()
        if not reason:
            try:
                held = await canaries.held(self._run)
            except (Unavailable, OSError) as error:
                reason = f"it cannot start a program here ({error}); user namespaces may be forbidden"
        return DriverReport(
            driver=self.id,
            isolation=self.isolation,
            is_usable=not reason,
            guarantees=held,
            reason=reason,
            facts={"command": self._command, "python": self._python},
        )

    async def _run(self, profile: ExecProfile, program: bytes, stdin: bytes) -> Outcome:
        started = time.monotonic()
        status_out, status_in = os.pipe()
        with contextlib.ExitStack() as opened:
            opened.callback(os.close, status_out)
            given = [status_in, *(opened.enter_context(_memory_file(each)) for each in (_filter(profile), program))]
            try:
                arguments = self._arguments(profile, *given)
                process = await children.started(*arguments, pass_fds=given, env={}, cwd="/", **_spare_user())
            except OSError as error:
                raise Unavailable("sandbox.does_not_start", f"{self._command} does not start: {error}") from error
            finally:
                os.close(status_in)
            call = _Call(process, profile)
            await call.finish(stdin)
            status = os.read(status_out, _BLOCK) if not call.killed_for else b""
        if not call.killed_for and b'"exit-code"' not in status:
            raise Unavailable(
                "sandbox.driver_vanished",
                f"{self.id} ended with {process.returncode} before the program did"
                f"{call.own_words()}; the program may have run in part",
            )
        code = _exit_code(process.returncode or 0)
        return Outcome(
            exit_code=-signal.SIGKILL if call.killed_for else code,
            stdout=bytes(call.stdout),
            stderr=bytes(call.stderr),
            is_truncated=call.killed_for == "output",
            is_timed_out=call.killed_for == "time",
            killed_for=call.killed_for or ("cpu" if code == -signal.SIGXCPU else ""),
            wall_ms=int((time.monotonic() - started) * 1_000),
            driver=self.id,
            profile_id=profile.profile_id,
        )

    def _arguments(self, profile: ExecProfile, status: int, seccomp_filter: int, program: int) -> list[str]:
        command = [self._command, "--json-status-fd", str(status), "--seccomp", str(seccomp_filter)]
        command += ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]
        command += ["--uid", "65534", "--gid", "65534", "--hostname", "sandbox"]
        for name, value in {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **profile.env}.items():
            command += ["--setenv", name, value]
        command += ["--ro-bind", "/usr", "/usr"]
        for path in _MOUNTED:
            if os.path.islink(path):
                command += ["--symlink", os.readlink(path), path]
            elif os.path.isdir(path):
                command += ["--ro-bind", path, path]
        for path in _LOADER:
            command += ["--ro-bind-try", path, path]
        if not self._python.startswith("/usr/"):
            root = str(Path(self._python).parent.parent)
            command += ["--ro-bind", root, root]
        command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
        if profile.filesystem == "scratch" and profile.scratch_bytes:
            command += ["--size", str(profile.scratch_bytes), "--tmpfs", "/tmp", "--chdir", "/tmp"]
        for path in profile.ro_paths:
            command += ["--ro-bind", path, path]
        command += ["--ro-bind-data", str(program), "/program", "--remount-ro", "/", "--"]
        return [*command, *_limits(profile), *_program(profile, self._python)]


class _Call:
    """One program that runs."""

    def __init__(self, process: asyncio.subprocess.Process, profile: ExecProfile) -> None:
        self._process = process
        self._profile = profile
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.killed_for = ""

    async def finish(self, stdin: bytes) -> None:
        """Feed it, read it, and wait until nothing of it is left; end it at a limit or when cancelled."""
        process = self._process
        assert process.stdout is not None, "it is a pipe"
        assert process.stderr is not None, "it is a pipe"
        work = asyncio.gather(
            self._feed(stdin),
            self._read(process.stdout, self.stdout, self._profile.stdout_max_bytes),
            self._read(process.stderr, self.stderr, self._profile.stderr_max_bytes),
            process.wait(),
        )
        try:
            await asyncio.wait_for(asyncio.shield(work), self._profile.timeout_ms / 1_000)
        except TimeoutError:
            self._kill("time")
        finally:
            if not work.done():
                self._kill(self.killed_for or "cancelled")
                await self._settle(work)

    def own_words(self) -> str:
        """What bubblewrap said of itself; none of the program's words."""
        lines = [line for line in self.stderr.decode("utf-8", "replace").splitlines() if line.startswith("bwrap: ")]
        return f" ({lines[-1][:300]})" if lines else ""

    async def _settle(self, work: "asyncio.Future[tuple[None, None, None, int]]") -> None:
        done, _ = await asyncio.wait([work], timeout=SETTLED_WITHIN_S)
        if not done:
            work.cancel()
            raise Unavailable("sandbox.not_ended", f"a program did not end within {SETTLED_WITHIN_S:g} s of its kill")

    async def _feed(self, stdin: bytes) -> None:
        sink = self._process.stdin
        assert sink is not None, "it is a pipe"
        with contextlib.suppress(ConnectionError):  # it need not read what it is given
            sink.write(stdin)
            await sink.drain()
        sink.close()

    async def _read(self, source: asyncio.StreamReader, into: bytearray, most: int) -> None:
        while block := await source.read(_BLOCK):
            into += block[: most - len(into) + 1]
            if len(into) > most:
                del into[most:]
                self._kill("output")

    def _kill(self, reason: str) -> None:
        self.killed_for = self.killed_for or reason
        children.kill(self._process)  # the first process of the namespace dies with its parent


@contextlib.contextmanager
def _memory_file(content: bytes) -> Iterator[int]:
    descriptor = os.memfd_create("given", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, content) if content else 0
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _filter(profile: ExecProfile) -> bytes:
    return seccomp.program(
        (*seccomp.WAYS_AROUND, *seccomp.TRACING, *seccomp.BEYOND_A_PROGRAM),
        families=(),
        allows_processes=profile.allows_subprocess,
    )


def _limits(profile: ExecProfile) -> list[str]:
    cpu_s = max(-(-profile.cpu_ms // 1_000), 1)
    return [
        "prlimit",
        f"--as={profile.memory_bytes}",
        f"--cpu={cpu_s}:{cpu_s + 1}",
        f"--fsize={profile.scratch_bytes}",
        f"--nproc={profile.pids_max}",
        f"--nofile={profile.nofile}",
        "--core=0",
        "--",
    ]


def _program(profile: ExecProfile, python: str) -> list[str]:
    if profile.runtime == "python":
        return [python, "-I", "-S", "-B", "/program", *profile.argv]
    if profile.runtime == "bash":
        return ["/bin/bash", "--noprofile", "--norc", "/program", *profile.argv]
    return list(profile.argv)


def _exit_code(code: int) -> int:
    return 128 - code if code > 128 else code  # a signal, as bubblewrap passes it on


def _spare_user() -> dict[str, object]:
    if os.geteuid() != 0:
        return {}
    return {"user": SPARE_USER, "group": SPARE_USER, "extra_groups": []}


def _packaged() -> str | None:
    return shutil.which("bwrap")


def _readable_python() -> str:
    """A Python that every user can read, with its library: the appliance's own, or the system's."""
    base = getattr(sys, "_base_executable", sys.executable)
    for path in (os.path.realpath(base), os.path.realpath("/usr/bin/python3")):
        if os.path.exists(path) and all(os.stat(each).st_mode & 0o005 == 0o005 for each in _way(path)):
            return path
    return ""


def _way(path: str) -> list[str]:
    return [path, *map(str, Path(path).parents)]
