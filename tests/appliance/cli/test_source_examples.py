"""The source document's five examples as they stand there, each by the five commands: checked, foreseen, tried, run and
decided again.

A site adds what an example leaves to it, and nothing else: models behind the names of clouds', a scoring service, files
and agents that are named and not given, tools, and what is given to whom. `written` puts it into the text.
"""

import json
import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

import agentflow
from tests.appliance.cli.conftest import Af
from tests.appliance.loading.source_document import source_blocks, source_text
from tests.json_site import JsonSite

EXAMPLES = {"customer-support": 7, "content-pipeline": 8, "fraud-detection": 9, "content-moderation": 10}

SAID = {
    "Classify customer messages": "urgent: a card is lost",
    "Generate helpful customer responses": "Your card is frozen, and we call you back.",
    "Create engaging blog content": "Lost cards: what to do",
    "Edit and improve content quality": "Lost cards: what to do.",
    "Judge the voice": '{"score": 0.8}',
    "Given the deployment request": '{"strategy": "canary", "rollout_percentage": 10, "monitoring_duration": "10m"}',
}
"""Begin of a role, or of a question without one → what the site's model answers."""


class _Site(JsonSite):
    """The site's own services: a model that speaks the OpenAI API, and a scoring service."""

    def do_GET(self) -> None:
        self.reply({"data": []})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path.startswith("/v1/"):
            self.reply(_completion(asked))
        else:
            step = self.headers["idempotency-key"].rpartition("/")[2]
            self.reply(_scores(asked, self.path, step))


def _completion(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the role is answered with; one that is offered a tool opens a ticket first."""
    turns = asked["messages"]
    system = next((turn["content"] for turn in turns if turn["role"] == "system"), "")
    asked_for = system or turns[-1]["content"].strip()
    text = next((text for begin, text in SAID.items() if asked_for.startswith(begin)), "well")
    message: dict[str, Any] = {"role": "assistant", "content": text}
    offered = {tool["function"]["name"] for tool in asked.get("tools", [])}
    if "create_ticket" in offered and all(turn["role"] != "tool" for turn in turns):
        function = {"name": "create_ticket", "arguments": '{"subject": "A card is lost"}'}
        message = {"role": "assistant", "content": None}
        message["tool_calls"] = [{"id": "1", "type": "function", "function": function}]
    reason = "tool_calls" if "tool_calls" in message else "stop"
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": asked["model"],
        "choices": [{"index": 0, "finish_reason": reason, "message": message}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28},
    }


def _scores(asked: Mapping[str, Any], path: str, step: str) -> dict[str, Any]:
    """A score by the state of the machine, or by what is looked for."""
    if path == "/score":
        amount = asked["amount"]
        return {"combined_score": amount / 2_000} if step == "additional_checks" else {"risk_score": amount / 1_000}
    worst = 0.9 if "idiot" in str(asked) else 0.1
    found: dict[str, dict[str, Any]] = {
        "/toxicity": {"toxicity_score": worst},
        "/spam": {"spam_confidence": 0.2},
        "/plagiarism": {"score": 0.95},
        "/image": {"nsfw": 0.9 if "party" in str(asked) else 0.1},
        "/pii": {"pii_found": "@" in str(asked)},
    }
    return found[path]


@pytest.fixture
def site() -> Iterator[str]:
    """The address of the site's services."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def project(tmp_path: Path, data_folder: Path, site: str) -> Path:
    """An empty project, and settings that have the site answer for the clouds."""
    data_folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "models": {
            "backends": [{"name": "house", "url": f"{site}/v1", "models": ["llama"]}],
            "aliases": {
                "openai/gpt-4": "house/llama",
                "anthropic/claude-3-sonnet": "house/llama",
                "local/*": "house/llama",  # an agent that names no model means the local one
                "local/all-minilm-l6-v2": "scripted/vectors",
            },
        },
        "memory": {"backends": {"pinecone": "local"}},
        "redaction": {"site": "none"},  # so that no test waits for the models that find names
    }
    (data_folder / "config.yaml").write_text(yaml.safe_dump(settings))
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def written(project: Path, name: str, *changes: tuple[str, str]) -> None:
    """The example as it stands in the document, with these additions."""
    text = source_blocks()[EXAMPLES[name]]
    for before, after in changes:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    (project / "workflow.yaml").write_text(text)


