"""The guard of plans: what a model or a person answered becomes a plan, or the list of what is wrong with it.

Two spellings are read: steps as objects (`{name, agent, input, depends_on, next, on_failure}`), and the source
document's names of steps with `assignments` and `failure_handling` beside them. Steps that name neither `depends_on`
nor `next` run one after another. Pure.
"""

import re
from collections.abc import Mapping, Sequence

from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId
from runtime.domain.plan import ON_FAILURE, PLANNING, OnFailure, Plan, PlanStep
from runtime.domain.schema import Schema
from runtime.domain.workflow import LlmPlan

MAX_FAULTS = 8
"""Of one answer that are told; whoever mends these finds the rest."""
MAX_WORD = 40
"""Characters of a wrong name that are quoted."""
STRATEGY = "strategy"
"""The key of an answer that chooses."""
ASSIGNMENTS = "assignments"
"""A question that names these asks for the source document's spelling."""
NO_JSON = "the answer is not a JSON object"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")

Faults = tuple[str, ...]


class PlanGuard:
    """Judges the answers to one definition's planner; built once per definition."""

    def __init__(self, spec: LlmPlan) -> None:
        self._spec = spec
        self._schema = None if spec.schema is None else Schema(spec.schema)

    def judge(self, answer: Json) -> Plan | Faults:
        """The plan that an answer means, or what is wrong with it; steps are numbered from 1."""
        if not isinstance(answer, dict):
            return (NO_JSON,)
        fault = self._schema.fault(answer) if self._schema is not None else ""
        if fault:
            return (fault,)
        if self._spec.execution is not None:
            return self._choice(answer)
        return _Reader(self._spec, answer).plan()

    def _choice(self, answer: Mapping[str, Json]) -> Plan | Faults:
        chosen = answer.get(STRATEGY)
        if not self._spec.strategies:
            return Plan(strategy=chosen if isinstance(chosen, str) else "")
        if isinstance(chosen, str) and chosen in self._spec.strategies:
            return Plan(strategy=chosen)
        return (f"{STRATEGY!r} is {_quoted(chosen)}; choose one of {', '.join(self._spec.strategies)}",)


def answer_schema(spec: LlmPlan) -> dict[str, Json]:
    """What an answer must look like: as declared, else in the spelling that the question asks for."""
    if spec.schema is not None:
        return spec.schema
    if spec.execution is not None:
        strategy: Json = {"type": "string", **({"enum": [*spec.strategies]} if spec.strategies else {})}
        return {"type": "object", "properties": {STRATEGY: strategy}, "required": [STRATEGY]}
    name: Json = {"type": "string", "pattern": f"^{_NAME.pattern}$"}
    agent: Json = {"type": "string", "enum": [*spec.agents]}
    on_failure: Json = {"type": "string", "enum": [*ON_FAILURE]}
    if ASSIGNMENTS in spec.asker.prompt:
        beside: Json = {
            "steps": {
                "type": "array",
                "items": {"type": "string", "maxLength": 64},
                "minItems": 1,
                "maxItems": spec.max_steps,
            },
            ASSIGNMENTS: {"type": "object", "additionalProperties": agent},
            "failure_handling": {"type": "object", "additionalProperties": on_failure},
        }
        return {"type": "object", "properties": beside, "required": ["steps", ASSIGNMENTS, "failure_handling"]}
    step: Json = {
        "type": "object",
        "properties": {
            "name": name,
            "agent": agent,
            "input": {"type": "string", "maxLength": 1_000},
            "depends_on": {"type": "array", "items": name, "maxItems": spec.max_steps},
            "on_failure": on_failure,
        },
        "required": ["name", "agent"],
        "additionalProperties": False,
    }
    steps: Json = {"type": "array", "items": step, "minItems": 1, "maxItems": spec.max_steps}
    return {"type": "object", "properties": {"steps": steps}, "required": ["steps"], "additionalProperties": False}


