"""Canaries: programs that try to get out, so that a driver reports what it holds instead of what it should hold.

All that can be tried in one program is, since a start may be dear; what ends its program has one of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import get_args

import msgspec

from runtime.domain.exec_profile import ExecProfile, Guarantee, Outcome
from runtime.errors import Unavailable
from runtime.sandbox.known import Known

Run = Callable[[ExecProfile, bytes, bytes], Awaitable[Outcome]]

GUARANTEES: tuple[Guarantee, ...] = get_args(Guarantee)
_ALIVE = "alive"
_TRY = """
import os, socket, sys, threading, time
def tried(attempt, *given):
    try:
        if attempt(*given) is not False:
            got_out.add(guarantee)
    except (OSError, MemoryError, RuntimeError, ImportError):
        pass
got_out = set()
"""
_END = "guarantee = '{guarantee}'\n{source}\nprint(guarantee, guarantee in got_out, flush=True)\n"

ATTEMPTS: dict[Guarantee, str] = {
    "net_deny": "for family in (2, 10, 1, 40, 17, 16): tried(socket.socket, family, 2)",
    "fs_deny": "tried(open, '/etc/passwd')\nfor place in ('/root', '/home', '/var/lib'): tried(os.listdir, place)",
    "disk": "for place in ('/x', '/tmp/x', '/dev/shm/x', '/var/tmp/x', '/program'): tried(open, place, 'w')",
    "no_host_pid": "tried(lambda: len([name for name in os.listdir('/proc') if name.isdigit()]) > 3)\n"
    "if os.getppid() > 1: tried(os.kill, os.getppid(), 0)",
    "no_daemon": "tried(lambda: os.fork() or os._exit(0))",
    "pids": "threading.stack_size(65536)\ndef many():\n    for _ in range(500):\n"
    "        threading.Thread(target=time.sleep, args=(3,), daemon=True).start()\ntried(many)",
    "mem_total": "tried(bytearray, 4 << 30)\nif hasattr(os, 'memfd_create'): tried(os.memfd_create, 'x')",
}
"""Each adds its guarantee to `got_out` when it got what it must not have. Threads stay behind for 3 s; the last one may
be the end of the program."""


async def known(outcomes: Known, driver: str, programs: Sequence[str], run: Run) -> tuple[Guarantee, ...]:
    """As `held`, unless it is known already."""
    said = await outcomes.outcome(driver, programs, lambda: held(run))
    return tuple(name for name in GUARANTEES if name in said)


async def known_together(outcomes: Known, driver: str, programs: Sequence[str], run: Run) -> tuple[Guarantee, ...]:
    """As `held_together`, unless it is known already."""

    async def find() -> tuple[str, ...]:
        return tuple(await held_together(run))

    said = await outcomes.outcome(f"{driver} together", programs, find)
    return tuple(name for name in GUARANTEES if name in said)


async def held(run: Run) -> tuple[Guarantee, ...]:
    """The guarantees that no canary broke. Raises Unavailable where a harmless program does not even run."""
    first = await run(_profile(), _program(), b"")
    said = first.stdout.decode("utf-8", "replace").splitlines()
    if said[:1] != [_ALIVE]:
        last = first.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"exit code {first.exit_code}"]
        raise Unavailable("sandbox.does_not_run", f"a harmless program did not run: {last[0][:300]}", retryable=False)
    found: list[Guarantee] = [name for name in ATTEMPTS if f"{name} False" in said]
    if first.killed_for == "memory":
        found.append("mem_total")
    endless, busy, loud = await asyncio.gather(
        run(_profile(timeout_ms=600, cpu_ms=60_000), b"import time\nwhile True: time.sleep(0.01)", b""),
        run(_profile(cpu_ms=1_000), b"while True: pass", b""),
        run(_profile(), b"while True: print('x' * 65536)", b""),
    )
    if endless.is_timed_out:
        found.append("wall")
    if busy.exit_code < 0 and not busy.is_timed_out:
        found.append("cpu_total")
    if loud.is_truncated and len(loud.stdout) <= _profile().stdout_max_bytes:
        found.append("output_cap")
    return tuple(sorted(found))


_MANY = """
import os, time
many = 0
try:
    for _ in range(64):
        if os.fork() == 0:
            time.sleep(3)
            os._exit(0)
        many += 1
except OSError:
    pass
print('forked', many, flush=True)
os._exit(0)
"""
_HEAVY = """
import os, time
def child():
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        held = bytearray(96 << 20)
        os.write(writes, b'x')
        time.sleep(15)
        os._exit(0)
    os.close(writes)
    return pid, reads
def lives(pid):
    return os.waitpid(pid, os.WNOHANG)[0] == 0
children = [child() for _ in range(4)]
print('alive', flush=True)
for _, reads in children:
    os.read(reads, 1)
living = [pid for pid, _ in children]
for _ in range(100):
    living = [pid for pid in living if lives(pid)]
    if len(living) < 3:
        break
    time.sleep(0.02)
print(len(living), flush=True)
os._exit(0)
"""
"""Says how many of its four children live at once when each holds its memory or is gone: one that was ended for
another's memory had its own before. It waits 2 s for those to be gone that are about to be."""
_BUSY = """
import os
for _ in range(3):
    if os.fork() == 0: break
while True: pass
"""


async def held_together(run: Run) -> frozenset[Guarantee]:
    """Which limits count all processes of a program together, for one that may start some."""
    several = msgspec.structs.replace(_profile(), allows_subprocess=True)
    many, heavy, busy = await asyncio.gather(
        run(msgspec.structs.replace(several, pids_max=16), _MANY.encode(), b""),
        run(msgspec.structs.replace(several, memory_bytes=192 << 20), _HEAVY.encode(), b""),
        run(msgspec.structs.replace(several, cpu_ms=1_000), _BUSY.encode(), b""),
    )
    found: set[Guarantee] = set()
    said = many.stdout.split()
    if said[:1] == [b"forked"] and 0 < int(said[1]) < 16:
        found.add("pids")
    if heavy.stdout.split() in ([b"alive", b"1"], [b"alive", b"2"]) or heavy.killed_for == "memory":
        found.add("mem_total")
    if busy.killed_for == "cpu" and busy.cpu_ms < 3_000:
        found.add("cpu_total")
    return frozenset(found)


def _program() -> bytes:
    attempts = "".join(_END.format(guarantee=name, source=source) for name, source in ATTEMPTS.items())
    return f"print('{_ALIVE}', flush=True)\n{_TRY}{attempts}sys.stdout.flush()\nos._exit(0)\n".encode()


def _profile(*, timeout_ms: int = 15_000, cpu_ms: int = 5_000) -> ExecProfile:
    return ExecProfile(
        tool="probe", tenant="", policy_version="", runtime="python", timeout_ms=timeout_ms, cpu_ms=cpu_ms
    )
