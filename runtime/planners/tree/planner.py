"""The behaviour-tree planner: tick the tree on every event, start the actions that it starts, stop those it halts.

An action runs while its agent works, and comes to success or failure with it; a wait runs until somebody signals. A
tick after which the tree still runs is followed by another at once when a node asked for it, or when nothing else
could make it go on, as long as ticking changes something. What the tree remembers goes into the journal (`KeepTree`),
so a fold has it again. A tree whose root does not run between two events has come to its end, or was given up.
"""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import UnsetType

from runtime.domain.canonical import Json
from runtime.domain.command import (
    TREE_AGAIN,
    TREE_TIMERS,
    AwaitSignal,
    Command,
    FinishRun,
    KeepTree,
    SetTimer,
    StartStep,
    StopStep,
)
from runtime.domain.event import CancelRequested, ErrorInfo, Event, TimerFired
from runtime.domain.ids import StepId, step_id
from runtime.domain.run import RunState
from runtime.domain.tree import TreeMemory, TreeNode
from runtime.domain.workflow import Workflow
from runtime.planners.conditions import Condition, compile_condition
from runtime.planners.scope import scope
from runtime.planners.tree.frame import FAILURE, IDLE, LETTERS, RUNNING, SUCCESS, Act, Frame, Status
from runtime.planners.tree.tick import NEW, Tree, compile_tree, halt_frame, tick_frame

MAX_TICKS = 1_000
"""Ticks in a row without an event, before the tree counts as going in circles."""
MAX_VISITS = 100_000
"""Nodes that these may visit together, so that a large tree does not hold up the others either."""
STUCK = "tree.stuck"
_COMES_TO: dict[str, Status] = {"succeeded": SUCCESS, "failed": FAILURE}


class TreePlanner:
    """Plans one workflow; built once per definition, with its tree and its conditions compiled."""

    def __init__(self, workflow: Workflow) -> None:
        assert workflow.tree is not None, "a workflow that a tree plans has one"
        self._plan = _Plan(
            compile_tree(workflow.tree), _conditions(workflow.tree), workflow.max_steps, bool(workflow.replan)
        )

    def decide(self, state: RunState, event: Event) -> Sequence[Command]:
        """The commands that follow from `event`, which has been folded into `state`."""
        if isinstance(event, CancelRequested):
            return []
        return _Decision(self._plan, state, event).commands()

    def has(self, name: str) -> bool:
        """No: a tree is begun at its root, and goes on nowhere else."""
        return False

    def owns(self, state: RunState, step: StepId) -> bool:
        """Whether the tree runs; while it does, nothing acts beside it."""
        return not isinstance(state.tree, UnsetType) and state.tree.statuses[:1] == LETTERS[RUNNING]

    def place_of(self, name: str) -> str:
        """The tree as a whole."""
        return ""

    def enter(self, state: RunState, name: str, *, why: str, delay_ms: int = 0) -> list[Command]:
        """Tick the tree again, with what it remembers."""
        if delay_ms:
            return [SetTimer(timer=f"{TREE_AGAIN}{len(state.replans or ()) + 1}", delay_ms=delay_ms)]
        return _Decision(self._plan, state, None).commands()

    def jump(self, state: RunState, name: str, *, why: str) -> list[Command]:
        """The same at once; there is nowhere to jump to."""
        return self.enter(state, name, why=why)

    def give_up(self, state: RunState, *, why: str) -> list[Command]:
        """Nothing: no plan stands behind a tree."""
        return []

    def ask_again(self, state: RunState, *, why: str) -> list[Command]:
        """Nothing: nobody makes a tree while a run goes on."""
        return []

    def accept(self, state: RunState, payload: Json) -> list[Command]:
        """Nothing: a person has the tree ticked again, or names an agent."""
        return []

    def stop(self, state: RunState) -> list[Command]:
        """Halt the tree, and stop what acts beside it."""
        return _Decision(self._plan, state, None).halted()


class _Plan(NamedTuple):
    tree: Tree
    conditions: dict[str, Condition]
    max_steps: int
    is_changeable: bool
    """Whether the run may go on behind a failure of the tree."""


