"""What every Tool promises: one effect per key, clear refusals, tenants apart."""

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.loader import load_tools
from appliance.loading.tool_kinds import TOOL_KINDS
from appliance.loading.tool_specs import specs_of
from runtime.domain.canonical import Json, encode
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.ids import DEFAULT_TENANT, RunId, TenantId
from runtime.domain.mail import Mail, MailReply
from runtime.domain.sql import SqlQuery, SqlReply
from runtime.domain.tool import ToolCall
from runtime.engine.clock import ManualClock
from runtime.errors import AgentFlowError, Invalid
from runtime.policies.exec_profile import ToolPolicy
from runtime.ports import Tool
from runtime.registry import kinds
from runtime.store.journal import journal_database
from runtime.store.lock import hold
from runtime.store.tickets import Tickets
from runtime.tools.context import Means
from runtime.tools.registry import Toolbox, ToolServices
from tests.runtime.tools.contexts import context

DECLARED = """
tool_registry:
  tools:
    http: {type: http, url: "http://crm.bank.example/orders/{id}"}
    smtp: {type: smtp, host: mail.bank.example, from: desk@bank.example}
    database: {type: database, connection: "sqlite:FOLDER/shop.db"}
    postgres: {type: database, connection: "postgresql://reader@db.bank.example/bank", password: secret://reader}
    file: {type: file, folder: FOLDER}
    ticket: {type: ticket}
    notify: {type: notify}
    search_docs: {type: search_docs, collection: handbook}
    slack: {type: slack, token: secret://slack, channels: ["#ops"]}
    scripted: {type: scripted, answers: [{ok: true}]}
    kubernetes: {type: kubernetes, server: "https://k8s.bank.example:6443", token: secret://k8s}
"""
TICKET: dict[str, Json] = {"subject": "card", "category": "cards", "summary": "It was swallowed."}
ARGUMENTS: dict[str, dict[str, Json]] = {
    "create_ticket": TICKET,
    "ticket": TICKET,
    "notify": {"title": "card", "message": "It was swallowed."},
    "http": {"id": 7},
    "smtp": {"to": "ops@bank.example", "subject": "card", "body": "It was swallowed."},
    "database": {"query": "SELECT name FROM customer WHERE id = $1", "parameters": [1]},
    "postgres": {"query": "SELECT name FROM customer WHERE id = $1", "parameters": [1]},
    "file": {"path": "a.txt"},
    "search_docs": {"query": "cards"},
    "slack": {"text": "It was swallowed."},
    "kubernetes": {"verb": "get", "resource": "deployments", "name": "shop"},
    "scripted": {"anything": 1},
}
EFFECTS = {"create_ticket", "ticket", "notify", "smtp"}
"""Another key is another ticket or mail; the others here only look, or say of themselves what the key is."""
WRONG: dict[str, list[dict[str, Json]]] = {
    "create_ticket": [{}, {"subject": 1}, {"subject": "x", "unknown": "y"}],
    "ticket": [{}, {"subject": 1}, {"subject": "x", "unknown": "y"}],
    "notify": [{}, {"message": 1}, {"message": "x", "unknown": "y"}],
    "http": [{}, {"id": ["x"]}],
    "smtp": [{}, {"to": "ops@bank.example"}, {**ARGUMENTS["smtp"], "unknown": "y"}],
    "database": [{}, {"query": 1}, {"query": "SELECT 1", "unknown": 1}, {"query": "DROP TABLE customer"}],
    "postgres": [{}, {"query": 1}, {"query": "SELECT 1", "parameters": 1}],
    "file": [{}, {"path": 1}, {"path": "a", "unknown": "y"}],
    "search_docs": [{}, {"query": 1}, {"query": "x", "count": 0}],
    "slack": [{}, {"text": 1}, {"text": "x", "unknown": "y"}],
    "scripted": [],
    "kubernetes": [{}, {"verb": "get", "resource": "secrets", "name": "x"}, {"verb": "get", "resource": "pods"}],
}
ELSEWHERE = {"code", "function", "mcp"}
"""Kinds with suites of their own, in which programs and servers really run."""


class World:
    """Stands for the guarded doors and for memory."""

    def __init__(self) -> None:
        self.http = _Http()
        self.mail = _Post()
        self.sql = _Database()

    async def search(self, question: str, collection: str, count: int, sender: Sender) -> Json:
        return {"hits": [], "confidence": 0.0}


