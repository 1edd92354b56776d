"""A rules_engine agent decides by its table, says which rules held, and calls their tools."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime.agents.rules_engine import MANY, RulesAgent
from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId
from runtime.domain.workflow import AgentSpec
from runtime.errors import Invalid, StepFailure
from runtime.ports import StepContext, StepResult
from tests.runtime.agents import tasks

RULES: list[Json] = [
    {"name": "sanctioned", "when": "country in ['KP']", "then": "reject"},
    {
        "name": "large",
        "when": "amount > 1000",
        "then": {"action": "review", "amount": "{{ amount }}"},
        "call": [
            {"tool": "flag_transaction", "arguments": {"id": "{{ input.id }}"}},
            {"tool": "notify_user"},
        ],
    },
]


class Desk(tasks.Context):
    """Keeps what was called."""

    def __init__(self) -> None:
        super().__init__(None, folder=Path())  # type: ignore[arg-type]  # no model is asked
        self.called: list[tuple[str, Json]] = []

    async def call_tool(self, tool: str, arguments: dict[str, Json]) -> Json:  # type: ignore[override]  # it returns
        self.called.append((tool, arguments))
        return {"done": tool}


def agent(rules: list[Json] = RULES, *, given: Json = None, **config: Json) -> RulesAgent:
    return RulesAgent(
        AgentSpec(id=AgentId("decide"), type="rules_engine", input=given, config={"rules": rules, **config})
    )


async def decided(agent: RulesAgent, given: Json, desk: Desk | None = None, **data: Json) -> StepResult:
    task = msgspec.structs.replace(tasks.task(given), data={"input": given, **data})
    ctx: StepContext = desk or Desk()
    return await agent.act(task, ctx)


async def output(agent: RulesAgent, given: Json, **data: Json) -> dict[str, Any]:
    found = (await decided(agent, given, None, **data)).output
    assert isinstance(found, dict)
    return found


async def test_it_answers_with_the_decision_and_calls_the_tools_of_its_rule() -> None:
    desk = Desk()
    result = await decided(agent(), {"id": 7, "amount": 5000, "country": "DE"}, desk)
    assert {
        "decision": {"action": "review", "amount": 5000},
        "rule": "large",
        "fired": ["large"],
        "calls": [
            {"rule": "large", "tool": "flag_transaction", "output": {"done": "flag_transaction"}},
            {"rule": "large", "tool": "notify_user", "output": {"done": "notify_user"}},
        ],
    } == result.output
    assert [("flag_transaction", {"id": 7}), ("notify_user", {})] == desk.called
    assert result.evidence is not None
    assert {"large": "amount > 1000"} == result.evidence["because"]


async def test_only_the_first_rule_calls() -> None:
    desk = Desk()
    result = await decided(agent(), {"id": 7, "amount": 5000, "country": "KP"}, desk)
    assert ("reject", []) == (result.output["decision"], desk.called)  # type: ignore[index,call-overload]  # an object


async def test_a_large_table_decides_alike() -> None:
    """It is gone through beside the event loop."""
    rules: list[Json] = [{"name": f"r{n}", "when": f"x == {n}", "then": n} for n in range(MANY + 1)]
    assert MANY == (await output(agent(rules, hit_policy="unique"), {"x": MANY}))["decision"]


async def test_without_a_match_the_last_word_is_otherwise() -> None:
    found = await output(agent(otherwise={"then": "approve"}), {"amount": 1, "country": "DE"})
    assert {"decision": "approve", "rule": "otherwise", "fired": [], "calls": []} == found


async def test_without_a_match_or_a_last_word_the_step_fails() -> None:
    """An approval that nobody wrote must not happen."""
    with pytest.raises(StepFailure) as caught:
        await decided(agent(), {"amount": 1, "country": "DE"})
    assert "rules.no_match" == caught.value.code


async def test_names_are_those_of_states_then_of_the_last_output_then_of_the_input() -> None:
    rules: list[Json] = [{"name": "a", "when": "score > 1 && scorer.score > 2 && amount == 3", "then": 1}]
    data: dict[str, Json] = {"steps": {"scorer": {"score": 9}}, "response": {"score": 5}}
    assert 1 == (await output(agent(rules), {"score": 0, "amount": 3}, **data))["decision"]


async def test_an_input_of_its_own_wins_and_hides_the_keys_of_the_last_output() -> None:
    """What a table is given by name is what it decides by."""
    rules: list[Json] = [{"name": "a", "when": "score > 1", "then": "{{ score }}"}]
    own = agent(rules, given={"score": "{{ input.score }}"})
    assert 2 == (await output(own, {"score": 2}, response={"score": 0}))["decision"]
    with pytest.raises(StepFailure, match=r"condition\.error"):
        await output(
            agent([{"name": "a", "when": "other", "then": 1}], given={"x": 1}), {"x": 1}, response={"other": 1}
        )


async def test_any_wants_agreement() -> None:
    same: list[Json] = [{"name": n, "when": "x > 0", "then": {"a": 1}} for n in ("a", "b")]
    assert {"a": 1} == (await output(agent(same, hit_policy="any"), {"x": 1}))["decision"]
    other: list[Json] = [{"name": n, "when": "x > 0", "then": n} for n in ("a", "b")]
    with pytest.raises(StepFailure, match=r"rules\.not_equal"):
        await output(agent(other, hit_policy="any"), {"x": 1})


async def test_collect_gathers_the_decisions_and_may_add_them_up() -> None:
    rules: list[Json] = [
        {"name": "night", "when": "hour < 6", "then": 20},
        {"name": "abroad", "when": "abroad", "then": "{{ weight }}"},
        {"name": "never", "when": "false", "then": 100},
    ]
    given: Json = {"hour": 3, "abroad": True, "weight": 15}
    found = await output(agent(rules, hit_policy="collect"), given)
    assert ([20, 15], None, ["night", "abroad"]) == (found["decision"], found["rule"], found["fired"])
    assert 35 == (await output(agent(rules, hit_policy="collect", aggregate="sum"), given))["decision"]
    nothing: Json = {"hour": 12, "abroad": False}
    assert [] == (await output(agent(rules, hit_policy="collect"), nothing))["decision"]
    assert 0 == (await output(agent(rules, hit_policy="collect", aggregate="sum"), nothing))["decision"]
    with pytest.raises(StepFailure, match=r"rules\.no_match"):
        await output(agent(rules, hit_policy="collect", aggregate="max"), nothing)


def test_without_rules_it_is_refused() -> None:
    with pytest.raises(Invalid, match="rules"):
        RulesAgent(AgentSpec(id=AgentId("decide"), type="rules_engine"))
