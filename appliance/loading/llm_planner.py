"""The keys of a planner that asks a model, and the checks that need the whole workflow."""

from collections.abc import Collection, Mapping

from appliance.loading.keys import json_schema, retry, template, template_text
from appliance.loading.models import chat_model
from appliance.loading.node import Node
from appliance.loading.place import Place
from appliance.loading.shapes import Shape, boolean, duration, list_of, name, record, text, texts, whole, wrong
from runtime.domain.canonical import Json
from runtime.domain.plan import PLANNING

LLM_KEYS = (
    "model",
    "deterministic_scaffolding",
    "template",
    "schema",
    "strategies",
    "execution",
    "fallback",
    "goal",
    "goal_class",
    "plan_cache",
    "repairs",
    "wait_for",
    "wait_timeout",
)
"""Keys of such a planner that may stand in `workflow` itself."""
HUMAN = "human"
MAX_REPAIRS = 5


def llm_shape(machine: Shape) -> Shape:
    """A planner that asks a model; `machine` reads a state machine with all its forms."""

    def sub_plan(node: Node, place: Place) -> Json:
        if not isinstance(node.value, dict):
            wrong(node, place, "a state machine: a mapping with states, or with definition")
            return None
        kind = node.member("type")
        if kind is not None and kind.value != "fsm":
            place.child("type").error("value.unknown", "a sub-plan is of type fsm", kind)
        return machine(node, place)

    def fallback(node: Node, place: Place) -> Json:
        return HUMAN if node.value == HUMAN else sub_plan(node, place)

    return record(
        "a planner of type llm",
        {
            "type": text,
            "model": chat_model,
            "deterministic_scaffolding": boolean,
            "max_steps": whole(1, 1_000),
            "template": template_text,
            "schema": json_schema,
            "agents": list_of(name, what="a list of agent names", least=1),
            "strategies": texts,
            "execution": sub_plan,
            "fallback": fallback,
            "goal": template,
            "goal_class": template_text,
            "plan_cache": boolean,
            "repairs": whole(0, MAX_REPAIRS),
            "wait_for": name,
            "wait_timeout": duration,
            "timeout": duration,
            "retry": retry,
        },
        required=("model",),
    )


def check_llm(chosen: Mapping[str, Json], agents: Collection[str], node: Node, place: Place) -> None:
    """What a workflow that a model plans must keep clear of; `node` is the whole document."""
    taken = [("agents", each) for each in agents if each == PLANNING]
    for key in ("execution", "fallback"):
        plan = chosen.get(key)
        definition = plan.get("definition") if isinstance(plan, dict) else None
        states = definition.get("states") if isinstance(definition, dict) else None
        taken += [(f"planner.{key}", PLANNING)] if isinstance(states, dict) and PLANNING in states else []
    for path, each in taken:
        message = f"{each!r} is the step in which the model plans; nothing else may be called so"
        place.child(path).error("planner.name_taken", message, node.find(tuple(path.split(".")))[0], "rename it")
    if "strategies" in chosen and "execution" not in chosen:
        message = "'strategies' are chosen from, and nothing carries the choice out"
        place.child("planner.strategies").error(
            "key.missing", message, node.find(("planner", "strategies"))[0], "add execution: a state machine"
        )
