"""Tasks for people: the life of one, whatever happens in whatever order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.domain.command import AwaitSignal, Command, FinishRun, SetTimer, StartStep, StopStep
from runtime.domain.event import (
    ErrorInfo,
    Event,
    RunStarted,
    SignalReceived,
    StepFailed,
    StepSucceeded,
    TaskMoved,
    TaskTold,
    TimerFired,
)
from runtime.domain.human import Level, TaskState, Terms, audience, status_of
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId
from runtime.domain.journal import Entry
from runtime.domain.run import RunState, apply
from runtime.domain.tree import TreeNode
from runtime.domain.workflow import AgentSpec, FsmSpec, FsmState, LlmPlan, ReplanRule, RetryPolicy, Workflow
from runtime.errors import AgentFlowError
from runtime.planners.human import people_asked
from runtime.planners.lifecycle import planner_for
from runtime.policies.human import check_move, check_signal

TERMS = Terms(
    role="clerk",
    backup="deputy",
    chain=(Level("boss", 4_000), Level("chief", 8_000)),
    reminders_ms=(1_000,),
    channels=("log",),
    expires_ms=60_000,
)
ASK = StepId("ask")
LEGAL = {
    "created": {"created", "assigned", "in_progress", "escalated", "completed", "expired"},
    "assigned": {"created", "assigned", "in_progress", "escalated", "completed", "expired"},
    "in_progress": {"created", "assigned", "in_progress", "escalated", "completed", "expired"},
    "escalated": {"assigned", "in_progress", "escalated", "completed", "expired"},
}
"""What may follow what; nothing follows an end."""


class Driven:
    """A run of one task, whose timers are fired by hand."""

    def __init__(self, terms: Terms = TERMS, *, workflow: Workflow | None = None) -> None:
        spec = AgentSpec(id=AgentId("ask"), type="human_task", terms=terms, timeout_ms=terms.expires_ms)
        states = {"ask": FsmState(name="ask", on_success="done", on_error="late"), "late": FsmState(name="late")}
        fsm = FsmSpec(states=states, initial_state="ask", final_states=frozenset({"done", "late"}))
        self.workflow = workflow or Workflow(name="w", hash=DefinitionHash("d"), agents={spec.id: spec}, fsm=fsm)
        self.planner = planner_for(self.workflow)
        self.state = RunState(run=RunId("r"))
        self.first = self.feed(RunStarted(workflow="w", definition=DefinitionHash("d"), input=None))

    def feed(self, event: Event) -> list[object]:
        """Fold an event and what is decided on it."""
        apply(self.state, Entry(self.state.seq + 1, 0, event))
        commands = list(self.planner.decide(self.state, event))
        for command in commands:
            apply(self.state, Entry(self.state.seq + 1, 0, command))
        return [*commands]

    @property
    def task(self) -> TaskState:
        task = self.state.steps[ASK].task
        assert task
        return task

    @property
    def status(self) -> str:
        return status_of(self.task, is_open=ASK in self.state.open)


def test_an_agent_of_the_kind_is_waited_for_and_costs_no_step_that_runs() -> None:
    driven = Driven()
    wait, *timers = driven.first
    assert AwaitSignal(step=ASK, signal="ask", terms=TERMS) == wait
    assert ["human:remind:0:1:ask", "human:expire:0:0:ask", "human:escalate:0:0:ask"] == [
        timer.timer for timer in timers if isinstance(timer, SetTimer)
    ]
    assert ("waiting", "created") == (driven.state.status, driven.status)


def test_an_answer_is_a_step_that_succeeded_and_its_timers_are_gone() -> None:
    driven = Driven()
    finish = driven.feed(SignalReceived(name="ask", payload={"decision": "approve"}, actor="ann", role="clerk"))
    assert [FinishRun(status="succeeded", state="done")] == finish
    assert ({}, "completed", "ann") == (driven.state.timers, driven.status, driven.task.decided_by)


def test_a_task_is_a_step_of_a_models_plan_and_one_beside_a_tree() -> None:
    """Whoever plans, an answer is a step that succeeded: also of an agent that a rule of replanning leads to."""
    agents = {
        AgentId("ask"): AgentSpec(id=AgentId("ask"), type="human_task", terms=Terms(role="clerk"), timeout_ms=0),
        AgentId("a"): AgentSpec(id=AgentId("a"), type="llm", retry=RetryPolicy(max_attempts=1)),
    }
    asker = AgentSpec(id=AgentId("plan"), type="llm")
    by_model = Workflow(
        name="w", hash=DefinitionHash("d"), agents=agents, planner="llm", llm=LlmPlan(asker=asker, agents=tuple(agents))
    )
    model = Driven(workflow=by_model)
    wait = model.feed(StepSucceeded(step=StepId("plan"), output={"steps": [{"agent": "ask"}, {"agent": "a"}]}))
    assert [ASK] == [each.step for each in wait if isinstance(each, AwaitSignal)]
    answer = SignalReceived(name="ask", payload={"decision": "approve"}, actor="ann", role="clerk")
    assert [StartStep(step=StepId("a"))] == model.feed(answer)
    rule = ReplanRule(on="agent_failure", strategy="escalation", to="ask")
    tree = TreeNode(kind="action", agent=AgentId("a"))
    by_tree = Workflow(
        name="w", hash=DefinitionHash("d"), agents=agents, planner="behavior_tree", tree=tree, replan=(rule,)
    )
    beside = Driven(workflow=by_tree)
    failed = beside.feed(StepFailed(step=StepId("a"), error=ErrorInfo("x.broken", "")))
    assert [ASK] == [each.step for each in failed if isinstance(each, AwaitSignal)]
    assert [FinishRun(status="succeeded")] == beside.feed(answer)


def test_time_that_runs_out_is_a_failure_or_what_was_declared() -> None:
    late = Driven()
    (finish,) = late.feed(TimerFired(timer="human:expire:0:0:ask"))
    assert isinstance(finish, FinishRun)
    assert ("late", "human.expired in ask", "expired") == (finish.state, finish.why, late.status)
    declared = Driven(Terms(expires_ms=1, on_expiry="reject"))
    (finish,) = declared.feed(TimerFired(timer="human:expire:0:0:ask"))
    assert isinstance(finish, FinishRun)
    assert ("done", {"decision": "reject", "is_expired": True}) == (finish.state, declared.state.output)


def test_two_tasks_of_one_name_at_once_have_signals_of_their_own() -> None:
    """Branches of a tree may ask the same people at the same time."""
    driven = Driven()
    again = people_asked(driven.workflow, driven.state, [StartStep(step=StepId("ask~2"), agent=AgentId("ask"))])
    assert isinstance(again[0], AwaitSignal)
    assert ("ask~2", AgentId("ask")) == (again[0].signal, again[0].agent)


def test_a_task_that_is_stopped_leaves_its_signal_to_the_next() -> None:
    """A plan made anew stops a step and begins it again in one decision."""
    driven = Driven()
    commands: list[Command] = [StopStep(step=ASK), StartStep(step=StepId("ask~2"), agent=AgentId("ask"))]
    again = [each for each in people_asked(driven.workflow, driven.state, commands) if isinstance(each, AwaitSignal)]
    assert ["ask"] == [each.signal for each in again]


def test_a_notice_is_for_who_has_it_else_for_whose_turn_it_is() -> None:
    task = TaskState(TERMS)
    assert (("clerk",), ("clerk", "deputy")) == (audience(task, "opened:0"), audience(task, "reminder:0:1"))
    task.move("taken", "ann")
    assert ("ann",) == audience(task, "reminder:0:1")
    task.fire("human:escalate:0:0:ask")
    assert ("boss",) == audience(task, "escalated:1")


PEOPLE = st.sampled_from(
    [("ann", "clerk"), ("bob", "clerk"), ("dan", "deputy"), ("eve", "boss"), ("max", "chief"), ("mallory", "intern")]
)
EVENTS = st.lists(
    st.one_of(
        st.builds(
            lambda who, how, to: TaskMoved(
                step=ASK, how=how, actor=who[0], role=who[1], person=str({"taken": who[0], "returned": ""}.get(how, to))
            ),
            PEOPLE,
            st.sampled_from(["taken", "assigned", "returned"]),
            st.sampled_from(["ann", "zoe"]),
        ),
        st.builds(
            lambda who: SignalReceived(name="ask", payload={"decision": "approve"}, actor=who[0], role=who[1]), PEOPLE
        ),
        st.builds(lambda index: ("timer", index), st.integers(0, 5)),
        st.just(("told", 0)),
    ),
    max_size=14,
)


@settings(max_examples=150, deadline=None)
@given(EVENTS)
def test_no_order_of_events_leads_where_a_life_does_not_go(events: list[object]) -> None:
    """No transition but the legal ones; escalation only goes up, and widens who may answer; an end is an end."""
    driven = Driven()
    for each in events:
        if driven.state.is_final:
            break
        before, level, roles = driven.status, driven.task.level, set(TERMS.roles_at(driven.task.level))
        event = _event(each, driven)
        if event is None:
            continue
        driven.feed(event)
        assert driven.status in LEGAL[before]
        assert level <= driven.task.level <= len(TERMS.chain)
        assert roles <= set(TERMS.roles_at(driven.task.level))
        if isinstance(event, SignalReceived):
            assert event.role in roles | {""} or event.actor in {"ann", "zoe"}
    assert (driven.status in ("completed", "expired", "cancelled")) == driven.state.is_final
    assert not driven.state.is_final or not driven.state.timers
    assert len(driven.task.untold) + len(driven.task.told) <= len(events) + 1


def _event(each: object, driven: Driven) -> Event | None:
    """What happens, where it may: as the engine has it checked."""
    match each:
        case ("timer", int(index)):
            timers = sorted(driven.state.timers)
            return TimerFired(timer=timers[index % len(timers)]) if timers else None
        case ("told", _):
            untold = driven.task.untold
            return TaskTold(step=ASK, notice=untold[0], channels={"log": "ok"}) if untold else None
    try:
        if isinstance(each, TaskMoved):
            check_move(driven.state, driven.workflow, each)
            return each
        assert isinstance(each, SignalReceived)
        check_signal(driven.state, driven.workflow, each)
    except AgentFlowError:
        return None
    return each


def test_a_plan_that_stops_the_step_ends_the_task() -> None:
    driven = Driven()
    apply(driven.state, Entry(driven.state.seq + 1, 0, StopStep(step=ASK)))
    assert ("cancelled", {}) == (driven.status, driven.state.timers)