def through(af: Af, project: Path, given: object, outcomes: Mapping[str, object]) -> dict[str, Any]:
    """All five commands; the run."""
    (project.parent / "outcomes.json").write_text(json.dumps(outcomes))
    of_run = ("--input", json.dumps(given), "--json")
    checked = af("validate", project)
    assert 0 == checked.code, checked.out
    assert "refusal[" not in checked.out
    planned = af("plan", project, *of_run)
    assert (0, True) == (planned.code, bool(planned.document["steps"])), planned.err
    tried = af("simulate", project, *of_run, "--outcomes", project.parent / "outcomes.json")
    assert (0, "succeeded") == (tried.code, tried.document["status"]), tried.out
    run = af("run", project, *of_run)
    assert (0, "succeeded") == (run.code, run.document["status"]), run.out + run.err
    assert tried.document["path"] == run.document["path"]
    replayed = af("replay", "--all", "--check")
    assert (0, True) == (replayed.code, "all equal" in replayed.out), replayed.out
    found: dict[str, Any] = run.document
    return found


def within(af: Af, run: Mapping[str, Any], step: str) -> dict[str, Any]:
    """The run that a step had of its own."""
    (found,) = [each for each in run["steps"] if each["step"] == step]
    return af("runs", "show", found["runs"][0], "--json").document


def test_customer_support(af: Af, project: Path) -> None:
    """A classifier with a machine of its own, articles, and a responder with a tree of its own and a ticket."""
    written(project, "customer-support", ("{backend: pinecone, k: 5}", "{backend: pinecone, k: 5, folder: articles}"))
    (project / "classify_fsm.yaml").write_text(
        "initial_state: read\n"
        "states:\n"
        "  read: {on_success: judge}\n"
        "  judge: {condition: \"text.contains('urgent')\", on_true: urgent, on_false: routine}\n"
        "final_states: [urgent, routine]\n"
    )
    (project / "response_tree.yaml").write_text(
        "root:\n"
        "  type: sequence\n"
        "  children:\n"
        "    - {type: action, agent: response_agent}\n"
        '    - {type: condition, check: "size(response_agent.text) > 0"}\n'
    )
    (project / "articles").mkdir()
    (project / "articles" / "lost.md").write_text("---\ntitle: Lost cards\n---\nFreeze a lost card in the app.\n")
    run = through(af, project, {"message": "I lost my card"}, {})
    assert ["classifier", "knowledge_agent", "response_agent", "done"] == run["path"]
    assert {"text": "Your card is frozen, and we call you back."} == run["output"]
    classified = within(af, run, "classifier")
    assert ["read", "judge", "urgent"] == classified["path"]
    assert {"decision": "urgent", "text": "urgent: a card is lost"} == classified["output"]
    assert ["Lost cards"] == [hit["title"] for hit in run["steps"][1]["result"]["hits"]]
    assert "A card is lost" in af("tickets", "list").out


RULES = """type: rules_engine
    rules:
      - when: steps.risk_scorer.decision == "approve_transaction" && velocity_checker.query_transactions.count < 3
        then: approved
        call: [{tool: approve_transaction, arguments: {id: "{{ input.transaction_id }}"}}]
    otherwise:
      then: flagged
      call:
        - {tool: flag_transaction, arguments: {id: "{{ input.transaction_id }}"}}
        - {tool: notify_user, arguments: {message: "Transaction {{ input.transaction_id }} waits"}}"""


CLOSER = ["score_transaction", "check_velocity", "additional_checks", "final_decision"]
"""The machine of the scorer, where the first score is not low."""


@pytest.mark.parametrize(
    ("amount", "machine", "decision"),
    [
        (100, ["score_transaction", "check_velocity", "approve_transaction"], "approved"),
        (1_900, [*CLOSER, "flag_for_manual_review"], "flagged"),
    ],
)
def test_fraud_detection(
    af: Af, project: Path, data_folder: Path, site: str, amount: int, machine: list[str], decision: str
) -> None:
    """A scorer with a machine of its own, a database, and a table of rules that calls tools."""
    written(
        project,
        "fraud-detection",
        ("http://ml-service:8080/score", f"{site}/score"),
        ("type: rules_engine", RULES),
        ("timeout: 2s", "timeout: 60s"),  # a real-time requirement is no promise of a machine that runs tests
    )
    database = project.parent / "bank.db"
    with sqlite3.connect(database) as bank:
        bank.executescript("CREATE TABLE payment (user_id, amount); INSERT INTO payment VALUES ('u1', 5), ('u2', 7)")
        bank.executescript("CREATE TABLE decision (id, verdict)")
    bank.close()
    asking = {"type": "database", "connection": f"sqlite:{database}", "parameters": ["user_id"]}
    deciding = {**asking, "parameters": ["id"], "allowed_operations": ["insert"]}
    tools = {
        "query_transactions": {**asking, "query": "SELECT amount FROM payment WHERE user_id = $1"},
        "calculate_velocity": {**asking, "query": "SELECT count(*) AS velocity FROM payment WHERE user_id = $1"},
        "approve_transaction": {**deciding, "query": "INSERT INTO decision VALUES ($1, 'approved')"},
        "flag_transaction": {**deciding, "query": "INSERT INTO decision VALUES ($1, 'flagged')"},
        "notify_user": {"type": "notify"},
    }
    security = {"filesystem_access": "custom", "filesystem_allow": [str(database.parent)]}
    (data_folder / "tools.yaml").write_text(
        yaml.safe_dump({"tool_registry": {"tools": tools}, "tool_security": security})
    )
    assert "tool.unknown" not in af("validate", project).out
    outcomes = {"decision_engine": {"output": {"decision": decision}}}
    run = through(af, project, {"transaction_id": "t1", "user_id": "u1", "amount": amount}, outcomes)
    assert ["risk_scorer", "velocity_checker", "decision_engine", "done"] == run["path"]
    assert decision == run["output"]["decision"]
    assert machine == within(af, run, "risk_scorer")["path"]
    velocity = run["steps"][1]["result"]
    assert {"query_transactions": [{"amount": 5}], "calculate_velocity": [{"velocity": 1}]} == {
        tool: velocity[tool]["rows"] for tool in velocity
    }


