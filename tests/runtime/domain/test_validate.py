"""The rules of state machines. What is not found here is found by a customer's run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.ids import AgentId
from runtime.domain.validate import fsm_problems
from runtime.domain.workflow import Branch, FsmSpec, FsmState

AGENTS = ("draft", "check", "send")


def machine(*states: FsmState, initial: str = "draft", final: tuple[str, ...] = ("done",)) -> FsmSpec:
    return FsmSpec(states={each.name: each for each in states}, initial_state=initial, final_states=frozenset(final))


def found(fsm: FsmSpec, agents: tuple[str, ...] | None = AGENTS, *, is_lenient: bool = False) -> list[tuple[str, str]]:
    problems = fsm_problems(fsm, agents, is_lenient=is_lenient)
    return [(f"{each.severity}:{each.code}", each.path) for each in problems]


def test_a_sound_machine_has_no_problems() -> None:
    """Everything the planner can do, once: a false alarm here blocks a working definition."""
    sound = machine(
        FsmState(name="draft", on_success="check", on_error="person"),
        FsmState(name="check", condition="ok", on_true="route", on_false="draft"),
        FsmState(name="route", branches=(Branch("urgent", "person"),), on_success="deliver"),
        FsmState(name="deliver", agent=AgentId("send"), on_success="done"),
        FsmState(name="person", wait_for="answer", on_success="done"),
    )
    assert [] == found(sound)


def test_an_undefined_target_is_named_with_the_nearest_state() -> None:
    """The commonest slip of all; one slip is one problem, not a trail of unreachable states behind it."""
    slip = machine(
        FsmState(name="draft", on_success="chek"), FsmState(name="check", on_success="done"), FsmState(name="done")
    )
    (problem,) = fsm_problems(slip, AGENTS)
    assert ("state.undefined", "states.draft.on_success") == (problem.code, problem.path)
    assert "did you mean 'check'?" == problem.hint


@pytest.mark.parametrize(
    ("state", "path"),
    [
        (FsmState(name="draft", on_success="done", on_error="nowhere"), "states.draft.on_error"),
        (FsmState(name="draft", condition="x", on_true="nowhere", on_false="done"), "states.draft.on_true"),
        (FsmState(name="draft", condition="x", on_true="done", on_false="nowhere"), "states.draft.on_false"),
        (
            FsmState(name="draft", on_success="done", branches=(Branch("x", "done"), Branch("y", "nowhere"))),
            "states.draft.conditional_transitions.1.target",
        ),
    ],
)
def test_every_kind_of_transition_is_followed(state: FsmState, path: str) -> None:
    """A rule that forgets one kind of transition forgets the error paths first."""
    assert [("error:state.undefined", path)] == found(machine(state))


def test_the_initial_state_must_exist() -> None:
    """Without one, or with a wrong one, a run has nowhere to begin."""
    done = FsmState(name="draft", on_success="done")
    assert [("error:state.no_initial", "initial_state")] == found(machine(done, initial=""))
    assert [("error:state.undefined", "initial_state")] == found(machine(done, initial="draf"))
    assert [("error:state.undefined", "initial_state")] == found(machine(done, initial="draf"), is_lenient=True)


def test_a_final_state_that_is_a_slip_is_one_problem() -> None:
    """`final_states: [dnoe]` must not also report a dead end, an empty state and an unreachable one."""
    slip = machine(FsmState(name="draft", on_success="finished"), FsmState(name="finished"), final=("finishd",))
    assert [("error:state.undefined", "final_states")] == found(slip)


def test_an_unreachable_state_is_an_error_and_in_a_lenient_check_a_warning() -> None:
    """Work that never happens was meant to happen."""
    stray = machine(FsmState(name="draft", on_success="done"), FsmState(name="check", on_success="done"))
    assert [("error:state.unreachable", "states.check")] == found(stray)
    assert [("warning:state.unreachable", "states.check")] == found(stray, is_lenient=True)
    unnamed = machine(FsmState(name="draft", on_success="done"), final=("done", "rejected"))
    assert [("error:state.unreachable", "final_states")] == found(unnamed)


def test_a_dead_end_is_found() -> None:
    """A state with no way out that is not final would fail every run that comes there."""
    dead = machine(FsmState(name="draft", on_success="done", on_error="check"), FsmState(name="check"))
    assert [("error:state.dead_end", "states.check")] == found(dead)
    only_error = machine(FsmState(name="draft", on_error="done"))
    assert [("error:state.dead_end", "states.draft")] == found(only_error)


def test_a_circle_without_an_exit_is_told_once_for_each_circle() -> None:
    """Such a run ends at its step limit, after paying for every step."""
    circle = machine(
        FsmState(name="draft", branches=(Branch("x", "check"), Branch("y", "send")), on_success="done"),
        FsmState(name="check", on_success="again"),
        FsmState(name="again", agent=AgentId("check"), on_success="check"),
        FsmState(name="send", on_success="send"),
    )
    assert [("error:state.endless", "states.check"), ("error:state.endless", "states.send")] == found(circle)
    everything = machine(FsmState(name="draft", on_success="check"), FsmState(name="check", on_success="draft"))
    assert ("error:state.endless", "states.draft") in found(everything)


def test_a_circle_with_an_exit_is_fine() -> None:
    """Draft, check, draft again until it is good: the reason state machines are used."""
    loop = machine(
        FsmState(name="draft", on_success="check"),
        FsmState(name="check", condition="response.good", on_true="done", on_false="draft"),
    )
    assert [] == found(loop)


def test_an_agent_that_does_not_exist_is_named_with_the_nearest() -> None:
    """The hint is the fix."""
    slip = machine(FsmState(name="draft", agent=AgentId("drafft"), on_success="done"))
    (problem,) = fsm_problems(slip, AGENTS)
    assert ("agent.undefined", "did you mean 'draft'?") == (problem.code, problem.hint)


def test_a_state_in_which_nothing_happens_is_an_error_unless_agents_are_unknown() -> None:
    """It is a forgotten agent nearly always; in a fragment the agents stand elsewhere."""
    empty = machine(FsmState(name="drafts", on_success="done"), initial="drafts")
    assert [("error:state.empty", "states.drafts")] == found(empty)
    assert [("refusal:state.empty", "states.drafts")] == found(empty, is_lenient=True)
    assert [] == found(empty, None)
    assert "did you mean 'draft'?" == fsm_problems(empty, AGENTS)[0].hint


def test_a_condition_needs_both_ways_or_something_to_fall_to() -> None:
    """The planner falls to on_success; without it a run would stop in the middle."""
    half = FsmState(name="draft", condition="x", on_true="done")
    assert [("error:state.half_condition", "states.draft")] == found(machine(half))
    falls = FsmState(name="draft", condition="x", on_true="done", on_success="done")
    assert [] == found(machine(falls))
    none = FsmState(name="draft", condition="x")
    assert ("error:state.half_condition", "states.draft") in found(machine(none, FsmState(name="done")))


def test_ways_of_a_condition_without_the_condition_are_an_error() -> None:
    """on_true alone is never taken."""
    state = FsmState(name="draft", on_true="done", on_success="done")
    assert [("error:state.no_condition", "states.draft")] == found(machine(state))


def test_branches_without_a_default_are_a_warning() -> None:
    """Legal, and the run fails when no branch holds."""
    state = FsmState(name="draft", branches=(Branch("x", "done"),))
    assert [("warning:state.no_default", "states.draft")] == found(machine(state))


def test_a_final_state_leads_nowhere() -> None:
    """Transitions written there are never taken; its error path is."""
    leads_on = machine(
        FsmState(name="draft", on_success="send"),
        FsmState(name="send", on_success="draft", on_error="check"),
        FsmState(name="check", on_success="send"),
        final=("send",),
    )
    assert [("warning:state.final_leads_on", "states.send")] == found(leads_on)


def test_a_state_does_one_thing() -> None:
    """Whether the agent or the wait came first would be anybody's guess."""
    both = FsmState(name="draft", agent=AgentId("send"), wait_for="person", on_success="done")
    assert [("error:state.two_actions", "states.draft")] == found(machine(both))


