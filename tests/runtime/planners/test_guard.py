"""The guard lets through what can be carried out, and names what is wrong with the rest."""

import pytest

from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId
from runtime.domain.plan import Plan
from runtime.domain.schema import Schema
from runtime.domain.workflow import AgentSpec, FsmSpec, LlmPlan
from runtime.planners.guard import MAX_FAULTS, NO_JSON, PlanGuard, answer_schema

AGENTS = tuple(map(AgentId, ("check", "search", "write")))
ASKER = AgentSpec(id=AgentId("plan"), type="llm")
SPEC = LlmPlan(asker=ASKER, agents=AGENTS, max_steps=4)
MACHINE = FsmSpec(states={}, initial_state="a", final_states=frozenset())


def judged(answer: Json, spec: LlmPlan = SPEC) -> Plan | tuple[str, ...]:
    return PlanGuard(spec).judge(answer)


def order(answer: Json) -> list[tuple[str, str, tuple[str, ...]]]:
    found = judged(answer)
    assert isinstance(found, Plan), found
    return [(step.name, step.agent, step.after) for step in found.steps]


IN_A_ROW = [("search", "search", ()), ("write", "write", ("search",))]


@pytest.mark.parametrize(
    "answer",
    [
        {"steps": [{"name": "search", "agent": "search"}, {"name": "write", "agent": "write"}]},
        {"steps": [{"agent": "search"}, {"agent": "write"}]},
        {"steps": [{"name": "search"}, {"id": "write"}]},
        {"steps": ["search", "write"]},
        {"steps": ["search", "write"], "assignments": {"search": "search", "write": "write"}},
        {"steps": [{"agent": "search", "next": "write"}, {"agent": "write"}]},
        {"steps": [{"agent": "search"}, {"agent": "write", "depends_on": ["search"]}]},
        {"steps": [{"agent": "search", "next": ["write"]}, {"agent": "write", "depends_on": "search"}]},
    ],
    ids=lambda answer: str(answer)[:60],
)
def test_every_spelling_of_a_row_is_the_same_plan(answer: Json) -> None:
    assert IN_A_ROW == order(answer)


def test_the_source_documents_form_is_read() -> None:
    """Steps in words, who does each, and what to do when one fails."""
    found = judged(
        {
            "steps": ["Find the articles", "Write it"],
            "assignments": {"Find the articles": "search", "Write it": "write"},
            "failure_handling": {"Find the articles": "skip", "Write it": "fallback"},
        }
    )
    assert isinstance(found, Plan)
    assert [("Find_the_articles", "search", "skip"), ("Write_it", "write", "fallback")] == [
        (step.name, step.agent, step.on_failure) for step in found.steps
    ]


def test_steps_may_start_together() -> None:
    both: Json = {
        "steps": [{"agent": "search"}, {"agent": "check"}, {"agent": "write", "depends_on": ["search", "check"]}]
    }
    assert [("search", ()), ("check", ()), ("write", ("search", "check"))] == [
        (name, after) for name, _, after in order(both)
    ]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("Here is my plan:", NO_JSON),
        (["search"], NO_JSON),
        (None, NO_JSON),
        ({}, "'steps' must be a list of at least one step"),
        ({"steps": []}, "'steps' must be a list of at least one step"),
        ({"steps": ["search"] * 5}, "the plan has 5 steps; at most 4 are allowed"),
        ({"steps": [{"name": "a", "agent": "sing"}]}, "step 1 names agent 'sing'; allowed are check, search, write"),
        ({"steps": [{"name": "a"}]}, "step 1 names agent nothing; allowed are check, search, write"),
        ({"steps": [{"name": "a", "agent": 7}]}, "step 1 names agent 'int'; allowed are check, search, write"),
        (
            {"steps": [{"name": "plan", "agent": "search"}]},
            "step 1 may not be called 'plan', which is the planning itself",
        ),
        (
            {"steps": [{"name": "a b", "agent": "search"}]},
            "step 1 is called 'a b'; a name has letters, digits, '_' and '-', at most 64",
        ),
        (
            {"steps": [{"name": "find~2", "agent": "search"}]},
            "step 1 is called 'find~2'; a name has letters, digits, '_' and '-', at most 64",
        ),
        ({"steps": ["search", "search"]}, "two steps are called 'search'; give each a name of its own"),
        (
            {"steps": [{"agent": "search", "depends_on": ["sing"]}]},
            "step 1 has 'depends_on' 'sing', which is no step of the plan",
        ),
        ({"steps": [{"agent": "search", "next": 3}]}, "step 1 has 'next' 'int', which is no step of the plan"),
        (
            {"steps": [{"agent": "search", "on_failure": "panic"}]},
            "step 1 handles failure by 'panic'; known are stop, skip, fallback",
        ),
        (
            {"steps": [{"agent": "search", "depends_on": ["write"]}, {"agent": "write", "depends_on": ["search"]}]},
            "these steps wait for each other in a circle: search, write",
        ),
        (
            {"steps": [{"agent": "search", "depends_on": ["search"]}]},
            "these steps wait for each other in a circle: search",
        ),
    ],
    ids=lambda case: str(case)[:50],
)
def test_what_is_wrong_is_named(answer: Json, fault: str) -> None:
    assert (fault,) == judged(answer)


