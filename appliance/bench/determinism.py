"""`af bench determinism`: how often equal inputs come to equal decisions, for each kind of planner.

Every kind runs the same input so many times one after another, fifty times at once, and at once again in a process
that is killed and taken up again and again. Runs are the same when the digests of their decisions are: every command,
in order. The share is that of the most frequent digest over all three, with its Wilson interval of 95 %.
"""

import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from appliance.bench.engine import Goal, Report, Result
from runtime.errors import StepFailure

WAYS = ("alone", "at once", "killed")
KILLS = 6
MOST_ROWS_TO_A_KILL = 25
Z_95 = 1.959964
SEED = 20261125
LLM_LEAST_PERCENT = 95.0

_SCRIPTED = 'prompt: "{{ input.goal }}", model: {provider: scripted, answers: {".*": fine}}'
_AGENTS = f"""name: bench
agents:
  search: {{type: llm, role: Finds articles, {_SCRIPTED}}}
  write: {{type: llm, role: Writes the answer, {_SCRIPTED}}}
  check: {{type: llm, role: Checks the answer, {_SCRIPTED}}}
"""
_MACHINE = """
    initial_state: search
    states:
      search: {condition: amount > 10, on_true: write, on_false: done}
      write: {on_success: check}
      check: {conditional_transitions: [{condition: visits.check < 2, target: write}], on_success: done}
    final_states: [done]
"""
_TREE = """
    root:
      type: sequence
      children:
        - {type: selector, children: [{type: condition, check: amount > 100}, {type: action, agent: search}]}
        - {type: repeat, times: 2, child: {type: action, agent: write}}
        - {type: action, agent: check}
"""
_PARALLEL = """
    root:
      type: sequence
      children:
        - {type: parallel, children: [{type: action, agent: search}, {type: action, agent: check}]}
        - {type: action, agent: write}
"""
_LLM = """  type: llm
  model: MODEL
  max_steps: 3
  timeout: 1h
  fallback:
"""
PLANNERS: Mapping[str, str] = {
    "fsm": f"  type: fsm\n  definition:{_MACHINE}",
    "behavior_tree": f"  type: behavior_tree\n  definition:{_TREE}",
    "tree, parallel": f"  type: behavior_tree\n  definition:{_PARALLEL}",
    "llm": f"{_LLM}{_MACHINE}",
}
_PROMISED = {"fsm": 100.0, "behavior_tree": 100.0, "llm": LLM_LEAST_PERCENT}


def bench(*, runs: int, at_once: int, model: str, folder: Path, models: Path, report: Report) -> Result:
    """Run everything; with a local model some seconds for each run of the planner that asks it.

    Raises StepFailure when a process of the benchmark cannot work.
    """
    place = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
    try:
        digests: dict[str, dict[str, list[str]]] = {}
        notes = [f"the plans of 'llm' are made by {model}, at temperature 0"]
        for kind, planner in PLANNERS.items():
            file = place / f"{len(digests)}.yaml"
            file.write_text(f"{_AGENTS}planner:\n{planner.replace('MODEL', model)}", "utf-8")
            digests[kind] = {}
            for way in WAYS:
                report(f"{kind}, {way}")
                wanted = at_once if way == "at once" else runs
                found = _runs(file, wanted, way, place / f"{len(digests)}-{way}", models)
                digests[kind][way] = found["digests"]
                failed = len(found["statuses"]) - found["statuses"].count("succeeded")
                if failed:
                    notes.append(f"{failed} of {wanted} runs of {kind}, {way}, did not succeed")
        rows = {kind: _row(ways) for kind, ways in digests.items()}
    finally:
        shutil.rmtree(place, ignore_errors=True)
    goals = [
        Goal(name=f"same decisions by {kind}, % of runs", value=rows[kind]["all, %"], limit=limit, at_least=True)
        for kind, limit in _PROMISED.items()
        if kind in rows
    ]
    notes.append("in a parallel node the order in which agents answer is part of what is decided on")
    return Result(rows=rows, goals=goals, notes=notes)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The interval that holds the true share with 95 % confidence (Wilson 1927), as ratios."""
    share, square = successes / trials, Z_95**2
    middle = share + square / (2 * trials)
    spread = Z_95 * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    whole = 1 + square / trials
    return max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole)


def _row(ways: Mapping[str, list[str]]) -> dict[str, float]:
    """Shares of the digest that is the most frequent over all ways."""
    counted = Counter(digest for digests in ways.values() for digest in digests)
    (usual, same), *_ = counted.most_common(1)
    row: dict[str, float] = {}
    for way, digests in ways.items():
        row[f"{way}, runs"] = len(digests)
        row[f"{way}, %"] = 100 * digests.count(usual) / len(digests)
    low, high = wilson(same, counted.total())
    row |= {"all, runs": counted.total(), "all, %": 100 * same / counted.total()}
    row |= {"all, from %": 100 * low, "all, to %": 100 * high, "different digests": len(counted)}
    return row


def _runs(file: Path, wanted: int, way: str, data: Path, models: Path) -> dict[str, list[str]]:
    data.mkdir()
    how = "alone" if way == "alone" else "together"
    command = [sys.executable, "-m", "appliance.bench.determinism_runs", str(file), str(wanted), how]
    environment = {**os.environ, "AGENTFLOW_DATA": str(data), "AGENTFLOW_MODELS": str(models)}
    for rows in _moments() if way == "killed" else ():
        _killed(command, environment, rows)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise StepFailure("bench.process_failed", f"a process of the benchmark ended with {done.returncode}: {last[0]}")
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def _moments() -> Iterator[int]:
    """After how many rows each process is killed."""
    moments = random.Random(SEED)
    return (moments.randint(1, MOST_ROWS_TO_A_KILL) for _ in range(KILLS))


def _killed(command: list[str], environment: Mapping[str, str], rows: int) -> None:
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert child.stdout is not None
    for _ in range(rows):
        if not child.stdout.readline():
            break  # it has ended by itself
    child.kill()
    child.communicate()
