"""The names that the rules of a `rules_engine` agent read: known where the agent's `input` says what it is given."""

from collections.abc import Iterator

from appliance.loading.node import Node, plain
from appliance.loading.place import FoundNode, Place, Reading
from runtime.domain.canonical import Json
from runtime.domain.spelling import did_you_mean
from runtime.errors import Invalid

NAMES = frozenset({"input", "task", "steps", "error", "response", "output", "result", "last"})
"""What rules may read beside the keys of the agent's input and the run's states."""


def check_rule_names(found: dict[str, Json], reading: Reading) -> None:
    """Report names in rules that are neither keys of the agent's input nor states of the workflow.

    Where the agent has no mapping as its input, or a model plans, nobody knows the names before the run.
    """
    agents = _mapping(found.get("agents"))
    if not reading.rules or _mapping(found.get("planner")).get("type") == "llm":
        return
    states = {*agents, *_states(reading)}
    for each in reading.rules:
        agent = _mapping(agents.get(each.place.path.split(".")[1]))
        given = agent.get("input")
        if not isinstance(given, dict) or agent.get("type") != "rules_engine":
            continue
        known = frozenset({*NAMES, *given, *states})
        for number, rule in enumerate(each.node.value if isinstance(each.node.value, list) else ()):
            _check_rule(rule, each.place.child(number) if each.are_many else each.place, known)


def _check_rule(rule: Node, place: Place, known: frozenset[str]) -> None:
    # CEL is 50 MB of shared library; documents without conditions do without it
    from runtime.agents.templates import Template
    from runtime.planners.conditions import compile_condition

    when = rule.member("when")
    if when is not None and isinstance(when.value, str):
        try:
            compile_condition(when.value, names=known)
        except Invalid as error:
            if error.code == "condition.unknown_name":
                place.child("when").error(
                    error.code, error.message, when, _hint(str(error.facts["name"]), place, known)
                )
    for key in ("then", "call", "arguments"):
        held = rule.member(key)
        if held is None:
            continue
        try:
            unknown = sorted(Template(plain(held)).names - known)
        except Invalid:  # it has been told
            continue
        for name in unknown:
            message = f"the template reads {name!r}, which is not there"
            place.child(key).error("template.unknown_name", message, held, _hint(name, place, known))


def _hint(name: str, place: Place, known: frozenset[str]) -> str:
    return did_you_mean(place.guess(name, known)) or "add it to the agent's input"


def _states(reading: Reading) -> Iterator[str]:
    for machine in reading.machines:
        yield from _mapping(machine.definition.get("states"))
    for tree in reading.trees:
        yield from _named(tree.root)


def _named(found: FoundNode) -> Iterator[str]:
    yield from (str(found.keys[key]) for key in ("name", "agent") if key in found.keys)
    for child in found.children:
        yield from _named(child)


def _mapping(found: Json) -> dict[str, Json]:
    return found if isinstance(found, dict) else {}
