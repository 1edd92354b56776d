"""What a start in each sandbox costs beside a bare interpreter, and which of a battery of attempts get out of it."""

import asyncio
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import msgspec

from appliance.bench import guest
from appliance.bench.engine import Goal, Result
from appliance.bench.hostile import ATTEMPTS
from runtime.domain.exec_profile import ExecProfile, Outcome
from runtime.errors import Unavailable
from runtime.policies.exec_profile import required
from runtime.ports import Sandbox
from runtime.sandbox import pythons
from runtime.sandbox.registry import Sandboxes
from runtime.sandbox.wasm.driver import Wasm

PROGRAM = b"import json, sys\nasked = json.load(sys.stdin)\nprint(json.dumps({'answer': asked['number'] * 2}))\n"
STDIN = b'{"number": 21}'
ANSWER = b'{"answer": 42}\n'
PROFILE = ExecProfile(tool="bench", tenant="default", policy_version="", runtime="python")
AT_MOST_OF_BARE = {"process": 0.5, "bubblewrap": 2.0}
AT_MOST_MS = {"wasm": 10.0}
Rows = dict[str, dict[str, float]]
Start = Callable[[], Awaitable[Outcome]]
"""One call of the small program."""
_BARE = "python3 -I"
_AT_ONCE = 2
_SETTLED_WITHIN_S = 60


def bench(*, every: Sandboxes, rounds: int, with_battery: bool, report: Callable[[str], None]) -> Result:
    """Start one small program so many times in every sandbox of this machine, in turns with a bare interpreter."""
    return asyncio.run(_bench(every, rounds, with_battery, report))


async def _bench(every: Sandboxes, rounds: int, with_battery: bool, report: Callable[[str], None]) -> Result:
    try:
        notes: list[str] = []
        usable: list[Sandbox] = []
        starts: dict[str, Start] = {}
        for driver in every.drivers:
            report(f"trying {driver.id}")
            found = await driver.probe()
            missing = sorted(required(PROFILE) - driver.enforces(PROFILE))
            if isinstance(driver, Wasm) and found.is_usable:
                starts |= _of_wasm(driver, notes)
                usable += [] if missing else [driver]
            elif found.is_usable and not missing:
                usable.append(driver)
                starts[_name(driver)] = partial(driver.run, PROFILE, PROGRAM, stdin=STDIN)
            else:
                notes.append(f"{driver.id} is left out: {found.reason or 'it does not hold ' + ', '.join(missing)}")
        rows = await _starts(starts, rounds, report)
        goals = list(_promises(rows))
        if with_battery:
            for driver in usable:
                report(f"{len(ATTEMPTS)} attempts to get out of {driver.id}")
                out = await _got_out(driver)
                rows[_row(driver)] |= {"attempts": float(len(ATTEMPTS)), "got out": float(len(out))}
                goals.append(Goal(name=f"attempts that get out of {_name(driver)}", value=len(out), limit=0))
                notes += [f"{driver.id}: {name} got out" for name in out]
    finally:
        await every.stop()
    return Result(rows=rows, goals=goals, notes=notes)


def _of_wasm(driver: Wasm, notes: list[str]) -> dict[str, Start]:
    """A small compiled guest, and the interpreters that are there without a minute's work."""
    starts: dict[str, Start] = {_name(driver): partial(driver.run_text, guest.TEXT, stdin=STDIN)}
    programs = {"javascript": guest.JAVASCRIPT, "python": PROGRAM}
    for runtime in ("javascript", "python"):
        if runtime in driver.prepared():
            profile = msgspec.structs.replace(PROFILE, runtime=runtime)
            starts[f"{_name(driver)}, {runtime}"] = partial(driver.run, profile, programs[runtime], stdin=STDIN)
        else:
            battery = ", and with it the battery" if runtime == "python" else ""
            notes.append(f"{driver.id}: {runtime}{battery} is left out; run `af wasm prepare` once")
    return starts


async def _starts(starts: Mapping[str, Start], rounds: int, report: Callable[[str], None]) -> Rows:
    """Name → figures; the first round warms up and does not count."""
    python = pythons.readable()
    if not python:
        raise Unavailable("sandbox.no_python", "no Python here can be read by every user; install the package python3")
    took: dict[str, list[float]] = {_BARE: [], **{name: [] for name in starts}}
    cpu: dict[str, list[float]] = {name: [] for name in starts}
    for number in range(rounds + 1):
        report(f"starts, round {number} of {rounds}")
        began = time.perf_counter()
        bare = await asyncio.to_thread(_bare, python)
        took[_BARE].append((time.perf_counter() - began) * 1_000)
        _check(_BARE, bare)
        for name, start in starts.items():
            began = time.perf_counter()
            outcome = await start()
            took[name].append((time.perf_counter() - began) * 1_000)
            cpu[name].append(outcome.cpu_ms)
            _check(name, outcome.stdout)
    least = statistics.median(took[_BARE][1:])
    return {
        name: {
            "ms, median": statistics.median(times[1:]),
            "ms, least": min(times[1:]),
            "of bare Python": statistics.median(times[1:]) / least,
            **({"ms of CPU, median": statistics.median(cpu[name][1:])} if name in cpu else {}),
        }
        for name, times in took.items()
    }


def _name(driver: Sandbox) -> str:
    return driver.id.removeprefix("sandbox.")


def _row(driver: Sandbox) -> str:
    """Where the battery, which is of Python programs, is told of."""
    return f"{_name(driver)}, python" if isinstance(driver, Wasm) else _name(driver)


def _bare(python: str) -> bytes:
    command = [python, "-I", "-c", PROGRAM.decode()]
    return subprocess.run(command, input=STDIN, capture_output=True, check=True, timeout=_SETTLED_WITHIN_S).stdout


def _check(name: str, stdout: bytes) -> None:
    if stdout != ANSWER:
        raise Unavailable("sandbox.does_not_run", f"{name} did not answer as it should: {stdout[:200]!r}")


def _promises(rows: dict[str, dict[str, float]]) -> list[Goal]:
    return [
        *(
            Goal(name=f"{name}: a start, of bare Python's", value=rows[name]["of bare Python"], limit=limit)
            for name, limit in AT_MOST_OF_BARE.items()
            if name in rows
        ),
        *(
            Goal(name=f"{name}: ms of a start", value=rows[name]["ms, median"], limit=limit)
            for name, limit in AT_MOST_MS.items()
            if name in rows
        ),
    ]


async def _got_out(driver: Sandbox) -> list[str]:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def tried(name: str) -> tuple[str, Outcome]:
        async with turns:
            return name, await driver.run(PROFILE, ATTEMPTS[name].encode())

    found = await asyncio.gather(*map(tried, ATTEMPTS))
    return [name for name, outcome in found if b"OUT" in outcome.stdout]
