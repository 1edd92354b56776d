"""Trees and plans of a model are changed like machines: tried again, repaired, handed over, or shown to a person."""

from appliance.loader import check_bytes
from runtime.domain.canonical import Json
from runtime.domain.command import AwaitSignal, Command, FinishRun, KeepPlan, KeepTree, Replan, SetTimer, StartStep
from runtime.domain.event import ErrorInfo, SignalReceived, StepFailed, TimerFired
from runtime.domain.ids import StepId
from tests.runtime.planners.test_fsm import Drive

AGENTS = "agents: {a: {type: llm}, b: {type: llm}, c: {type: llm}, d: {type: llm}}\n"
TREE = """
planner:
  type: behavior_tree
  root:
    type: sequence
    children:
      - {type: run_once, then_skip: true, child: {type: action, agent: a}}
      - {type: timeout, timeout: 9s, child: {type: action, agent: b}}
      - {type: condition, check: "b.ok == true"}
"""
MODEL = """
planner:
  type: llm
  model: m
  agents: [a, b, c]
  fallback: {states: {c: {on_success: done}}, initial_state: c, final_states: [done]}
"""


def drive(plan: str, *rules: str) -> Drive:
    """A run whose plan is changed by these rules; agents are tried once."""
    listed = "".join(f"    - {rule}\n" for rule in rules)
    source = f"name: w\n{AGENTS}{plan}\npolicies:\n  replan:\n{listed}"
    checked = check_bytes(source.replace("type: llm}", "type: llm, retry: {max_attempts: 1}}").encode())
    assert checked.workflow is not None, checked.problems
    return Drive(checked.workflow, {})


def fail(driven: Drive, step: str, code: str = "x.y") -> list[Command]:
    return driven.feed(StepFailed(step=StepId(step), error=ErrorInfo(code, "it broke")))


def kinds(commands: list[Command]) -> list[type]:
    return [type(command) for command in commands]


def test_a_tree_is_ticked_again_behind_the_back_off_with_what_it_remembers() -> None:
    """What runs once is not run again; timers of the tree have names of their own each time."""
    driven = drive(TREE, "{on: agent_failure, strategy: conservative, max_times: 2, backoff: 2s}")
    driven.succeed("a")
    commands = fail(driven, "b")
    assert [KeepTree, Replan, SetTimer] == kinds(commands)
    wait = commands[2]
    assert isinstance(wait, SetTimer)
    assert ("again:1", 2_000) == (wait.timer, wait.delay_ms)
    assert ["again:1"] == list(driven.state.timers)
    again = driven.feed(TimerFired(timer=wait.timer))
    assert ["b~2"] == [command.step for command in again if isinstance(command, StartStep)]
    assert [FinishRun] == kinds(driven.succeed("b~2", {"ok": True}))
    assert driven.state.status == "succeeded"


def test_a_tree_gives_up_when_the_times_are_used_up() -> None:
    """As it would have without the rule, also where a condition fails it."""
    driven = drive(TREE, "{on: agent_failure, strategy: conservative, max_times: 1}")
    driven.succeed("a")
    assert Replan in kinds(driven.succeed("b", {"ok": False}))
    driven.feed(TimerFired(timer="again:1"))
    (*_, finish) = driven.succeed("b~2", {"ok": False})
    assert isinstance(finish, FinishRun)
    assert finish.error is not None
    assert ("failed", "tree.failed") == (finish.status, finish.error.code)


def test_an_agent_repairs_and_the_tree_is_ticked_again() -> None:
    """It acts beside the tree, which does not run meanwhile."""
    driven = drive(TREE, "{on: agent_failure, strategy: adaptive, to: d}")
    driven.succeed("a")
    fail(driven, "b")
    assert ["d"] == list(driven.state.open)
    assert ["b~2"] == [command.step for command in driven.succeed("d") if isinstance(command, StartStep)]


def test_an_agent_answers_in_place_of_a_tree() -> None:
    """Also one that acts in the tree; where it fails too, the next rule is tried, then the run fails."""
    rules = (
        "{on: agent_failure, strategy: escalation, to: a}",
        "{on: agent_failure, strategy: escalation, to: d}",
    )
    driven = drive(TREE, *rules)
    driven.succeed("a")
    fail(driven, "b")
    assert ["a~2"] == list(driven.state.open)
    fail(driven, "a~2")
    assert ["d"] == list(driven.state.open)
    assert [FinishRun(status="succeeded")] == driven.succeed("d", "good")
    assert "good" == driven.state.output
    failed = drive(TREE, *rules[:1])
    fail(failed, "a")
    assert [FinishRun(status="failed", error=ErrorInfo("x.y", "it broke"))] == fail(failed, "a~2")


def test_a_person_says_how_a_tree_goes_on() -> None:
    """Once more, by an agent, or not at all; who names nobody is asked again."""
    for payload, comes_to in (({"retry": True}, "b~2"), ({"to": "d"}, "d"), ({"to": "nobody"}, "replan~2"), ({}, "")):
        driven = drive(TREE, "{on: agent_failure, strategy: human_in_loop}")
        driven.succeed("a")
        assert AwaitSignal in kinds(fail(driven, "b"))
        driven.feed(SignalReceived(name="replan", payload=payload))  # type: ignore[arg-type]  # JSON
        assert [comes_to] * bool(comes_to) == list(driven.state.open)
        assert driven.state.is_final is not bool(comes_to)


