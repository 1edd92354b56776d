"""A tree plans a run: each event ticks it, what it starts and halts is started and stopped, and it ends."""

import msgspec
import pytest

from runtime.domain.canonical import Json
from runtime.domain.command import AwaitSignal, Command, FinishRun, KeepTree, SetTimer, StartStep, StopStep
from runtime.domain.event import CancelRequested, ErrorInfo, SignalReceived, TimerFired
from runtime.domain.ids import AgentId, DefinitionHash, StepId
from runtime.domain.tree import TreeNode
from runtime.domain.workflow import AgentSpec, RetryPolicy, Workflow
from tests.runtime.planners.test_fsm import Drive

SUCCEED, FAIL = TreeNode(kind="always_success"), TreeNode(kind="always_failure")


def act(agent: str, name: str = "") -> TreeNode:
    return TreeNode(kind="action", agent=AgentId(agent), name=name)


def when(check: str) -> TreeNode:
    return TreeNode(kind="condition", check=check)


def node(kind: str, *children: TreeNode, **fields: object) -> TreeNode:
    return TreeNode(kind=kind, children=children, **fields)  # type: ignore[arg-type]  # as in the definition


def drive(root: TreeNode, given: Json = None, *, max_steps: int = 1_000) -> Drive:
    agents = {
        AgentId(name): AgentSpec(id=AgentId(name), type="llm", retry=RetryPolicy(max_attempts=2)) for name in "abc"
    }
    hashed = DefinitionHash("sha256:0")
    return Drive(
        Workflow(name="w", hash=hashed, agents=agents, planner="behavior_tree", tree=root, max_steps=max_steps), given
    )


def steps(commands: list[Command]) -> list[str]:
    """What was started (`a`) and stopped (`-a`)."""
    return [
        command.step if isinstance(command, StartStep) else f"-{command.step}"
        for command in commands
        if isinstance(command, StartStep | StopStep)
    ]


def test_a_sequence_starts_each_agent_when_the_one_before_has_answered() -> None:
    tree = drive(node("sequence", act("a"), act("b")))
    assert (["a"], ["b"], []) == (steps(tree.first), steps(tree.succeed("a")), steps(tree.succeed("b")))
    assert "succeeded" == str(tree.state.status)


def test_a_parallel_starts_all_at_once_and_halts_the_rest() -> None:
    """What runs longer than it is wanted is cancelled, not waited for."""
    tree = drive(node("parallel", act("a"), act("b"), act("c"), limit=2, failures=3))
    assert ["a", "b", "c"] == steps(tree.first)
    assert [] == steps(tree.succeed("b"))
    assert ["-a"] == steps(tree.succeed("c"))
    assert ("succeeded", "stopped") == (tree.state.status, tree.state.steps[StepId("a")].status)


def test_a_reactive_sequence_halts_its_action_when_its_condition_no_longer_holds() -> None:
    """That is what it is for: an answer of one branch makes another one stop."""
    guarded = node("reactive_sequence", when("!has(steps.b) || steps.b.calm"), act("a"))
    tree = drive(node("parallel_all", guarded, act("b"), limit=1))
    assert ["a", "b"] == steps(tree.first)
    assert ["-a"] == steps(tree.succeed("b", {"calm": False}))
    assert "failed" == tree.state.status


def test_a_second_visit_of_an_agent_is_a_step_of_its_own() -> None:
    tree = drive(node("retry_until_successful", act("a"), limit=2))
    assert ["a~2"] == steps(tree.fail("a"))
    assert [FinishRun(status="failed", error=ErrorInfo("x.y", "it broke"))] == tree.fail("a~2")


def test_two_actions_of_one_agent_at_once_are_two_steps() -> None:
    tree = drive(node("parallel", act("a"), act("a"), act("a", "again")))
    assert ["a", "a~2", "again"] == steps(tree.first)
    assert [None, None, "a"] == [command.agent for command in tree.first if isinstance(command, StartStep)]
    for step in ("a~2", "again", "a"):
        tree.succeed(step)
    assert "succeeded" == str(tree.state.status)


def test_an_agents_own_retries_come_before_the_trees() -> None:
    """The tree hears of a failure when the agent has given up."""
    tree = drive(node("selector", act("a"), act("b")))
    (again,) = tree.fail("a", retryable=True)
    assert ("a", 2) == (again.step, again.attempt)  # type: ignore[union-attr]  # a StartStep
    assert ["b"] == steps(tree.fail("a", retryable=True))


def test_the_expression_that_held_is_why() -> None:
    branches = node(
        "conditional_selector", act("a"), act("b"), act("c"), expressions=("input.n > 5", "input.n > 3", "")
    )
    assert [StartStep(step=StepId("b"), why="input.n > 3")] == drive(branches, {"n": 4}).first[:1]
    assert [StartStep(step=StepId("c"))] == drive(branches, {"n": 1}).first[:1]


