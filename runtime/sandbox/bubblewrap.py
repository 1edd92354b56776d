"""Runs programs in namespaces of their own by bubblewrap: no network, no host process, no file but the given ones.

Never started by the real root: as root a spare user is taken first, for inside the namespaces the program would
otherwise be the host's root to files of the kernel.
"""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from runtime.domain.canonical import encode
from runtime.domain.exec_profile import DriverReport, ExecProfile, Guarantee, Isolation, Outcome
from runtime.errors import Unavailable
from runtime.policies.exec_profile import required
from runtime.sandbox import canaries, children, pythons, refusals, seccomp, users
from runtime.sandbox.forked import SECRETS_VARIABLE
from runtime.sandbox.streams import BLOCK, Call, Pipes, memory_file

_PATIENCE_S = 0.3
"""How long bubblewrap may take to see the end of the program."""
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
        if self._report is None or not self._report.is_usable or profile.runtime not in ("python", "bash", "argv"):
            return frozenset()
        held = set(self._report.guarantees)
        if profile.allows_subprocess:  # limits of one process do not add up over its children
            held -= {"mem_total", "cpu_total"}
        if profile.network != "deny_all":
            held -= {"net_deny"}
        return frozenset(held)

    async def run(
        self, profile: ExecProfile, program: bytes, *, stdin: bytes = b"", secrets: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run it to its end. Raises Unavailable where bubblewrap itself fails, Refused for a profile it cannot hold."""
        await self.probe()
        refusals.check(self.id, profile, required(profile) - self.enforces(profile), stdin=stdin, secrets=secrets or {})
        return await self._run(profile, program, stdin, secrets or {})

    async def stop(self) -> None:
        """Nothing runs between calls."""

    async def _examined(self) -> DriverReport:
        self._command = self._command or _packaged() or ""
        self._python = pythons.readable()
        reason = ""
        if not self._command:
            reason = "there is no bwrap on PATH; install the package bubblewrap"
        elif not shutil.which("prlimit"):
            reason = "there is no prlimit on PATH; install the package util-linux"
        elif not self._python:
            reason = "no Python here can be read by every user; install the package python3"
        elif users.is_host_root() and not users.can_switch():
            reason = "it is root here without the right to become another user; run the appliance as a plain user"
        held: tuple[Guarantee, ...] = ()
        if not reason:
            try:
                held = await canaries.held(self._run_plain)
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

    async def _run_plain(self, profile: ExecProfile, program: bytes, stdin: bytes) -> Outcome:
        return await self._run(profile, program, stdin, {})

    async def _run(self, profile: ExecProfile, program: bytes, stdin: bytes, secrets: Mapping[str, str]) -> Outcome:
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
            try:
                arguments = self._arguments(profile, *given, secrets=held[0] if held else None)
                child = children.Child(arguments, streams=pipes.theirs, pass_fds=[*given, *held], user=user)
            except OSError as error:
                raise Unavailable("sandbox.does_not_start", f"{self._command} does not start: {error}") from error
            with_theirs.close()
            pipes.close_theirs()
            inner = _Inner(child, status)
            call = Call(pipes, profile, kill=inner.kill)
            await call.finish(stdin, child.ended())
            said = inner.heard()
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
            killed_for=call.killed_for or ("cpu" if code == -signal.SIGKILL else ""),
            wall_ms=int((time.monotonic() - began) * 1_000),
            cpu_ms=child.cpu_ms,
            driver=self.id,
            profile_id=profile.profile_id,
        )

    def _arguments(
        self, profile: ExecProfile, status: int, seccomp_filter: int, program: int, *, secrets: int | None
    ) -> list[str]:
        command = [self._command, "--json-status-fd", str(status), "--seccomp", str(seccomp_filter)]
        command += [
            "--unshare-all",
            "--as-pid-1",
            "--die-with-parent",
            "--new-session",
            "--cap-drop",
            "ALL",
            "--clearenv",
        ]
        command += ["--uid", "65534", "--gid", "65534", "--hostname", "sandbox"]
        handed = {} if secrets is None else {SECRETS_VARIABLE: str(secrets)}
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


class _Inner:
    """The program as bubblewrap's own child, the first process of its namespace, which all others end with."""

    def __init__(self, child: children.Child, status: int) -> None:
        self._child = child
        self._status = status
        self._heard = b""
        os.set_blocking(status, False)

    def heard(self) -> bytes:
        """What bubblewrap has said until now."""
        with contextlib.suppress(BlockingIOError):
            while block := os.read(self._status, BLOCK):
                self._heard += block
        return self._heard

    def kill(self) -> None:
        """End it in such a way that bubblewrap still waits for it, so that what it used is known; or else as it is."""
        found = re.search(rb'"child-pid": *(\d+)', self.heard())
        if found and self._child.exit_code is None and self._killed_inner(int(found[1])):
            asyncio.get_running_loop().call_later(_PATIENCE_S, self._child.kill)
        else:
            self._child.kill()  # the inner one dies with its parent

    def _killed_inner(self, pid: int) -> bool:
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:  # it is gone
            return False
        try:
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            if parent != self._child.pid:  # the number is somebody else's by now
                return False
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True


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
        f"--cpu={cpu_s}",
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
    return shutil.which("bwrap")
