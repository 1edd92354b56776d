"""Every problem of a state machine at once: names that lead nowhere, states that do nothing, ways without an end.

Paths are relative to the machine (`states.draft.on_success`); the loader adds file and line.
Where a name is a slip of another, the checks go on as if it were mended, so that one slip is one problem.
"""

from collections.abc import Collection, Iterable, Mapping

from runtime.domain.command import RUN_TIMER
from runtime.domain.problem import Problem, Severity
from runtime.domain.spelling import did_you_mean, nearest
from runtime.domain.workflow import FsmSpec, FsmState

SLIP_RATIO = 0.85
"""How alike an undefined name and a state must be for a lenient check to call it a slip."""
_MAX_NAMED = 8
_MAX_GUESSES = 200
"""Names that a check compares with the known ones; a document with more slips gets the rest without a hint."""


def fsm_problems(fsm: FsmSpec, agents: Collection[str] | None, *, is_lenient: bool = False) -> list[Problem]:
    """What is wrong with a machine whose states run `agents`; None: which agents there are is not known here.

    A lenient check is for a machine that the workflow does not follow itself (an agent's own planner, a fragment):
    an undefined target counts as a final state, and an unreachable state is a warning.
    """
    check = _Check(fsm, agents, is_lenient=is_lenient)
    return check.problems()


