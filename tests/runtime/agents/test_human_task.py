"""How people are told: each channel by its own tool, and one that fails says so and keeps no other from its work."""

import logging

import pytest

from runtime.agents.human_task import HumanTaskAgent
from runtime.domain.canonical import Json
from runtime.domain.human import Terms
from runtime.domain.ids import AgentId, RunId, TenantId
from runtime.domain.tool import ToolSpec
from runtime.domain.workflow import AgentSpec
from runtime.errors import Unavailable
from runtime.ports import Task
from tests.runtime.agents.tasks import Context, task

TOOLS = [
    ToolSpec(id="post", kind="tool.smtp", config={"recipients": ["desk@b.example", "*@b.example"]}),
    ToolSpec(id="chat", kind="tool.slack"),
    ToolSpec(id="hook", kind="tool.http"),
    ToolSpec(id="mine", kind="tool.function"),
    ToolSpec(id="create_ticket", kind="tool.ticket"),
]


class Desk(Context):
    """Notes what is called; the chat is down."""

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[arg-type]  # no model is asked
        self.calls: dict[str, dict[str, Json]] = {}

    def offered(self) -> list[ToolSpec]:
        return TOOLS

    async def call_tool(self, tool: str, arguments: dict[str, Json]) -> Json:  # type: ignore[override]  # the other never returns
        if tool == "chat":
            raise Unavailable("slack.down", "Zoë's message was not taken")
        self.calls[tool] = arguments
        return {}


def _agent(*channels: str, contacts: Json = None, title: str = "Refund {{ input.n }}") -> HumanTaskAgent:
    notification: Json = {"contacts": contacts} if contacts else {}
    spec = AgentSpec(
        id=AgentId("ask"),
        type="human_task",
        prompt="Pay {{ input.n }}?",
        terms=Terms(role="clerk", channels=channels),
        config={"title": title, "notification": notification},
    )
    return HumanTaskAgent(spec)


def _task(notice: str = "opened:0") -> Task:
    found = task({"n": 17})
    human: Json = {"notice": notice, "audience": ["clerk"], "decisions": ["approve", "reject"]}
    found.data["human"] = human
    return found


async def test_each_channel_is_told_by_its_tool_and_a_failure_is_named(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    agent = _agent("log", "email", "slack", "webhook", "ticket", "mine", "pigeon", "bus")
    with caplog.at_level(logging.WARNING):
        result = await agent.act(_task(), desk)
    assert isinstance(result.output, dict)
    assert {
        "log": "ok",
        "email": "ok",
        "slack": "slack.down",
        "webhook": "ok",
        "ticket": "ok",
        "mine": "ok",
        "pigeon": "human.no_channel",
        "bus": "human.no_bus",
    } == result.output["channels"]
    mail = desk.calls["post"]
    assert (["desk@b.example"], "Refund 17: waits for clerk") == (mail["to"], mail["subject"])
    assert "Pay 17?" in str(mail["body"])
    assert "af human complete r-1.step --decision approve|reject" in str(mail["body"])
    assert ("r-1.step", ["clerk"]) == (desk.calls["hook"]["task"], desk.calls["hook"]["to"])
    assert "human_task" == desk.calls["create_ticket"]["category"]
    assert "task r-1.step waits for clerk" in caplog.text
    assert "Zoë" not in caplog.text
    assert "Refund" not in caplog.text


async def test_mail_goes_to_the_contacts_of_whose_turn_it_is() -> None:
    desk = Desk()
    await _agent("email", contacts={"clerk": ["a@b.example", "c@b.example"], "boss": "x@b.example"}).act(_task(), desk)
    assert ["a@b.example", "c@b.example"] == desk.calls["post"]["to"]


async def test_people_are_told_though_the_words_cannot_be_rendered() -> None:
    desk = Desk()
    result = await _agent("ticket", title="{{ 1 / 0 }}").act(_task("escalated:1"), desk)
    assert isinstance(result.output, dict)
    assert {"ticket": "ok"} == result.output["channels"]
    assert "Task r-1.step: was passed on to clerk" == desk.calls["create_ticket"]["subject"]


async def test_a_message_on_the_bus_has_no_instructions() -> None:
    said: list[tuple[str, Json]] = []

    async def publish(tenant: TenantId, run: RunId, subject: str, payload: Json) -> None:
        said.append((subject, payload))

    spec = AgentSpec(id=AgentId("ask"), type="human_task", prompt="secret", terms=Terms(channels=("bus",)))
    await HumanTaskAgent(spec, publish=publish).act(_task("reminder:0:1"), Desk())
    ((subject, payload),) = said
    assert "human-tasks.test.reminder" == subject
    assert "secret" not in str(payload)