DETECTORS = """agents:
  toxicity_detector: {type: ml_model, model: {endpoint: "SITE/toxicity"}}
  spam_detector: {type: ml_model, model: {endpoint: "SITE/spam"}}
  pii_detector: {type: ml_model, model: {endpoint: "SITE/pii"}}
  violation: {type: rules_engine, rules: [{name: text, when: "true", then: refused}]}
"""
SUMMARY = """  summary:
    type: rules_engine
    rules:
      - {when: has(steps.text_analyzer.rule), then: {all_checks_passed: false, violation_severity: 0.9}}
      - {when: steps.image_analyzer.nsfw > 0.8, then: {all_checks_passed: false, violation_severity: 0.5}}
    otherwise: {then: {all_checks_passed: true, violation_severity: 0.0}}

  decision_maker:
    input: "{{ steps.summary.decision }}"
"""
ORDER = "workflow: {type: sequential, agents: [text_analyzer, image_analyzer, summary, decision_maker]}\n"
LOOK = ["collect_results", "make_decision"]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a quiet evening", [*LOOK, "approve_content"]),
        ("you idiot", [*LOOK, "determine_action", "ban_content"]),
        ("a party", [*LOOK, "determine_action", "flag_for_review"]),
    ],
)
def test_content_moderation(af: Af, project: Path, site: str, text: str, path: list[str]) -> None:
    """A tree of an agent's own that checks three things at once, a picture, and a machine that decides."""
    written(
        project,
        "content-moderation",
        ("agents:\n", DETECTORS.replace("SITE", site)),
        ("    type: llm\n", "    type: llm\n    fallback_agent: violation\n"),
        ("type: vision_model\n", f'type: vision_model\n    model: {{endpoint: "{site}/image"}}\n'),
        ("  decision_maker:\n", SUMMARY),
        ("policies:\n", f"{ORDER}policies:\n"),
    )
    given = {"text": text, "image": f"data:image/png;base64,{PIXEL}"}
    run = through(af, project, given, {})
    assert ["text_analyzer", "image_analyzer", "summary", "decision_maker", "done"] == run["path"]
    assert {"decision": path[-1], "path": path} == run["output"]
    checks = within(af, run, "text_analyzer")
    detectors = {"toxicity_detector", "spam_detector", "pii_detector"}
    assert (detectors, text != "you idiot") == (
        {each["step"] for each in checks["steps"]},
        checks["status"] == "succeeded",
    )


PIPELINE_FUNCTIONS = """
def optimise(task, ctx):
    words = ctx.tool("keyword_analysis", {"text": task})
    title = ctx.tool("meta_generator", {"text": task})
    return {"text": task, "title": title, "keywords": words, "grade": ctx.tool("readability_check", {"text": task})}


def keyword_analysis(text: str) -> list[str]:
    return sorted(word.strip(":.").lower() for word in text.split() if len(word) > 4)


def meta_generator(text: str) -> str:
    return text[:60]


def readability_check(text: str) -> int:
    return len(text.split())
"""
PIPELINE_TOOLS = """
tool_registry:
  tools:
    keyword_analysis: {type: function, handler: "seo.py:keyword_analysis"}
    meta_generator: {type: function, handler: "seo.py:meta_generator"}
    readability_check: {type: function, handler: "seo.py:readability_check"}
"""
GATES = """agents:
  plagiarism_check:
    type: ml_model
    model: {endpoint: "SITE/plagiarism"}
    input: {text: "{{ steps.seo_optimizer.text }}"}
  brand_voice_check:
    type: llm
    role: Judge the voice
    output_schema: {type: object, required: [score], properties: {score: {type: number}}}
"""
EDITED = 'definition: "editing_workflow.yaml"}'


