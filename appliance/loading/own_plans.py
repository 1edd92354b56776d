"""Agents that follow a plan of their own (a machine, a tree, a model's): the work of each is a run of its own.

The plan's agents are agents of the workflow; the agent's own name stands for what it does itself, without the plan.
"""

from collections.abc import Collection, Iterator, Mapping

from appliance.loading.llm_planner import check_llm
from appliance.loading.node import Node
from appliance.loading.own_machines import done_by_itself, followed, named_in
from appliance.loading.place import Place
from appliance.loading.replanning import ESCALATION
from runtime.domain.canonical import Json
from runtime.domain.memory import SHORT_TERM
from runtime.domain.spelling import did_you_mean
from runtime.domain.validate import SLIP_RATIO
from runtime.registry import SUBRUN_AGENTS

Document = dict[str, Json]


OWN_PLANS = ("fsm", "behavior_tree", "llm")
"""The types of planners that plan the work of one agent."""
_OF_THE_PLAN = ("replan", ESCALATION)
"""Policies that say how a plan is changed."""
_CALLED = {"fsm": "machine", "behavior_tree": "tree", "llm": "plan"}


def follows(kind: Json, plan: Json) -> bool:
    """Whether an agent of this type has its work planned by such a planner; one of type `fsm` only decides by its
    machine."""
    return plan in OWN_PLANS and kind not in SUBRUN_AGENTS and (kind, plan) != ("fsm", "fsm")


def own_plan(name: str, agents: Mapping[str, Json]) -> Document | None:
    """The checked planner that an agent follows; None where it follows none, or one whose file is missing."""
    found = _mapping(agents.get(name))
    plan = _mapping(found.get("planner"))
    if not follows(found.get("type"), plan.get("type")):
        return None
    definition = _mapping(plan.get("definition"))
    if plan["type"] == "fsm":
        return {"type": "fsm", "definition": followed(definition, name, agents)} if definition else None
    return plan if plan["type"] == "llm" or definition else None


def leaves(definition: Mapping[str, Json]) -> Iterator[Document]:
    """The nodes of a tree without nodes below them, in its order."""
    below = [_mapping(definition.get("root"))]
    while below:
        found = below.pop()
        held = [found.get("child"), *_list(found.get("children")), *_list(found.get("conditions"))]
        nodes = [each for each in held if isinstance(each, dict)]
        if not nodes:
            yield found
        below += reversed(nodes)


def acting(plan: Mapping[str, Json], agents: Collection[str]) -> list[str]:
    """The agents of a plan, each once: of a machine's states, a tree's actions; those that a model may name, and of
    its machines."""
    if plan.get("type") == "llm":
        named: list[Json] = [*_list(plan.get("agents"))]
        for machine in ("execution", "fallback"):
            named += named_in(_mapping(_mapping(plan.get(machine)).get("definition")), agents)
    elif plan.get("type") == "fsm":
        named = named_in(_mapping(plan.get("definition")), agents)
    else:
        named = [leaf.get("agent") for leaf in leaves(_mapping(plan.get("definition")))]
    return list(dict.fromkeys(name for name in named if isinstance(name, str)))


def named_by_plans(agents: Mapping[str, Json]) -> frozenset[str]:
    """The agents that work in other agents' plans; they are no steps of their own unless the plan says so."""
    plans = ((name, own_plan(name, agents)) for name in agents)
    return frozenset(each for name, plan in plans if plan is not None for each in acting(plan, agents) if each != name)


def shared_rules(outer: Document) -> Document:
    """What a workflow declares, forbids and remembers, for those of its agents whose work is a run of its own."""
    found: Document = {key: outer[key] for key in ("tool_registry", "tool_security") if key in outer}
    remembers = _mapping(outer.get("memory")).get(SHORT_TERM)
    return found if remembers is None else {**found, "memory": {SHORT_TERM: remembers}}


def planned_by(name: str, outer: Document, files: Mapping[str, str]) -> Document:
    """The workflow that an agent's own planner plans."""
    agents = _mapping(outer["agents"])
    own = _mapping(agents[name])
    plan = own_plan(name, agents)
    assert plan is not None, "the caller has looked"
    chosen: Document = {}
    for each in _closure(acting(plan, agents), name, agents):
        # what the agent itself is given is the run's input: its `input` has been rendered where it stands as a step
        left_out = ("planner", "input") if each == name else ()
        agent = {key: value for key, value in _mapping(agents[each]).items() if key not in left_out}
        chosen[each] = _without_replan(agent)
    planned: Document = {
        "version": outer["version"],
        "name": name,
        "agents": chosen,
        "planner": plan,
    }
    policies = {**_mapping(outer.get("policies")), **_mapping(own.get("policies"))}
    for key in (*_OF_THE_PLAN, "sla_response_time"):  # the workflow's own
        policies.pop(key, None)
    if policies:
        planned["policies"] = policies
    planned.update(shared_rules(outer))
    limit = _mapping(outer.get("workflow")).get("cost_budget")
    if limit is not None:
        planned["workflow"] = {"cost_budget": limit}
    if files:
        planned["files"] = dict(files)
    return planned


