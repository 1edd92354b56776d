"""Runs programs under gVisor: a kernel of their own, written in Go, that runs as a plain user of the host.

Any `runsc` on PATH will do. A container lives in a folder of ours and in namespaces that end with the process that we
started, so nothing has to be deleted by asking `runsc`, which may be gone or hang.
"""

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path

from runtime.domain.canonical import Json
from runtime.domain.exec_profile import DriverReport, ExecProfile, Guarantee, Isolation, Outcome
from runtime.errors import Unavailable
from runtime.sandbox import canaries, children, programs, pythons, users
from runtime.sandbox.bundles import Folder, bundle
from runtime.sandbox.driver import NOTHING, Handed, Unusable, python_for_all
from runtime.sandbox.known import Known
from runtime.sandbox.lasting import Begun, LastingDriver
from runtime.sandbox.streams import Call, Pipes, by_cpu

_TOOLS = {"setpriv": "util-linux", "unshare": "util-linux", "prlimit": "util-linux"}
_PLATFORMS = ("systrap", "ptrace")
"""Best first. KVM wants a device, and hangs in some virtual machines."""
_ANSWERED_WITHIN_S = 10
_OWN_WORDS = (b"running container:", b"creating container:", b"starting container:")


class Gvisor(LastingDriver):
    """The `runsc` program that is on PATH, as a plain user, without a network."""

    id = "sandbox.gvisor"
    isolation: Isolation = "userspace_kernel"
    hint = "; user namespaces may be forbidden"

    def __init__(self, *, command: str = "", known: Known | None = None) -> None:
        """`command`: another `runsc` than that on PATH; `known`: what was found out before."""
        super().__init__()
        self._command = command
        self._known = known or Known()
        self._python = ""
        self._platform = ""
        self._folder: Folder | None = None

    async def stop(self) -> None:
        """Remove the folder that containers lived in. Safe to call twice."""
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    async def _examine(self, facts: dict[str, Json]) -> tuple[Guarantee, ...]:
        self._command = shutil.which(self._command or "runsc") or ""
        facts |= {"command": self._command, "python": pythons.readable()}
        if not self._command:
            raise Unusable("there is no runsc on PATH; install the package runsc, or put gVisor's own runsc there")
        for name, package in _TOOLS.items():
            if not shutil.which(name):
                raise Unusable(f"there is no {name} on PATH; install the package {package}")
        self._python = python_for_all()
        self._platform = self._best_platform()
        facts |= {"version": self._answer("--version").partition("\n")[0], "platform": self._platform}
        return await canaries.known(self._known, self.id, [self._command, self._python], self._run)

    def _lost(self, profile: ExecProfile, report: DriverReport) -> frozenset[Guarantee]:
        lost: set[Guarantee] = set()
        if profile.allows_subprocess:  # it counts nothing over several processes, so there may be one
            lost |= {"mem_total", "cpu_total", "pids"}
        if profile.is_lasting and profile.pids_max > 1:  # nor over threads, and the calls that begin them are refused
            lost.add("pids")
        if profile.network != "deny_all":
            lost.add("net_deny")
        if profile.secrets:  # it takes no descriptor along
            lost.add("fs_deny")
        return frozenset(lost)

    def _best_platform(self) -> str:
        known = self._answer("help", "platforms").split()
        for platform in _PLATFORMS:
            if platform in known:
                return platform
        raise Unavailable("sandbox.does_not_run", f"this runsc has none of the platforms {', '.join(_PLATFORMS)}")

    def _answer(self, *arguments: str) -> str:
        asked = subprocess.run([self._command, *arguments], capture_output=True, text=True, timeout=_ANSWERED_WITHIN_S)
        return asked.stdout or asked.stderr

    async def _run(self, profile: ExecProfile, program: bytes, stdin: bytes = b"", handed: Handed = NOTHING) -> Outcome:
        began = time.monotonic()
        with contextlib.ExitStack() as opened:
            pipes, child, place = self._started(opened, profile, program)
            call = Call(pipes, profile, kill=child.kill)
            await call.finish(stdin, child.ended())
            has_started = (place / "pid").exists()
        code = child.exit_code or 0
        if not call.killed_for and (not has_started or (code == 128 and call.stderr.startswith(_OWN_WORDS))):
            words = programs.last_words(call.stderr, otherwise=f"exit code {code}")
            raise Unavailable(
                "sandbox.driver_vanished",
                f"{self.id} ended before the program did ({words}); the program may have run in part",
            )
        code = programs.exit_code(code)
        by_kernel = by_cpu(code, child.cpu_ms, profile)
        return call.outcome(self.id, code, began=began, by_kernel=by_kernel, cpu_ms=child.cpu_ms)

    def _begin(self, opened: contextlib.ExitStack, profile: ExecProfile, program: bytes) -> Begun:
        pipes, child, _ = self._started(opened, profile, program)

        def how() -> tuple[int, str]:
            code = programs.exit_code(child.exit_code or 0)
            return code, by_cpu(code, child.cpu_ms, profile)

        return Begun(pipes, child.kill, lambda _: child.ended(), how)

    def _started(
        self, opened: contextlib.ExitStack, profile: ExecProfile, program: bytes
    ) -> tuple[Pipes, children.Child, Path]:
        """Its streams, itself, and its folder, which `opened` removes."""
        if self._folder is None:
            self._folder = Folder.made("gvisor")
        user = opened.enter_context(users.of_folders(profile.rw_paths))
        place = opened.enter_context(self._folder.call(user))
        bundle(place, profile, program, python=self._python, user=user)
        pipes = Pipes()
        opened.callback(pipes.close)
        try:
            child = children.Child(self._arguments(profile, place), streams=pipes.theirs, user=user, env=_ENV)
        except OSError as error:
            raise Unavailable("sandbox.does_not_start", f"{self._command} does not start: {error}") from error
        pipes.close_theirs()
        return pipes, child, place

    def _arguments(self, profile: ExecProfile, place: Path) -> list[str]:
        return [
            # also of the processes that the program's code runs in
            *("prlimit", f"--cpu={programs.cpu_s(profile)}", "--core=0", "--"),
            *("setpriv", "--pdeathsig", "KILL", "--no-new-privs"),
            *("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount", "--mount-proc", "--ipc"),
            *("--kill-child", self._command, "--rootless", "--network=none", "--ignore-cgroups", "--oci-seccomp"),
            *(f"--platform={self._platform}", "--root", str(place / "state")),
            *("run", "--bundle", str(place), "--pid-file", str(place / "pid"), "program"),
        ]


_ENV = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")}
