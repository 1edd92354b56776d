"""`af plan`, and estimates that are kept with runs."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.appliance.cli.conftest import Af

PRICED = 'prices: {"scripted/*": {input_per_1k: "1", output_per_1k: "2"}}\n'  # 1,000 and 2,000 micro-dollars a token
TWO_STEPS = """
name: two
input_schema: {type: object, required: [message], properties: {message: {type: string}}}
agents:
  say: {type: llm, prompt: "{{ input.message }}", model: {provider: scripted, answers: [hello], max_tokens: 40}}
  tell: {type: llm, prompt: "{{ steps.say.text }} and so on", model: {provider: vllm, name: llama3, max_tokens: 10}}
policies: {cost_budget: 0.05}
workflow: {cost_budget: 0.04}
planner: {type: sequential, agents: [say, tell]}
"""


@pytest.fixture
def settings(data_folder: Path) -> Path:
    """The settings' file, with a price for scripted models."""
    data_folder.mkdir(parents=True, exist_ok=True)
    path = data_folder / "config.yaml"
    path.write_text(PRICED)
    return path


def test_a_plan_counts_the_prompt_and_learns_the_answer(af: Af, greet: Path, settings: Path) -> None:
    """First what is declared, half of max_tokens; after some runs what was answered."""
    first: Any = af("plan", greet, "--input", '{"message": "hi"}', "--json").document
    (step,) = first["steps"]
    assert (True, {"p50": 1, "p95": 1}, 0) == (
        step["input_is_exact"],
        step["input_tokens"],
        first["learned_from_runs"],
    )
    assert ({"p50": 129, "p95": 257}, 0.257) == (first["tokens"], first["cost_usd"]["p50"])
    for _ in range(30):
        assert 0 == af("run", greet, "--input", '{"message": "hi"}').code
    learned: Any = af("plan", greet, "--input", '{"message": "hi"}', "--json").document
    assert (30, {"p50": 2, "p95": 2}) == (learned["learned_from_runs"], learned["tokens"])
    assert {"p50": 3_000, "p95": 3_000} == learned["cost_usd_micros"]
    told = af("plan", greet, "--input", '{"message": "hi"}').out
    assert "learned from 30 past runs" in told
    assert 80 >= max(map(len, told.splitlines()))


def test_a_run_keeps_its_estimate_and_says_how_near_it_was(af: Af, greet: Path) -> None:
    """In its journal, and beside what it took."""
    run: Any = af("run", greet, "--input", '{"message": "hi"}', "--json").document
    estimate = run["estimate"]
    assert (129, 257, 0, 63.5) == tuple(
        estimate[key] for key in ("tokens_p50", "tokens_p95", "learned_from_runs", "tokens_error_ratio")
    )
    assert '"estimate":{"tokens_p50":129,"tokens_p95":257}' in af("logs", "last", "--json").out
    assert "estimated 129 tokens, at most 257 in 95 %" in af("runs", "show", "last").out
    assert 0 == af("replay", "last", "--check").code
    assert "estimate" not in af("run", greet, "--no-preflight", "--input", '{"message": "hi"}', "--json").document


def test_budgets_are_asked_whether_they_have_room(af: Af, tmp_path: Path, settings: Path) -> None:
    """Those of the settings and of the definition, against the median and the 95th percentile."""
    path = tmp_path / "two.yaml"
    path.write_text(TWO_STEPS)
    settings.write_text(
        PRICED + "budgets:\n"
        "- {per: day, usd: 1}\n- {scope: {workflow: two}, per: hour, usd: '0.06', hard: false}\n"
        "- {scope: {workflow: other}, per: day, usd: 1}\n- {scope: {agent: say}, per: day, usd: 1}\n"
    )
    found: Any = af("plan", path, "--input", '{"message": "hi"}', "--json").document
    verdicts = {each["budget"]: each["verdict"] for each in found["budgets"]}
    assert {
        "1 USD a day of the appliance": "fits",
        "0.06 USD an hour of workflow 'two'": "may_not_fit",
        "0.05 USD a day of workflow 'two' of tenant 'default'": "may_not_fit",
        "0.04 USD a run of workflow 'two'": "does_not_fit",
        "1 USD a day of agent 'say'": "fits",
    } == verdicts