def test_a_conditional_selector_stays_with_its_choice() -> None:
    """The answers of its own child must not make it change over."""
    branches = node(
        "conditional_selector", node("sequence", act("a"), act("b")), act("c"), expressions=("!has(steps.a)", "")
    )
    tree = drive(branches)
    assert ["b"] == steps(tree.succeed("a"))


def test_a_conditional_selector_without_a_branch_that_holds_fails() -> None:
    (end,) = drive(node("conditional_selector", act("a"), expressions=("false",))).first
    assert isinstance(end, FinishRun)
    assert "failed" == end.status


@pytest.mark.parametrize(
    "root",
    [
        when("input.unsafe"),
        node("inverter", when("input.unsafe")),
        node("inverter", node("sequence", SUCCEED, when("input.unsafe"))),
        node("if_then_else", when("input.unsafe"), act("a"), act("b")),
        node("while_do_else", when("input.unsafe"), act("a"), act("b")),
        node("conditional_selector", act("a"), act("b"), expressions=("input.unsafe", "")),
    ],
    ids=lambda root: root.kind,
)
def test_what_cannot_be_decided_is_never_taken_for_false(root: TreeNode) -> None:
    """`not unsafe` must not hold because nobody looked."""
    (end,) = drive(root, {}).first
    assert isinstance(end, FinishRun)
    assert end.error is not None
    assert ("failed", "condition.error") == (end.status, end.error.code)


def test_a_selector_takes_over_from_what_cannot_be_decided() -> None:
    """The error is a failure like others to what stands beside it."""
    assert ["a"] == steps(drive(node("selector", when("input.unsafe"), act("a")), {}).first)


def test_a_time_limit_halts_its_action_and_fails() -> None:
    tree = drive(node("selector", node("timeout", act("a"), timeout_ms=2_000), act("b")))
    assert SetTimer(timer="timeout:1", delay_ms=2_000) in tree.first
    assert ["-a", "b"] == steps(tree.feed(TimerFired(timer="timeout:1")))


def test_a_time_limit_that_is_not_needed_any_more_is_taken_back() -> None:
    """It would tick the tree for nothing, and hold up nobody but the reader of the journal."""
    tree = drive(node("sequence", node("timeout", act("a"), timeout_ms=2_000), act("b")))
    kept = tree.succeed("a")[-1]
    assert isinstance(kept, KeepTree)
    assert ("timeout:1",) == kept.stopped
    assert {} == tree.state.timers


def test_a_time_limit_that_is_set_again_is_another_one() -> None:
    """A timer that was on its way when it was taken back must not be taken for the new one."""
    tree = drive(node("retry_until_successful", node("timeout", act("a"), timeout_ms=2_000), limit=3))
    tree.fail("a")
    assert ["timeout:1~2"] == list(tree.state.timers)
    tree.state.timers["timeout:1"] = 0
    assert [] == steps(tree.feed(TimerFired(timer="timeout:1")))
    assert ["-a~2", "a~3"] == steps(tree.feed(TimerFired(timer="timeout:1~2")))


def test_the_error_of_a_time_limit_names_what_took_too_long() -> None:
    tree = drive(node("timeout", act("a"), timeout_ms=2_000, name="answer"))
    end = tree.feed(TimerFired(timer="timeout:0"))[-1]
    assert FinishRun(status="failed", error=ErrorInfo("tree.timeout", "'answer' took longer than 2 s")) == end


@pytest.mark.parametrize("root", [when("input.n > 5"), node("sequence", SUCCEED, when("input.n > 5"))])
def test_a_tree_that_fails_says_at_which_leaf(root: TreeNode) -> None:
    (end,) = drive(root, {"n": 4}).first
    assert FinishRun(status="failed", error=ErrorInfo("tree.failed", "condition 'input.n > 5' does not hold")) == end


def test_keep_running_until_failure_begins_again_at_once() -> None:
    """Nothing polls: waiting for the next tick would be waiting for ever."""
    tree = drive(node("keep_running_until_failure", act("a")))
    assert ["a~2"] == steps(tree.succeed("a"))
    assert "failed" == (tree.fail("a~2") and tree.state.status)


def test_a_condition_that_is_retried_waits_for_events() -> None:
    """It holds when another branch has found something, and costs nothing until then."""
    waits = node("retry_until_successful", when("has(steps.a)"), limit=-1)
    tree = drive(node("parallel", waits, node("sequence", act("a"), act("b"))))
    assert ["a"] == steps(tree.first)
    tree.succeed("a")
    tree.succeed("b")
    assert "succeeded" == str(tree.state.status)


