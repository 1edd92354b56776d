"""What this appliance offers to clients of the Model Context Protocol: its workflows, each as one tool, and its tools.

The same over HTTP and over stdio; where the runs are worked on is the host's to say.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase

import msgspec

from appliance.auth.callers import Caller
from appliance.runs.views import RunView
from appliance.runs.within import task_ids
from appliance.tools.direct_calls import ToolView
from runtime.domain.audit import tool_entry
from runtime.domain.canonical import Json
from runtime.domain.command import AwaitSignal
from runtime.domain.egress import Sender
from runtime.domain.event import StepFailed, StepSucceeded
from runtime.domain.ids import RunId, state_of
from runtime.domain.journal import Entry
from runtime.domain.workflow import Workflow
from runtime.errors import AgentFlowError, NotFound
from runtime.ports import Record
from runtime.tools.mcp.offers import Answer, Offered, Offers, OnProgress

INSTRUCTIONS = (
    "Most tools run one workflow of an AgentFlow appliance to its end, which may take minutes; ask for progress to be "
    "told of every step. The answer's `output` is what the workflow says, `run_id` names the run for later questions. "
    "An answer without `run_id` is that of a tool, which ran no workflow."
)
ANSWER_SCHEMA: dict[str, Json] = {
    "type": "object",
    "required": ["run_id", "status", "output"],
    "properties": {
        "run_id": {"type": "string"},
        "status": {"type": "string"},
        "output": {"description": "What the workflow answered."},
    },
}

OnEntry = Callable[[Entry], None]

log = logging.getLogger(__name__)


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """Where workflows are found and runs are worked on."""

    names: Callable[[], Awaitable[Sequence[str]]]
    find: Callable[[str], Awaitable[Workflow]]
    begin: Callable[[Workflow, Json, Caller], Awaitable[RunId]]
    """Durable when this returns."""
    settled: Callable[[RunId, Caller, OnEntry], Awaitable[RunView]]
    """The run's document once it is final or waits, telling of every entry on the way."""
    cancel: Callable[[RunId, Caller], Awaitable[None]]
    tools: Callable[[], Awaitable[Sequence[ToolView]]]
    """All that belong to no workflow."""
    call_tool: Callable[[str, dict[str, Json], Caller], Awaitable[Json]]
    """By the rules of any call of a tool."""
    record: Record | None = None
    """Keeps a line of the audit log; None: whoever works on the runs keeps it."""


def offers_of(host: Host, workflows: Sequence[str], tools: Sequence[str] = ()) -> Offers[Caller]:
    """The workflows, to be run by callers, and the tools, to be called by them, whose names fit the patterns.

    A tool with the name of a workflow that is offered is not.
    """
    offering = _Offering(host, workflows, tools)
    return Offers(instructions=INSTRUCTIONS, list=offering.list, call=offering.call)


