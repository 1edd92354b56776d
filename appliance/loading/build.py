"""A normalised definition → the types that the engine runs. Trusts what the checks let through."""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from appliance.loading.human import config_of, terms_of, tools_of
from appliance.loading.own_plans import own_plan, planned_by, shared_rules
from appliance.loading.property_order import restore
from appliance.loading.replanning import replan_of
from appliance.loading.rules import TABLE_KEYS
from appliance.loading.subworkflows import mapped_agents
from appliance.loading.tool_specs import limits_of
from appliance.loading.trees import tree_of
from appliance.loading.workflow_kinds import FEEDBACK_TYPE, feedback_of
from runtime.domain.canonical import Json, digest
from runtime.domain.ids import AgentId, DefinitionHash
from runtime.domain.memory import SHORT_TERM
from runtime.domain.plan import PLANNING, QUESTION
from runtime.domain.problem import Problem
from runtime.domain.units import milliseconds, usd_micros
from runtime.domain.workflow import (
    AgentSpec,
    Branch,
    FsmSpec,
    FsmState,
    LlmPlan,
    ModelSpec,
    PlannerKind,
    RetryPolicy,
    SubrunSpec,
    Workflow,
)
from runtime.planners.sequence import sequence_fsm
from runtime.registry import SUBRUN_AGENTS

Document: TypeAlias = dict[str, Json]

PLAN_TOKENS = 1_024
"""What an answer with a plan may take, where the model says nothing else."""
_OWN_MODEL_KEYS = frozenset({"provider", "model", "kind", "temperature", "max_tokens", "seed"})
_CONFIG_KEYS = ("handler", "url", "method", "headers", "body", "module", "arguments", "permissions", *TABLE_KEYS)


def workflow_of(
    document: Document,
    *,
    definition: DefinitionHash,
    files: Mapping[str, str],
    folder: str,
    problems: tuple[Problem, ...],
) -> Workflow:
    """The workflow that a checked document means. Equal documents give equal workflows, whatever they came from."""
    plan = _mapping(document["planner"])
    section = _mapping(document.get("workflow"))
    rules, fsm = replan_of(document, _plan_of(plan, _mapping(document["agents"])))
    return Workflow(
        name=_text(document["name"]),
        hash=definition,
        description=_text(document.get("description")),
        agents=_agents_of(document, files, folder),
        planner=_planner_kind(plan),
        fsm=fsm,
        replan=rules,
        tree=tree_of(_mapping(plan["definition"])) if plan["type"] == "behavior_tree" else None,
        llm=llm_of(plan, _mapping(document["agents"])) if plan["type"] == "llm" else None,
        timeout_ms=_milliseconds(section.get("timeout"), 0),
        sla_ms=_promise(_mapping(document.get("policies")).get("sla_response_time", section.get("sla"))),
        max_steps=_int(section.get("max_steps"), 1_000),
        budget_usd_micros=usd_micros(section["cost_budget"]) if "cost_budget" in section else None,
        input_schema=_schema(document.get("input_schema")),
        output=document.get("output"),
        answered_by=_text(_list(plan["agents"])[-1]) if plan["type"] == FEEDBACK_TYPE else "",
        policies=_mapping(document.get("policies")),
        document=document,
        files=dict(files),
        folder=folder,
        problems=problems,
    )


def _agents_of(document: Document, files: Mapping[str, str], folder: str) -> dict[AgentId, AgentSpec]:
    agents: dict[AgentId, AgentSpec] = {}
    for name, each in _mapping(document["agents"]).items():
        found = _mapping(each)
        agents[AgentId(name)] = spec = _remembering(agent_of(name, found), document)
        if spec.type not in SUBRUN_AGENTS and own_plan(name, _mapping(document["agents"])) is None:
            continue
        agents[AgentId(name)] = msgspec.structs.replace(
            spec,
            timeout_ms=_milliseconds(found.get("timeout"), 0),
            retry=spec.retry if "retry" in found else RetryPolicy(max_attempts=1),
            subrun=SubrunSpec(
                workflow=_inner_of(name, document, files, folder),
                over=found.get("over") if spec.type == "map" else None,
                at_once=spec.concurrency or SubrunSpec.AT_ONCE,
                min_success_ratio=_float(found.get("min_success_ratio"), 1.0),
            ),
        )
    return agents


def _remembering(spec: AgentSpec, document: Document) -> AgentSpec:
    """An agent with what its workflow says of remembering, where it does not say itself."""
    shared = _mapping(document.get("memory")).get(SHORT_TERM)
    if spec.type != "llm" or shared is None or SHORT_TERM in spec.memory:
        return spec
    return msgspec.structs.replace(spec, memory={**spec.memory, SHORT_TERM: shared})


