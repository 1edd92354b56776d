"""The kinds of workflow beside machines and trees: agents in a row whose work is judged by quality gates.

Gates are agents. They stand behind the agents that work, in the order of `quality_gates`.
"""

from collections.abc import Collection, Iterator, Mapping

from appliance.loading.node import Node
from appliance.loading.place import Place
from appliance.loading.shapes import choice, either, is_text, list_of, name, ratio, record, text, whole
from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId
from runtime.domain.spelling import did_you_mean
from runtime.domain.workflow import FsmSpec, Gate
from runtime.planners.feedback import feedback_fsm

FEEDBACK_TYPE = "sequential_with_feedback"
REVIEWS = ("optional", "required", "never")
_LIMITS = {"threshold": ratio, "max_rounds": whole(1, 100), "back_to": name}
_GATE = record("a quality gate", {"agent": name, **_LIMITS}, required=("agent",))


def _gate(node: Node, place: Place) -> Json:
    """A gate as a mapping, or as the name of its agent."""
    return either(_GATE, lambda each, at: {"agent": name(each, at)}, is_text)(node, place)


FEEDBACK_KEYS = {
    "quality_gates": list_of(_gate, what="a list of agents, or of {agent, threshold, max_rounds, back_to}", least=1),
    **_LIMITS,
    "human_review": choice(*REVIEWS),
}
"""Keys of a planner of this type alone."""
FEEDBACK = record(
    f"a planner of type {FEEDBACK_TYPE}",
    {"type": text, "agents": list_of(name, what="a list of agent names", least=1), **FEEDBACK_KEYS},
    required=("quality_gates",),
)


def complete_feedback(chosen: dict[str, Json], agents: Collection[Json]) -> None:
    """Name the agents that work, where the definition leaves them to the order of the file: all that are no gates."""
    gates = {gate.get("agent") for gate in _gates(chosen)}
    chosen.setdefault("agents", [each for each in agents if each not in gates])


def check_feedback(chosen: Mapping[str, Json], agents: Collection[str], node: Node, place: Place) -> None:
    """What gates refer to; `node` is the whole document."""
    working = chosen.get("agents")
    working = working if isinstance(working, list) else []
    if "quality_gates" not in chosen:
        message = f"a workflow of type {FEEDBACK_TYPE} needs 'quality_gates': agents that judge the work"
        place.child("workflow").error("key.missing", message, node.find(("workflow",))[0])
    elif not working and agents:
        _report(node, place, "quality_gates", "planner.no_work", "every agent is a gate; nobody does the work")
    seen = set(map(str, working))
    for number, gate in enumerate(_gates(chosen)):
        agent, path = str(gate.get("agent")), f"quality_gates.{number}"
        if agent in seen:
            message = f"agent {agent!r} stands twice; an agent works or is a gate, once"
            _report(node, place, path, "planner.twice", message)
        seen.add(agent)
        if agent not in agents:
            at, here = _find(node, place, path)
            hint = did_you_mean(here.guess(agent, agents)) or f"define agent {agent!r}; it answers with a score"
            here.refuse("gate.undefined", f"quality gate {agent!r} is none of the workflow's agents", at, hint)
        _check_back_to(gate, working, node, place, path)
    _check_back_to(chosen, working, node, place, "")


def feedback_of(plan: Mapping[str, Json], agents: Collection[str]) -> FsmSpec:
    """The machine of a checked planner. Gates that are no agents are left out: a run is refused because of them."""
    working = [AgentId(str(each)) for each in _listed(plan.get("agents"))]
    found = {AgentId(str(gate["agent"])): _gate_of({**plan, **gate}, working) for gate in _gates(plan)}
    gates = {agent: gate for agent, gate in found.items() if agent in agents}
    match plan.get("human_review"):
        case "optional":
            return feedback_fsm(working, gates, review="optional")
        case "required":
            return feedback_fsm(working, gates, review="required")
    return feedback_fsm(working, gates, review="never")


def _gate_of(found: Mapping[str, Json], working: list[AgentId]) -> Gate:
    threshold, rounds, back_to = found.get("threshold"), found.get("max_rounds"), found.get("back_to")
    return Gate(
        back_to=back_to if isinstance(back_to, str) else working[-1],
        threshold=float(threshold) if isinstance(threshold, int | float) else Gate.DEFAULT_THRESHOLD,
        max_rounds=rounds if isinstance(rounds, int) else Gate.DEFAULT_ROUNDS,
    )


def _check_back_to(found: Mapping[str, Json], working: list[Json], node: Node, place: Place, path: str) -> None:
    target = found.get("back_to")
    if isinstance(target, str) and target not in working:
        at, here = _find(node, place, f"{path}.back_to" if path else "back_to")
        names = [each for each in working if isinstance(each, str)]
        message = f"work cannot go back to {target!r}; agents that work are {', '.join(map(repr, names))}"
        here.error("gate.back_to", message, at, did_you_mean(here.guess(target, names)))


def _gates(chosen: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    for gate in _listed(chosen.get("quality_gates")):
        if isinstance(gate, dict) and isinstance(gate.get("agent"), str):
            yield gate


def _listed(found: Json) -> list[Json]:
    return found if isinstance(found, list) else []


def _report(node: Node, place: Place, path: str, code: str, message: str) -> None:
    at, here = _find(node, place, path)
    here.error(code, message, at)


def _find(node: Node, place: Place, path: str) -> tuple[Node, Place]:
    """Where a key of the planner stands: in the planner at the top, in the workflow's, or in `workflow` itself."""
    steps = tuple(path.split("."))
    for root in (("planner",), ("workflow", "planner"), ("workflow",)):
        holder = node.find(root)[0]
        if node.find(root[:-1])[0].member(root[-1]) is holder and holder.member(steps[0]) is not None:
            return holder.find(steps)[0], place.child(".".join((*root, *steps)))
    return node, place.child(path)
