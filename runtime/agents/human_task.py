"""The `human_task` agent: tells people of a task that waits for them, over every channel that its definition names.

The waiting itself is the planner's and the engine's: this acts for each notice of a task alone (it was opened, it is
about to be late, it went to the next role), and a channel that fails keeps no task from being answered.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from runtime.agents.templates import Template
from runtime.domain.canonical import Json
from runtime.domain.ids import RunId, TenantId
from runtime.domain.tool import ToolSpec
from runtime.domain.workflow import AgentSpec
from runtime.errors import AgentFlowError, Invalid, NotFound
from runtime.ports import StepContext, StepResult, Task

Publish = Callable[[TenantId, RunId, str, Json], Awaitable[object]]
"""Publishes a message of a tenant's run under a subject, as the run's journal may have it."""

SUBJECT = "human-tasks"
"""The first token of the subjects of what is published; behind it come the workflow and what happened."""
TICKETS = "create_ticket"
KINDS = {"email": "tool.smtp", "slack": "tool.slack", "webhook": "tool.http", "notify": "tool.notify"}
"""Channels that are a tool of the agent's of a certain kind, whatever it is called."""
LOCAL = ("log", "notify", "ticket", "bus")
"""Channels that every appliance has."""
MOST_CHARACTERS = 8_000
"""Of the text of a notice."""
_WORDS = {
    "opened": "waits for",
    "reminder": "still waits for",
    "escalated": "was passed on to",
    "assigned": "was assigned to",
}

log = logging.getLogger(__name__)


class HumanTaskAgent:
    """Tells people; its output is `{notice, title, channels}`, each channel with `ok` or a code of what went wrong."""

    def __init__(self, spec: AgentSpec, publish: Publish | None = None) -> None:
        """`publish`: on the bus; None: there is none here."""
        self._spec = spec
        self._publish = publish
        self._title = Template(title_of(spec))
        self._text = Template(spec.prompt)
        notification = spec.config.get("notification")
        contacts = notification.get("contacts") if isinstance(notification, dict) else None
        self._contacts: Mapping[str, Json] = contacts if isinstance(contacts, dict) else {}

    async def start(self) -> None:
        """Nothing to get ready."""

    async def stop(self) -> None:
        """Nothing to release."""

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Tell them, over all channels at once. Only cancellation keeps it from an answer."""
        terms = self._spec.terms
        notice = _Notice(task, self._rendered(self._title, task), self._rendered(self._text, task), self._contacts)
        channels = terms.channels if terms is not None else ()
        outcomes = await asyncio.gather(*(self._told(channel, notice, ctx) for channel in channels))
        went: Json = dict(zip(channels, outcomes, strict=True))
        return StepResult(output={"notice": notice.id, "title": notice.title, "channels": went})

    async def _told(self, channel: str, notice: "_Notice", ctx: StepContext) -> str:
        try:
            await self._tell(channel, notice, ctx)
        except AgentFlowError as error:
            log.warning(
                "task %s was not told over channel %s: %s", notice.task_id, channel, error.code
            )  # the message may quote what was sent
            return error.code
        except Exception:
            log.exception("channel %s of task %s crashed", channel, notice.task_id)
            return "human.channel_crashed"
        return "ok"

    async def _tell(self, channel: str, notice: "_Notice", ctx: StepContext) -> None:
        if channel == "log":
            log.warning("task %s %s", notice.task_id, notice.said)
            return
        if channel == "bus":
            if self._publish is None:
                raise NotFound("human.no_bus", "there is no bus here")
            subject = f"{SUBJECT}.{notice.task.workflow}.{notice.kind}"
            await self._publish(notice.task.tenant, notice.task.run, subject, notice.message())
            return
        tool = self._tool(channel, ctx)
        if tool is None and channel in ("notify", "ticket"):
            category = "notice" if channel == "notify" else "human_task"
            await ctx.call_tool(TICKETS, {"subject": notice.subject, "summary": notice.body(), "category": category})
            return
        if tool is None:
            raise NotFound("human.no_channel", f"agent {self._spec.id!r} has no tool for channel {channel!r}")
        await ctx.call_tool(tool.id, _arguments(tool, notice))

    def _tool(self, channel: str, ctx: StepContext) -> ToolSpec | None:
        offered = ctx.offered()
        named = next((tool for tool in offered if tool.id == channel), None)
        kind = KINDS.get(channel)
        return named or next((tool for tool in offered if tool.kind == kind), None)

    def _rendered(self, template: Template, task: Task) -> str:
        try:
            return str(template.render({**task.data, "task": task.input}) or "")[:MOST_CHARACTERS]
        except AgentFlowError:  # people are told all the same
            return f"Task {task.run}.{task.step}"


def title_of(spec: AgentSpec) -> str:
    """The template of a task's title."""
    title = spec.config.get("title")
    return title if isinstance(title, str) else spec.role or spec.id.replace("_", " ")


