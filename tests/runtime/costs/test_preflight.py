"""Preflight and calibration: declared first, learned later, and never surprised by what is known."""

from collections.abc import Sequence

import pytest

from appliance.loader import check_bytes
from runtime.costs.calibration import Calibration, Lesson, Visit, lesson_of, quantile
from runtime.costs.preflight import UNKNOWN_INPUT, Ask, Spread, preflight
from runtime.costs.prices import FREE, Price
from runtime.costs.structure import patterns_of
from runtime.domain.command import FinishRun, StartStep
from runtime.domain.event import RunStarted, StepSucceeded, Usage
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId
from runtime.domain.journal import Entry
from runtime.domain.run import fold
from runtime.domain.workflow import Workflow

NOW, BEFORE = DefinitionHash("sha256:now"), DefinitionHash("sha256:before")
PRICE = Price(input_micros=1_000_000, output_micros=2_000_000)
ASK = Ask(agent="say", model="local/small", price=PRICE, input_tokens=100, is_exact=True, most_output_tokens=40)
ONCE = [((("say", 1),), 1.0)]
TREE = """
name: tree
agents: {a: {type: llm, prompt: x}, b: {type: llm, prompt: x}, c: {type: llm, prompt: x}}
planner:
  type: behavior_tree
  definition:
    root:
      type: sequence
      children:
        - {type: action, agent: a}
        - {type: selector, children: [{type: action, agent: b}, {type: action, agent: c}]}
"""
MACHINE = """
name: machine
agents: {a: {type: llm, prompt: x}, b: {type: llm, prompt: x}, c: {type: llm, prompt: x}}
planner:
  type: fsm
  definition:
    initial_state: a
    states:
      a: {condition: response.ok, on_true: b, on_false: c}
      b: {on_success: a, on_error: c}
      c: {on_success: done}
    final_states: [done]
"""


def lesson(number: int, *visits: Visit, definition: DefinitionHash = NOW) -> Lesson:
    whole = Usage()
    for visit in visits:
        whole = whole.plus(visit.usage)
    return Lesson(run=RunId(f"r-{number}"), definition=definition, visits=visits, usage=whole)


def said(given: int, answered: int, *, agent: str = "say", model: str = "small") -> Visit:
    return Visit(agent=agent, model=model, usage=Usage(given, answered))


def calibration(*lessons: Lesson) -> Calibration:
    return Calibration(lessons, NOW)


def workflow(text: str) -> Workflow:
    found = check_bytes(text.encode()).workflow
    assert found is not None
    return found


def test_without_past_runs_the_declared_prior_speaks() -> None:
    """Half of max_tokens at the median, all of it at the 95th percentile; money by the price of today."""
    found = preflight([ASK], ONCE, calibration())
    assert (Spread(120, 140), Spread(100 + 2 * 20, 100 + 2 * 40), 0) == (found.tokens, found.usd_micros, found.runs)
    assert (found.steps[0].input_tokens, found.steps[0].is_exact) == (Spread(100, 100), True)


def test_after_fifty_runs_the_answers_to_prompts_of_that_size_speak() -> None:
    """A long prompt is not judged by the answers to short ones."""
    short = [lesson(n, said(50, 5)) for n in range(40)]
    long = [lesson(100 + n, said(100, 20 + n % 3)) for n in range(20)]
    found = preflight([ASK], ONCE, calibration(*short, *long))
    assert Spread(121, 122) == found.tokens
    assert (60, 60) == (found.runs, found.steps[0].learned_from)
    assert Spread(55, 55) == preflight([replaced(input_tokens=50)], ONCE, calibration(*short, *long)).tokens


def test_a_prompt_that_other_steps_decide_is_learned_whole() -> None:
    """Before: its known part and what is declared for the rest."""
    ask = replaced(input_tokens=None, is_exact=False, known_input_tokens=30)
    assert 30 + UNKNOWN_INPUT + 20 == preflight([ask], ONCE, calibration()).tokens.p50
    past = [lesson(n, said(400 + n, 10)) for n in range(41)]
    assert Spread(430, 450) == Spread(*map(tens, spread_of(preflight([ask], ONCE, calibration(*past)).tokens)))


def test_another_model_starts_anew() -> None:
    """What one model said tells nothing of another's answers."""
    past = calibration(*(lesson(n, said(100, 3, model="other")) for n in range(50)))
    assert 120 == preflight([ASK], ONCE, past).tokens.p50


def test_another_version_teaches_what_a_visit_takes_and_not_what_is_visited() -> None:
    past = calibration(*(lesson(n, said(100, 3), said(100, 3), definition=BEFORE) for n in range(50)))
    found = preflight([ASK], ONCE, past)
    assert (0, 103, 1.0) == (found.runs, found.tokens.p50, found.steps[0].expected_visits)


def test_visits_are_learned_from_the_definitions_own_runs() -> None:
    """A loop that the definition does not tell the rounds of."""
    past = calibration(*(lesson(n, *[said(100, 10)] * 3) for n in range(50)))
    found = preflight([ASK], ONCE, past)
    assert (330, Spread(3, 3)) == (found.tokens.p50, found.steps[0].visits)


