"""Tools of the built-in kinds through the whole appliance: declared in YAML, called by agents, told of."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af
from tests.json_site import JsonSite

DESK = """
name: desk
tool_registry:
  tools:
    order: {{type: http, url: "http://127.0.0.1:{port}/orders/{{id}}"}}
    abroad: {{type: http, url: "http://crm.bank.example/orders"}}
    shop: {{type: database, connection: "sqlite:{folder}/shop.db", query: "{query}", parameters: [id]}}
    ask: {{type: database, connection: "sqlite:{folder}/shop.db"}}
    reports: {{type: file, folder: "{folder}/reports"}}
    tell: {{type: notify}}
tool_security:
  network_policy: custom
  network_allow: ["127.0.0.1:{port}", "crm.bank.example:80"]
  filesystem_access: custom
  filesystem_allow: ["{folder}/shop.db", "{folder}/reports"]
agents:
  {agents}
"""
QUERY = "SELECT item FROM orders WHERE id = $1"
ACTING = 'act: {type: custom, handler: "actions.py:act", tools: [order, abroad, shop, ask, reports, tell]}'
ASKING = 'look: {type: database, tools: [shop], input: {id: "{{ input.order }}"}}'
ACT = "def act(task, ctx):\n    return [ctx.tool(each['tool'], each['with']) for each in task]\n"


class _Orders(JsonSite):
    def do_GET(self) -> None:
        self.reply({"asked": self.path})


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Orders)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    serving.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def desk(tmp_path: Path, port: int, agents: str = ACTING) -> Path:
    folder = tmp_path / "given"
    (folder / "reports").mkdir(parents=True)
    (folder / "reports" / "q3.txt").write_text("quarterly")
    with sqlite3.connect(folder / "shop.db") as made:
        made.executescript("CREATE TABLE orders(id INTEGER, item TEXT); INSERT INTO orders VALUES (7, 'lamp')")
    made.close()
    (tmp_path / "actions.py").write_text(ACT)
    path = tmp_path / "desk.yaml"
    path.write_text(DESK.format(port=port, folder=folder, query=QUERY, agents=agents))
    return path


def calls(**wanted: object) -> str:
    return json.dumps([{"tool": tool, "with": given} for tool, given in wanted.items()])


def test_each_kind_does_its_work_and_is_told_of(af: Af, tmp_path: Path, port: int) -> None:
    given = calls(order={"id": 7}, shop={"id": 7}, reports={"path": "q3.txt"}, tell={"message": "done"})
    run = af("run", desk(tmp_path, port), "--input", given, "--json").document
    answers: list[dict[str, object]] = run["output"]  # type: ignore[assignment]  # one of each
    order, shop, reports, told = answers
    assert {"status": 200, "body": {"asked": "/orders/7"}} == order
    assert ([{"item": "lamp"}], "quarterly", "T-000001") == (shop["rows"], reports["content"], told["id"])
    lines = af("audit", "list", "--json", "--limit", "50").document["lines"]
    events = [(line["event"], line.get("subject", "")) for line in lines]  # type: ignore[attr-defined]
    for tool in ("order", "shop", "reports", "tell"):
        assert {("tool.called", tool), ("tool.settled", tool)} <= set(events)
    assert [f"127.0.0.1:{port}"] == [
        line["host"]
        for line in lines  # type: ignore[attr-defined]
        if line["event"] == "egress.sent"
    ]


@pytest.mark.parametrize(
    ("tool", "given", "code"),
    [
        ("abroad", {}, "egress.cloud_refused"),
        ("ask", {"query": "DELETE FROM orders"}, "sql.operation"),
        ("reports", {"path": "../shop.db"}, "file.outside"),
    ],
)
def test_what_a_tool_may_not_do_ends_as_a_refusal(
    af: Af, tmp_path: Path, port: int, tool: str, given: dict[str, object], code: str
) -> None:
    refused = af("run", desk(tmp_path, port), "--input", calls(**{tool: given}), "--json")
    assert (3, code) == (refused.code, refused.document["error"]["code"])  # type: ignore[index]


def test_an_agent_of_type_database_asks_its_tools(af: Af, tmp_path: Path, port: int) -> None:
    run = af("run", desk(tmp_path, port, ASKING), "--input", '{"order": 7}', "--json").document
    assert [{"item": "lamp"}] == run["output"]["rows"]  # type: ignore[index]
