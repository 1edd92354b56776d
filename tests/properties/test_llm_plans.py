"""Plans of a model over any answers and any course of events: what the guard lets through always comes to an end."""

from functools import cache

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId, DefinitionHash
from runtime.domain.journal import read, write
from runtime.domain.plan import Plan
from runtime.domain.run import fold
from runtime.domain.workflow import AgentSpec, FsmSpec, FsmState, LlmPlan, Workflow
from runtime.engine.replay import replay
from runtime.engine.simulate import Succeeds, simulate
from runtime.planners.guard import PlanGuard
from runtime.planners.lifecycle import planner_for
from tests.properties.test_plans import RUN, course
from tests.properties.values import VALUES, is_same

thorough = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
AGENTS = {AgentId(name): AgentSpec(id=AgentId(name), type="llm") for name in "abc"}
SUB_PLAN = FsmSpec(
    states={"a": FsmState(name="a", on_success="b"), "b": FsmState(name="b")},
    initial_state="a",
    final_states=frozenset({"b"}),
)
SPEC = LlmPlan(asker=AgentSpec(id=AgentId("plan"), type="llm"), agents=tuple(AGENTS), max_steps=5)
NAMES = st.sampled_from(["a", "b", "c", "d", "plan", ""])
STEPS = st.fixed_dictionaries(
    {"agent": st.sampled_from(["a", "b", "c"])},
    optional={
        "name": NAMES,
        "input": VALUES,
        "depends_on": st.lists(NAMES, max_size=2),
        "next": NAMES | st.lists(NAMES, max_size=2),
        "on_failure": st.sampled_from(["stop", "skip", "fallback"]),
    },
)


@cache
def _good(*names: str) -> st.SearchStrategy[Json]:
    """Plans with these steps, each of which may wait for those before it."""
    steps = (
        st.fixed_dictionaries(
            {
                "name": st.just(name),
                "agent": st.sampled_from(["a", "b", "c"]),
                "depends_on": st.lists(st.sampled_from(names[:place] or [""]), max_size=2 if place else 0),
                "on_failure": st.sampled_from(["stop", "skip", "fallback"]),
            }
        )
        for place, name in enumerate(names)
    )
    return st.tuples(*steps).map(lambda drawn: {"steps": list(drawn)})


GOOD = st.permutations(["a", "b", "c"]).flatmap(lambda names: _good(*names))
ANSWERS: st.SearchStrategy[Json] = st.one_of(
    GOOD,
    st.fixed_dictionaries({"steps": st.lists(STEPS, max_size=6)}),
    VALUES,
)


def workflow(fallback: FsmSpec | None) -> Workflow:
    llm = msgspec.structs.replace(SPEC, fallback=fallback)
    return Workflow(name="w", hash=DefinitionHash("sha256:1"), agents=AGENTS, planner="llm", llm=llm, max_steps=40)


@pytest.mark.parametrize("fallback", [None, SUB_PLAN], ids=["person", "machine"])
@given(data=st.data())
@thorough
def test_every_course_of_events_decides_purely_and_replays(fallback: FsmSpec | None, data: st.DataObject) -> None:
    """`course` holds each decision to it; then with another planner, from the journal's own bytes."""
    planned = workflow(fallback)
    journal = course(data, planner_for(planned), planned, ANSWERS)
    found = replay(RUN, [read(write(RUN, entry)) for entry in journal], planner_for(planned))
    assert found.divergence is None
    assert is_same(msgspec.to_builtins(fold(RUN, journal)), msgspec.to_builtins(found.state))


@given(ANSWERS)
@thorough
def test_what_the_guard_lets_through_is_carried_out_whole(answer: Json) -> None:
    """Every step once, behind those that it waits for; anything else comes to the sub-plan."""
    found = PlanGuard(SPEC).judge(answer)
    state = simulate(workflow(SUB_PLAN), {}, {"plan": [Succeeds(answer)]}).state
    assert "succeeded" == state.status
    if not isinstance(found, Plan):
        assert all(0 < len(fault) < 300 for fault in found)
        assert ["plan", "plan", "a", "b"] == state.path
        return
    assert sorted(step.name for step in found.steps) == sorted(state.path[1:])
    for step in found.steps:
        assert all(state.path.index(before) < state.path.index(step.name) for before in step.after)