def test_a_signal_halts_a_tree_and_its_timers() -> None:
    """Whatever it was doing."""
    driven = drive(TREE, "{on: external_event, signal: stop, strategy: escalation, to: d}")
    driven.succeed("a")
    assert driven.state.timers
    driven.feed(SignalReceived(name="stop"))
    assert (["d"], {}) == (list(driven.state.open), driven.state.timers)
    assert "stopped" == driven.state.steps[StepId("b")].status


def test_a_signal_comes_also_while_a_tree_waits_to_be_ticked_again() -> None:
    """Nothing is under way then, and something will be."""
    driven = drive(
        TREE,
        "{on: agent_failure, strategy: conservative}",
        "{on: external_event, signal: stop, strategy: human_in_loop}",
    )
    fail(driven, "a")
    driven.feed(SignalReceived(name="stop"))
    assert ({}, "waiting") == (driven.state.timers, driven.state.status)


PLAN: Json = {
    "steps": [{"name": "x", "agent": "a"}, {"name": "y", "agent": "b", "input": 1}, {"agent": "c", "depends_on": ["x"]}]
}


def test_a_step_of_a_plan_is_done_again_with_those_that_were_stopped_with_it() -> None:
    """What has answered is not asked again; what they are given stays."""
    driven = drive(MODEL, "{on: agent_failure, strategy: conservative, backoff: 3s}")
    driven.succeed("plan", PLAN)
    assert ["x", "y"] == list(driven.state.open)
    (*_, kept, first, second) = fail(driven, "y")
    assert isinstance(kept, KeepPlan)
    assert isinstance(first, StartStep)
    assert isinstance(second, StartStep)
    assert (("x~2", 3_000), ("y~2", 3_000)) == ((first.step, first.delay_ms), (second.step, second.delay_ms))
    driven.succeed("x~2")
    driven.succeed("y~2")
    assert [FinishRun(status="succeeded")] == driven.succeed("c")


def test_a_model_is_asked_for_another_plan() -> None:
    """And may repair that one like the first."""
    driven = drive(MODEL, "{on: agent_failure, strategy: adaptive}")
    driven.succeed("plan", PLAN)
    (*_, change, asked) = fail(driven, "x")
    assert isinstance(change, Replan)
    assert isinstance(asked, StartStep)
    assert ("plan~2", f"planned anew: {change.why}") == (asked.step, asked.why)
    driven.succeed("plan~2", "nothing")
    assert ["plan~3"] == list(driven.state.open)
    driven.succeed("plan~3", {"steps": ["c"]})
    assert [FinishRun(status="succeeded")] == driven.succeed("c")


def test_the_sub_plan_takes_over_from_a_plan_that_failed() -> None:
    """From its beginning, or from the state that is named."""
    for to in ("", ", to: c"):
        driven = drive(MODEL, f"{{on: budget_exceeded, strategy: escalation{to}}}")
        driven.succeed("plan", PLAN)
        commands = fail(driven, "x", "budget.exceeded")
        assert "fallback" == next(command.plan.source for command in commands if isinstance(command, KeepPlan))
        assert ["c"] == list(driven.state.open)
        assert [FinishRun] == kinds(driven.succeed("c"))


def test_a_person_gives_a_plan_of_their_own() -> None:
    """The guard judges it like a model's."""
    driven = drive(MODEL, "{on: agent_failure, strategy: human_in_loop}")
    driven.succeed("plan", PLAN)
    fail(driven, "x")
    driven.feed(SignalReceived(name="replan", payload={"steps": ["b", "c"]}))
    assert ["b"] == list(driven.state.open)
    refused = drive(MODEL, "{on: agent_failure, strategy: human_in_loop}")
    refused.succeed("plan", PLAN)
    fail(refused, "x")
    refused.feed(SignalReceived(name="replan", payload={"steps": ["nobody"]}))
    assert "failed" == refused.state.status


def test_an_agent_beside_a_plan_repairs_and_the_step_is_done_again() -> None:
    """It is no step of the plan."""
    driven = drive(MODEL, "{on: agent_failure, strategy: adaptive, to: d}")
    driven.succeed("plan", {"steps": ["a"]})
    fail(driven, "a")
    assert ["d"] == list(driven.state.open)
    driven.succeed("d")
    assert ["a~2"] == list(driven.state.open)


def test_a_wait_that_nobody_answered_is_stopped_before_it_is_waited_for_again() -> None:
    """Else one signal would find two steps."""
    plan = "planner: {type: fsm, states: {ask: {wait_for: go, timeout: 1s, on_success: a}, a: {}}, initial_state: ask}"
    driven = drive(plan, "{on: agent_failure, strategy: conservative}")
    driven.feed(TimerFired(timer="ask"))
    assert ["ask~2"] == list(driven.state.open)