class _Reader:
    """Reads one answer's steps."""

    def __init__(self, spec: LlmPlan, answer: Mapping[str, Json]) -> None:
        self._spec = spec
        self._answer = answer
        self._faults: list[str] = []

    def plan(self) -> Plan | Faults:
        given = self._answer.get("steps")
        if not isinstance(given, list) or not given:
            return ("'steps' must be a list of at least one step",)
        if len(given) > self._spec.max_steps:
            return (f"the plan has {len(given):,} steps; at most {self._spec.max_steps:,} are allowed",)
        named = [(_name_of(each), self._keys_of(each)) for each in given]
        steps = [self._step(number, name, each) for number, (name, each) in enumerate(named, start=1)]
        after = self._order([step.name for step in steps], [each for _, each in named])
        if self._faults:
            return tuple(self._faults[:MAX_FAULTS])
        ordered = tuple(_waiting_for(step, after[step.name]) for step in steps)
        looping = _in_circles(ordered)
        if looping:
            return (f"these steps wait for each other in a circle: {', '.join(looping)}",)
        return Plan(steps=ordered)

    def _keys_of(self, step: Json) -> Mapping[str, Json]:
        """What stands in a step, or beside the steps for it; one that is an agent's name needs no more."""
        keys: dict[str, Json] = dict(step) if isinstance(step, dict) else {}
        name = step if isinstance(step, str) else _name_of(step)
        for key, beside in (("agent", ASSIGNMENTS), ("on_failure", "failure_handling")):
            given = self._answer.get(beside)
            if key not in keys and isinstance(given, dict) and name in given:
                keys[key] = given[name]
        if name in self._spec.agents:
            keys.setdefault("agent", name)
        return keys

    def _step(self, number: int, name: str, given: Mapping[str, Json]) -> PlanStep:
        if _NAME.fullmatch(name) is None:
            self._wrong(number, f"is called {_quoted(name)}; a name has letters, digits, '_' and '-', at most 64")
        elif name == PLANNING:
            self._wrong(number, f"may not be called {PLANNING!r}, which is the planning itself")
        agent = given.get("agent")
        if not isinstance(agent, str) or agent not in self._spec.agents:
            self._wrong(number, f"names agent {_quoted(agent)}; allowed are {', '.join(self._spec.agents)}")
        return PlanStep(
            name=name,
            agent=AgentId(str(agent)),
            input=given.get("input"),
            on_failure=self._on_failure(number, given.get("on_failure", given.get("failure_handling", "stop"))),
        )

    def _on_failure(self, number: int, word: Json) -> OnFailure:
        for known in ON_FAILURE:
            if word == known:
                return known
        self._wrong(number, f"handles failure by {_quoted(word)}; known are {', '.join(ON_FAILURE)}")
        return "stop"

    def _order(self, names: Sequence[str], given: Sequence[Mapping[str, Json]]) -> dict[str, list[str]]:
        """Step → those it waits for."""
        after: dict[str, list[str]] = {name: [] for name in names}
        if len(after) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            self._faults.append(f"two steps are called {_quoted(twice)}; give each a name of its own")
        if not any(each.keys() & {"depends_on", "next"} for each in given):
            return {name: list(names[max(0, number - 1) : number]) for number, name in enumerate(names)}
        for number, (name, each) in enumerate(zip(names, given, strict=True), start=1):
            after[name] += self._known(number, "depends_on", each.get("depends_on"), after)
            for follower in self._known(number, "next", each.get("next"), after):
                after[follower].append(name)
        return after

    def _known(self, number: int, key: str, given: Json, names: Mapping[str, object]) -> list[str]:
        listed = given if isinstance(given, list) else [] if given is None else [given]
        for each in listed:
            if not isinstance(each, str) or each not in names:
                self._wrong(number, f"has {key!r} {_quoted(each)}, which is no step of the plan")
        return [each for each in listed if isinstance(each, str) and each in names]

    def _wrong(self, number: int, what: str) -> None:
        self._faults.append(f"step {number} {what}")


def _name_of(step: Json) -> str:
    """What a step is called; one without a name as its agent."""
    if isinstance(step, str):
        return step if _NAME.fullmatch(step) else _NOT_IN_NAMES.sub("_", step).strip("_")[:64]
    named = (step.get("name") or step.get("id") or step.get("agent")) if isinstance(step, dict) else None
    return named if isinstance(named, str) else ""


def _waiting_for(step: PlanStep, after: Sequence[str]) -> PlanStep:
    return PlanStep(
        name=step.name,
        agent=step.agent,
        input=step.input,
        after=tuple(dict.fromkeys(after)),
        on_failure=step.on_failure,
    )


def _in_circles(steps: Sequence[PlanStep]) -> list[str]:
    """The steps that can never start."""
    left = {step.name: set(step.after) for step in steps}
    while ready := [name for name, after in left.items() if not after & left.keys()]:
        for name in ready:
            del left[name]
    return list(left)


def _quoted(value: Json) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else type(value).__name__
    return repr(text if len(text) <= MAX_WORD else f"{text[: MAX_WORD - 1]}…")
