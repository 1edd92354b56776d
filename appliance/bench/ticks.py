"""`af bench ticks`: CPU of one tick of a behaviour tree of 31 nodes, beside the same tree written out in plain Python.

`full` is sequences only, and every leaf succeeds, so one tick visits all nodes. `mixed` alternates sequence, parallel,
selector and sequence by level, and every fourth leaf fails. `decision` is what the engine pays for an event of a run
that such a tree plans: fold the answer of a step, tick, fold what was decided. The participants take turns, and each
figure is its best round, so that a busy machine moves all of them alike.
"""

import gc
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from appliance.bench.engine import PEER_TIMEOUT_S, Goal, Report, Result
from runtime.domain.command import StartStep
from runtime.domain.event import Event, RunStarted, StepSucceeded
from runtime.domain.ids import AgentId, DefinitionHash, RunId
from runtime.domain.journal import Entry
from runtime.domain.run import RunState, apply
from runtime.domain.tree import NodeKind, TreeNode
from runtime.domain.workflow import AgentSpec, Workflow
from runtime.errors import Invalid
from runtime.planners.lifecycle import planner_for
from runtime.planners.tree.frame import FAILURE, SUCCESS, Frame, Status
from runtime.planners.tree.tick import NEW, compile_tree, tick
from runtime.ports import Planner

NODES = 31
LEVELS = 4
LIMIT_US = 60
TICKS = 1_000
DECISIONS = 16
"""One for each leaf of the tree."""
MIXED: tuple[NodeKind, ...] = ("sequence", "parallel", "selector", "sequence")

Loop = Callable[[], int]
"""Does some work and says how many ticks it was."""


def bench(*, rounds: int, peers: Path | None, venvs: Path | None, report: Report) -> Result:
    """Measure everything in turns. Raises Invalid when `peers` is no folder of peer scripts."""
    loops: dict[tuple[str, str], Loop] = {
        ("floor", "full_cpu_us"): _floor(),
        ("agentflow", "full_cpu_us"): _ticking(tree("full"), lambda frame, index: SUCCESS),
        ("agentflow", "mixed_cpu_us"): _ticking(tree("mixed"), _fourth_fails(tree("mixed"))),
        ("agentflow", "decision_cpu_us"): _deciding(),
    }
    best = dict.fromkeys(loops, float("inf"))
    for number in range(rounds):
        report(f"round {number + 1} of {rounds}")
        for name, loop in loops.items():
            best[name] = min(best[name], _cpu_us(loop))
    rows: dict[str, dict[str, float]] = {"floor": {}, "agentflow": {}}
    for (participant, figure), value in best.items():
        rows[participant][figure] = value
    notes = ["no peers were measured; give --peers DIR (and --venvs DIR, one environment per peer)"]
    if peers is not None:
        report("py_trees")
        rows["py_trees"], notes = _py_trees(peers, venvs or peers / "venvs")
    return Result(rows={name: row for name, row in rows.items() if row}, goals=_goals(rows), notes=notes)


def tree(kind: str) -> TreeNode:
    """15 nodes with two children each, in four levels, and 16 leaves."""
    numbers = count()

    def build(level: int) -> TreeNode:
        if level == LEVELS:
            return TreeNode(kind="action", agent=AgentId(f"leaf{next(numbers)}"))
        composite = MIXED[level] if kind == "mixed" else "sequence"
        return TreeNode(kind=composite, children=(build(level + 1), build(level + 1)))

    return build(0)


def _fourth_fails(root: TreeNode) -> Callable[[Frame, int], Status]:
    answers = [FAILURE if node.leaf[-1:] in "37" else SUCCESS for node in root.nodes()]
    return lambda frame, index: answers[index]


def _ticking(root: TreeNode, answer: Callable[[Frame, int], Status]) -> Loop:
    compiled = compile_tree(root)
    assert len(compiled.nodes) == NODES

    def loop() -> int:
        memory = NEW
        for _ in range(TICKS):
            memory = tick(compiled, memory, answer=answer, holds=lambda text: True).memory
        return TICKS

    return loop