class _Http:
    async def send(self, request: HttpRequest, *, sender: Sender = APPLIANCE) -> HttpReply:
        body = json.dumps({"ok": True, "asked": request.url}).encode()
        return HttpReply(status=200, headers={"content-type": "application/json"}, body=body)


class _Post:
    async def send(self, mail: Mail, *, sender: Sender = APPLIANCE) -> MailReply:
        return MailReply(message_id=mail.message_id, accepted=mail.recipients)


class _Database:
    async def send(self, query: SqlQuery, *, sender: Sender = APPLIANCE) -> SqlReply:
        return SqlReply(columns=("name",), rows=[["Ada"]])


@pytest.fixture(params=sorted(ARGUMENTS))
async def tool(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Tool]:
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "a.txt").write_text("hello")
    with sqlite3.connect(folder / "shop.db") as made:
        made.executescript("CREATE TABLE customer(id INTEGER, name TEXT); INSERT INTO customer VALUES (1, 'Ada')")
    made.close()
    (tmp_path / "tools.yaml").write_text(DECLARED.replace("FOLDER", str(folder)))
    with hold(tmp_path, what="test", now_us=0) as lock:
        database = journal_database(tmp_path, lock=lock)
        await database.start()
        services = ToolServices(
            clock=ManualClock(),
            kept=_as_it_is,
            tickets=Tickets(database),
            search=World().search,
            features=frozenset({"slack", "kubernetes", "scripted_tools"}),
        )
        yield Toolbox(services, specs_of(load_tools(tmp_path / "tools.yaml"), "tools.yaml"))[request.param]
        await database.stop()


async def _as_it_is(run: RunId, value: Json) -> Json:
    return value


async def called(tool: Tool, arguments: dict[str, Json], *, run: str, tenant: TenantId = DEFAULT_TENANT) -> Json:
    sender: Sender = replace(APPLIANCE, tenant=tenant, run=run, step="s")
    call = ToolCall(tool=tool.spec.id, arguments=arguments, idempotency_key=f"{run}/s/x")
    world = World()
    allowing = ToolPolicy(network="allow_all", filesystem="custom", filesystem_allow=("/",))
    means = Means(http=world.http, mail=world.mail, sql=world.sql, clock=ManualClock())
    return await tool.call(call, context(tool.spec, means=means, sender=sender, policy=allowing))


def test_every_kind_is_held_to_this_suite() -> None:
    suited = {line.partition("type: ")[2].partition(",")[0].strip(" }") for line in DECLARED.splitlines()} - {""}
    assert set(TOOL_KINDS) - ELSEWHERE == suited
    assert set(kinds("tool")) - ELSEWHERE == suited


async def test_a_repeated_key_has_the_effect_once_and_the_same_answer(tool: Tool) -> None:
    arguments = ARGUMENTS[tool.spec.id]
    first = await called(tool, arguments, run="r-1")
    again = await called(tool, arguments, run="r-1")
    other = await called(tool, arguments, run="r-2")
    assert first == again
    assert (first != other) == (tool.spec.id in EFFECTS)


async def test_the_answer_is_json(tool: Tool) -> None:
    assert encode(await called(tool, ARGUMENTS[tool.spec.id], run="r-1", tenant=TenantId("acme")))


async def test_other_arguments_are_refused(tool: Tool) -> None:
    for arguments in WRONG[tool.spec.id]:
        with pytest.raises(Invalid) as refused:
            await called(tool, arguments, run="r-1")
        assert tool.spec.id in refused.value.message or refused.value.code.startswith(("sql.", "mail."))


async def test_what_no_policy_allows_is_refused_before_anything_happens(tool: Tool) -> None:
    """A profile that grants nothing: the tool itself reaches for nothing beyond it."""
    if not tool.spec.permissions:
        pytest.skip("stays inside the appliance")
    call = ToolCall(tool=tool.spec.id, arguments=ARGUMENTS[tool.spec.id], idempotency_key="k")
    world = World()
    means = Means(http=world.http, mail=world.mail, sql=world.sql, clock=ManualClock())
    with pytest.raises(AgentFlowError) as refused:
        await tool.call(call, context(tool.spec, means=means, policy=ToolPolicy()))
    assert refused.value.code in ("tool.host_not_granted", "tool.place_not_granted")
