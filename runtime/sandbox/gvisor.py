"""Runs programs under gVisor: a kernel of their own, written in Go, that runs as a plain user of the host.

Any `runsc` on PATH will do. A container lives in a folder of ours and in namespaces that end with the process that we
started, so nothing has to be deleted by asking `runsc`, which may be gone or hang.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from runtime.domain.canonical import Json
from runtime.domain.exec_profile import Answer, DriverReport, ExecProfile, Guarantee, Isolation, Outcome
from runtime.errors import Unavailable
from runtime.policies.exec_profile import required
from runtime.sandbox import canaries, children, pythons, refusals, users
from runtime.sandbox.bundles import Folder, bundle
from runtime.sandbox.known import Known
from runtime.sandbox.streams import Call, Pipes, by_cpu

_TOOLS = {"setpriv": "util-linux", "unshare": "util-linux", "prlimit": "util-linux"}
_PLATFORMS = ("systrap", "ptrace")
"""Best first. KVM wants a device, and hangs in some virtual machines."""
_ANSWERED_WITHIN_S = 10
_OWN_WORDS = (b"running container:", b"creating container:", b"starting container:")


class Gvisor:
    """The `runsc` program that is on PATH, as a plain user, without a network."""

    id = "sandbox.gvisor"
    isolation: Isolation = "userspace_kernel"

    def __init__(self, *, command: str = "", known: Known | None = None) -> None:
        """`command`: another `runsc` than that on PATH; `known`: what was found out before."""
        self._command = command
        self._known = known or Known()
        self._report: DriverReport | None = None
        self._python = ""
        self._platform = ""
        self._folder: Folder | None = None

    async def probe(self) -> DriverReport:
        """Find out by trying, and remove what an appliance that was killed left. Raises nothing."""
        if self._report is None:
            self._report = await self._examined()
        return self._report

    def enforces(self, profile: ExecProfile) -> frozenset[Guarantee]:
        """What holds of this profile here; nothing before `probe`, and nothing for what it cannot run."""
        if self._report is None or not self._report.is_usable or profile.runtime not in ("python", "bash", "argv"):
            return frozenset()
        held = set(self._report.guarantees)
        if profile.allows_subprocess:  # it counts nothing over several processes, so there may be one
            held -= {"mem_total", "cpu_total", "pids"}
        if profile.network != "deny_all":
            held -= {"net_deny"}
        if profile.secrets:  # it takes no descriptor along
            held -= {"fs_deny"}
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
        """Run it to its end. Raises Unavailable where gVisor itself fails, Refused for a profile it cannot hold."""
        await self.probe()
        refusals.check(
            self.id,
            profile,
            required(profile) - self.enforces(profile),
            stdin=stdin,
            secrets=secrets or {},
            egress=egress,
        )
        return await self._run(profile, program, stdin)

    async def stop(self) -> None:
        """Remove the folder that containers lived in. Safe to call twice."""
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    async def _examined(self) -> DriverReport:
        self._command = shutil.which(self._command or "runsc") or ""
        self._python = pythons.readable()
        facts: dict[str, Json] = {"command": self._command, "python": self._python}
        held: tuple[Guarantee, ...] = ()
        reason = self._missing()
        if not reason:
            try:
                self._platform = self._best_platform()
                facts |= {"version": self._answer("--version").partition("\n")[0], "platform": self._platform}
                held = await canaries.known(self._known, self.id, [self._command, self._python], self._run)
            except (Unavailable, OSError, subprocess.SubprocessError) as error:
                reason = f"it cannot run a program here ({error}); user namespaces may be forbidden"
        return DriverReport(
            driver=self.id,
            isolation=self.isolation,
            is_usable=not reason,
            guarantees=held,
            reason=reason,
            facts=facts,
        )

    def _missing(self) -> str:
        if not self._command:
            return "there is no runsc on PATH; install the package runsc, or put gVisor's own runsc there"
        for name, package in _TOOLS.items():
            if not shutil.which(name):
                return f"there is no {name} on PATH; install the package {package}"
        if not self._python:
            return "no Python here can be read by every user; install the package python3"
        if users.is_host_root() and not users.can_switch():
            return "it is root here without the right to become another user; run the appliance as a plain user"
        return ""

    def _best_platform(self) -> str:
        known = self._answer("help", "platforms").split()
        for platform in _PLATFORMS:
            if platform in known:
                return platform
        raise Unavailable("sandbox.does_not_run", f"this runsc has none of the platforms {', '.join(_PLATFORMS)}")

    def _answer(self, *arguments: str) -> str:
        asked = subprocess.run([self._command, *arguments], capture_output=True, text=True, timeout=_ANSWERED_WITHIN_S)
        return asked.stdout or asked.stderr

    async def _run(self, profile: ExecProfile, program: bytes, stdin: bytes) -> Outcome:
        began = time.monotonic()
        if self._folder is None:
            self._folder = Folder.made("gvisor")
        with contextlib.ExitStack() as opened:
            user = opened.enter_context(users.spare())
            place = opened.enter_context(self._folder.call(user))
            bundle(place, profile, program, python=self._python, user=user)
            pipes = Pipes()
            opened.callback(pipes.close)
            try:
                child = children.Child(self._arguments(profile, place), streams=pipes.theirs, user=user, env=_ENV)
            except OSError as error:
                raise Unavailable("sandbox.does_not_start", f"{self._command} does not start: {error}") from error
            pipes.close_theirs()
            call = Call(pipes, profile, kill=child.kill)
            await call.finish(stdin, child.ended())
            has_started = (place / "pid").exists()
        code = child.exit_code or 0
        if not call.killed_for and (not has_started or (code == 128 and call.stderr.startswith(_OWN_WORDS))):
            words = call.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"exit code {code}"]
            raise Unavailable(
                "sandbox.driver_vanished",
                f"{self.id} ended before the program did ({words[0][:300]}); the program may have run in part",
            )
        code = 128 - code if code > 128 else code  # a signal, as runsc passes it on
        return Outcome(
            exit_code=-signal.SIGKILL if call.killed_for else code,
            stdout=bytes(call.stdout),
            stderr=bytes(call.stderr),
            is_truncated=call.killed_for == "output",
            is_timed_out=call.killed_for == "time",
            killed_for=call.killed_for or by_cpu(code, child.cpu_ms, profile),
            wall_ms=int((time.monotonic() - began) * 1_000),
            cpu_ms=child.cpu_ms,
            driver=self.id,
            profile_id=profile.profile_id,
        )

    def _arguments(self, profile: ExecProfile, place: Path) -> list[str]:
        cpu_s = max(-(-profile.cpu_ms // 1_000), 1)
        return [
            *("prlimit", f"--cpu={cpu_s}", "--core=0", "--"),  # also of the processes that the program's code runs in
            *("setpriv", "--pdeathsig", "KILL", "--no-new-privs"),
            *("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount", "--mount-proc", "--ipc"),
            *("--kill-child", self._command, "--rootless", "--network=none", "--ignore-cgroups", "--oci-seccomp"),
            *(f"--platform={self._platform}", "--root", str(place / "state")),
            *("run", "--bundle", str(place), "--pid-file", str(place / "pid"), "program"),
        ]


_ENV = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")}
