"""What runs spend: their own cost, tools and requests that cost money, and budgets that refuse them."""

import gc
from pathlib import Path
from typing import Any

import pytest

from tests.appliance.cli.conftest import Af
from tests.models.installed import installed_models

PRICED = 'prices: {"scripted/*": {input_per_1k: "0.001", output_per_1k: "0.002"}}\n'
TICKETS = """
name: tickets
tool_registry: {tools: {create_ticket: {type: builtin, cost_per_call: 0.02}}}
agents:
  open: {type: custom, handler: "actions.py:open_two", tools: [create_ticket]}
"""
OPEN_TWO = """
def open_two(task, ctx):
    for number in (1, 2):
        ticket = ctx.tool("create_ticket", {"subject": f"ticket {number}"})
    return {"last": ticket}
"""
PAIR = """
name: pair
agents:
  say: {type: llm, prompt: hello, model: {provider: scripted, name: pair, answers: [hello]}}
"""


@pytest.fixture
def settings(data_folder: Path) -> Path:
    """The settings' file, with a price for scripted models."""
    data_folder.mkdir(parents=True, exist_ok=True)
    path = data_folder / "config.yaml"
    path.write_text(PRICED)
    return path


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    """A workflow whose one step opens two tickets, at two cents each."""
    (tmp_path / "actions.py").write_text(OPEN_TWO)
    path = tmp_path / "tickets.yaml"
    path.write_text(TICKETS)
    return path


def test_a_run_says_what_it_cost(af: Af, greet: Path, settings: Path) -> None:
    """In its document, its steps and its journal; the same as the report of costs."""
    run = af("run", greet, "--input", '{"message": "hi"}', "--json").document
    assert 0.000003 == run["usage"]["cost_usd"] == run["steps"][0]["usage"]["cost_usd"]  # type: ignore[index]
    assert run["usage"] == af("runs", "show", "last", "--json").document["usage"]
    assert '"cost_usd_micros":3' in af("logs", "last", "--json").out
    assert 3 == af("costs", "--json").document["total"]["cost_usd_micros"]  # type: ignore[index]


def test_a_tool_costs_what_the_registry_says(af: Af, tickets: Path) -> None:
    """Each call; the report tells the tool's name."""
    run = af("run", tickets, "--json").document
    assert ("succeeded", 0.04) == (run["status"], run["usage"]["cost_usd"])  # type: ignore[index]
    line = af("costs", "--by", "tool", "--json").document["spending"][0]  # type: ignore[index]
    assert ("create_ticket", 2, 40_000) == (line["name"], line["calls"], line["cost_usd_micros"])


def test_the_settings_price_of_a_tool_goes_before_the_registrys(af: Af, tickets: Path, settings: Path) -> None:
    """Whoever runs the appliance pays, and says what a call costs."""
    settings.write_text('prices: {"tool/create_ticket": {per_call: "0.003"}}\n')
    assert 0.006 == af("run", tickets, "--json").document["usage"]["cost_usd"]  # type: ignore[index]


def test_a_tool_without_a_price_is_counted(af: Af, tickets: Path) -> None:
    tickets.write_text(TICKETS.replace(", cost_per_call: 0.02", ""))
    assert 0 == af("run", tickets).code
    line = af("costs", "--by", "tool", "--json").document["spending"][0]  # type: ignore[index]
    assert ("create_ticket", 2, 0) == (line["name"], line["calls"], line["cost_usd_micros"])


def test_a_budget_of_a_tool_refuses_the_call_that_has_no_room(af: Af, tickets: Path, settings: Path) -> None:
    """The second one here; the first one counts."""
    settings.write_text("budgets: [{scope: {tool: create_ticket}, per: day, usd: '0.03'}]\n")
    said = af("run", tickets, "--json")
    assert (3, "budget.exceeded") == (said.code, said.document["error"]["code"])  # type: ignore[index]
    assert "asks for tool 'create_ticket', which can take up to 0.02 USD" in said.document["error"]["message"]  # type: ignore[index]
    assert 0.02 == said.document["usage"]["cost_usd"]  # type: ignore[index]


