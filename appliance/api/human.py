"""Tasks for people over HTTP: what waits for whom, taking, assigning, returning and answering it."""

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_json, read_query
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.auth.callers import Caller, person_of
from appliance.runs.tasks import (
    TaskList,
    TaskView,
    Way,
    chosen,
    is_wanted,
    parts_of_id,
    steps_of,
    task_view,
    unfinished_runs,
)
from appliance.runs.tasks import task_list as listed
from runtime.domain.canonical import Json
from runtime.domain.event import TaskMoved
from runtime.domain.ids import DefinitionHash, RunId
from runtime.domain.run import RunState, StepState, fold
from runtime.domain.workflow import Workflow
from runtime.errors import AgentFlowError, Corrupt, NotFound

_NAME = Meta(max_length=200, description="Who does it; over the UNIX socket alone.")
_ROLE = Meta(max_length=200, description="In what role; over the UNIX socket alone.")
_NOTE = Meta(max_length=4_000, description="What is said with it; kept in the run's journal.")


class TasksQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which open tasks to list."""

    role: Annotated[str, Meta(max_length=200, description="Only those that this role may answer.")] = ""
    person: Annotated[str, Meta(max_length=200, description="Only those that this person has.")] = ""
    status: Annotated[str, Meta(max_length=20, description="Only these, such as created or escalated.")] = ""
    workflow: Annotated[str, Meta(max_length=200, description="Only those of this workflow.")] = ""


class TaskQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to show a task."""

    restored: Annotated[bool, Meta(description="With what pseudonyms stand for; it is audited.")] = False


class ClaimTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Take a task."""

    actor: Annotated[str, _NAME] = ""
    role: Annotated[str, _ROLE] = ""
    note: Annotated[str, _NOTE] = ""


class ReturnTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Give a task back to its role."""

    actor: Annotated[str, _NAME] = ""
    role: Annotated[str, _ROLE] = ""
    note: Annotated[str, _NOTE] = ""


class AssignTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name who is to do a task."""

    person: Annotated[str, Meta(min_length=1, max_length=200, description="Who has it from now on.")]
    actor: Annotated[str, _NAME] = ""
    role: Annotated[str, _ROLE] = ""
    note: Annotated[str, _NOTE] = ""


class CompleteTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answer a task."""

    answer: Annotated[
        Json, Meta(description="`{decision, comment, fields}`; where only a signal is waited for any JSON.")
    ] = None
    actor: Annotated[str, _NAME] = ""
    role: Annotated[str, _ROLE] = ""


@get(
    "/v1/human-tasks",
    name="list_human_tasks",
    **describes(
        "List what waits for people, the longest wait first",
        tag="human-tasks",
        answers={200: TaskList},
        errors=(422,),
        query=TasksQuery,
    ),
)
async def list_human_tasks(request: ApiRequest, service: NamedDependency[Service]) -> TaskList:
    """Open tasks of the caller's tenant, and the signals that runs wait for."""
    asked = read_query(request, TasksQuery)
    views: list[TaskView] = []
    async for summary in unfinished_runs(service.store):
        if summary.tenant != request.user.tenant:
            continue
        workflow = await _pinned(service, summary.definition)
        try:
            state = await service.engine.state(summary.run)
        except (Corrupt, NotFound):  # one damaged run hides no other; one may be erased by now
            continue
        # without a pause: the state is the engine's own, and goes on changing
        views += [task_view(state, step, workflow) for step in steps_of(state)]
    wanted = [
        view
        for view in views
        if is_wanted(view, role=asked.role, person=asked.person, status=asked.status, workflow=asked.workflow)
    ]
    return listed(wanted)