def _deciding() -> Loop:
    root = tree("full")
    agents = {node.agent: AgentSpec(id=node.agent, type="bench") for node in root.nodes() if node.agent is not None}
    planner = planner_for(
        Workflow(name="bench", hash=DefinitionHash(""), agents=agents, planner="behavior_tree", tree=root)
    )

    def loop() -> int:
        for _ in range(TICKS // DECISIONS // 4):
            _run(planner)
        return TICKS // DECISIONS // 4 * DECISIONS

    return loop


def _run(planner: Planner) -> None:
    state = RunState(run=RunId("r-bench"))
    started = _feed(state, planner, RunStarted(workflow="bench", definition=DefinitionHash(""), input=None))
    while started is not None:
        started = _feed(state, planner, StepSucceeded(step=started.step, output={"n": 1}))
    assert state.status == "succeeded"


def _feed(state: RunState, planner: Planner, event: Event) -> StartStep | None:
    started = None
    apply(state, Entry(state.seq + 1, 0, event))
    for command in planner.decide(state, event):
        apply(state, Entry(state.seq + 1, 0, command))
        if isinstance(command, StartStep):
            started = command
    return started


def _floor() -> Loop:
    """The tick of `full` as somebody would write it who needs nothing else: no state, no halting, no memory."""

    def leaf() -> bool:
        return True

    def sequence(children: list[Callable[[], bool]]) -> Callable[[], bool]:
        def tick_all() -> bool:
            return all(child() for child in children)

        return tick_all

    def build(level: int) -> Callable[[], bool]:
        return leaf if level == LEVELS else sequence([build(level + 1), build(level + 1)])

    root = build(0)

    def loop() -> int:
        for _ in range(TICKS):
            root()
        return TICKS

    return loop


def _cpu_us(loop: Loop) -> float:
    gc.collect()
    began = time.thread_time_ns()
    ticks = loop()
    return (time.thread_time_ns() - began) / ticks / 1_000


def _py_trees(peers: Path, venvs: Path) -> tuple[dict[str, float], list[str]]:
    script, python = peers / "bench_bt.py", venvs / "pytrees" / "bin" / "python"
    if not script.exists():
        raise Invalid("bench.no_peers", f"{peers} holds no peer scripts; expected common.py and bench_*.py there")
    if not python.exists():
        return {}, [f"py_trees was not measured: no environment at {python}"]
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as results:
        command = [str(python), str(script), "--json", results.name]
        try:
            subprocess.run(command, capture_output=True, timeout=PEER_TIMEOUT_S, check=True)
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            return {}, [f"py_trees was not measured: {type(error).__name__}"]
        lines = [json.loads(line) for line in Path(results.name).read_text().splitlines()]
    figures = {line["case"]: float(line["cpu_us_best_mean"]) for line in lines}
    return {f"{kind}_cpu_us": figures[f"py_trees-{kind}-{NODES}"] for kind in ("full", "mixed")}, []


def _goals(rows: dict[str, dict[str, float]]) -> list[Goal]:
    own = rows["agentflow"]
    goals = [
        Goal(name="µs of CPU per tick of 31 nodes", value=own["full_cpu_us"], limit=LIMIT_US),
        Goal(name="the same, mixed and failing", value=own["mixed_cpu_us"], limit=LIMIT_US),
        Goal(name="tick over the floor's", value=own["full_cpu_us"] / rows["floor"]["full_cpu_us"], limit=20),
    ]
    peer = rows.get("py_trees") or {}
    if "full_cpu_us" in peer:
        ratio = peer["full_cpu_us"] / own["full_cpu_us"]
        goals.append(Goal(name="py_trees' CPU over ours", value=ratio, limit=4, at_least=True))
    return goals
