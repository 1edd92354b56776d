"""Canaries: programs that try to get out, so that a driver reports what it holds instead of what it should hold."""

from collections.abc import Awaitable, Callable

from runtime.domain.exec_profile import ExecProfile, Guarantee, Outcome
from runtime.errors import Unavailable

Run = Callable[[ExecProfile, bytes, bytes], Awaitable[Outcome]]

_HELD = b"held"
_OUT = b"OUT"
_TRY = """
def tried(attempt):
    try:
        attempt()
    except (OSError, MemoryError, RuntimeError, ImportError):
        return
    print("OUT", flush=True)
    raise SystemExit
"""

ATTEMPTS: dict[Guarantee, str] = {
    "net_deny": "import socket\nfor f in (2, 10, 1, 40, 17, 16):\n    tried(lambda: socket.socket(f, 2))",
    "fs_deny": "import os\ntried(lambda: open('/etc/passwd'))\nfor p in ('/root', '/home', '/var/lib'):\n"
    "    tried(lambda: os.listdir(p))",
    "mem_total": "tried(lambda: bytearray(4 << 30))\nimport os\ntried(lambda: os.memfd_create('x'))",
    "pids": "import threading, time\ndef many():\n    for _ in range(500):\n"
    "        threading.Thread(target=time.sleep, args=(1,), daemon=True).start()\ntried(many)",
    "disk": "for p in ('/x', '/tmp/x', '/dev/shm/x', '/var/tmp/x', '/program'):\n    tried(lambda: open(p, 'w'))",
    "no_host_pid": "import os\nif len([p for p in os.listdir('/proc') if p.isdigit()]) > 3: print('OUT')",
    "no_daemon": "import os\ntried(os.fork)",
}
"""Each prints `OUT` when it got what it must not have."""


async def held(run: Run) -> tuple[Guarantee, ...]:
    """The guarantees that no canary broke. Raises Unavailable where a harmless program does not even run."""
    first = await run(_profile(), b"print('held')", b"")
    if first.exit_code != 0 or first.stdout.strip() != _HELD:
        last = first.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"exit code {first.exit_code}"]
        raise Unavailable("sandbox.does_not_run", f"a harmless program did not run: {last[0][:300]}", retryable=False)
    found: list[Guarantee] = []
    for guarantee, source in ATTEMPTS.items():
        outcome = await run(_profile(), f"{_TRY}{source}\nprint('held')".encode(), b"")
        if outcome.stdout.strip() == _HELD:
            found.append(guarantee)
    endless = await run(_profile(timeout_ms=1_500, cpu_ms=60_000), b"while True: pass", b"")
    if endless.is_timed_out:
        found.append("wall")
    busy = await run(_profile(cpu_ms=1_000), b"while True: pass", b"")
    if busy.exit_code < 0 and not busy.is_timed_out:
        found.append("cpu_total")
    loud = await run(_profile(), b"while True: print('x' * 65536)", b"")
    if loud.is_truncated and len(loud.stdout) <= _profile().stdout_max_bytes:
        found.append("output_cap")
    return tuple(sorted(found))


def _profile(*, timeout_ms: int = 10_000, cpu_ms: int = 5_000) -> ExecProfile:
    return ExecProfile(
        tool="probe", tenant="", policy_version="", runtime="python", timeout_ms=timeout_ms, cpu_ms=cpu_ms
    )
