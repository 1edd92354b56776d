"""The state machine that one agent follows: its states become those of a workflow that this agent works in.

A state of the machine is another agent's where it says so, or is called like one. What else waits for an outcome, by
`on_success` or `on_error`, the agent does itself; a state with a `condition` decides.
"""

from collections.abc import Collection, Mapping

from runtime.domain.canonical import Json

Document = dict[str, Json]

_TARGETS = ("on_true", "on_false", "on_success", "on_error")


def followed(definition: Mapping[str, Json], owner: str, agents: Collection[str]) -> Document:
    """The machine as a workflow's planner has it: who acts is said, and so is every final state; what nothing leads
    to is left out, as the checks have told."""
    states = _mapping(definition.get("states"))
    given = definition.get("final_states")
    final = (
        {str(each) for each in given}
        if isinstance(given, list)
        else {name for name, state in states.items() if not _targets(_mapping(state))}
    )
    reached = _reached(str(definition.get("initial_state") or ""), states, final)
    kept: Document = {}
    for name, found in states.items():
        state = _mapping(found)
        if name in reached:
            is_own = name not in final and name not in agents and _acts(state)
            kept[name] = {**state, "agent": owner} if is_own else state
    ends: list[Json] = [each for each in sorted(reached) if each in final or each not in states]
    return {
        "initial_state": definition.get("initial_state"),
        "states": kept,
        "final_states": ends,
        "answer": definition.get("answer", "decision"),
    }


def done_by_itself(definition: Mapping[str, Json], owner: str, agents: Collection[str]) -> list[str]:
    """The states that fall to the agent itself, because they name nobody."""
    states = _mapping(definition.get("states"))
    kept = _mapping(followed(definition, owner, agents)["states"])
    return [
        name for name, state in kept.items() if "agent" in _mapping(state) and "agent" not in _mapping(states[name])
    ]


def named_in(definition: Mapping[str, Json], agents: Collection[str]) -> list[Json]:
    """The agents of a machine's states, in its order: those that are said, and those that a state is called after."""
    states = _mapping(definition.get("states"))
    final = definition.get("final_states")
    named: list[Json] = []
    for name in [*states, *(final if isinstance(final, list) else [])]:
        agent = _mapping(states.get(str(name))).get("agent")
        named += [agent] if agent is not None else [name] if name in agents else []
    return named


def _acts(state: Mapping[str, Json]) -> bool:
    """Whether a state waits for an outcome of the agent's own."""
    if state.keys() & {"agent", "wait_for", "condition"}:
        return False
    return bool(state.keys() & {"on_success", "on_error"})


def _reached(initial: str, states: Mapping[str, Json], final: Collection[str]) -> set[str]:
    reached, ahead = {initial}, [initial]
    while ahead:
        name = ahead.pop()
        state = _mapping(states.get(name))
        if name in final:  # it is left by its error alone
            state = {key: value for key, value in state.items() if key == "on_error"}
        for target in _targets(state):
            if target not in reached:
                reached.add(target)
                ahead.append(target)
    return reached


def _targets(state: Mapping[str, Json]) -> list[str]:
    branches = state.get("conditional_transitions")
    named = [_mapping(branch).get("target") for branch in (branches if isinstance(branches, list) else [])]
    return [str(each) for each in (*named, *(state.get(key) for key in _TARGETS)) if each is not None]


def _mapping(found: Json) -> Document:
    return found if isinstance(found, dict) else {}