class _Notice:
    """One notice, and the ways to say it."""

    def __init__(self, task: Task, title: str, text: str, contacts: Mapping[str, Json]) -> None:
        human = task.data.get("human")
        found = human if isinstance(human, dict) else {}
        self.task = task
        self.title = title
        self.text = text
        self.id = str(found.get("notice") or "opened:0")
        self.kind = self.id.partition(":")[0]
        to = found.get("audience")
        self.to = [str(each) for each in to] if isinstance(to, list) else []
        decisions = found.get("decisions")
        self.decisions = [str(each) for each in decisions] if isinstance(decisions, list) else []
        self.task_id = f"{task.run}.{task.step}"
        self._contacts = contacts

    @property
    def said(self) -> str:
        """`waits for approval_specialist`."""
        return f"{_WORDS.get(self.kind, 'waits for')} {' or '.join(self.to) or 'anybody'}"

    @property
    def subject(self) -> str:
        return f"{self.title}: {self.said}"[:200].replace("\n", " ")

    def body(self) -> str:
        """The text of a mail or a ticket."""
        answer = f"af human complete {self.task_id} --decision {'|'.join(self.decisions)}"
        return "\n\n".join(filter(None, [self.text, f"Task {self.task_id} {self.said}.", f"Answer: {answer}"]))

    def message(self) -> Json:
        """The same as JSON."""
        return {
            "task": self.task_id,
            "run": self.task.run,
            "step": self.task.step,
            "workflow": self.task.workflow,
            "notice": self.id,
            "to": [*self.to],
            "title": self.title,
            "decisions": [*self.decisions],
        }

    def addresses(self) -> list[str]:
        """The addresses of those whom it is for."""
        found: list[str] = []
        for name in self.to:
            known = self._contacts.get(name)
            found += [str(each) for each in known] if isinstance(known, list) else [str(known)] if known else []
        return found


def _arguments(tool: ToolSpec, notice: _Notice) -> dict[str, Json]:
    if tool.kind == "tool.smtp":
        addresses = notice.addresses() or _plain_recipients(tool)
        if not addresses:
            raise Invalid("human.no_contact", f"nobody's address is known for {', '.join(notice.to) or 'anybody'}")
        return {"to": [*addresses], "subject": notice.subject, "body": notice.body()}
    if tool.kind == "tool.slack":
        return {"text": f"{notice.subject}\n\n{notice.body()}"}
    if tool.kind in ("tool.ticket", "tool.notify"):
        subject, text = ("subject", "summary") if tool.kind == "tool.ticket" else ("title", "message")
        return {subject: notice.subject, text: notice.body()}
    message = notice.message()
    return dict(message) if isinstance(message, dict) else {}


def _plain_recipients(tool: ToolSpec) -> list[str]:
    """Those that a mail tool may write to, where they are addresses and no patterns."""
    named = tool.config.get("recipients")
    return [str(each) for each in named if "*" not in str(each)] if isinstance(named, list) else []