def check_own_plans(found: Document, node: Node, place: Place) -> None:
    """Report plans of agents that name nobody, lead back to themselves, or reach further than the workflow."""
    agents = _mapping(found.get("agents"))
    for name, agent in agents.items():
        plan = own_plan(name, agents)
        if plan is None:
            continue
        here = place.child("agents").child(name).child("planner")
        at = node.find(("agents", name, "planner"))[0]
        called = _CALLED[str(plan["type"])]
        if plan["type"] == "llm":
            _check_llm(plan, name, agents, node, place)
        if plan["type"] == "fsm":
            _check_machine(name, agents, at, here)
        for each in acting(plan, agents):
            if each not in agents:
                message = f"agent {each!r}, which the {called} of agent {name!r} names, is not defined"
                hint = did_you_mean(here.guess(each, agents)) or f"define agent {each!r} beside {name!r}"
                here.refuse("agent.undefined", message, at, hint)
        circle = _circle(name, agents)
        if circle:
            message = f"the {called} of agent {name!r} leads back to it: {' → '.join(circle)}"
            here.error(
                "workflow.cyclic", message, at, f"an agent's {called} names the agent itself for its own work alone"
            )
        wider = _wider(_mapping(found.get("policies")), _mapping(_mapping(agent).get("policies")))
        if wider:
            message = f"its {called} may reach {', '.join(wider)}, which the workflow that it is a part of may not"
            here.error("workflow.wider", message, at, "leave 'residency' out there, or widen it here")


def _check_machine(name: str, agents: Document, at: Node, here: Place) -> None:
    """Point out states that fall to the agent itself, and are called nearly like another one."""
    definition = _mapping(_mapping(_mapping(agents[name]).get("planner")).get("definition"))
    for state in done_by_itself(definition, name, agents):
        meant = here.guess(state, [each for each in agents if each != name], cutoff=SLIP_RATIO)
        if meant:
            message = f"state {state!r} is done by agent {name!r} itself: no agent is called so"
            here.child("definition.states").child(state).warn("state.own", message, at, did_you_mean(meant))


def _check_llm(plan: Document, name: str, agents: Document, node: Node, place: Place) -> None:
    """What a model may plan for one agent is said: all agents of the workflow would lead back to it."""
    at, here = node.find(("agents", name))[0], place.child("agents").child(name)
    named = acting(plan, agents)
    if not named:
        message = f"the plan of agent {name!r} has nobody to name: a model's own plan says whom it may choose from"
        here.child("planner").error(
            "key.missing", message, node.find(("agents", name, "planner"))[0], "add agents: a list of agent names"
        )
    check_llm(plan, named, at, here)


def _closure(names: list[str], owner: str, agents: Document) -> list[str]:
    """These agents, and all that take over from them or work for them; those that are not defined are left out."""
    reached: dict[str, None] = {}
    ahead = list(names)
    while ahead:
        name = ahead.pop(0)
        if name in reached or name not in agents:
            continue
        reached[name] = None
        agent = _mapping(agents[name])
        ahead += [str(agent[key]) for key in ("fallback_agent", "agent") if isinstance(agent.get(key), str)]
        plan = None if name == owner else own_plan(name, agents)
        ahead += [] if plan is None else acting(plan, agents)
    return list(reached)


def _circle(name: str, agents: Document) -> list[str]:
    """The way from an agent's plan through those of others back to it; empty where there is none."""
    ways = [[name, each] for each in acting(own_plan(name, agents) or {}, agents) if each != name]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        if way[-1] == name:
            return way
        if way[-1] in seen:
            continue
        seen.add(way[-1])
        agent = _mapping(agents.get(way[-1]))
        following = [*acting(own_plan(way[-1], agents) or {}, agents), agent.get("fallback_agent"), agent.get("agent")]
        ways += [[*way, each] for each in following if isinstance(each, str) and each != way[-1]]
    return []


def _wider(outer: Document, own: Document) -> list[str]:
    """The zones of an agent's policies that the workflow's leave out."""
    if "residency" not in outer:
        return []
    return sorted({str(zone) for zone in _list(own.get("residency"))} - {str(z) for z in _list(outer["residency"])})


def _without_replan(agent: Document) -> Document:
    """An agent within: how a plan is changed is said where it is the plan's."""
    policies = {key: value for key, value in _mapping(agent.get("policies")).items() if key not in _OF_THE_PLAN}
    rest = {key: value for key, value in agent.items() if key != "policies"}
    return {**rest, "policies": policies} if policies else rest


def _list(found: Json) -> list[Json]:
    return found if isinstance(found, list) else []


def _mapping(found: Json) -> Document:
    return found if isinstance(found, dict) else {}