def _inner_of(name: str, outer: Document, files: Mapping[str, str], folder: str) -> Workflow:
    """The workflow that an agent runs: another one, of a map over an agent that agent alone, or what it plans."""
    agents = _mapping(outer["agents"])
    found = _mapping(agents[name])
    if own_plan(name, agents) is not None:
        inner = planned_by(name, outer, files)
    else:
        inner = _mapping(found.get("workflow")) or _alone(_text(found.get("agent")), outer, files)
    definition = DefinitionHash(digest(inner))
    inner_files = {path: _text(each) for path, each in _mapping(inner.get("files")).items()}
    return workflow_of(inner, definition=definition, files=inner_files, folder=folder, problems=())


def _alone(agent: str, outer: Document, files: Mapping[str, str]) -> Document:
    """A workflow of one agent of another, with those that take over from it."""
    agents = _mapping(outer["agents"])
    chosen: Document = {}
    name = agent
    while name and name not in chosen:
        chosen[name] = agents[name]
        name = _text(_mapping(agents[name]).get("fallback_agent"))
    plan: Document = {"type": "sequential", "agents": [agent]}
    alone: Document = {"version": outer["version"], "name": agent, "agents": chosen, "planner": plan}
    if "policies" in outer:
        alone["policies"] = outer["policies"]
    alone.update(shared_rules(outer))
    if files:
        alone["files"] = dict(files)
    return alone


def agent_of(name: str, found: Document) -> AgentSpec:
    """One agent of a checked document."""
    plan = _mapping(found.get("planner"))
    definition = plan.get("definition") if plan.get("type") == "fsm" else None
    model = found.get("model")
    kind = _text(found["type"])
    fallback = found.get("fallback_agent")
    config = {**_mapping(found.get("config")), **{key: found[key] for key in _CONFIG_KEYS if key in found}}
    if "resource_limits" in found:
        config["resource_limits"] = msgspec.to_builtins(limits_of(_mapping(found["resource_limits"])))
    terms, tools = None, tuple(map(_text, _list(found.get("tools"))))
    prompt = _text(found.get("prompt"))
    if kind == "human_task":
        terms, tools = terms_of(config, found.get("timeout")), tools_of(config, tools)
        prompt, config = prompt or _text(config.get("instructions")), config_of(config)
    return AgentSpec(
        id=AgentId(name),
        type=kind,
        role=_text(found.get("role")),
        terms=terms,
        model=model_of(_mapping(model)) if model is not None else ModelSpec() if kind == "llm" else None,
        prompt=prompt,
        input=found.get("input"),
        output_schema=_schema(found.get("output_schema")),
        memory=_mapping(found.get("memory")),
        planner=plan or None,
        fsm=fsm_of(definition, undefined_is_final=True) if isinstance(definition, dict) else None,
        tools=tools,
        policies=_mapping(found.get("policies")),
        concurrency=_int(found.get("concurrency"), 0),
        retry=retry_of(_mapping(found.get("retry"))),
        timeout_ms=_milliseconds(found.get("timeout"), 60_000) if terms is None else terms.expires_ms,
        fallback_agent=AgentId(_text(fallback)) if fallback is not None else None,
        config=config,
    )


def llm_of(plan: Document, agents: Document) -> LlmPlan:
    """A planner that asks a model. Without `agents` it may name all but those that work for maps."""
    asked = {"goal": plan.get("goal"), "class": plan.get("goal_class")}
    allowed = _list(plan["agents"]) if "agents" in plan else sorted(agents.keys() - mapped_agents(agents))
    model = model_of({"max_tokens": PLAN_TOKENS, **_mapping(plan.get("model"))})
    return LlmPlan(
        asker=AgentSpec(
            id=AgentId(PLANNING),
            type="llm",
            model=model,
            prompt=_text(plan.get("template")) or QUESTION,
            input=asked if any(each is not None for each in asked.values()) else None,
            retry=retry_of(_mapping(plan.get("retry"))),
            timeout_ms=_milliseconds(plan.get("timeout"), 60_000),
        ),
        schema=_schema(plan.get("schema")),
        is_constrained=plan.get("deterministic_scaffolding") is not False,
        max_steps=_int(plan.get("max_steps"), 10),
        agents=tuple(AgentId(_text(name)) for name in allowed),
        strategies=tuple(map(_text, _list(plan.get("strategies")))),
        execution=_sub_plan(plan.get("execution")),
        fallback=_sub_plan(plan.get("fallback")),
        repairs=_int(plan.get("repairs"), 1),
        wait_for=_text(plan.get("wait_for")) or PLANNING,
        wait_timeout_ms=_milliseconds(plan.get("wait_timeout"), 0),
        keeps_plans=plan.get("plan_cache") is True,
    )