@get(
    "/v1/human-tasks/{task:str}",
    name="show_human_task",
    **describes(
        "Show one task and what happened to it",
        tag="human-tasks",
        answers={200: TaskView},
        errors=(404, 409, 422),
        query=TaskQuery,
    ),
)
async def show_human_task(task: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> TaskView:
    """By its id, or by its run's where that has one open task; also when it is over."""
    state, step = await _found(service, task, request.user)
    return await _shown(
        service, state.run, step, restored_for=request.user if read_query(request, TaskQuery).restored else None
    )


@post(
    "/v1/human-tasks/{task:str}/claim",
    name="claim_human_task",
    status_code=200,
    **describes(
        "Take a task",
        tag="human-tasks",
        answers={200: TaskView},
        errors=(403, 404, 409, 415, 422, 507),
        body=ClaimTask,
        example={"note": "I know the customer."},
    ),
)
async def claim_human_task(task: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> TaskView:
    """Nobody else can answer it from now on. 403 without one of its roles, 409 where somebody else has it."""
    asked = await read_json(request, ClaimTask)
    return await _moved(service, task, request.user, "taken", asked)


@post(
    "/v1/human-tasks/{task:str}/assign",
    name="assign_human_task",
    status_code=200,
    **describes(
        "Name who is to do a task",
        tag="human-tasks",
        answers={200: TaskView},
        errors=(403, 404, 409, 415, 422, 507),
        body=AssignTask,
        example={"person": "ann"},
    ),
)
async def assign_human_task(task: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> TaskView:
    """The person may answer it whatever their role. What somebody has taken is assigned anew by its backup role and
    those of its escalation chain."""
    asked = await read_json(request, AssignTask)
    return await _moved(service, task, request.user, "assigned", asked, person=asked.person)


@post(
    "/v1/human-tasks/{task:str}/return",
    name="return_human_task",
    status_code=200,
    **describes(
        "Give a task back to its role",
        tag="human-tasks",
        answers={200: TaskView},
        errors=(403, 404, 409, 415, 422, 507),
        body=ReturnTask,
        example={"note": "Not my field."},
    ),
)
async def return_human_task(task: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> TaskView:
    """Its time runs on."""
    asked = await read_json(request, ReturnTask)
    return await _moved(service, task, request.user, "returned", asked)


@post(
    "/v1/human-tasks/{task:str}/complete",
    name="complete_human_task",
    status_code=200,
    **describes(
        "Answer a task",
        tag="human-tasks",
        answers={200: TaskView},
        errors=(403, 404, 409, 415, 422, 507),
        body=CompleteTask,
        example={"answer": {"decision": "approve", "comment": "The customer is right."}},
    ),
)
async def complete_human_task(task: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> TaskView:
    """The answer is durable when this answers, and its run goes on. 422 for a decision that it does not take."""
    asked = await read_json(request, CompleteTask)
    state, step = await _found(service, task, request.user)
    by = person_of(request.user, asked.actor, asked.role)
    if step.task:
        await service.engine.answer_task(state.run, step.step, asked.answer, by)
    else:
        await service.engine.signal(state.run, step.signal, asked.answer, actor=by.name, role=by.role)
    return await _shown(service, state.run, step)


async def _moved(
    service: Service,
    task: str,
    caller: Caller,
    how: Way,
    asked: ClaimTask | ReturnTask | AssignTask,
    *,
    person: str = "",
) -> TaskView:
    by = person_of(caller, asked.actor, asked.role)
    state, step = await _found(service, task, caller)
    to = by.name if how == "taken" else person
    moved = TaskMoved(step=step.step, how=how, person=to, actor=by.name, role=by.role, note=asked.note)
    await service.engine.move_task(state.run, moved)
    return await _shown(service, state.run, step)


async def _found(service: Service, task: str, caller: Caller) -> tuple[RunState, StepState]:
    run, step = parts_of_id(task)
    state = await service.engine.state(RunId(run))
    if state.tenant != caller.tenant:
        raise NotFound("run.not_found", f"tenant {caller.tenant!r} has no run {run[:40]!r}")
    return state, chosen(state, step)


async def _shown(service: Service, run: RunId, step: StepState, *, restored_for: Caller | None = None) -> TaskView:
    if restored_for is not None:
        entries = await service.appliance.minimising.restored_entries(
            service.engine, run, tenant=restored_for.tenant, actor=restored_for.actor
        )
    else:
        entries = await service.engine.entries(run)
    state = fold(run, entries)
    return task_view(state, state.steps[step.step], await _pinned(service, state.definition), entries=entries)


async def _pinned(service: Service, definition: DefinitionHash) -> Workflow | None:
    try:
        return await service.appliance.workflows.pinned(definition)
    except AgentFlowError:
        return None