def test_tools_cost_what_they_did_and_before_that_one_call_each() -> None:
    ask = Ask(agent="say", price=FREE, call_micros=500)
    assert Spread(500, 500) == preflight([ask], ONCE, calibration()).usd_micros
    twice = Visit(agent="say", model="", usage=Usage(0, 0, 1_000))
    assert Spread(1_000, 1_000) == preflight([ask], ONCE, calibration(lesson(1, twice))).usd_micros


def test_an_agent_that_runs_something_else_is_learned_whole() -> None:
    """Such as another workflow: what it took counts for the step that ran it."""
    past = [lesson(n, Visit(agent="say", model="", usage=Usage(300, 40 + n, 7))) for n in range(3)]
    found = preflight([Ask(agent="say", price=FREE)], ONCE, calibration(*past))
    assert (341, 342, 7) == (found.tokens.p50, found.tokens.p95, found.usd_micros.p50)


def test_who_acts_without_being_listed_is_learned_too() -> None:
    """Such as a model that plans: it is no agent of the definition, and it costs."""
    past = [lesson(n, said(100, 10), said(500, 50, agent="plan", model="large")) for n in range(50)]
    found = preflight([ASK], ONCE, calibration(*past))
    assert (660, ["say", "plan"]) == (found.tokens.p50, [step.agent for step in found.steps])


def test_what_has_no_price_is_named() -> None:
    found = preflight([replaced(price=None, is_priced=False)], ONCE, calibration())
    assert (("local/small",), Spread(0, 0)) == (found.unpriced, found.usd_micros)
    assert found.unpriced == found.estimate().unpriced


def test_a_machine_is_walked_with_its_named_way_first() -> None:
    """a → b → a again is a loop and ends the way; every way is counted once, in all 1."""
    found = dict(patterns_of(workflow(MACHINE)))
    assert {(("a", 1), ("b", 1)), (("a", 1), ("c", 1)), (("a", 1), ("b", 1), ("c", 1))} == set(found)
    assert 1 == pytest.approx(sum(found.values()))
    assert (("a", 1), ("b", 1)) == max(found, key=lambda visits: found[visits])


def test_a_tree_is_walked_with_first_children_first() -> None:
    assert [((("a", 1), ("b", 1)), 1.0)] == patterns_of(workflow(TREE))


def test_a_journal_teaches_what_each_visit_took() -> None:
    """Retries and second visits included; a run that goes on teaches nothing yet."""
    start = Entry(1, 1, RunStarted(workflow="w", definition=NOW, input=None))
    visit = Entry(2, 1, StartStep(step=StepId("draft"), agent=AgentId("say")))
    answer = StepSucceeded(step=StepId("draft"), output=None, usage=Usage(7, 5, 3), evidence={"model": "small"})
    assert lesson_of(fold(RunId("r"), [start, visit])) is None
    ended = fold(RunId("r"), [start, visit, Entry(3, 1, answer), Entry(4, 1, FinishRun(status="succeeded"))])
    found = lesson_of(ended)
    assert found is not None
    assert ((Visit(agent="say", model="small", usage=Usage(7, 5, 3)),), (("say", 1),)) == (found.visits, found.pattern)


@pytest.mark.parametrize(("level", "value"), [(0.0, 1), (0.25, 1), (0.5, 2), (0.75, 9), (1.0, 9)])
def test_quantiles_are_values_that_were_seen(level: float, value: int) -> None:
    assert value == quantile([(9, 1.0), (1, 1.0), (2, 1.0), (9, 1.0)], level)
    assert 0 == quantile([], level)


def test_equal_lessons_give_equal_forecasts_in_any_order() -> None:
    """The order in which runs were read is nobody's business."""
    past = [lesson(n, said(90 + n, 5 + n % 7)) for n in range(30)]
    assert preflight([ASK], ONCE, calibration(*past)) == preflight([ASK], ONCE, calibration(*reversed(past)))


def replaced(**changes: object) -> Ask:
    import msgspec

    return msgspec.structs.replace(ASK, **changes)


def tens(value: int) -> int:
    return round(value / 10) * 10


def spread_of(spread: Spread) -> Sequence[int]:
    return spread.p50, spread.p95


def test_one_run_that_took_a_rare_way_says_little_of_the_next() -> None:
    """The way that the author names first is expected until several runs say otherwise; then they are believed."""
    usual, rare = (("say", 1),), (("ask", 1),)
    structure = [(usual, 0.6), (rare, 0.4)]
    ask = Ask(agent="ask", model="local/small", input_tokens=5, most_output_tokens=0)
    went = [lesson(n, said(5, 0, agent="ask")) for n in range(6)]
    tokens = [preflight([ASK, ask], structure, calibration(*went[:count])).tokens.p50 for count in (0, 1, 6)]
    assert 100 < tokens[0]
    assert 100 < tokens[1]
    assert 5 == tokens[2]


def test_runs_that_go_ways_the_definition_does_not_know_are_believed_soon() -> None:
    """It does not tell how often a loop goes round."""
    past = calibration(*(lesson(n, *[said(100, 10)] * 3) for n in range(3)))
    assert Spread(3, 3) == preflight([ASK], ONCE, past).steps[0].visits
