"""`af bench engine`: what the engine costs, as ratios to the bare database driver and to peers in the same run.

Each figure comes from a process of its own, and the processes take turns, so that a machine whose speed drifts moves
all of them alike. CPU, syncs and bytes hardly depend on the load of the machine; rates do: read them as ratios.
"""

import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from appliance.bench.starts import api_post_cpu_ms, help_cpu_s, serve_cpu_s
from appliance.bench.transitions import transition_cpu_us
from runtime.errors import Invalid

PEERS: Mapping[str, tuple[str, str, str]] = {
    "langgraph": ("langgraph", "bench_langgraph.py", "sync"),
    "dbos": ("dbos", "bench_dbos.py", ""),
}
"""Peer → its virtual environment, its script, and the mode in which each of its steps is durable."""
FIGURES = ("seq_steps_s_best", "con_steps_s_best", "seq_cpu_us_step", "con_cpu_us_step", "bytes_per_workflow")
STEPS = 10
PEER_TIMEOUT_S = 300

Report = Callable[[str], None]


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """One number that is promised, and what it was this time."""

    name: str
    value: float
    limit: float
    at_least: bool = False
    """Whether the value may not be below the limit; otherwise not above it."""

    @property
    def is_met(self) -> bool:
        """Whether the promise held."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured."""

    rows: dict[str, dict[str, float]]
    """Participant → figure → median over the passes."""
    goals: list[Goal]
    notes: list[str]
    """What could not be measured, and why."""


def bench(
    *,
    passes: int,
    sequential: int,
    concurrent: int,
    folder: Path | None,
    peers: Path | None,
    venvs: Path | None,
    report: Report,
) -> Result:
    """Run everything, a few minutes with peers. `report` hears what is being measured.

    Raises Invalid when `peers` is no folder of peer scripts.
    """
    participants, notes = _participants(peers, venvs)
    load = ["--sequential", str(sequential), "--concurrent", str(concurrent), "--rounds", "1"]
    load += ["--dir", str(folder)] if folder else []
    passed: dict[str, list[dict[str, float]]] = {name: [] for name in participants}
    for number in range(passes):
        for name, command in participants.items():
            report(f"pass {number + 1} of {passes}: {name}")
            figures = _run([*command, *load])
            if figures is None:
                notes.append(f"{name} failed or took over {PEER_TIMEOUT_S} s in pass {number + 1}")
            else:
                passed[name].append(figures)
    rows = {name: _medians(runs) for name, runs in passed.items() if runs}
    report("growth with the number of steps")
    rows["agentflow"]["bytes_per_step_at_100"] = _bytes_per_step(100, load[-2:] if folder else [])
    report("disk syncs")
    rows["agentflow"].update(_syncs(folder, concurrent, notes))
    report("transitions")
    rows["agentflow"].update(_transitions())
    report("start of the program")
    rows["agentflow"].update(_starts())
    return Result(rows=rows, goals=_goals(rows), notes=notes)


def _participants(peers: Path | None, venvs: Path | None) -> tuple[dict[str, list[str]], list[str]]:
    own = {
        "floor": [sys.executable, "-m", "appliance.bench.floor"],
        "agentflow": [sys.executable, "-m", "appliance.bench.workload"],
    }
    notes: list[str] = []
    if peers is None:
        return own, ["no peers were measured; give --peers DIR (and --venvs DIR, one environment per peer)"]
    if not (peers / "common.py").exists():
        raise Invalid("bench.no_peers", f"{peers} holds no peer scripts; expected common.py and bench_*.py there")
    for name, (environment, script, mode) in PEERS.items():
        python = (venvs or peers / "venvs") / environment / "bin" / "python"
        if python.exists():
            own[name] = [str(python), str(peers / script), *(["--mode", mode] if mode else [])]
        else:
            notes.append(f"{name} was not measured: no environment at {python}")
    return own, notes


def _run(command: Sequence[str]) -> dict[str, float] | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PEER_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode != 0:
        return None
    printed = json.loads(done.stdout)
    return {name: float(printed[name]) for name in (*FIGURES, "bytes_per_step_beyond_output") if name in printed}


