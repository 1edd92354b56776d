"""Tables of rules: what can be wrong with them is said before a run, with the line."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.loader import check, check_bytes, from_document
from runtime.agents.rules_engine import RulesAgent
from runtime.domain.canonical import Json, encode
from runtime.domain.problem import Problem
from runtime.domain.rules import AGGREGATES, HIT_POLICIES

HEAD = """name: fraud
agents:
  decide:
    type: rules_engine
    tools: [flag, notify]
    input: {amount: "{{ input.amount }}", country: "{{ input.country }}"}
"""
GOOD = f"""{HEAD}    rules:
      - name: sanctioned
        when: country in ["KP", "IR"]
        then: reject
        call: flag
        arguments: {{id: "{{{{ input.id }}}}"}}
      - when: amount > 1000
        call: [{{tool: flag}}, {{tool: notify, arguments: {{text: large}}}}]
    otherwise: approve
"""


def problems(text: str) -> list[Problem]:
    return list(check_bytes(text.encode(), file="w.yaml").problems)


def told(rules: str, *more: str) -> list[tuple[str, int, str]]:
    text = f"{HEAD}    rules:\n" + "".join(f"      - {rule}\n" for rule in rules.splitlines()) + "".join(more)
    return [
        (each.code, each.line, each.path.removeprefix("agents.decide."))
        for each in problems(text)
        if each.code != "rules.tool_unused"
    ]


def test_a_table_is_read_and_comes_back_the_same() -> None:
    workflow = check_bytes(GOOD.encode()).workflow
    assert workflow is not None
    assert {"tool.unknown"} == {each.code for each in workflow.problems}
    config = workflow.agents["decide"].config  # type: ignore[index]  # an agent's key
    assert [
        {
            "name": "sanctioned",
            "when": 'country in ["KP", "IR"]',
            "then": "reject",
            "call": [{"tool": "flag", "arguments": {"id": "{{ input.id }}"}}],
        },
        {
            "name": "rule 2",
            "when": "amount > 1000",
            "call": [{"tool": "flag"}, {"tool": "notify", "arguments": {"text": "large"}}],
        },
    ] == config["rules"]
    assert {"then": "approve"} == config["otherwise"]
    again = from_document(encode(workflow.document), "")
    assert (workflow.hash, workflow.agents) == (again.hash, again.agents)


def test_a_file_of_rules_is_part_of_the_definition(tmp_path: Path) -> None:
    """Another rule is another hash; a whole table in the file has its hit policy with it."""
    (tmp_path / "workflow.yaml").write_text(f"{HEAD}    rules: table.yaml\n")
    table = tmp_path / "table.yaml"
    table.write_text(
        "hit_policy: collect\nrules:\n  - {when: amount > 1, then: 5, call: [{tool: flag}, {tool: notify}]}\n"
    )
    first = check(tmp_path).workflow
    assert first is not None
    assert "collect" == first.agents["decide"].config["hit_policy"]  # type: ignore[index]  # an agent's key
    table.write_text(table.read_text().replace("then: 5", "then: 6"))
    second = check(tmp_path).workflow
    assert second is not None
    assert first.hash != second.hash


def test_a_problem_in_a_file_of_rules_has_the_line_of_that_file(tmp_path: Path) -> None:
    (tmp_path / "workflow.yaml").write_text(f"{HEAD}    rules: table.yaml\n")
    (tmp_path / "table.yaml").write_text("- when: amount > 1\n  then: 5\n- when: amont > 1\n  then: 5\n")
    (found,) = [each for each in check(tmp_path).problems if each.severity == "error"]
    assert ("condition.unknown_name", str(tmp_path / "table.yaml"), 3) == (found.code, found.file, found.line)
    assert "did you mean 'amount'?" == found.hint


@pytest.mark.parametrize(
    ("rules", "code", "line", "path"),
    [
        ("{then: a}", "key.missing", 8, "rules.0"),
        ("{when: amount > 1}", "key.missing", 8, "rules.0"),
        ("{when: amount >, then: a}", "condition.invalid", 8, "rules.0.when"),
        ("{when: size(country), then: a}", "condition.not_boolean", 8, "rules.0.when"),
        ("{when: amount > 1, then: '{{ contry }}'}", "template.unknown_name", 8, "rules.0.then"),
        ("{when: amount > 1, then: '{{ country'}", "template.invalid", 8, "rules.0.then"),
        ("{when: amount > 1, call: fleg}", "rules.tool", 8, "rules.0.call"),
        ("{when: amount > 1, then: a, arguments: {a: 1}}", "key.conflict", 8, "rules.0.arguments"),
        ("{when: amount > 1, wen: a, then: 1}", "key.unknown", 8, "rules.0.wen"),
        ("{name: a, when: amount > 1, then: a}\n{name: a, when: amount > 2, then: a}", "rules.name", 9, "rules.1.name"),
        ("{name: otherwise, when: amount > 1, then: a}", "rules.name", 8, "rules.0.name"),
        ("{when: amount > 1, then: a}\n{when: amount > 1, then: b}", "rules.same", 9, "rules.1"),
        ("{when: amount > 1, then: a, priority: 3}", "rules.priority", 8, "rules.0.priority"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_with_its_line(rules: str, code: str, line: int, path: str) -> None:
    assert (code, line, path) in told(rules)


def test_the_table_as_a_whole_is_checked() -> None:
    rule = "{when: amount > 1, then: a}"
    assert ("rules.aggregate", 9, "aggregate") in told(rule, "    aggregate: sum\n")
    summed = told(rule, "    hit_policy: collect\n    aggregate: sum\n")
    assert ("rules.not_a_number", 8, "rules.0.then") in summed
    assert ("value.unknown", 9, "hit_policy") in told(rule, "    hit_policy: frist\n")
    assert ("rules.tool", 9, "otherwise.call") in told(rule, "    otherwise: {call: fleg}\n")
    assert ("template.unknown_name", 9, "otherwise.then") in told(rule, "    otherwise: '{{ amont }}'\n")


def test_without_an_input_of_its_own_names_are_left_to_the_run() -> None:
    """The last output may have any key."""
    text = "name: x\nagents:\n  decide: {type: rules_engine, rules: [{when: anything > 1, then: a}]}\n"
    assert [] == problems(text)


def test_without_rules_it_loads_and_is_refused_with_what_to_add() -> None:
    """As the source document has it."""
    (found,) = problems("name: x\nagents:\n  decide:\n    type: rules_engine\n    tools: [create_ticket]\n")
    assert ("rules.missing", 4, "refusal") == (found.code, found.line, found.severity)
    assert "rules: [{name: large" in found.hint


def test_an_empty_key_is_a_missing_one() -> None:
    assert "rules.missing" in [
        each.code for each in problems("name: x\nagents:\n  decide:\n    type: rules_engine\n    rules:\n")
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["amount > 1", "flag", "{{ amount }}", "first"]),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(["then", "call", "tool", "when"]), each),
    max_leaves=8,
)
CALL = st.just("flag") | st.lists(st.fixed_dictionaries({"tool": st.just("flag")}), min_size=1, max_size=2) | JSON
RULE = st.fixed_dictionaries(
    {"when": st.sampled_from(["amount > 1", "task.a", "true"]), "then": JSON},
    optional={"call": CALL, "arguments": JSON, "name": JSON, "priority": st.integers(0, 3)},
)
TABLE = st.fixed_dictionaries(
    {"rules": st.lists(RULE, max_size=3) | JSON},
    optional={
        "hit_policy": st.sampled_from(HIT_POLICIES) | JSON,
        "aggregate": st.sampled_from(AGGREGATES),
        "otherwise": RULE | JSON,
        "input": JSON,
    },
)


@settings(max_examples=50)
@given(TABLE)
def test_whatever_stands_there_is_read_or_told(table: dict[str, Json]) -> None:
    """And what is read without an error is a table that an agent is made of, today and from the store."""
    document = {"name": "x", "agents": {"decide": {"type": "rules_engine", "tools": ["flag"], **table}}}
    workflow = check_bytes(json.dumps(document).encode()).workflow
    if workflow is None or any(each.severity == "refusal" for each in workflow.problems):
        return
    (spec,) = workflow.agents.values()
    RulesAgent(spec)
    assert workflow.agents == from_document(encode(workflow.document), "").agents


def test_states_of_the_plan_are_known_names() -> None:
    text = GOOD.replace("amount > 1000", "size_up.score > 1")
    plan = "planner:\n  type: fsm\n  states: {size_up: {agent: decide, on_success: end}}\n  final_states: [end]\n"
    assert any(each.code == "condition.unknown_name" for each in problems(text))
    assert not any(each.code == "condition.unknown_name" for each in problems(text + plan))
