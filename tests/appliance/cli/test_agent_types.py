"""Tables of rules, searches of the web and pictures by the commands: checked, run, decided again, asked what if."""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.appliance.cli.conftest import Af
from tests.json_site import JsonSite
from tests.runtime.agents.picture_samples import JPEG, PNG

FRAUD = """
name: fraud
agents:
  decide:
    type: rules_engine
    input: {amount: "{{ input.amount }}"}
    tools: [create_ticket]
    rules: rules.yaml
"""
RULES = """
hit_policy: unique
rules:
  - {name: large, when: amount > 1000, then: review, call: create_ticket, arguments: {subject: "{{ amount }} waits"}}
otherwise: approve
"""
NEWS = """
name: news
agents:
  researcher: {type: web_search, input: "{{ input.topic }}", config: {live: true, url: "http://127.0.0.1:PORT"}}
"""
LOOK = """
name: look
agents:
  look:
    type: vision_model
    prompt: "Is it safe?"
    config: {folder: pictures}
    model: {provider: scripted, answers: {safe: "yes"}}
"""
SERVED = """
name: served
agents:
  look: {type: vision_model, prompt: "Is it safe?", model: {provider: vllm, model: eyes}}
"""


class _Site(JsonSite):
    """A search service and a model that takes pictures."""

    asked: list[Any]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.reply({"results": [{"url": "https://a.example", "title": "A", "engine": "x"}]})

    def do_POST(self) -> None:
        self.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        message = {"role": "assistant", "content": "a red card"}
        self.reply({"model": "eyes", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]})


@pytest.fixture
def site() -> Iterator[tuple[int, list[Any]]]:
    """Its port, and what it was asked."""
    asked: list[Any] = []
    server = HTTPServer(("127.0.0.1", 0), type("Site", (_Site,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port, asked
    server.shutdown()
    thread.join()
    server.server_close()


def settings(data: Path, text: str) -> None:
    data.mkdir(parents=True, exist_ok=True)
    (data / "config.yaml").write_text(text)


def test_a_table_decides_calls_and_is_decided_again(af: Af, data_folder: Path, tmp_path: Path) -> None:
    """And a what-if calls nothing."""
    (tmp_path / "workflow.yaml").write_text(FRAUD)
    (tmp_path / "rules.yaml").write_text(RULES)
    assert 0 == af("validate", tmp_path).code
    ran = af("run", tmp_path, "--input", '{"amount": 5000}', "--json").document
    assert {
        "decision": "review",
        "rule": "large",
        "fired": ["large"],
        "calls": [{"rule": "large", "tool": "create_ticket", "output": {"id": "T-000001", "status": "open"}}],
    } == ran["output"]
    run = str(ran["run_id"])
    assert 0 == af("replay", run, "--check").code
    assert 0 == af("what-if", run, "--set", "input.amount=1", "--json").code
    assert 0 == af("what-if", run, "--set", "input.amount=9000", "--json").code
    assert ["5000 waits"] == [each["subject"] for each in af("tickets", "list", "--json").document["tickets"]]  # type: ignore[attr-defined]


def test_a_mistake_in_a_table_is_told_with_its_file_and_line(af: Af, data_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "workflow.yaml").write_text(FRAUD)
    (tmp_path / "rules.yaml").write_text(RULES.replace("amount > 1000", "amuont > 1000"))
    said = af("validate", tmp_path)
    assert (2, True) == (said.code, "rules.yaml:4: error[condition.unknown_name]" in said.out + said.err)


def test_the_web_is_searched_where_the_operator_allows_it(
    af: Af, data_folder: Path, tmp_path: Path, site: tuple[int, list[Any]]
) -> None:
    port, asked = site
    (tmp_path / "workflow.yaml").write_text(NEWS.replace("PORT", str(port)))
    run = ("run", tmp_path, "--input", '{"topic": "cards"}', "--json")
    refused = af(*run)
    assert (3, []) == (refused.code, asked)
    assert "egress.web_refused" in refused.out
    settings(data_folder, "features: [web_search]\nredaction: {'search/cloud:*': none}\n")
    assert "https://a.example" in af(*run).out
    assert ["/search?q=cards&format=json&safesearch=1"] == asked
    settings(data_folder, "features: [web_search]\nresidency: [local, site]\n")
    assert "egress.zone_refused" in af(*run).out
    assert 1 == len(asked)


def test_a_picture_of_the_project_is_looked_at(af: Af, data_folder: Path, tmp_path: Path) -> None:
    """Without a model that sees, and again from what was recorded."""
    (tmp_path / "workflow.yaml").write_text(LOOK)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(PNG)
    ran = af("run", tmp_path, "--input", '{"file": "a.png"}', "--json").document
    assert {"text": "yes"} == ran["output"]
    assert 0 == af("replay", str(ran["run_id"]), "--check").code
    assert "file.outside" in af("run", tmp_path, "--input", '{"file": "../workflow.yaml"}', "--json").out


def test_a_picture_leaves_only_where_the_redaction_policy_lets_it(
    af: Af, data_folder: Path, tmp_path: Path, site: tuple[int, list[Any]]
) -> None:
    port, asked = site
    (tmp_path / "workflow.yaml").write_text(SERVED)
    (tmp_path / "pictures.yaml").write_text("name: pictures\nextends: secrets-only\nentities: {BINARY: allow}\n")
    backend = f"models: {{backends: [{{name: vllm, url: 'http://127.0.0.1:{port}/v1', models: [eyes]}}]}}\n"
    run = ("run", tmp_path, "--input", json.dumps({"image": b64encode(JPEG).decode()}), "--json")
    settings(data_folder, backend)
    refused = af(*run)
    assert (3, []) == (refused.code, asked)
    assert "BINARY: allow" in refused.out
    settings(data_folder, f"{backend}redaction: {{'model/site': {tmp_path / 'pictures.yaml'}}}\n")
    assert {"text": "a red card"} == af(*run).document["output"]
    (question,) = asked
    words, shown = question["messages"][-1]["content"]
    assert "Is it safe?" == words["text"]
    assert f"data:image/jpeg;base64,{b64encode(JPEG).decode()}" == shown["image_url"]["url"]
