"""Runs Python programs in processes forked from a warm one: Landlock, a system-call filter and limits around each.

The fastest sandbox, for trusted tools: one kernel for all, and a program is one process that can start no other.
Without Landlock or seccomp it is none, and says so.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Mapping

from runtime.domain.canonical import Json, encode
from runtime.domain.exec_profile import DriverReport, ExecProfile, Guarantee, Isolation, Outcome
from runtime.errors import Unavailable
from runtime.sandbox import canaries, doors, forks, programs, users
from runtime.sandbox.driver import NOTHING, Driver, Handed, Unusable, check_user, python_for_all
from runtime.sandbox.forked import DOOR, SECRETS, SECRETS_VARIABLE
from runtime.sandbox.known import Known
from runtime.sandbox.streams import Call, Pipes, by_cpu, memory_file

_TRY_AGAIN_S = 0.002


class Process(Driver):
    """Programs in a fork server of this appliance, which is started when it is first needed."""

    id = "sandbox.process"
    isolation: Isolation = "process"
    runtimes = ("python",)

    def __init__(self, *, python: str = "", known: Known | None = None) -> None:
        """`python`: another interpreter than the one that every user can read; `known`: what was found out before."""
        super().__init__()
        self._python = python
        self._known = known or Known()
        self._server: forks.ForkServer | None = None
        self._starting = threading.Lock()

    async def stop(self) -> None:
        """End the fork server and all that it runs. Safe to call twice."""
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)
            self._server = None

    async def _examine(self, facts: dict[str, Json]) -> tuple[Guarantee, ...]:
        if self._python:
            check_user()
        else:
            self._python = python_for_all()
        facts["command"] = self._python
        facts |= (await self._forks()).facts
        if not facts.get("landlock"):
            raise Unusable("the kernel has no Landlock, or it is switched off (Linux 5.13 and `lsm=landlock` bring it)")
        return await canaries.known(self._known, self.id, [self._python], self._run)

    def _lost(self, profile: ExecProfile, report: DriverReport) -> frozenset[Guarantee]:
        lost: set[Guarantee] = set()
        if profile.allows_subprocess:  # none can be started, so a program that needs one is not run
            lost |= {"no_daemon", "pids"}
        if profile.filesystem == "scratch" and not report.facts.get("private_root"):
            lost.add("disk")
        return frozenset(lost)

    async def _forks(self) -> forks.ForkServer:
        if self._server is None or not self._server.is_alive():
            await asyncio.to_thread(self._start)
        assert self._server is not None, "it was started, or it raised"
        return self._server

    def _start(self) -> None:
        with self._starting:
            if self._server is None or not self._server.is_alive():
                self._server = forks.ForkServer.started(self._python)

    async def _run(self, profile: ExecProfile, program: bytes, stdin: bytes = b"", handed: Handed = NOTHING) -> Outcome:
        server = await self._forks()
        began = time.monotonic()
        with contextlib.ExitStack() as opened:
            pipes = Pipes()
            opened.callback(pipes.close)
            user = opened.enter_context(users.spare())
            given = [opened.enter_context(memory_file(program))]
            given.append(opened.enter_context(memory_file(encode(_given(profile, user, handed)))))
            held = [opened.enter_context(memory_file(encode(dict(handed.secrets))))] if handed.secrets else []
            extra = [] if handed.door is None else [handed.door]
            life, theirs = forks.pair()
            opened.callback(life.close)
            with theirs:
                while not server.send([*pipes.theirs, *given, theirs.fileno(), *held, *extra]):
                    await asyncio.sleep(_TRY_AGAIN_S)
            pipes.close_theirs()
            call = Call(pipes, profile, kill=life.give_up)
            await call.finish(stdin, life.ended())
        return self._outcome(call, life.said, profile, began=began)

    def _outcome(self, call: Call, said: Mapping[str, Json], profile: ExecProfile, *, began: float) -> Outcome:
        status = said.get("status")
        if "failed" in said or not isinstance(status, int):
            reason = said.get("failed", "it ended before the program did; the program may have run in part")
            raise Unavailable("sandbox.driver_vanished", f"{self.id}: {reason}")
        code, cpu_ms = os.waitstatus_to_exitcode(status), int(str(said.get("cpu_ms", 0)))
        return call.outcome(
            self.id,
            code,
            began=began,
            by_kernel=by_cpu(code, cpu_ms, profile),
            cpu_ms=cpu_ms,
            memory_bytes=int(str(said.get("memory_bytes", 0))),
        )


def _given(profile: ExecProfile, user: int | None, handed: Handed) -> dict[str, Json]:
    """What the child is told."""
    env: dict[str, Json] = {**programs.ENV, **profile.env}
    if handed.secrets:
        env[SECRETS_VARIABLE] = str(SECRETS)
    if handed.door is not None:
        env[doors.VARIABLE] = str(DOOR)
    return {
        "argv": list(profile.argv),
        "env": env,
        "ro_paths": list(profile.ro_paths),
        "scratch_bytes": profile.scratch_bytes if profile.filesystem == "scratch" else 0,
        "memory_bytes": profile.memory_bytes,
        "cpu_s": programs.cpu_s(profile),
        "nofile": profile.nofile,
        "pids_max": profile.pids_max,
        "user": user,
        "has_secrets": bool(handed.secrets),
        "has_door": handed.door is not None,
    }