def test_a_wrong_name_is_not_quoted_whole() -> None:
    """It may be a page of text, and goes back into a prompt and into the journal."""
    (fault,) = judged({"steps": [{"name": "a", "agent": "x" * 5_000}]})  # type: ignore[misc]  # faults
    assert len(fault) < 150


def test_no_more_faults_are_told_than_anybody_mends() -> None:
    many = LlmPlan(asker=ASKER, agents=AGENTS, max_steps=100)
    found = judged({"steps": [{"name": f"s{number}", "agent": "sing"} for number in range(50)]}, many)
    assert not isinstance(found, Plan)
    assert MAX_FAULTS == len(found)


def test_a_declared_schema_holds_besides() -> None:
    schema: dict[str, Json] = {"type": "object", "required": ["why"]}
    strict = LlmPlan(asker=ASKER, agents=AGENTS, schema=schema)
    assert ('expected required ["why"]',) == judged({"steps": ["search"]}, strict)
    assert isinstance(judged({"steps": ["search"], "why": "it helps"}, strict), Plan)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"strategy": "canary"}, Plan(strategy="canary")),
        ({"strategy": "yolo"}, ("'strategy' is 'yolo'; choose one of rolling, canary",)),
        ({}, ("'strategy' is nothing; choose one of rolling, canary",)),
        ({"strategy": ["canary"]}, ("'strategy' is 'list'; choose one of rolling, canary",)),
    ],
)
def test_a_choice_is_one_of_those_that_are_declared(answer: Json, found: object) -> None:
    spec = LlmPlan(asker=ASKER, strategies=("rolling", "canary"), execution=MACHINE)
    assert found == judged(answer, spec)


def test_the_schema_that_a_model_is_held_to_fits_the_guard() -> None:
    """What keeps it is read; what it names no agent of is not."""
    schema = Schema(answer_schema(SPEC))
    good: Json = {"steps": [{"name": "find", "agent": "search", "on_failure": "skip"}]}
    assert "" == schema.fault(good)
    assert isinstance(judged(good), Plan)
    assert schema.fault({"steps": [{"name": "find", "agent": "sing"}]})
    choice = answer_schema(LlmPlan(asker=ASKER, strategies=("rolling",), execution=MACHINE))
    assert Schema(choice).fault({"strategy": "canary"})


def test_a_question_in_the_source_documents_words_is_held_to_its_form() -> None:
    """It asks for exactly the fields steps, assignments and failure_handling."""
    asker = AgentSpec(id=AgentId("plan"), type="llm", prompt="2. assignments: Which agent handles each step")
    spec = LlmPlan(asker=asker, agents=AGENTS)
    answer: dict[str, Json] = {
        "steps": ["Find it"],
        "assignments": {"Find it": "search"},
        "failure_handling": {"Find it": "stop"},
    }
    assert "" == Schema(answer_schema(spec)).fault(answer)
    assert isinstance(judged(answer, spec), Plan)
    assert Schema(answer_schema(spec)).fault({**answer, "assignments": {"Find it": "sing"}})
