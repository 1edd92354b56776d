"""A plan can be tried without an agent, a model or a store, and comes out the same every time."""

import msgspec
import pytest

from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId, DefinitionHash
from runtime.domain.journal import Entry
from runtime.domain.workflow import AgentSpec, Branch, FsmSpec, FsmState, Gate, RetryPolicy, Workflow
from runtime.engine.replay import replay
from runtime.engine.simulate import Simulation, script_of, simulate
from runtime.errors import Invalid
from runtime.planners.feedback import feedback_fsm
from runtime.planners.lifecycle import planner_for

STATES = (
    FsmState(
        name="classify",
        on_success="answer",
        on_error="escalate",
        branches=(Branch("has(response.known) && !response.known", "ask"),),
    ),
    FsmState(name="answer", on_success="done", on_error="escalate"),
    FsmState(name="ask", wait_for="clarified", on_success="classify", on_error="done", timeout_ms=60_000),
    FsmState(name="escalate", wait_for="resolved", on_success="done"),
    FsmState(name="done"),
)


def workflow(timeout_ms: int = 0) -> Workflow:
    agents = {
        AgentId(name): AgentSpec(id=AgentId(name), type="llm", retry=RetryPolicy(max_attempts=2))
        for name in ("classify", "answer")
    }
    fsm = FsmSpec(states={s.name: s for s in STATES}, initial_state="classify", final_states=frozenset({"done"}))
    return Workflow(name="support", hash=DefinitionHash("sha256:0"), agents=agents, fsm=fsm, timeout_ms=timeout_ms)


def play(outcomes: dict[str, Json], timeout_ms: int = 0) -> Simulation:
    return simulate(workflow(timeout_ms), {"message": "hello"}, script_of(outcomes))


def test_states_without_an_outcome_succeed() -> None:
    """The shortest script is an empty one."""
    simulation = play({})
    assert (["classify", "answer", "done"], "succeeded") == (simulation.state.path, simulation.state.status)


@pytest.mark.parametrize(
    ("outcomes", "path", "status"),
    [
        pytest.param({"classify": "F"}, ["classify", "escalate", "done"], "succeeded", id="failure takes on_error"),
        pytest.param(
            {"classify": [{"output": {"known": False}}, "S"]},
            ["classify", "ask", "classify", "answer", "done"],
            "succeeded",
            id="outcomes are taken visit by visit",
        ),
        pytest.param(
            {"answer": [{"error": {"code": "model.busy", "retryable": True}}, "S"]},
            ["classify", "answer", "done"],
            "succeeded",
            id="a retry takes the next outcome",
        ),
        pytest.param(
            {"answer": {"error": {"code": "model.busy", "retryable": True}}},
            ["classify", "answer", "escalate", "done"],
            "succeeded",
            id="the last outcome repeats",
        ),
        pytest.param(
            {"classify": "F", "escalate": "F"}, ["classify", "escalate"], "waiting", id="nobody answers a wait"
        ),
        pytest.param(
            {"classify": {"output": {"known": False}}, "ask": "F"},
            ["classify", "ask", "done"],
            "succeeded",
            id="a wait with a time limit ends",
        ),
    ],
)
def test_outcomes_lead_where_the_definition_says(outcomes: dict[str, Json], path: list[str], status: str) -> None:
    """Every kind of outcome, at a step and at a wait."""
    simulation = play(outcomes)
    assert (path, status) == (simulation.state.path, simulation.state.status)


def test_a_signal_carries_its_payload() -> None:
    """What a person would answer becomes the waiting step's output."""
    simulation = play({"classify": "F", "escalate": {"signal": {"answer": "by hand"}}})
    assert {"answer": "by hand"} == simulation.state.output


def test_the_run_ends_when_its_time_is_over() -> None:
    """A wait without a limit of its own is bounded by the run's."""
    simulation = play({"classify": "F", "escalate": "F"}, timeout_ms=3_600_000)
    assert "failed" == simulation.state.status
    assert simulation.state.error is not None
    assert "run.timeout" == simulation.state.error.code
    assert 3_600_000_000 == simulation.state.ended_us - simulation.state.started_us


def test_equal_scripts_give_equal_bytes() -> None:
    """Ids and times included: a simulation can be compared in version control."""
    script: dict[str, Json] = {"answer": [{"error": {"retryable": True}}, "S"]}
    assert msgspec.json.encode(play(script)) == msgspec.json.encode(play(script))


def test_a_simulation_replays() -> None:
    """Its entries are those that a journal would hold."""
    simulation = play({"answer": [{"error": {"retryable": True}}, "F"]})
    entries = [
        Entry(beat.seq + offset, beat.at_us, body)
        for beat in simulation.beats
        for offset, body in enumerate((beat.event, *beat.commands))
    ]
    assert replay(simulation.state.run, entries, planner_for(workflow())).divergence is None


def test_a_script_for_a_state_never_entered_is_named() -> None:
    """Most often the state's name was mistyped."""
    assert ("anwser",) == play({"anwser": "F"}).unused


@pytest.mark.parametrize("outcome", ["", "X", "SXF", 5, {"outputs": {}}, {"output": 1, "signal": 2}, [["S"]]])
def test_an_unknown_outcome_names_its_state(outcome: Json) -> None:
    """And what could have been written."""
    with pytest.raises(Invalid, match=r"state 'answer' has outcome .* expected S, F"):
        script_of({"answer": outcome})


def test_an_error_without_its_fields_is_refused() -> None:
    """A mistyped `retryable` would otherwise change the plan in silence."""
    with pytest.raises(Invalid, match="retriable"):
        script_of({"answer": {"error": {"retriable": True}}})


def test_a_loop_of_signals_is_cut_off() -> None:
    """Waits cost no step, so the limit on steps never ends such a loop."""
    fsm = FsmSpec(
        states={"ask": FsmState(name="ask", wait_for="go", on_success="ask")},
        initial_state="ask",
        final_states=frozenset(),
    )
    with pytest.raises(Invalid, match="look for a loop"):
        simulate(Workflow(name="w", hash=DefinitionHash("sha256:0"), fsm=fsm), None, {})


def test_a_quality_gate_passes_unless_the_script_says_otherwise() -> None:
    """`{}` would be no verdict, and every dry run of such a workflow would fail."""
    names = [AgentId("write"), AgentId("judge")]
    fsm = feedback_fsm(names[:1], {names[1]: Gate(back_to="write")}, review="never")
    agents = {name: AgentSpec(id=name, type="llm") for name in names}
    gated = Workflow(name="w", hash=DefinitionHash("sha256:0"), agents=agents, fsm=fsm)
    assert ["write", "judge", "done"] == simulate(gated, None, {}).state.path
    again = simulate(gated, None, script_of({"judge": [{"output": {"score": 0.1}}, "S"]}))
    assert ["write", "judge", "write", "judge", "done"] == again.state.path
