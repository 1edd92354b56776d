"""A workflow called as a chat model: `workflow:support`.

The last user message becomes the run's input, `{"message": …}`; the run's output becomes the answer.
"""

import asyncio
from contextlib import suppress

from appliance.api.openai_errors import unsupported
from appliance.api.openai_sender import DATA_CLASS_HEADER
from appliance.api.service import Service
from appliance.auth.callers import Caller
from appliance.mcp.offers import text_of
from appliance.runs.views import RunView, run_view
from appliance.runs.within import task_ids, with_tasks
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatReply, ChatRequest
from runtime.domain.ids import RunId
from runtime.domain.run import RunState
from runtime.domain.workflow import Workflow
from runtime.errors import AgentFlowError, Conflict, StepFailure, Unavailable
from runtime.memory.short_term import remembers

PREFIX = "workflow:"
BACKEND = "workflow"


async def ask_workflow(
    service: Service,
    asked: ChatRequest,
    caller: Caller,
    *,
    data_class: str = "",
    traceparent: str = "",
    conversation: str = "",
) -> ChatReply:
    """Run the workflow and answer with its output; the reply's fingerprint is the run's id.

    A workflow that remembers what is said is given the conversation as its session.

    Cancelled, it cancels the run. Raises NotFound for the workflow, Conflict when the run waits for somebody,
    StepFailure when it failed, Unavailable when the server drains (the run goes on at the next start).
    """
    _check(asked, data_class)
    question = next((message.content for message in reversed(asked.messages) if message.role == "user"), None)
    if question is None:
        raise unsupported("messages", "a workflow is asked with a user message, and there is none")
    workflow = await service.appliance.workflows.find(asked.model.removeprefix(PREFIX))
    given: Json = {"message": question}
    if conversation and remembers(workflow):
        given = {"message": question, "session": conversation}
    submitted = await service.submissions.submit(workflow, given, caller, None, traceparent=traceparent)
    try:
        state = await _settled(service, submitted.run)
    except asyncio.CancelledError:
        with suppress(AgentFlowError):  # it may have ended in between
            await service.engine.cancel(submitted.run, "the client hung up", actor=caller.actor)
        raise
    if state.is_minimised:  # whoever asks has just given the values, and can do nothing with pseudonyms
        state = await service.appliance.minimising.restored_state(
            service.engine, submitted.run, tenant=caller.tenant, actor=caller.actor
        )
    return _reply(await with_tasks(run_view(state, workflow), service.engine.state), workflow)


def _check(asked: ChatRequest, data_class: str) -> None:
    """Raise Invalid for what would change nothing, and whoever asked for it would not know."""
    if asked.tools and asked.tool_choice != "none":
        raise unsupported("tools", "a workflow calls the tools of its own agents, and nobody else's")
    if any(message.images for message in asked.messages):
        raise unsupported("messages", "a workflow is asked with text; start its run with POST /v1/runs to give it more")
    if data_class:
        raise unsupported(DATA_CLASS_HEADER, "a workflow says itself how sensitive its data are: policies.data_class")


async def _settled(service: Service, run: RunId) -> RunState:
    settled = asyncio.ensure_future(service.engine.wait(run))
    draining = asyncio.ensure_future(service.lifecycle.draining.wait())
    try:
        await asyncio.wait({settled, draining}, return_when=asyncio.FIRST_COMPLETED)
        if settled.done():
            return settled.result()
        raise Unavailable("server.draining", f"the appliance is stopping; run {run!r} goes on when it is up again")
    finally:
        settled.cancel()
        draining.cancel()


def _reply(run: RunView, workflow: Workflow) -> ChatReply:
    if run.awaiting:
        names = ", ".join(run.awaiting)
        tasks = task_ids(run)
        route = f"/v1/human-tasks/{tasks[0]}/complete" if tasks else f"/v1/runs/{run.run_id}/signal"
        raise Conflict("run.waits", f"run {run.run_id!r} waits for {names}; answer it with POST {route}")
    if run.error:
        raise StepFailure(run.error.code, f"run {run.run_id!r} {run.status}: {run.error.message}", retryable=False)
    return ChatReply(
        text=text_of(run.output),
        finish_reason="stop",
        input_tokens=run.usage.input_tokens,
        output_tokens=run.usage.output_tokens,
        backend=BACKEND,
        model=f"{PREFIX}{workflow.name}",
        fingerprint=run.run_id,
    )