def test_budgets_of_tools_and_memory_are_shown_with_what_is_left(af: Af, tmp_path: Path, settings: Path) -> None:
    """How often they are used is nobody's guess; that there is a bound is worth knowing all the same."""
    path = tmp_path / "tooled.yaml"
    path.write_text(
        "name: tooled\nagents:\n  say:\n    type: llm\n    tools: [create_ticket]\n    prompt: hi\n"
        "    model: {provider: scripted, answers: [hello]}\n"
        "    memory: {long_term: {cost_budget_dollars: 0.5}}\n"
    )
    settings.write_text(
        PRICED + "budgets:\n- {scope: {tool: create_ticket}, per: day, usd: 1}\n"
        "- {scope: {tool: other}, per: day, usd: 2}\n"
    )
    said = " ".join(af("plan", path).out.split())
    assert "? not estimated 1 USD a day of tool 'create_ticket', $1.00 left" in said
    assert "? not estimated 0.5 USD a run of memory 'long_term' of agent 'say' of workflow 'tooled'" in said
    assert "other" not in said


def test_what_is_not_known_before_the_run_is_said_to_be_so(af: Af, tmp_path: Path, settings: Path) -> None:
    """A prompt that another step fills, and a model that this appliance does not have."""
    path = tmp_path / "two.yaml"
    path.write_text(TWO_STEPS)
    found: Any = af("plan", path, "--input", '{"message": "hi"}', "--json").document
    say, tell = found["steps"]
    assert (True, False) == (say["input_is_exact"], tell["input_is_exact"])
    assert (1, True) == (say["input_tokens"]["p50"], tell["input_tokens"]["p50"] >= 256)
    assert ["vllm/llama3"] == found["unpriced_models"]


