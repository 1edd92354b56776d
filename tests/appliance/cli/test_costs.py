"""Budgets and `af costs` on the command line."""

from pathlib import Path
from typing import Any

import pytest

from tests.appliance.cli.conftest import Af

PRICED = 'prices: {"scripted/*": {input_per_1k: "0.001", output_per_1k: "0.002"}}\n'
"""1 and 2 micro-dollars a token; `greet` takes 1 token in and 1 out."""


@pytest.fixture
def settings(data_folder: Path) -> Path:
    """The settings' file, with a price for scripted models."""
    data_folder.mkdir(parents=True, exist_ok=True)
    path = data_folder / "config.yaml"
    path.write_text(PRICED)
    return path


def test_a_run_that_has_no_budget_left_ends_with_exit_code_3(af: Af, greet: Path, settings: Path) -> None:
    """A policy said no; nothing broke."""
    settings.write_text(PRICED + "budgets: [{scope: {workflow: greet}, per: hour, usd: '0.0001'}]\n")
    said = af("run", greet, "--input", '{"message": "hi"}')
    assert 3 == said.code
    assert "budget.exceeded" in said.out
    assert "0.0001 USD an hour of workflow 'greet'" in " ".join(said.out.split())


def test_a_budget_of_a_definition_holds_for_its_runs(af: Af, greet: Path) -> None:
    """`policies.cost_budget_tokens` of the workflow, and of the agent; local models count exactly."""
    text = greet.read_text()
    greet.write_text(text + "policies: {cost_budget_tokens: 300}\n")
    assert 0 == af("run", greet, "--input", '{"message": "hi"}').code
    greet.write_text(text + "policies: {cost_budget_tokens: 256}\n")
    said = af("run", greet, "--input", '{"message": "hi"}', "--json")
    assert 3 == said.code
    error = said.document["error"]
    assert isinstance(error, dict)
    assert (
        "The rule is policies.cost_budget_tokens of workflow 'greet'; raise it; each run has its own"
        in error["message"]
    )


def test_a_budget_of_money_holds_for_a_run_or_for_a_day(af: Af, greet: Path, settings: Path) -> None:
    """`workflow.cost_budget` for one run, `policies.cost_budget` for the day, over runs and over restarts."""
    settings.write_text('prices: {"scripted/*": {per_call: "0.1"}}\n')
    text, given = greet.read_text(), ("--input", '{"message": "hi"}', "--json")
    greet.write_text(text + "workflow: {cost_budget: 0.09}\n")
    said = af("run", greet, *given)
    assert 3 == said.code
    assert "workflow.cost_budget of workflow 'greet'; raise it; each run has its own" in str(said.document["error"])
    greet.write_text(text + "policies: {cost_budget: 0.15}\n")
    first, second = (af("run", greet, *given) for _ in range(2))
    assert (0, 3) == (first.code, second.code)
    told = str(second.document["error"])
    assert "of the 0.15 USD a day of workflow 'greet' of tenant 'default', 0.05 USD is left" in told
    assert "when it renews" in told


def test_costs_are_shown_with_what_is_left(af: Af, greet: Path, settings: Path) -> None:
    """80 columns, and the same as a document."""
    settings.write_text(PRICED + "budgets: [{scope: {tenant: '*'}, per: day, usd: 1}, {per: run, tokens: 900}]\n")
    assert 0 == af("run", greet, "--input", '{"message": "hi"}').code
    said = af("costs", "--by", "agent")
    first, line, *_ = said.out.splitlines()
    assert ["AGENT", "CALLS", "INPUT", "OUTPUT", "COST"] == first.split()
    assert ["greet", "1", "1", "1", "$0.000003"] == line.split()
    told = " ".join(said.out.split())
    assert "hard $0.000003 $0.999997 1 USD a day of tenant 'default'" in told
    assert "hard 2 tokens 898 tokens 900 tokens a run of the appliance, run …" in told
    assert max(map(len, said.out.splitlines())) <= 80
    document = af("costs", "--json", "--since", "1h").document
    assert 3 == document["total"]["cost_usd_micros"]  # type: ignore[index]


def test_budgets_of_definitions_are_among_them(af: Af, greet: Path, settings: Path) -> None:
    """Those that a workflow sets bind as those of the settings do."""
    greet.write_text(greet.read_text() + "policies: {cost_budget: 0.5, cost_budget_tokens: 900}\n")
    assert 0 == af("run", greet, "--input", '{"message": "hi"}').code
    budgets: Any = af("costs", "--json").document["budgets"]
    assert {
        "0.5 USD a day of workflow 'greet' of tenant 'default'": (499_997, None),
        "900 tokens a run of workflow 'greet'": (None, 898),
    } == {each["budget"]: (each["left_usd_micros"], each["left_tokens"]) for each in budgets}


def test_an_empty_data_folder_has_spent_nothing_and_stays_empty(af: Af, data_folder: Path) -> None:
    """Looking must not write."""
    said = af("costs")
    assert (0, True) == (said.code, said.out.startswith("nothing was spent since"))
    assert [] == af("costs", "--json").document["spending"]
    assert not (data_folder / "journal.db").exists()


