"""The names that a condition or a template can read from a run."""

from collections.abc import Iterable

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.ids import StepId, state_of, step_id
from runtime.domain.run import RunState, StepState

LAST_OUTPUT = frozenset({"response", "output", "result", "last"})
"""Names of the output of the step that answered last."""


def scope(state: RunState, names: Iterable[str], at: StepId | None = None) -> dict[str, Json]:
    """The values of `names`, those that there are; `at`: the step that somebody acts in.

    `input` is the run's input, `steps` maps each state to its latest output, `response` (also `output`, `result`,
    `last`) is the last output, `error` the last error, `visits` how often each state was entered. Any other name
    is looked up as a state's output, then as a key of the last output, then as a key of the input; `state` is
    behind them the state of the step that acts.
    """
    found: dict[str, Json] = {}
    for name in names:
        if name == "input":
            found[name] = state.input
        elif name in LAST_OUTPUT:
            found[name] = state.output
        elif name == "steps":
            found[name] = outputs(state)
        elif name == "error":
            found[name] = last_error(state)
        elif name == "visits":
            found[name] = dict(state.visits)
        else:
            _look_up(state, name, found)
            if name == "state" and at is not None:
                found.setdefault(name, state_of(at))
    return found


def outputs(state: RunState) -> dict[str, Json]:
    """Each state's latest output, of the states that have one."""
    answered = {name: _answered(state, name) for name in state.visits}
    return {name: step.output for name, step in answered.items() if step is not None}


def last_error(state: RunState) -> Json:
    """The error of the step that failed last, as {code, message}; None when none has."""
    if state.last_failed is None:
        return None
    error: Json = msgspec.to_builtins(state.steps[state.last_failed].error)
    return error


def _answered(state: RunState, name: str) -> StepState | None:
    """The latest visit of a state that answered; one that goes on, or failed, does not take back what was said."""
    for visit in range(state.visits.get(name, 0), 0, -1):
        step = state.steps.get(step_id(name, visit))
        if step is not None and step.status == "succeeded":
            return step
    return None


def _look_up(state: RunState, name: str, found: dict[str, Json]) -> None:
    step = _answered(state, name)
    if step is not None:
        found[name] = step.output
        return
    for holder in (state.output, state.input):
        if isinstance(holder, dict) and name in holder:
            found[name] = holder[name]
            return
