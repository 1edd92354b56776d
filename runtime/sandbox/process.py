"""Runs Python programs in processes forked from a warm one: Landlock, a system-call filter and limits around each.

The fastest sandbox, for trusted tools: one kernel for all, and a program is one process that can start no other.
Without Landlock or seccomp it is none, and says so.
"""

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Mapping

from runtime.domain.canonical import Json, encode
from runtime.domain.exec_profile import Answer, DriverReport, ExecProfile, Guarantee, Isolation, Outcome
from runtime.errors import Unavailable
from runtime.policies.exec_profile import required
from runtime.sandbox import canaries, doors, forks, pythons, refusals, users
from runtime.sandbox.forked import DOOR, SECRETS, SECRETS_VARIABLE
from runtime.sandbox.known import Known
from runtime.sandbox.streams import Call, Pipes, by_cpu, memory_file

_TRY_AGAIN_S = 0.002


class Process:
    """Programs in a fork server of this appliance, which is started when it is first needed."""

    id = "sandbox.process"
    isolation: Isolation = "process"

    def __init__(self, *, python: str = "", known: Known | None = None) -> None:
        """`python`: another interpreter than the one that every user can read; `known`: what was found out before."""
        self._python = python
        self._known = known or Known()
        self._report: DriverReport | None = None
        self._server: forks.ForkServer | None = None
        self._starting = threading.Lock()

    async def probe(self) -> DriverReport:
        """Find out by trying. Raises nothing: what is wrong is in the report."""
        if self._report is None:
            self._report = await self._examined()
        return self._report

    def enforces(self, profile: ExecProfile) -> frozenset[Guarantee]:
        """What holds of this profile here; nothing before `probe`, and nothing for what it cannot run."""
        if self._report is None or not self._report.is_usable or profile.runtime != "python":
            return frozenset()
        held = set(self._report.guarantees)
        if profile.allows_subprocess:  # none can be started, so a program that needs one is not run
            held -= {"no_daemon", "pids"}
        if profile.filesystem == "scratch" and not self._report.facts.get("private_root"):
            held -= {"disk"}
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
        """Run it to its end. Raises Unavailable where the fork server fails, Refused for a profile it cannot hold."""
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
        """End the fork server and all that it runs. Safe to call twice."""
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)
            self._server = None

    async def _examined(self) -> DriverReport:
        held: tuple[Guarantee, ...] = ()
        facts: dict[str, Json] = {}
        reason = ""
        self._python = self._python or pythons.readable()
        if not self._python:
            reason = "no Python here can be read by every user; install the package python3"
        elif users.is_host_root() and not users.can_switch():
            reason = "it is root here without the right to become another user; run the appliance as a plain user"
        else:
            try:
                facts = dict((await self._forks()).facts)
                if not facts.get("landlock"):
                    reason = (
                        "the kernel has no Landlock, or it is switched off (Linux 5.13 and `lsm=landlock` bring it)"
                    )
                else:
                    held = await canaries.known(self._known, self.id, [self._python], self._run_plain)
            except (Unavailable, OSError) as error:
                reason = f"it cannot run a program here ({error})"
        return DriverReport(
            driver=self.id,
            isolation=self.isolation,
            is_usable=not reason,
            guarantees=held,
            reason=reason,
            facts={**facts, "command": self._python},
        )

    async def _forks(self) -> forks.ForkServer:
        if self._server is None or not self._server.is_alive():
            await asyncio.to_thread(self._start)
        assert self._server is not None, "it was started, or it raised"
        return self._server

    def _start(self) -> None:
        with self._starting:
            if self._server is None or not self._server.is_alive():
                self._server = forks.ForkServer.started(self._python)

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
        server = await self._forks()
        began = time.monotonic()
        with contextlib.ExitStack() as opened:
            pipes = Pipes()
            opened.callback(pipes.close)
            user = opened.enter_context(users.spare())
            given = [opened.enter_context(memory_file(program))]
            given.append(
                opened.enter_context(
                    memory_file(encode(_given(profile, user, has_secrets=bool(secrets), has_door=door is not None)))
                )
            )
            held = [opened.enter_context(memory_file(encode(dict(secrets))))] if secrets else []
            extra = [] if door is None else [door]
            life, theirs = forks.pair()
            opened.callback(life.close)
            with theirs:
                while not server.send([*pipes.theirs, *given, theirs.fileno(), *held, *extra]):
                    await asyncio.sleep(_TRY_AGAIN_S)
            pipes.close_theirs()
            call = Call(pipes, profile, kill=life.give_up)
            await call.finish(stdin, life.ended())
        return _outcome(call, life.said, profile, wall_ms=int((time.monotonic() - began) * 1_000))


def _given(profile: ExecProfile, user: int | None, *, has_secrets: bool, has_door: bool) -> dict[str, Json]:
    """What the child is told."""
    env: dict[str, Json] = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **profile.env}
    if has_secrets:
        env[SECRETS_VARIABLE] = str(SECRETS)
    if has_door:
        env[doors.VARIABLE] = str(DOOR)
    return {
        "argv": list(profile.argv),
        "env": env,
        "ro_paths": list(profile.ro_paths),
        "scratch_bytes": profile.scratch_bytes if profile.filesystem == "scratch" else 0,
        "memory_bytes": profile.memory_bytes,
        "cpu_s": max(-(-profile.cpu_ms // 1_000), 1),
        "nofile": profile.nofile,
        "pids_max": profile.pids_max,
        "user": user,
        "has_secrets": has_secrets,
        "has_door": has_door,
    }


def _outcome(call: Call, said: Mapping[str, Json], profile: ExecProfile, *, wall_ms: int) -> Outcome:
    status = said.get("status")
    if "failed" in said or not isinstance(status, int):
        reason = said.get("failed", "it ended before the program did; the program may have run in part")
        raise Unavailable("sandbox.driver_vanished", f"{Process.id}: {reason}")
    code = os.waitstatus_to_exitcode(status)
    killed_for, cpu_ms = call.killed_for, int(str(said.get("cpu_ms", 0)))
    return Outcome(
        exit_code=-signal.SIGKILL if killed_for else code,
        stdout=bytes(call.stdout),
        stderr=bytes(call.stderr),
        is_truncated=killed_for == "output",
        is_timed_out=killed_for == "time",
        killed_for=killed_for or by_cpu(code, cpu_ms, profile),
        wall_ms=wall_ms,
        cpu_ms=cpu_ms,
        memory_bytes=int(str(said.get("memory_bytes", 0))),
        driver=Process.id,
        profile_id=profile.profile_id,
    )