def test_an_input_that_the_workflow_does_not_take_is_refused_as_by_a_run(af: Af, tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(TWO_STEPS)
    said = af("plan", path, "--input", '{"massage": "hi"}')
    assert (2, True) == (said.code, "run.input_invalid" in said.err)


def test_bench_estimate_measures_and_draws(af: Af, greet: Path, tmp_path: Path, data_folder: Path) -> None:
    """In a folder of its own, which is gone afterwards."""
    questions, plot = tmp_path / "questions.jsonl", tmp_path / "curve.svg"
    questions.write_text("".join(f'{{"message": "hi {number}"}}\n' for number in range(12)))
    asked = ("bench", "estimate", "--workflow", greet, "--questions", questions)
    said = af(*asked, "--runs", "12", "--plot", plot, "--json")
    found: Any = said.document
    assert (0, ["0", "1", "2", "5"]) == (said.code, list(found["rows"]))
    assert [0.0] == [goal["value"] for goal in found["goals"]]
    assert plot.read_text().startswith("<svg")
    assert [] == list((data_folder / "bench").iterdir())
    few = af(*asked, "--runs", "13")
    assert (2, True) == (few.code, "bench.few_questions" in few.err)
    assert 2 == af(*asked, "--runs", "12", "--plot", tmp_path / "curve.png").code


def test_a_damaged_journal_keeps_no_new_run_from_starting(af: Af, greet: Path, data_folder: Path) -> None:
    """Nothing is learned from it, and its estimate is held against nothing."""
    for _ in range(2):
        assert 0 == af("run", greet, "--input", '{"message": "hi"}').code
    with closing(sqlite3.connect(data_folder / "journal.db")) as connection, connection:
        connection.execute("DROP TRIGGER event_keeps")
        connection.execute("UPDATE event SET hash = zeroblob(32) WHERE seq = 2")
    plan: Any = af("plan", greet, "--input", '{"message": "hi"}', "--json").document
    assert 1 == plan["learned_from_runs"]
    assert 0 == af("run", greet, "--input", '{"message": "hi"}').code
    report: Any = af("costs", "--json").document
    assert [2] == [each["runs"] for each in report["estimates"]]


NESTED = """
name: nested
agents:
  first: {type: llm, prompt: "{{ input.message }}", model: {provider: scripted, answers: [hello there], max_tokens: 20}}
  part:
    type: workflow
    workflow:
      name: inside
      policies: {cost_budget: 5/run}
      agents:
        look:
          type: llm
          prompt: "look at {{ input.message }} well"
          model: {provider: scripted, answers: [seen], max_tokens: 100}
  say: {type: llm, prompt: "say {{ input }} please", model: {provider: scripted, answers: [a b c], max_tokens: 10}}
  each: {type: map, over: "OVER", agent: say}
workflow: {cost_budget: 0.2}
"""


def test_a_plan_looks_into_workflows_within_and_lists(af: Af, tmp_path: Path, settings: Path) -> None:
    """Their prompts are counted, their own runs teach; what they take is not the outer workflow's to pay."""
    path = tmp_path / "nested.yaml"
    path.write_text(NESTED.replace("OVER", "{{ input.items }}"))
    given = '{"message": "hi you", "items": ["x", "y", "z"]}'
    first: Any = af("plan", path, "--input", given, "--json").document
    steps = {step["agent"]: step for step in first["steps"]}
    assert ({"p50": 5, "p95": 5}, {"p50": 9, "p95": 9}) == tuple(
        steps[name]["input_tokens"] for name in ("part", "each")
    )
    assert [("say", True)] == [(step["agent"], step["input_is_exact"]) for step in steps["each"]["within"]["steps"]]
    assert ("say", 3) == (steps["each"]["within"]["workflow"], steps["each"]["within"]["runs"]["p50"])
    assert {"0.2 USD a run of workflow 'nested'": "fits"} == {
        each["budget"]: each["verdict"] for each in first["budgets"]
    }
    for _ in range(12):
        run: Any = af("run", path, "--input", given, "--json").document
    assert abs(run["estimate"]["tokens_error_ratio"]) <= 0.05, run["estimate"]
    assert "3 × say" in af("plan", path, "--input", given).out
    # what the estimate is held against stands beside it: the run's own tokens are less
    shown = " ".join(af("runs", "show", "last").out.split())
    assert "· answered by scripted with the runs of its steps 16 tokens in, 12 out · $0.04 estimated" in shown, shown


def test_a_list_that_only_the_run_will_tell_is_learned(af: Af, tmp_path: Path) -> None:
    """How long it was in past runs; before them, what is declared."""
    path = tmp_path / "nested.yaml"
    found_by_first = '{".*": {json: {found: [x, y]}}}, max_tokens: 20}, output_schema: {type: object}}'
    listing = NESTED.replace("[hello there], max_tokens: 20}}", found_by_first)
    path.write_text(listing.replace("OVER", "{{ steps.first.found }}"))
    runs = []
    for _ in range(3):
        found: Any = af("plan", path, "--input", '{"message": "hi"}', "--json").document
        runs.append(next(step["within"]["runs"]["p50"] for step in found["steps"] if step["agent"] == "each"))
        assert 0 == af("run", path, "--input", '{"message": "hi"}').code
    assert [8, 2, 2] == runs


def test_a_plan_looks_at_budgets_of_agents_and_models(af: Af, tmp_path: Path, settings: Path) -> None:
    """A run is refused for them as for the whole's, so a plan that left them out would promise too much."""
    settings.write_text(
        'prices: {"scripted/*": {per_call: "0.01"}}\n'
        "budgets:\n"
        "  - {scope: {agent: '*'}, per: hour, usd: '0.001'}\n"
        "  - {scope: {model: scripted/two}, per: day, tokens: 1000}\n"
        "  - {scope: {agent: nobody}, per: day, usd: 0}\n"
        "  - {scope: {role: guest}, per: day, usd: 0}\n"
    )
    path = tmp_path / "pair.yaml"
    path.write_text(
        "name: pair\nagents:\n"
        "  one: {type: llm, prompt: x, model: {provider: scripted, name: one, answers: [y], max_tokens: 9}, "
        "policies: {cost_budget: 0.02/run}}\n"
        "  two: {type: llm, prompt: x, model: {provider: scripted, name: two, answers: [y], max_tokens: 9}}\n"
    )
    plan: Any = af("plan", path, "--json").document
    assert {
        "0.001 USD an hour of agent 'one'": "does_not_fit",
        "0.001 USD an hour of agent 'two'": "does_not_fit",
        "1,000 tokens a day of model 'scripted/two'": "fits",
        "0.02 USD a run of agent 'one' of workflow 'pair'": "fits",
    } == {each["budget"]: each["verdict"] for each in plan["budgets"]}
    assert "✗ does not fit" in af("plan", path).out
    asked: Any = af("plan", path, "--as", "guest", "--json").document
    assert {"0 USD a day of role 'guest'": "does_not_fit"} == {
        each["budget"]: each["verdict"] for each in asked["budgets"] if "role" in each["budget"]
    }