def _sub_plan(found: Json) -> FsmSpec | None:
    return fsm_of(_mapping(found.get("definition"))) if isinstance(found, dict) else None


def model_of(found: Document) -> ModelSpec:
    """Which model, and how it is asked."""
    guessed = "classifier" if "examples" in found else "endpoint" if "endpoint" in found else "chat"
    return ModelSpec(
        provider=_text(found.get("provider")) or "local",
        name=_text(found.get("model")),
        kind=_text(found.get("kind")) or guessed,
        temperature=_float(found.get("temperature"), 0.0),
        max_tokens=_int(found.get("max_tokens"), 256),
        seed=_int(found.get("seed"), 0),
        options={key: value for key, value in found.items() if key not in _OWN_MODEL_KEYS},
    )


def retry_of(found: Document) -> RetryPolicy:
    """When a failure is tried again."""
    usual = RetryPolicy()
    initial_ms = _milliseconds(found.get("initial"), usual.initial_ms)
    return RetryPolicy(
        max_attempts=_int(found.get("max_attempts"), usual.max_attempts),
        initial_ms=initial_ms,
        multiplier=_float(found.get("multiplier"), usual.multiplier),
        max_ms=max(initial_ms, _milliseconds(found.get("max"), usual.max_ms)),
        jitter_ratio=_float(found.get("jitter"), usual.jitter_ratio),
    )


def fsm_of(definition: Document, *, undefined_is_final: bool = False) -> FsmSpec:
    """A state machine. Without `final_states`, every state without transitions is final."""
    states = {name: _state_of(name, _mapping(each)) for name, each in _mapping(definition.get("states")).items()}
    if "final_states" in definition:
        final = {name for name in _list(definition["final_states"]) if isinstance(name, str)}
    else:
        final = {state.name for state in states.values() if not state.targets()}
    if undefined_is_final:
        final |= {target for state in states.values() for target in state.targets() if target not in states}
    return FsmSpec(
        states=states,
        initial_state=_text(definition.get("initial_state")),
        final_states=frozenset(final),
        answers_decision=definition.get("answer") == "decision",
    )


def _state_of(name: str, found: Document) -> FsmState:
    agent, retry = found.get("agent"), found.get("retry")
    return FsmState(
        name=name,
        agent=AgentId(_text(agent)) if agent is not None else None,
        wait_for=_text(found.get("wait_for")),
        on_success=_text(found.get("on_success")),
        on_error=_text(found.get("on_error")),
        branches=tuple(map(_branch_of, _list(found.get("conditional_transitions")))),
        condition=_text(found.get("condition")),
        on_true=_text(found.get("on_true")),
        on_false=_text(found.get("on_false")),
        timeout_ms=_milliseconds(found.get("timeout"), 0),
        retry=retry_of(_mapping(retry)) if retry is not None else None,
    )


def _branch_of(found: Json) -> Branch:
    members = _mapping(found)
    return Branch(_text(members.get("condition")), _text(members.get("target")))


def _planner_kind(plan: Document) -> PlannerKind:
    match plan["type"]:
        case "behavior_tree":
            return "behavior_tree"
        case "llm":
            return "llm"
    return "fsm"


def _plan_of(plan: Document, agents: Document) -> FsmSpec | None:
    if plan["type"] == FEEDBACK_TYPE:
        return feedback_of(plan, agents)
    if plan["type"] == "sequential":
        return sequence_fsm([AgentId(_text(name)) for name in _list(plan["agents"])])
    return fsm_of(_mapping(plan.get("definition"))) if plan["type"] == "fsm" else None


def _schema(found: Json) -> Document | None:
    return _mapping(restore(found)) if found is not None else None


def _milliseconds(found: Json, default: int) -> int:
    return default if found is None else milliseconds(found)


def _promise(found: Json) -> int:
    """Milliseconds of a promise that is a time; one that is a share of runs is nobody's to keep here."""
    return 0 if isinstance(found, str) and found.strip().endswith("%") else _milliseconds(found, 0)


def _text(found: Json) -> str:
    return found if isinstance(found, str) else ""


def _int(found: Json, default: int) -> int:
    return found if isinstance(found, int) else default


def _float(found: Json, default: float) -> float:
    return float(found) if isinstance(found, int | float) else default


def _list(found: Json) -> list[Json]:
    return found if isinstance(found, list) else []


def _mapping(found: Json) -> Document:
    return found if isinstance(found, dict) else {}
