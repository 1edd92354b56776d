"""Who may do what with a task for people, and what an answer to it has to be. Pure."""

from collections.abc import Collection

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.event import SignalReceived, TaskMoved
from runtime.domain.human import TaskState, Terms, status_of
from runtime.domain.ids import AgentId, StepId, state_of
from runtime.domain.run import RunState, StepState
from runtime.domain.schema import Schema
from runtime.domain.spelling import did_you_mean, nearest
from runtime.domain.workflow import AgentSpec, Workflow
from runtime.errors import Conflict, Invalid, NotFound, Refused

ANSWER_KEYS = ("decision", "comment", "fields")
"""What an answer may hold."""
FORM = "form"
"""The setting of an agent that holds the JSON Schema of `fields`."""


class Person(msgspec.Struct, frozen=True):
    """Who does something with a task, and in what role."""

    name: str
    role: str = ""


def task_of(state: RunState, step: StepId) -> tuple[StepState, TaskState]:
    """The task of a step. Raises NotFound where there is none."""
    found = state.steps.get(step)
    if found is None or not found.task:
        there = ", ".join(str(each.step) for each in state.steps.values() if each.task)
        raise NotFound(
            "human.not_found",
            f"run {state.run!r} has no task {step!r} for people; " + (f"it has {there}" if there else "it has none"),
        )
    return found, found.task


def check_signal(state: RunState, workflow: Workflow, received: SignalReceived) -> None:
    """Raise where a signal would answer a task that this person may not answer, or not like this."""
    step = state.awaited().get(received.name)
    if step is not None and state.steps[step].task:
        check_answer(state, workflow, step, received)


def check_answer(state: RunState, workflow: Workflow, step: StepId, received: SignalReceived) -> None:
    """Raise Conflict for a task that is over or somebody else's, Refused for a person without the role, and Invalid for
    an answer that it does not take."""
    found, task = open_task(state, step)
    first = state.awaited().get(found.signal)
    if first != step:  # a signal goes to one of those that wait for it
        raise Conflict(
            "human.same_signal",
            f"step {first!r} of run {state.run!r} waits for {found.signal!r} too, and goes before task {step!r}; "
            "answer it first",
        )
    person = Person(received.actor, received.role)
    _check_may(state, step, task, person)
    if task.taken_by and task.taken_by != person.name:
        raise _taken(state, step, task)
    spec = workflow.agents.get(state.steps[step].agent or AgentId(state_of(step)))
    _check_payload(f"{state.run}.{step}", task.terms, spec, received.payload)


def check_move(state: RunState, workflow: Workflow, moved: TaskMoved) -> None:
    """Raise Conflict for a task that is over or somebody else's, and Refused for a person without the role."""
    _, task = open_task(state, moved.step)
    person = Person(moved.actor, moved.role)
    _check_may(state, moved.step, task, person)
    is_others = bool(task.taken_by) and task.taken_by != person.name
    if is_others and (moved.how == "taken" or not _oversees(task.terms, person)):
        raise _taken(state, moved.step, task)
    if moved.how == "assigned" and not moved.person:
        raise Invalid("human.person", f"task {state.run}.{moved.step} is to be assigned to nobody; return it instead")
    if moved.how == "returned" and not (task.taken_by or task.assignee):
        raise Conflict("human.not_taken", f"task {state.run}.{moved.step} is nobody's, so there is nothing to return")
    if moved.how == "taken" and task.taken_by == person.name:
        raise Conflict("human.taken", f"task {state.run}.{moved.step} is {person.name!r}'s already")


def open_task(state: RunState, step: StepId) -> tuple[StepState, TaskState]:
    """The task of a step. Raises NotFound where there is none, Conflict where it is over."""
    found, task = task_of(state, step)
    if step not in state.open:
        by = f" by {task.decided_by!r}" if task.decided_by else ""
        ended = status_of(task, is_open=False)
        raise Conflict("human.done", f"task {state.run}.{step} is {ended}{by}; nothing more can be done with it")
    return found, task


def _check_may(state: RunState, step: StepId, task: TaskState, person: Person) -> None:
    roles = task.terms.roles_at(task.level)
    people = {name for name in (task.terms.assignee, task.assignee, task.taken_by) if name}
    if person.role in roles or person.name in people or not (roles or task.terms.assignee):
        return
    wanted = _either([*(f"role {role!r}" for role in roles), *(repr(name) for name in sorted(people))])
    own = f"has role {person.role!r}" if person.role else "has no role"
    raise Refused(
        "human.not_allowed",
        f"task {state.run}.{step} is for {wanted}; {person.name!r} {own}. The rule is 'assignment_rules' and "
        "'escalation' of its agent",
    )


def _oversees(terms: Terms, person: Person) -> bool:
    """Whether a person may give to others what somebody has taken."""
    return bool(person.role) and person.role in (terms.backup, *(level.role for level in terms.chain))


def _taken(state: RunState, step: StepId, task: TaskState) -> Conflict:
    return Conflict(
        "human.taken",
        f"{task.taken_by!r} has taken task {state.run}.{step}; it can be answered once it was returned, or assigned "
        "anew by somebody of its backup role or of its escalation chain",
    )


def _check_payload(task: str, terms: Terms, spec: AgentSpec | None, payload: Json) -> None:
    if not isinstance(payload, dict) or not payload.keys() <= set(ANSWER_KEYS) or "decision" not in payload:
        raise Invalid(
            "human.answer", f"task {task} takes {{decision, comment, fields}}, of which decision has to be there"
        )
    decision, comment = payload["decision"], payload.get("comment", "")
    if not isinstance(decision, str) or decision not in terms.decisions:
        found = repr(decision[:40]) if isinstance(decision, str) else "no text"
        guess = did_you_mean(nearest(decision, terms.decisions)) if isinstance(decision, str) else ""
        raise Invalid(
            "human.decision",
            f"task {task}: a decision is one of {', '.join(terms.decisions)}; found {found}"
            + (f"; {guess}" if guess else ""),
        )
    if not isinstance(comment, str):
        raise Invalid("human.answer", f"task {task}: a comment is a text")
    form = spec.config.get(FORM) if spec is not None else None
    if isinstance(form, dict):
        fault = Schema(form).fault(payload.get("fields", {}))
        if fault:
            raise Invalid("human.form", f"task {task}: the fields do not fit its form: {fault}")
    elif payload.get("fields"):
        raise Invalid("human.form", f"task {task} has no form, so it takes no fields")
    schema = spec.output_schema if spec is not None else None
    fault = Schema(schema).fault(payload) if schema is not None else ""
    if fault:
        raise Invalid("human.answer", f"task {task}: the answer does not fit output_schema of its agent: {fault}")


def _either(names: Collection[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