class _Decision:
    """One event's ticks; without an event, those that somebody wants now."""

    def __init__(self, plan: _Plan, state: RunState, event: Event | None) -> None:
        self._plan = plan
        self._state = state
        memory = NEW if isinstance(state.tree, UnsetType) else state.tree
        self._frame = Frame(memory, len(plan.tree.nodes), answer=self._answer, holds=self._holds)
        self._frame.fired = _fired(event, self._frame)
        self._unanswered = event.timer if isinstance(event, TimerFired) else ""
        self._before = memory
        self._started: dict[StepId, str] = {}
        self._open = set(state.open)
        self._error: ErrorInfo | None = None
        self._commands: list[Command] = []
        self._disarmed: list[str] = []

    def commands(self) -> list[Command]:
        """Tick until the tree waits or is done; what is to be done then."""
        memory = self._before
        most_ticks = min(MAX_TICKS, MAX_VISITS // len(self._plan.tree.nodes))
        for _ in range(most_ticks):
            self._frame.begin()
            status = tick_frame(self._plan.tree, self._frame)
            if self._error is not None:
                return self._fails(self._error)
            if status != RUNNING:
                return self._ends(status)
            self._frame.fired = frozenset()
            self._carry_over(self._frame.acts)
            known, memory = memory, self._frame.memory()
            has_changed = memory != known or any(act.what != "running" for act in self._frame.acts)
            if self._open and not (self._frame.is_woken and has_changed):
                return self._waits(memory)
            if not has_changed:
                stuck = "the tree runs, but nothing that could make it go on is under way"
                return self._fails(ErrorInfo(STUCK, stuck))
        return self._fails(_too_many(f"{most_ticks:,} ticks in a row"))

    def halted(self) -> list[Command]:
        """Stop everything; what is remembered then."""
        self._frame.begin()
        halt_frame(self._plan.tree, self._frame)
        self._carry_over(self._frame.acts)
        stopped = {command.step for command in self._commands if isinstance(command, StopStep)}
        self._commands += [StopStep(step=step) for step in self._state.open if step not in stopped]
        self._disarmed += [timer for timer in self._state.timers if timer.startswith(TREE_AGAIN)]
        return self._waits(self._frame.memory())

    def _waits(self, memory: TreeMemory) -> list[Command]:
        if memory != self._before or self._disarmed:
            self._commands.append(KeepTree(memory=memory, stopped=tuple(self._disarmed)))
        return self._commands

    def _ends(self, status: Status) -> list[Command]:
        self._carry_over(self._frame.acts)
        if status != FAILURE:
            return [*self._commands, FinishRun(status="succeeded")]
        finish = FinishRun(status="failed", error=self._fault())
        return [*self._waits(self._frame.memory()), finish] if self._plan.is_changeable else [*self._commands, finish]

    def _fails(self, error: ErrorInfo) -> list[Command]:
        """Give up a tree that goes nowhere, with all that it has under way."""
        finish = FinishRun(status="failed", error=error)
        if self._plan.is_changeable and error.code == STUCK:
            return [*_Decision(self._plan, self._state, None).halted(), finish]
        return [*(StopStep(step=step) for step in self._state.open), finish]

    def _fault(self) -> ErrorInfo:
        """Why the tree failed: the leaf that failed last."""
        fault = self._frame.fault
        if isinstance(fault, ErrorInfo):
            return fault
        node = self._plan.tree.nodes[fault or 0]
        if node.kind == "action":
            step = self._state.last_failed
            error = self._state.steps[step].error if step is not None else None
            return error or ErrorInfo("tree.failed", f"action {node.leaf!r} failed")
        if node.kind == "condition":
            return ErrorInfo("tree.failed", f"condition {node.check!r} does not hold")
        if node.kind == "wait":
            return ErrorInfo("wait.timeout", f"nobody answered step {node.leaf!r} in time")
        if node.kind == "timeout":
            return ErrorInfo("tree.timeout", f"{node.leaf!r} took longer than {node.timeout_ms / 1000:g} s")
        return ErrorInfo("tree.failed", f"the tree failed at {node.leaf!r}")

    def _answer(self, frame: Frame, index: int) -> Status:
        node = self._plan.tree.nodes[index]
        if frame.status[index] == IDLE:
            return self._start(frame, index, node)
        name = step_id(node.leaf, frame.a[index])
        if name == self._unanswered and name in self._open:
            self._halt(name)
            return FAILURE
        step = self._state.steps.get(name)
        return _COMES_TO.get(step.status, RUNNING) if step is not None else RUNNING

    def _start(self, frame: Frame, index: int, node: TreeNode) -> Status:
        if len(self._state.steps) + len(self._started) >= self._plan.max_steps:
            self._error = _too_many(f"{self._plan.max_steps:,} steps")
            return FAILURE
        visit = self._state.visits.get(node.leaf, 0) + sum(name == node.leaf for name in self._started.values()) + 1
        frame.a[index] = visit
        self._started[step_id(node.leaf, visit)] = node.leaf
        return RUNNING

    def _holds(self, text: str) -> bool | ErrorInfo:
        condition = self._plan.conditions[text]
        return condition.holds(scope(self._state, condition.roots))

    def _carry_over(self, acts: list[Act]) -> None:
        for act in acts:
            node = self._plan.tree.nodes[act.node]
            match act.what:
                case "start":
                    step = step_id(node.leaf, act.mark)
                    self._commands.append(_begins(node, step, act.why))
                    self._open.add(step)
                case "halt":
                    self._halt(step_id(node.leaf, act.mark))
                case "arm":
                    self._commands.append(SetTimer(timer=_timer(act), delay_ms=node.timeout_ms))
                case "disarm":
                    self._disarmed.append(_timer(act))

    def _halt(self, step: StepId) -> None:
        self._commands.append(StopStep(step=step))
        self._open.discard(step)


def _conditions(root: TreeNode) -> dict[str, Condition]:
    texts = {text for node in root.nodes() for text in (node.check, *node.expressions) if text}
    return {text: compile_condition(text) for text in sorted(texts)}


def _begins(node: TreeNode, step: StepId, why: str) -> Command:
    if node.kind == "wait":
        return AwaitSignal(step=step, signal=node.signal, timeout_ms=node.timeout_ms, why=why)
    return StartStep(step=step, agent=None if node.agent == node.leaf else node.agent, why=why)


def _timer(act: Act) -> str:
    return step_id(f"{TREE_TIMERS}{act.node}", act.mark)


def _fired(event: Event | None, frame: Frame) -> frozenset[int]:
    """The node whose time limit has passed, when it is the one that is running now."""
    if not isinstance(event, TimerFired) or not event.timer.startswith(TREE_TIMERS):
        return frozenset()
    place, _, count = event.timer.removeprefix(TREE_TIMERS).partition("~")
    return frozenset({int(place)}) if frame.b[int(place)] == int(count or 1) else frozenset()


def _too_many(what: str) -> ErrorInfo:
    return ErrorInfo("plan.too_long", f"the run reached its limit of {what}; look for a loop, or raise max_steps")