def test_content_pipeline(af: Af, project: Path, site: str) -> None:
    """A search, a writer, an editor with a machine of its own, a function that calls tools, and two gates."""
    written(
        project,
        "content-pipeline",
        ("agents:\n", GATES.replace("SITE", site)),
        ("type: web_search", "type: web_search\n    memory: {long_term: {folder: articles}}"),
        (
            'definition: "editing_workflow.yaml"}',
            'definition: "editing_workflow.yaml"}\n    input: "{{ steps.writer.text }}"',
        ),
        ("type: custom", 'type: custom\n    handler: seo.py:optimise\n    input: "{{ steps.editor.text }}"'),
        ("human_review: optional\n", f"human_review: optional\n{PIPELINE_TOOLS}"),
    )
    (project / "editing_workflow.yaml").write_text(
        "initial_state: correct\n"
        "states:\n"
        "  correct: {on_success: judge}\n"
        "  judge: {condition: \"text.endsWith('.')\", on_true: edited, on_false: correct}\n"
        "final_states: [edited]\n"
    )
    (project / "seo.py").write_text(PIPELINE_FUNCTIONS)
    (project / "articles").mkdir()
    (project / "articles" / "lost.md").write_text("---\ntitle: Lost cards\n---\nFreeze a lost card in the app.\n")
    run = through(af, project, {"message": "Lost cards"}, {})
    agents = ["researcher", "writer", "editor", "seo_optimizer"]
    assert [*agents, "plagiarism_check", "brand_voice_check", "done"] == run["path"]
    text = "Lost cards: what to do."
    assert {"text": text, "title": text, "keywords": ["cards"], "grade": 5} == run["output"]
    assert ["correct", "judge", "edited"] == within(af, run, "editor")["path"]
    assert ["Lost cards"] == [found["title"] for found in run["steps"][0]["result"]["results"]]


DEPLOYING = """
def work(task, ctx):
    return {"state": ctx.step, **task}
"""
WHO = {
    "validate_build": "build_validator",
    "deploy_to_staging": "deployer",
    "run_integration_tests": "build_validator",
    "deploy_to_production": "deployer",
    "monitor_health": "monitor",
}
"""State → who does it: the document's machine does not say."""


def deployment() -> agentflow.Workflow:
    """The document's program in Go, in Python: its template, strategies and machine as they stand there."""
    (go,) = [
        block for block in re.findall(r"^```go\n(.*?)^```", source_text(), re.M | re.S) if "NewLLMPlanner" in block
    ]
    (template,) = re.findall(r"Template: `(.*?)`", go, re.S)
    (strategies,) = re.findall(r"ValidStrategies: \[\]string\{(.*?)\}", go)
    (initial,) = re.findall(r'InitialState: "(\w+)"', go)
    states: dict[str, dict[str, str]] = {}
    for name, body in re.findall(r'^ {12}"(\w+)": \{$(.*?)^ {12}\}', go, re.M | re.S):
        keys = {"OnSuccess": "on_success", "OnError": "on_error", "Timeout": "timeout"}
        states[name] = {keys[key]: value for key, value in re.findall(r'(\w+): "(\w+)"', body)} | {"agent": WHO[name]}
    ends = {state[key] for state in states.values() for key in ("on_success", "on_error")} - states.keys()
    given = {"strategy": "{{ plan.strategy }}", "service": "{{ input.service_name }}"}
    return agentflow.Workflow(
        "devops-deployment",
        [
            agentflow.Agent(name, type="custom", handler="deploy.py:work", role=role, input=given)
            for name, role in re.findall(r'ID: "(\w+)",\s*Role: "([^"]+)"', go)
            if name != "deployment_planner"
        ],
        agentflow.llm(
            "openai/gpt-4",
            template=template,
            strategies=re.findall(r'"(\w+)"', strategies),
            schema={"type": "object", "required": ["strategy", "rollout_percentage", "monitoring_duration"]},
            execution=agentflow.machine(states, initial_state=initial, final_states=sorted(ends)),
            fallback="human",
        ),
    )


def test_devops_deployment(af: Af, project: Path) -> None:
    """A model chooses the strategy, a machine carries it out; the program in Go is one in Python here."""
    (project / "workflow.yaml").write_text(deployment().text())
    (project / "deploy.py").write_text(DEPLOYING)
    given = {"service_name": "shop", "environment": "production", "git_diff": "+1 -1", "current_load": "low"}
    outcomes = {"plan": {"output": {"strategy": "canary", "rollout_percentage": 1, "monitoring_duration": "1m"}}}
    run = through(af, project, given, outcomes)
    assert ["plan", *WHO, "deployment_complete"] == run["path"]
    assert list(WHO.values()) == [step["agent"] for step in run["steps"][1:]]
    assert {"state": "monitor_health", "strategy": "canary", "service": "shop"} == run["output"]