class _Offering:
    def __init__(self, host: Host, workflows: Sequence[str], tools: Sequence[str]) -> None:
        self._host = host
        self._workflows = tuple(workflows)
        self._tools = tuple(tools)

    async def list(self, _: Caller) -> Sequence[Offered]:
        offered = []
        for name in sorted(await self._host.names()):
            if self._is_offered(name):
                try:
                    workflow = await self._host.find(name)
                except AgentFlowError as error:  # one that cannot be read must not hide the others
                    log.warning("workflow %s is not offered to MCP clients: %s", name, error.code)
                else:
                    offered.append(_offered(workflow))
        taken = {each.name for each in offered}
        return [*offered, *(_offered_tool(tool) for tool in await self._chosen() if tool.name not in taken)]

    async def call(self, name: str, arguments: dict[str, Json], who: Caller, tell: OnProgress) -> Answer:
        if self._is_offered(name) and name in await self._host.names():
            return await self._run(await self._host.find(name), arguments, who, tell)
        if all(tool.name != name for tool in await self._chosen()):
            raise NotFound(
                "mcp.not_offered", f"no tool is called {name[:100]!r} here; tools/list names those there are"
            )
        output = await self._host.call_tool(name, arguments, who)
        return Answer(text=text_of(output), structured={"output": output})

    async def _run(self, workflow: Workflow, arguments: dict[str, Json], who: Caller, tell: OnProgress) -> Answer:
        run = await self._host.begin(workflow, arguments, who)
        sender = Sender(
            purpose=f"MCP client {who.actor!r}", tenant=who.tenant, role=who.role, workflow=workflow.name, run=run
        )
        await self._note("tool.called", sender)
        try:
            view = await self._watched(run, who, tell)
        except asyncio.CancelledError:
            with suppress(AgentFlowError):  # it may have ended in between
                await self._host.cancel(run, who)
            await self._note("tool.settled", sender, outcome="cancelled")
            raise
        answer = _answer(view)
        code = "run.waits" if view.awaiting else view.error.code if view.error else "ok"
        await self._note("tool.settled", sender, outcome=code, size_bytes=len(answer.text.encode()))
        return answer

    async def _watched(self, run: RunId, who: Caller, tell: OnProgress) -> RunView:
        """The run once it is settled; whoever asked is told of its steps, by a task that holds up nobody."""
        entries: asyncio.Queue[Entry] = asyncio.Queue()
        telling = asyncio.create_task(_tell(entries, tell))
        try:
            return await self._host.settled(run, who, entries.put_nowait)
        finally:
            telling.cancel()

    async def _note(self, event: str, sender: Sender, *, outcome: str = "", size_bytes: int = 0) -> None:
        if self._host.record is not None:
            await self._host.record(
                tool_entry(
                    "tool.called" if event == "tool.called" else "tool.settled",
                    f"mcp:{sender.workflow}",
                    sender,
                    passage=sender.run,
                    outcome=outcome,
                    size_bytes=size_bytes,
                )
            )

    def _is_offered(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self._workflows)

    async def _chosen(self) -> Sequence[ToolView]:
        if not self._tools:
            return ()
        found = await self._host.tools()
        return [tool for tool in found if any(fnmatchcase(tool.name, pattern) for pattern in self._tools)]


def _offered(workflow: Workflow) -> Offered:
    schema: dict[str, Json] = workflow.input_schema or {}
    # the protocol asks for a schema of objects; what else a workflow takes, it says itself when it is asked
    return Offered(
        name=workflow.name,
        description=workflow.description or f"Runs the workflow {workflow.name!r}.",
        input_schema={"type": "object", **schema},
        output_schema=ANSWER_SCHEMA,
    )


def _offered_tool(tool: ToolView) -> Offered:
    answer: dict[str, Json] = tool.output_schema or {}
    return Offered(
        name=tool.name,
        description=tool.description or f"Calls the tool {tool.name!r}.",
        input_schema={"type": "object", **tool.input_schema},
        output_schema={"type": "object", "required": ["output"], "properties": {"output": answer}},
        is_idempotent=tool.is_idempotent,
    )


async def _tell(entries: asyncio.Queue[Entry], tell: OnProgress) -> None:
    done = 0
    while True:
        what = _news((await entries.get()).body)
        if what:
            done += 1
            await tell(done, what)


def _news(body: object) -> str:
    match body:
        case StepSucceeded(step=step):
            return f"{state_of(step)} is done"
        case StepFailed(step=step, error=error):
            return f"{state_of(step)} failed: {error.code}"
        case AwaitSignal(step=step, signal=signal):
            return f"{state_of(step)} waits for {signal}"
    return ""


def _answer(view: RunView) -> Answer:
    if view.awaiting:
        tasks = task_ids(view)
        message = f"run {view.run_id!r} waits for {', '.join(view.awaiting)}; somebody has to answer it with " + (
            f"af human complete {tasks[0]}, or POST /v1/human-tasks/{tasks[0]}/complete"
            if tasks
            else f"af runs signal, or POST /v1/runs/{view.run_id}/signal"
        )
        return _unanswered(view, "run.waits", message)
    if view.error:
        return _unanswered(view, view.error.code, f"run {view.run_id!r} {view.status}: {view.error.message}")
    structured: dict[str, Json] = {"run_id": view.run_id, "status": view.status, "output": view.output}
    return Answer(text=text_of(view.output), structured=structured)


def _unanswered(view: RunView, code: str, message: str) -> Answer:
    facts: dict[str, Json] = {"run_id": view.run_id, "status": view.status, "code": code, "message": message}
    return Answer(text=f"{code}: {message}", structured=facts, is_error=True)


def text_of(output: Json) -> str:
    """The output's `answer` where it has one that is text, a text as it is, anything else as JSON."""
    if isinstance(output, dict) and isinstance(output.get("answer"), str):
        return str(output["answer"])
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