def _medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _bytes_per_step(steps: int, where: Sequence[str]) -> float:
    few = ["--steps", str(steps), "--sequential", "10", "--concurrent", "10", "--rounds", "1"]
    figures = _run([sys.executable, "-m", "appliance.bench.workload", *few, *where])
    return figures["bytes_per_step_beyond_output"] if figures else float("nan")


def _syncs(folder: Path | None, concurrent: int, notes: list[str]) -> dict[str, float]:
    """Syncs per step by strace: the slope between a short and a long load, so that opening the file does not count."""
    if shutil.which("strace") is None:
        notes.append("syncs were not counted: strace is not installed")
        return {}
    alone = [_count_syncs(folder, sequential=n, concurrent=1) for n in (20, 60)]
    together = [_count_syncs(folder, sequential=1, concurrent=concurrent, rounds=n) for n in (1, 5)]
    return {
        "syncs_per_step_alone": (alone[1] - alone[0]) / (40 * STEPS),
        f"syncs_per_step_{concurrent}_at_once": (together[1] - together[0]) / (4 * (concurrent + 1) * STEPS),
    }


def _count_syncs(folder: Path | None, *, sequential: int, concurrent: int, rounds: int = 1) -> int:
    with tempfile.NamedTemporaryFile(suffix=".strace") as trace:
        command = ["strace", "-f", "-q", "-e", "trace=fsync,fdatasync", "-o", trace.name]
        command += [sys.executable, "-m", "appliance.bench.workload", "--rounds", str(rounds)]
        command += ["--sequential", str(sequential), "--concurrent", str(concurrent)]
        command += ["--dir", str(folder)] if folder else []
        subprocess.run(command, check=True, capture_output=True)
        return len(re.findall(r"f(?:data)?sync\(", Path(trace.name).read_text()))


def _transitions() -> dict[str, float]:
    """µs of CPU per transition (fold the event, decide, fold the commands), plain and with a compiled condition."""
    return {
        "transition_cpu_us": transition_cpu_us(condition=""),
        "condition_cpu_us": transition_cpu_us(condition="response.n >= 0"),
    }


def _starts() -> dict[str, float]:
    return {"help_cpu_s": help_cpu_s(), "serve_ready_cpu_s": serve_cpu_s(), "api_post_cpu_ms": api_post_cpu_ms()}


def _goals(rows: Mapping[str, Mapping[str, float]]) -> list[Goal]:
    own, floor = rows["agentflow"], rows["floor"]
    goals = [
        Goal(
            name="CPU per step over the floor's insert",
            value=own["seq_cpu_us_step"] / floor["seq_cpu_us_step"],
            limit=10,
        ),
        Goal(name="bytes kept per step beyond its output", value=own["bytes_per_step_beyond_output"], limit=400),
        Goal(name="the same with 100 steps", value=own["bytes_per_step_at_100"], limit=400),
        Goal(name="µs of CPU per transition", value=own["transition_cpu_us"], limit=10),
        Goal(name="µs of CPU with a condition", value=own["condition_cpu_us"], limit=20),
        Goal(name="s of CPU for af --help", value=own["help_cpu_s"], limit=0.35),
        Goal(name="s of CPU from af serve to /readyz", value=own["serve_ready_cpu_s"], limit=1.5),
        Goal(name="ms of CPU that POST /v1/runs adds", value=own["api_post_cpu_ms"], limit=1.0),
    ]
    for name, limit in (("syncs_per_step_alone", 1.1), ("syncs_per_step_50_at_once", 0.2)):
        if name in own:
            goals.append(Goal(name=name.replace("_", " "), value=own[name], limit=limit))
    for peer in PEERS:
        if peer in rows:
            ratio = own["con_steps_s_best"] / rows[peer]["con_steps_s_best"]
            goals.append(Goal(name=f"steps/s over {peer}, many at once", value=ratio, limit=5, at_least=True))
    return goals
