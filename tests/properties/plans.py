"""State machines of every shape, as types and as the documents that the loader reads."""

from typing import TypeAlias

from hypothesis import strategies as st
from msgspec.structs import replace

from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId, DefinitionHash
from runtime.domain.workflow import AgentSpec, Branch, FsmSpec, FsmState, RetryPolicy, Workflow

AGENTS = ("a", "b", "run")
"""One has the name of the run's own timer."""
WAITS = ("ask", "approve")
DECISIONS = ("choose", "check")
FINALS = ("done", "gone", "b")
"""One of them runs an agent before it ends the run."""
CONDITIONS = (
    "true",
    "response == input",
    "response == 1 || response == 'x'",
    "has(response.n) && response.n > 0",
    "response.n * 2.0 > 1.0",
    "size(steps) > 2",
    "error == null",
    "visits.a < 3",
    "a.n < 0.5",
    "$.response.n",
    "$..n",
    "$.steps[?@.n > 0]",
)
"""Some err on most data: an error is a way through the machine as well."""

Names: TypeAlias = tuple[str, ...]


_CONDITION = st.sampled_from(CONDITIONS)
_RETRY = st.none() | st.builds(
    RetryPolicy, max_attempts=st.integers(1, 3), initial_ms=st.just(100), jitter_ratio=st.sampled_from([0.0, 0.5])
)
_FEW = st.integers(0, 2)
_PERHAPS = st.booleans()
_WAIT_MS = st.sampled_from([0, 5_000])
_RUN_MS = st.sampled_from([0, 60_000])


def _state(draw: st.DrawFn, name: str, later: Names, every: Names) -> FsmState:
    """A state that can always go on to a later one, and perhaps anywhere else.

    Drawn part by part: a strategy made for each state is looked through each time, which takes longer than any test.
    """
    forward, anywhere = st.sampled_from(later), st.sampled_from(every)
    state = FsmState(
        name=name,
        on_success=draw(forward),
        on_error=draw(anywhere) if draw(_PERHAPS) else "",
        branches=tuple(Branch(draw(_CONDITION), draw(anywhere)) for _ in range(draw(_FEW))),
    )
    if name in WAITS:
        state = replace(state, wait_for=draw(st.sampled_from(["answer", name])), timeout_ms=draw(_WAIT_MS))
    if name in AGENTS:
        state = replace(state, timeout_ms=draw(_RUN_MS), retry=draw(_RETRY))
    if name in DECISIONS or draw(_PERHAPS):
        state = replace(state, condition=draw(_CONDITION), on_true=draw(anywhere), on_false=draw(forward))
    return state


@st.composite
def machines(draw: st.DrawFn) -> FsmSpec:
    """A machine in which every state is reached and can reach an end."""
    names = draw(st.permutations((*AGENTS, *WAITS, *DECISIONS)))
    names = names[: draw(st.sampled_from([1, 4, len(names)]))]
    finals = {draw(st.sampled_from(FINALS)), "done"}
    ends = tuple(sorted(finals - set(names)))
    states: dict[str, FsmState] = {}
    for place, name in enumerate(names):
        if name in finals:
            states[name] = FsmState(name=name, on_error=draw(st.sampled_from(["", *ends])))
        else:
            states[name] = _state(draw, name, (*names[place + 1 :], *ends), (*names, *ends))
    return _without_the_unreachable(FsmSpec(states=states, initial_state=names[0], final_states=frozenset(finals)))


WORKFLOWS: st.SearchStrategy[Workflow] = st.builds(
    lambda fsm, timeout_ms, max_steps: Workflow(
        name="drawn",
        hash=DefinitionHash("sha256:drawn"),
        agents={AgentId(name): AgentSpec(id=AgentId(name), type="llm") for name in AGENTS},
        fsm=fsm,
        timeout_ms=timeout_ms,
        max_steps=max_steps,
    ),
    machines(),
    st.sampled_from([0, 30_000]),
    st.sampled_from([3, 1_000]),
)


def document_of(workflow: Workflow) -> dict[str, Json]:
    """The definition that an author would write for it."""
    assert workflow.fsm is not None
    section: dict[str, Json] = {"max_steps": workflow.max_steps}
    if workflow.timeout_ms:
        section["timeout"] = f"{workflow.timeout_ms}ms"
    return {
        "name": workflow.name,
        "agents": {name: {"type": "llm"} for name in workflow.agents},
        "workflow": section,
        "planner": {
            "type": "fsm",
            "definition": {
                "initial_state": workflow.fsm.initial_state,
                "states": {name: _written(state) for name, state in workflow.fsm.states.items()},
                "final_states": list[Json](sorted(workflow.fsm.final_states)),
            },
        },
    }


def _written(state: FsmState) -> dict[str, Json]:
    keys = ("wait_for", "on_success", "on_error", "condition", "on_true", "on_false")
    written: dict[str, Json] = {key: getattr(state, key) for key in keys if getattr(state, key)}
    if state.branches:
        written["conditional_transitions"] = [
            {"condition": branch.condition, "target": branch.target} for branch in state.branches
        ]
    if state.timeout_ms:
        written["timeout"] = f"{state.timeout_ms}ms"
    if state.retry is not None:
        written["retry"] = {
            "max_attempts": state.retry.max_attempts,
            "initial": f"{state.retry.initial_ms}ms",
            "jitter": state.retry.jitter_ratio,
        }
    return written


def _without_the_unreachable(fsm: FsmSpec) -> FsmSpec:
    reached, ahead = {fsm.initial_state}, [fsm.initial_state]
    while ahead:
        state = fsm.states.get(ahead.pop())
        for target in state.targets() if state is not None else ():
            if target not in reached:
                reached.add(target)
                ahead.append(target)
    return FsmSpec(
        states={name: state for name, state in fsm.states.items() if name in reached},
        initial_state=fsm.initial_state,
        final_states=fsm.final_states & reached,
    )