@pytest.mark.parametrize("budget", ["{per: day, usd: '0.0001'}", "{scope: {workflow: pair}, per: hour, usd: '0'}"])
def test_a_budget_that_refuses_every_model_of_a_route_ends_with_exit_code_3(
    af: Af, tmp_path: Path, settings: Path, budget: str
) -> None:
    """Nothing broke: a policy said no to each of them."""
    settings.write_text(
        f"{PRICED}budgets: [{budget}]\nmodels: {{routes: {{scripted/pair: [scripted/one, scripted/two]}}}}\n"
    )
    path = tmp_path / "pair.yaml"
    path.write_text(PAIR)
    said = af("run", path, "--json")
    error = said.document["error"]
    assert (3, "model.all_refused") == (said.code, error["code"])  # type: ignore[index]
    told = error["message"]  # type: ignore[index]
    assert "(scripted/one: budget.exceeded; scripted/two: budget.exceeded)" in told
    assert "The rule is budgets in the settings" in told


@pytest.mark.parametrize("amount", ["-0.01", "5 EUR", "'€5'", "lots"])
def test_an_amount_that_is_none_is_named_with_its_place(af: Af, greet: Path, amount: str) -> None:
    """Negative, in another currency, or no number; in the workflow, an agent and the registry of tools."""
    text = greet.read_text().replace(
        'prompt: "{{ input.message }}"', f"prompt: x\n    policies: {{cost_budget: {amount}}}"
    )
    registry = f"tool_registry: {{tools: {{create_ticket: {{type: builtin, cost_per_call: {amount}}}}}}}\n"
    greet.write_text(f"{text}policies: {{cost_budget: {amount}}}\n{registry}")
    said = af("validate", greet)
    assert 2 == said.code
    told = " ".join((said.out + said.err).split())
    for place in ("policies.cost_budget", "agents.greet.policies.cost_budget", "create_ticket.cost_per_call"):
        assert place in told


SEARCH = """
name: search
agents:
  find:
    type: rag
    input: "{{ input.message }}"
    memory: {long_term: {folder: articles, cost_budget_dollars: 0.03}}
"""


def test_an_operation_of_memory_has_a_price_and_a_budget(af: Af, tmp_path: Path, settings: Path) -> None:
    """By layer; the agent's own budget of the layer refuses the search that has no room."""
    (tmp_path / "articles").mkdir()
    (tmp_path / "articles" / "lost.md").write_text("---\nid: a\ntitle: Lost cards\n---\nFreeze the card in the app.")
    path = tmp_path / "workflow.yaml"
    path.write_text(SEARCH)
    prices = '{"memory/long_term": {per_call: "0.02"}, "memory/long_term/save": {per_call: "1"}}'
    settings.write_text(f"models: {{folder: {installed_models()}}}\nprices: {prices}\n")
    given = ("--input", '{"message": "I lost my card"}')
    plan: Any = af("plan", path, *given, "--json").document
    assert 0.02 == plan["cost_usd"]["p50"]
    run: Any = af("run", path, *given, "--json").document
    assert ("succeeded", 0.02) == (run["status"], run["usage"]["cost_usd"])
    costs: Any = af("costs", "--by", "memory", "--json").document
    line = costs["spending"][0]
    assert ("long_term", 1, 20_000) == (line["name"], line["calls"], line["cost_usd_micros"])
    path.write_text(SEARCH.replace("0.03", "0.01"))
    refused = af("run", path, *given)
    assert (3, True) == (refused.code, "memory 'long_term'" in refused.out + refused.err), refused.out + refused.err


def test_the_sum_says_what_else_was_spent(af: Af, tmp_path: Path, settings: Path) -> None:
    """A report of models alone must not look like all that there was."""
    (tmp_path / "tickets.yaml").write_text(TICKETS)
    (tmp_path / "actions.py").write_text(OPEN_TWO)
    assert 0 == af("run", tmp_path / "tickets.yaml").code
    said = af("costs")
    assert "models, tools, requests and memory together $0.04; see --by tool and --by memory" in said.out, said.out
    assert "together" not in af("costs", "--by", "workflow").out
    document: Any = af("costs", "--json").document
    assert (0, 40_000) == (document["total"]["cost_usd_micros"], document["whole"]["cost_usd_micros"])


def test_settings_that_cannot_be_read_are_one_line(
    af: Af, settings: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """And no warning of Python's about work that was never begun."""
    settings.write_text("budgets: [{per: day, usd: -1}]\n")
    (tmp_path / "pair.yaml").write_text(PAIR)
    for command in (("run", tmp_path / "pair.yaml"), ("costs",), ("runs", "resume")):
        said = af(*command)
        assert (2, 1) == (said.code, len(said.err.splitlines())), said.err
        assert "config.yaml:1" in said.err
    gc.collect()
    assert [] == [each.message for each in recwarn.list if "never awaited" in str(each.message)]