class _Check:
    def __init__(self, fsm: FsmSpec, agents: Collection[str] | None, *, is_lenient: bool) -> None:
        self._fsm = fsm
        self._agents = agents
        self._is_lenient = is_lenient
        self._problems: list[Problem] = []
        self._guesses = 0
        self._state_names = _listed(sorted({*fsm.states, *fsm.final_states}))
        self._agent_names = _listed(sorted(agents or ()))
        self._final = self._mended_finals()
        self._known = {*fsm.states, *self._final}

    def problems(self) -> list[Problem]:
        initial = self._name(self._fsm.initial_state, "initial_state", can_end=False)
        for state in self._fsm.states.values():
            self._check_name(state)
            self._check_agent(state)
            self._check_transitions(state)
        ways = {name: self._ways(state) for name, state in self._fsm.states.items()}
        if initial:
            self._check_flow(initial, ways)
        return self._problems

    def _mended_finals(self) -> set[str]:
        """The final states; one that is a slip of a state counts as that."""
        states = self._fsm.states
        targets = {target for state in states.values() for target in state.targets()} | {self._fsm.initial_state}
        final = set(self._fsm.final_states)
        for name in sorted(self._fsm.final_states - states.keys() - targets):
            meant = self._guess(name, states.keys() - final, cutoff=SLIP_RATIO)
            if meant:
                message = f"final state {name!r} is not defined; states are {self._state_names}"
                self._add("state.undefined", message, "final_states", did_you_mean(meant))
                final = final - {name} | {meant}
        return final

    def _name(self, name: str, path: str, *, can_end: bool = True) -> str:
        """The state that a name means, mended when it is a slip; empty when there is none."""
        if name in self._known:
            return name
        if not name:
            first = next(iter(self._fsm.states), "")
            self._add("state.no_initial", "the machine needs an initial_state", path, f"initial_state: {first}")
            return ""
        if self._is_lenient and can_end and not self._guess(name, self._known, cutoff=SLIP_RATIO):
            message = f"state {name!r} is not defined; it counts as a final state"
            self._add("state.undefined", message, path, "name it in final_states", "warning")
            return name
        meant = self._guess(name, self._known)
        message = f"state {name!r} is not defined; states are {self._state_names}"
        self._add("state.undefined", message, path, did_you_mean(meant))
        return meant

    def _guess(self, name: str, known: Collection[str], *, cutoff: float = 0.6) -> str:
        self._guesses += 1
        return nearest(name, known, cutoff=cutoff) if self._guesses <= _MAX_GUESSES else ""

    def _ways(self, state: FsmState) -> tuple[str, ...]:
        """The states that this one leads to; a final state is left by its error alone."""
        path = f"states.{state.name}"
        named = [(state.on_error, f"{path}.on_error")]
        if state.name not in self._final:
            named += [(state.on_success, f"{path}.on_success")]
            named += [(state.on_true, f"{path}.on_true"), (state.on_false, f"{path}.on_false")]
            named += [
                (branch.target, f"{path}.conditional_transitions.{number}.target")
                for number, branch in enumerate(state.branches)
            ]
            if state.gate is not None:
                named += [(state.gate.back_to, f"{path}.gate"), (state.gate.otherwise, f"{path}.gate")]
        elif state.on_success or state.condition or state.branches:
            message = f"state {state.name!r} is final; its transitions on success are never taken"
            self._add("state.final_leads_on", message, path, severity="warning")
        return tuple(filter(None, (self._name(target, place) for target, place in named if target)))

    def _check_name(self, state: FsmState) -> None:
        if state.name == RUN_TIMER and state.wait_for:
            message = f"a state that waits cannot be called {RUN_TIMER!r}: the timer of the whole run is"
            self._add("state.reserved_name", message, f"states.{state.name}")

    def _check_agent(self, state: FsmState) -> None:
        if self._agents is None:
            return
        path = f"states.{state.name}"
        if state.agent is not None and state.agent not in self._agents:
            message = f"agent {state.agent!r} is not defined; agents are {self._agent_names}"
            hint = did_you_mean(self._guess(state.agent, self._agents))
            self._add("agent.undefined", message, f"{path}.agent", hint)
        if state.agent is not None and state.wait_for:
            message = f"state {state.name!r} both runs agent {state.agent!r} and waits for {state.wait_for!r}; split it"
            self._add("state.two_actions", message, path)
        decides = state.condition or state.branches
        acts = state.agent is not None or state.name in self._agents or state.wait_for
        if not acts and not decides and state.name not in self._final:
            message = f"nothing happens in state {state.name!r}: it has no agent, no wait_for and no condition"
            hint = (
                did_you_mean(self._guess(state.name, self._agents))
                or f"add agent: or define an agent named {state.name!r}"
            )
            self._add("state.empty", message, path, hint, "refusal" if self._is_lenient else "error")

    def _check_transitions(self, state: FsmState) -> None:
        path = f"states.{state.name}"
        is_final = state.name in self._final
        if state.condition and not is_final and not (state.on_true and state.on_false) and not state.on_success:
            missing = " and ".join(key for key in ("on_true", "on_false") if not getattr(state, key))
            message = f"the condition of state {state.name!r} has no {missing}, and there is no on_success to fall to"
            self._add("state.half_condition", message, path)
        if not state.condition and (state.on_true or state.on_false):
            message = f"state {state.name!r} has on_true or on_false without a condition"
            self._add("state.no_condition", message, path)
        if is_final or state.condition or state.on_success:
            return
        if state.branches:
            message = f"when no condition of state {state.name!r} holds, the run fails"
            self._add("state.no_default", message, path, "add on_success", "warning")
        elif not (state.on_true or state.on_false):
            message = f"state {state.name!r} leads nowhere and is not in final_states"
            self._add("state.dead_end", message, path, "add on_success, or name it in final_states")

    def _check_flow(self, initial: str, ways: Mapping[str, tuple[str, ...]]) -> None:
        reached = _closure([initial], ways)
        for name in (*self._fsm.states, *sorted(self._final - self._fsm.states.keys())):
            if name not in reached:
                path = f"states.{name}" if name in self._fsm.states else "final_states"
                message = f"state {name!r} is never reached from {initial!r}"
                self._add("state.unreachable", message, path, severity="warning" if self._is_lenient else "error")
        ends = {name for name in reached if name in self._final or not ways.get(name)}
        back: dict[str, list[str]] = {}
        for name, targets in ways.items():
            for target in targets:
                back.setdefault(target, []).append(name)
        trapped = reached - _closure(ends, back)
        told: set[str] = set()
        for name in self._fsm.states:
            if name in trapped and name not in told:
                circle = _closure([name], ways) & trapped
                states = _listed([each for each in self._fsm.states if each in circle] if len(circle) > 1 else [name])
                message = f"no final state can be reached from {states}: the run would go in circles"
                self._add("state.endless", message, f"states.{name}", "give the circle a way to a final state")
                told |= _closure(circle, back)

    def _add(self, code: str, message: str, path: str, hint: str = "", severity: Severity = "error") -> None:
        self._problems.append(Problem(code=code, message=message, path=path, hint=hint, severity=severity))


def _closure(start: Iterable[str], ways: Mapping[str, Iterable[str]]) -> set[str]:
    """Everything that can be reached, the start included."""
    reached = set(start)
    ahead = list(reached)
    while ahead:
        for target in ways.get(ahead.pop(), ()):
            if target not in reached:
                reached.add(target)
                ahead.append(target)
    return reached


def _listed(names: Collection[str]) -> str:
    shown = list(names)[:_MAX_NAMED]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return ", ".join(map(repr, shown)) + more if shown else "none"
