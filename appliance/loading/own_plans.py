"""Agents that follow a behaviour tree of their own: the work of each is a run of its own, which its tree plans.

The tree's actions are agents of the workflow; the agent's own name stands for what it does itself, without the tree.
"""

from collections.abc import Iterator, Mapping

from appliance.loading.node import Node
from appliance.loading.place import Place
from runtime.domain.canonical import Json
from runtime.domain.spelling import did_you_mean
from runtime.registry import SUBRUN_AGENTS

Document = dict[str, Json]


def own_tree(agent: Json) -> Document | None:
    """The checked tree that an agent follows; None where it follows none, or one whose file is missing."""
    found = _mapping(agent)
    plan = _mapping(found.get("planner"))
    if plan.get("type") != "behavior_tree" or found.get("type") in SUBRUN_AGENTS:
        return None
    return _mapping(plan.get("definition")) or None


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


def acting(definition: Mapping[str, Json]) -> list[str]:
    """The agents of a tree's actions, each once."""
    named = (leaf.get("agent") for leaf in leaves(definition))
    return list(dict.fromkeys(name for name in named if isinstance(name, str)))


def named_by_trees(agents: Mapping[str, Json]) -> frozenset[str]:
    """The agents that work in other agents' trees; they are no steps of their own unless the plan says so."""
    trees = ((name, own_tree(agent)) for name, agent in agents.items())
    return frozenset(each for name, tree in trees if tree is not None for each in acting(tree) if each != name)


def planned_by(name: str, outer: Document, files: Mapping[str, str]) -> Document:
    """The workflow that an agent's own tree plans."""
    agents = _mapping(outer["agents"])
    own = _mapping(agents[name])
    tree = own_tree(own)
    assert tree is not None, "the caller has looked"
    chosen: Document = {}
    for each in _closure(acting(tree), name, agents):
        agent = {key: value for key, value in _mapping(agents[each]).items() if each != name or key != "planner"}
        chosen[each] = _without_replan(agent)
    planned: Document = {
        "version": outer["version"],
        "name": name,
        "agents": chosen,
        "planner": {"type": "behavior_tree", "definition": tree},
    }
    policies = {**_mapping(outer.get("policies")), **_mapping(own.get("policies"))}
    policies.pop("replan", None)
    if policies:
        planned["policies"] = policies
    if files:
        planned["files"] = dict(files)
    return planned


def check_own_trees(found: Document, node: Node, place: Place) -> None:
    """Report trees of agents that name nobody, lead back to themselves, or reach further than the workflow."""
    agents = _mapping(found.get("agents"))
    for name, agent in agents.items():
        tree = own_tree(agent)
        if tree is None:
            continue
        here = place.child("agents").child(name).child("planner")
        at = node.find(("agents", name, "planner"))[0]
        for each in acting(tree):
            if each not in agents:
                message = f"agent {each!r}, which the tree of agent {name!r} names, is not defined"
                hint = did_you_mean(here.guess(each, agents)) or f"define agent {each!r} beside {name!r}"
                here.refuse("agent.undefined", message, at, hint)
        circle = _circle(name, agents)
        if circle:
            message = f"the tree of agent {name!r} leads back to it: {' → '.join(circle)}"
            here.error("workflow.cyclic", message, at, "an agent's tree names the agent itself for its own work alone")
        wider = _wider(_mapping(found.get("policies")), _mapping(_mapping(agent).get("policies")))
        if wider:
            message = f"its tree may reach {', '.join(wider)}, which the workflow that it is a part of may not"
            here.error("workflow.wider", message, at, "leave 'residency' out there, or widen it here")


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
        tree = None if name == owner else own_tree(agent)
        ahead += [] if tree is None else acting(tree)
    return list(reached)


def _circle(name: str, agents: Document) -> list[str]:
    """The way from an agent's tree through those of others back to it; empty where there is none."""
    ways = [[name, each] for each in acting(own_tree(agents[name]) or {}) if each != name]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        if way[-1] == name:
            return way
        if way[-1] in seen:
            continue
        seen.add(way[-1])
        agent = _mapping(agents.get(way[-1]))
        following = [*acting(own_tree(agent) or {}), agent.get("fallback_agent"), agent.get("agent")]
        ways += [[*way, each] for each in following if isinstance(each, str) and each != way[-1]]
    return []


def _wider(outer: Document, own: Document) -> list[str]:
    """The zones of an agent's policies that the workflow's leave out."""
    if "residency" not in outer:
        return []
    return sorted({str(zone) for zone in _list(own.get("residency"))} - {str(z) for z in _list(outer["residency"])})


def _without_replan(agent: Document) -> Document:
    """An agent within: how a plan is changed is said where it is the plan's."""
    policies = {key: value for key, value in _mapping(agent.get("policies")).items() if key != "replan"}
    rest = {key: value for key, value in agent.items() if key != "policies"}
    return {**rest, "policies": policies} if policies else rest


def _list(found: Json) -> list[Json]:
    return found if isinstance(found, list) else []


def _mapping(found: Json) -> Document:
    return found if isinstance(found, dict) else {}