def test_a_waiting_state_may_not_take_the_name_of_the_runs_own_timer() -> None:
    """Its time-out would look like the whole run's."""
    waits = FsmState(name="run", wait_for="person", on_success="done")
    assert [("error:state.reserved_name", "states.run")] == found(machine(waits, initial="run"))


def test_a_lenient_check_takes_undefined_targets_for_final_states_unless_they_are_slips() -> None:
    """The source document's planners end in states that they do not define."""
    open_ended = machine(
        FsmState(name="generate", on_success="send_response", on_error="human_review"),
        initial="generate",
        final=(),
    )
    assert [
        ("warning:state.undefined", "states.generate.on_error"),
        ("warning:state.undefined", "states.generate.on_success"),
    ] == found(open_ended, None, is_lenient=True)
    slip = machine(
        FsmState(name="generate", on_success="reviews"), FsmState(name="review", on_success="done"), initial="generate"
    )
    assert [("error:state.undefined", "states.generate.on_success")] == found(slip, None, is_lenient=True)


def test_all_problems_are_told_at_once() -> None:
    """Nobody wants to mend a definition one error at a time."""
    bad = machine(
        FsmState(name="draft", on_success="missing_one", on_error="missing_two"),
        FsmState(name="check", agent=AgentId("nobody"), on_success="done"),
        FsmState(name="send", condition="x"),
    )
    codes = {code for code, _ in found(bad)}
    assert {
        "error:state.undefined",
        "error:agent.undefined",
        "error:state.unreachable",
        "error:state.half_condition",
    } <= codes
    assert 2 == [code for code, _ in found(bad)].count("error:state.undefined")


_NAMES = st.sampled_from(["draft", "check", "send", "done", "lost", ""])
_STATES = st.builds(
    FsmState,
    name=_NAMES.filter(bool),
    on_success=_NAMES,
    on_error=_NAMES,
    condition=st.sampled_from(["", "x"]),
    on_true=_NAMES,
    on_false=_NAMES,
    branches=st.lists(st.builds(Branch, st.just("y"), _NAMES.filter(bool)), max_size=2).map(tuple),
    wait_for=st.sampled_from(["", "person"]),
)


@given(st.lists(_STATES, min_size=1, max_size=5), _NAMES, st.lists(_NAMES.filter(bool), max_size=2))
def test_a_machine_without_errors_can_always_end(states: list[FsmState], initial: str, final: list[str]) -> None:
    """The law behind the rules: from every state that can be entered, some final state can be reached."""
    fsm = machine(*states, initial=initial, final=tuple(final))
    if any(problem.severity == "error" for problem in fsm_problems(fsm, AGENTS)):
        return
    for name in _reached(fsm, initial):
        assert _reached(fsm, name) & fsm.final_states, name


def _reached(fsm: FsmSpec, start: str) -> set[str]:
    reached, ahead = {start}, [start]
    while ahead:
        name = ahead.pop()
        targets = fsm.states[name].targets() if name in fsm.states and name not in fsm.final_states else ()
        ahead += [target for target in targets if target not in reached]
        reached |= set(targets)
    return reached
