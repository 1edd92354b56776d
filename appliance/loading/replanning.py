"""`policies.replan`: what a run does where its plan would give up. Read, checked, and put into the machine."""

from collections.abc import Iterator
from typing import get_args

import msgspec

from appliance.loading.node import Node
from appliance.loading.place import Place
from appliance.loading.shapes import choice, duration, list_of, name, record, whole
from runtime.domain.canonical import Json
from runtime.domain.spelling import did_you_mean
from runtime.domain.units import milliseconds
from runtime.domain.workflow import REVIEW, THRESHOLD, FsmSpec, FsmState, ReplanRule, Strategy, Trigger

ESCALATION = "escalation_threshold"
MOST_TIMES = 100
"""What `max_times` of a rule may be."""
_RULE = record(
    "a rule of replan",
    {
        "on": choice(*get_args(Trigger)),
        "strategy": choice(*get_args(Strategy)),
        "to": name,
        "max_times": whole(1, MOST_TIMES),
        "backoff": duration,
        "signal": name,
    },
    required=("on", "strategy"),
)


_JUMPS = ("adaptive", "escalation")


def _rule(node: Node, place: Place) -> Json:
    found = _RULE(node, place)
    if not isinstance(found, dict):
        return found
    if "to" in found and found.get("strategy") not in _JUMPS:
        place.error("replan.to", f"strategy {found.get('strategy')!r} has no 'to'", node)
    outside = found.get("on") == "external_event"
    if outside is not ("signal" in found):
        needs = "needs 'signal', its name" if outside else "has no 'signal'"
        place.error("replan.signal", f"a rule on {found.get('on')!r} {needs}", node)
    if found.get("signal") == REVIEW:
        place.error("replan.signal", f"the signal {REVIEW!r} is what a person answers with; take another name", node)
    return found


REPLAN = list_of(_rule, what="a list of {on, strategy, …}")


def check_replan(found: dict[str, Json], node: Node, place: Place) -> None:
    """Report rules that lead nowhere; `node` is the document."""
    plan, agents = _mapping(found.get("planner")), _mapping(found.get("agents"))
    states = _states_of(plan)
    for path, rule in _rules(found):
        at, here = node.find(path)[0], place.child(".".join(path))
        strategy, target = rule.get("strategy"), rule.get("to")
        if strategy in _JUMPS and target is None and plan.get("type") != "llm":
            message = f"strategy {strategy!r} needs 'to', the state or agent that is entered"
            here.error("replan.to", message, at)
        if strategy == "human_in_loop" and REVIEW in (*states, *_leaves_of(plan)):
            message = f"something in the plan is called {REVIEW!r}, as the state is that asks a person; rename it"
            here.error("replan.signal", message, at)
        if isinstance(target, str) and target not in states and target not in agents:
            known = [*states, *(each for each in agents if each not in states)]
            message = f"{target!r} is neither a state nor an agent" if states else f"{target!r} is no agent"
            here.child("to").error("state.undefined", message, at, did_you_mean(here.guess(target, known)))


def _states_of(plan: dict[str, Json]) -> list[str]:
    """The states that a plan can go on from: of a machine, or of those that stand behind a model's plan."""
    machines = (plan, _mapping(plan.get("execution")), _mapping(plan.get("fallback")))
    return [state for machine in machines for state in _mapping(_mapping(machine.get("definition")).get("states"))]


def _leaves_of(plan: dict[str, Json]) -> Iterator[str]:
    """What the steps of a behaviour tree are called."""
    below = [_mapping(_mapping(plan.get("definition")).get("root"))] if plan.get("type") == "behavior_tree" else []
    while below:
        found = below.pop()
        yield from (each for key in ("name", "agent", "wait_for") if isinstance(each := found.get(key), str))
        for key in ("children", "conditions", "child"):
            members = found.get(key)
            below += [each for each in (members if isinstance(members, list) else [members]) if isinstance(each, dict)]


def replan_of(document: dict[str, Json], spec: FsmSpec | None) -> tuple[tuple[ReplanRule, ...], FsmSpec | None]:
    """The rules, those of agents first, and of a machine the machine with a state for each agent that they lead to."""
    rules = tuple(_rule_of(path, rule) for path, rule in _rules(document))
    if spec is None:
        return rules, None
    added = {rule.to: FsmState(name=rule.to) for rule in rules if rule.to and rule.to not in spec.states}
    added = {to: state for to, state in added.items() if to not in spec.final_states}
    if added:
        final = spec.final_states | added.keys()
        spec = msgspec.structs.replace(spec, states={**spec.states, **added}, final_states=frozenset(final))
    return rules, spec


def _rule_of(path: tuple[str, ...], found: dict[str, Json]) -> ReplanRule:
    times, backoff = found.get("max_times"), found.get("backoff")
    return msgspec.convert(
        {
            "on": found["on"],
            "strategy": found["strategy"],
            "agent": path[1] if path[0] == "agents" else "",
            "to": found.get("to", ""),
            "max_times": times or (3 if found["strategy"] == "conservative" else 1),
            "backoff_ms": 1_000 if backoff is None else milliseconds(backoff),
            "signal": found.get("signal", ""),
        },
        ReplanRule,
    )


def _rules(found: dict[str, Json]) -> Iterator[tuple[tuple[str, ...], dict[str, Json]]]:
    """Every rule with its path: those of agents, then the workflow's; those that a threshold stands for come last."""
    holders = [(("agents", each), _mapping(agent)) for each, agent in _mapping(found.get("agents")).items()]
    for path, holder in [*holders, ((), found)]:
        rules = _mapping(holder.get("policies")).get("replan")
        for number, rule in enumerate(rules if isinstance(rules, list) else []):
            if isinstance(rule, dict):
                yield (*path, "policies", "replan", str(number)), rule
    for path, holder in [*holders, ((), found)]:
        policies = _mapping(holder.get("policies"))
        for rule in _escalation(policies.get(ESCALATION)):
            yield (*path, "policies", ESCALATION), rule
        if THRESHOLD in policies:
            rule = {"on": "quality_below_threshold", "strategy": "human_in_loop", "max_times": MOST_TIMES}
            yield (*path, "policies", THRESHOLD), rule


def _escalation(threshold: Json) -> Iterator[dict[str, Json]]:
    """What `3_failures` means: the same again after the first two, a person after each that follows."""
    if threshold is None:
        return
    again = int(str(threshold).partition("_")[0]) - 1
    if again:
        yield {"on": "agent_failure", "strategy": "conservative", "max_times": min(again, MOST_TIMES)}
    yield {"on": "agent_failure", "strategy": "human_in_loop", "max_times": MOST_TIMES}


def _mapping(found: Json) -> dict[str, Json]:
    return found if isinstance(found, dict) else {}