@pytest.mark.parametrize(
    "root",
    [
        node("keep_running_until_failure", SUCCEED),
        node("retry_until_successful", FAIL, limit=-1),
        node("keep_running_until_failure", node("run_once", SUCCEED)),
    ],
)
def test_a_tree_that_waits_for_nothing_ends_its_run(root: TreeNode) -> None:
    """No event will ever come."""
    (end,) = drive(root).first
    assert isinstance(end, FinishRun)
    assert end.error is not None
    assert ("failed", "tree.stuck") == (end.status, end.error.code)


def test_ticks_without_an_event_between_them_have_an_end() -> None:
    cycles = node("repeat", node("repeat", SUCCEED, limit=1_000), limit=1_000)
    (end,) = drive(cycles).first
    assert isinstance(end, FinishRun)
    assert end.error is not None
    assert "plan.too_long" == end.error.code


def test_loops_end_at_the_limit_of_steps() -> None:
    tree = drive(node("repeat", act("a"), limit=-1), max_steps=3)
    for step in ("a", "a~2", "a~3"):
        tree.succeed(step)
    assert tree.state.error is not None
    assert ("failed", "plan.too_long") == (tree.state.status, tree.state.error.code)


def test_what_ends_a_run_outside_its_tree_stops_what_is_open() -> None:
    tree = drive(node("parallel_all", act("b"), node("repeat", act("a"), limit=-1), limit=1), max_steps=2)
    assert ["-b"] == steps(tree.succeed("a"))
    assert "failed" == tree.state.status


def test_cancelling_stops_all_that_runs() -> None:
    tree = drive(node("parallel", act("a"), act("b")))
    assert ["-a", "-b"] == steps(tree.feed(CancelRequested(reason="enough")))
    assert "cancelled" == tree.state.status


def test_a_tree_that_is_skipped_has_succeeded() -> None:
    """As a second time of what runs once: there was nothing left to do."""
    tree = drive(node("repeat", node("run_once", act("a")), limit=2))
    tree.succeed("a")
    assert "succeeded" == str(tree.state.status)


def test_memory_that_did_not_change_is_not_kept_again() -> None:
    """The journal grows by what happens."""
    tree = drive(node("parallel", act("a"), node("retry_until_successful", when("has(steps.b)"), limit=-1)))
    before = msgspec.to_builtins(tree.state.tree)
    tree.state.timers["timeout:1"] = 0
    assert [] == tree.feed(TimerFired(timer="timeout:1"))
    assert before == msgspec.to_builtins(tree.state.tree)


def wait(signal: str, **fields: object) -> TreeNode:
    return TreeNode(kind="wait", signal=signal, **fields)  # type: ignore[arg-type]  # as in the definition


def test_a_wait_runs_until_somebody_signals() -> None:
    """What they send is its output, which conditions read by the name of the wait."""
    tree = drive(node("sequence", wait("go", name="approval"), when("approval.approved"), act("a")))
    assert [AwaitSignal(step=StepId("approval"), signal="go")] == tree.first[:1]
    assert "waiting" == str(tree.state.status)
    assert ["a"] == steps(tree.feed(SignalReceived(name="go", payload={"approved": True})))
    assert "running" == str(tree.state.status)


def test_a_wait_that_nobody_answers_in_time_fails() -> None:
    """And is over: a later signal finds nobody."""
    tree = drive(node("selector", wait("go", timeout_ms=5_000), act("a")))
    assert {"go": 5_000_000} == {timer: due - tree.state.at_us for timer, due in tree.state.timers.items()}
    assert ["-go", "a"] == steps(tree.feed(TimerFired(timer="go")))
    assert ({}, ["a"]) == (tree.state.awaited(), list(tree.state.open))
    failed = drive(wait("go", timeout_ms=5_000)).feed(TimerFired(timer="go"))
    error = ErrorInfo("wait.timeout", "nobody answered step 'go' in time")
    assert [StopStep(step=StepId("go")), FinishRun(status="failed", error=error)] == failed


def test_a_wait_is_halted_with_its_branch() -> None:
    """Its time limit goes with it."""
    tree = drive(node("parallel", wait("go", timeout_ms=5_000), act("a"), limit=1, failures=2))
    assert ["-go"] == steps(tree.succeed("a"))
    assert ("succeeded", {}) == (tree.state.status, tree.state.timers)


def test_a_run_waits_once_nothing_but_waits_is_left() -> None:
    """Whoever waits for the run is told then, and not before."""
    tree = drive(node("parallel_all", wait("go"), act("a"), wait("stop"), limit=1))
    assert "running" == str(tree.state.status)
    tree.succeed("a")
    assert "waiting" == str(tree.state.status)
    tree.feed(SignalReceived(name="stop"))
    assert "waiting" == str(tree.state.status)
    tree.feed(SignalReceived(name="go"))
    assert "succeeded" == str(tree.state.status)