def test_a_period_that_is_none_is_bad_input(af: Af) -> None:
    said = af("costs", "--since", "yesteryear")
    assert (2, True) == (said.code, "error[costs.since] 'yesteryear'" in said.err)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("budgets: [{per: day}]", "budgets[0]: a budget needs usd, tokens or both"),
        ("budgets: [{per: day, usd: -1}]", "budgets[0]: expected an amount of US dollars"),
        ("budgets: [{per: day, usd: 5 EUR}]", "found '5 EUR'"),
        ("budgets: [{per: week, usd: 1}]", "budgets[0].per: 'week' is no period; known: run, hour, day, month"),
        ("budgets: [{scope: {tenant: ''}, per: day, usd: 1}]", "budgets[0]: a name, or *, for everything in scope"),
        ("budgets: [{per: day, usd: 1}, {per: day, usd: 1}]", "two budgets of 1 USD a day of the appliance"),
        ("prices: {gpt: {per_call: 1}}", "PROVIDER/MODEL with a price, not 'gpt'"),
        ("prices: {a/b: {per_call: much}}", "a/b: Invalid decimal string - at `$.per_call`; amounts are US dollars"),
        ("prices: {a/b: {per_call: 5 EUR}}", "a/b: Invalid decimal string - at `$.per_call`; amounts are US dollars"),
        ("prices: {a/b: {per_call: 1, currency: EUR}}", "a/b: 'currency' is no key of a price; known: input_per_1k"),
        ("prices: {a/b: {per_call: -1}}", "a/b: an amount from 0 to 1,000,000 USD, not -1"),
        ("budgets: [{per: day, tokens: -1}]", "budgets[0]: Expected `int` >= 0 - at `$.tokens`"),
        ("unpriced: never", "one of allow, warn, refuse"),
    ],
)
def test_a_bad_budget_or_price_is_named(af: Af, settings: Path, line: str, words: str) -> None:
    """One message with the place."""
    settings.write_text(line)
    said = af("costs")
    assert (2, True) == (said.code, words in " ".join(said.err.split())), said.err


def test_a_charge_back_bills_each_tenant_for_each_item(af: Af, greet: Path, settings: Path) -> None:
    """To the micro-dollar, as CSV for whoever books it."""
    for _ in range(2):
        assert 0 == af("run", greet, "--input", '{"message": "hi"}').code
    lines = af("costs", "--period", "today", "--charge-back", "--csv").out.splitlines()
    assert "tenant,workflow,kind,name,calls,input_tokens,output_tokens,cost_usd_micros" == lines[0]
    assert ["default,greet,model,scripted/scripted,2,2,2,6"] == lines[1:]
    assert "model,calls,input_tokens,output_tokens,cost_usd_micros" == af("costs", "--csv").out.splitlines()[0]
    bills: Any = af("costs", "--charge-back", "--json").document["charge_back"]
    (bill,) = bills
    assert ("default", 6) == (bill["tenant"], bill["total"]["cost_usd_micros"])
    told = af("costs", "--charge-back").out
    assert "tenant default" in told
    assert 80 >= max(map(len, told.splitlines()))


def test_a_period_ends_where_it_is_told_to(af: Af, greet: Path, settings: Path) -> None:
    """What was spent today is no part of what was spent until today."""
    assert 0 == af("run", greet, "--input", '{"message": "hi"}').code
    assert 3 == af("costs", "--json").document["total"]["cost_usd_micros"]  # type: ignore[index]
    assert [] == af("costs", "--since", "7d", "--until", "today", "--json").document["spending"]
    assert 2 == af("costs", "--until", "someday").code


def test_estimates_are_held_against_what_runs_took(af: Af, greet: Path, settings: Path) -> None:
    """One line a workflow; runs without an estimate are no part of it."""
    for more in ((), (), ("--no-preflight",)):
        assert 0 == af("run", greet, "--input", '{"message": "hi"}', *more).code
    estimates: Any = af("costs", "--json").document["estimates"]
    (found,) = estimates
    assert ("greet", 2, 1.0) == (found["workflow"], found["runs"], found["within_p95_ratio"])
    assert "ESTIMATES OF" in af("costs").out
    settings.write_text(PRICED + "preflight: always\n")
    inputs = settings.parent / "lines.jsonl"
    inputs.write_text('{"message": "hi"}\n')
    assert 0 == af("run", greet, "--inputs", inputs).code
    assert 3 == af("costs", "--json").document["estimates"][0]["runs"]  # type: ignore[index]


def test_a_used_up_budget_is_told_in_the_log_once(
    af: Af, greet: Path, settings: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator hears of it without looking."""
    settings.write_text(PRICED + "budgets: [{scope: {workflow: greet}, per: hour, usd: '0.0001'}]\n")
    inputs = settings.parent / "lines.jsonl"
    inputs.write_text('{"message": "hi"}\n' * 3)
    af("run", greet, "--inputs", inputs)
    told = [record.getMessage() for record in caplog.records if record.name == "runtime.store.budgets"]
    assert 1 == len(told)
    assert told[0].startswith("0.0001 USD an hour of workflow 'greet' has no room for model:scripted/scripted of agent")


def test_a_budget_that_nothing_was_spent_of_is_whole(af: Af, greet: Path, settings: Path) -> None:
    """Shown with all of it left; what has a count for each name has none yet. CSV is no JSON."""
    settings.write_text(
        PRICED + "budgets: [{scope: {tool: open_ticket}, per: month, usd: 3}, {scope: {role: '*'}, per: day, usd: 1}]\n"
    )
    assert 0 == af("run", greet, "--input", '{"message": "hi"}').code
    said = af("costs", "--by", "tool")
    assert "nothing was spent on tools since" in said.out
    assert ["hard", "$0", "$3.00", "3"] == said.out.splitlines()[-1].split()[:4]
    assert 1 == len(af("costs", "--json").document["budgets"])  # type: ignore[arg-type]
    assert 2 == af("costs", "--csv", "--json").code
