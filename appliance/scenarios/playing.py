"""A definition in which the `scripted` model answers for agents, so that a scenario does not hang on what they ask."""

from collections.abc import Mapping, Sequence

from appliance.loading.other_models import askers
from models.scripted import ANSWER_KEYS
from runtime.domain.canonical import Json, encode, parse
from runtime.domain.memory import SHORT_TERM
from runtime.domain.spelling import did_you_mean, nearest
from runtime.errors import NotFound

KEPT = ("input", "retry", "timeout", "data_class")
"""Keys of an agent of another type that stay what they are when answers are played in its place."""

KEPT_OF_TOOLS = ("description", "input_schema", "output_schema", "cost_per_call", "timeout", "rate_limit", "idempotent")
"""The same of a tool."""


def with_answers(document: Mapping[str, Json], answers: Mapping[str, Json], *, turn: str) -> dict[str, Json]:
    """The stored document with answers played: agent → an answer, a list of them in turn, or patterns → answers.

    `turn` keeps lists of one run apart from those of others, which would go on where these stopped.
    Raises NotFound for an agent that is not there.
    """
    copy = parse(encode(dict(document)))
    assert isinstance(copy, dict), "a definition is a mapping"
    agents = copy.get("agents")
    known = agents if isinstance(agents, dict) else {}
    asking = dict(askers(copy))
    for name, played in answers.items():
        agent = known.get(name)
        holder = asking.get(name)
        if holder is None and not isinstance(agent, dict):
            there = sorted({*known, *asking})
            near = did_you_mean(nearest(name, there))
            raise NotFound(
                "scenarios.no_agent",
                f"answers are given for {name!r}, which is no agent of workflow {copy.get('name')!r}; "
                f"there are: {', '.join(there)}{f' ({near})' if near else ''}",
            )
        model: dict[str, Json] = {
            "provider": "scripted",
            "model": f"{turn}-{name}" if _has_turns(played) else "scripted",
            "answers": _answers(played),
        }
        if holder is not None and (agent is not holder or holder.get("type") == "llm"):
            holder["model"] = model
            if agent is holder:
                memory = holder.get("memory")
                # what nobody said is not remembered, whatever the workflow says of all its agents
                holder["memory"] = {**(memory if isinstance(memory, dict) else {}), SHORT_TERM: {"enabled": False}}
        elif isinstance(agent, dict):
            kept = {key: agent[key] for key in KEPT if key in agent}
            known[name] = {"type": "llm", "model": model, "output_schema": {}, **kept}
    return copy


def with_tool_answers(document: Mapping[str, Json], answers: Mapping[str, Json]) -> dict[str, Json]:
    """The stored document with tools played, whoever declares them: tool → an answer, a list of them in turn in each
    run, or patterns of its arguments → answers."""
    copy = parse(encode(dict(document)))
    assert isinstance(copy, dict), "a definition is a mapping"
    registry = copy.get("tool_registry")
    declared = registry.get("tools") if isinstance(registry, dict) else None
    tools = dict(declared) if isinstance(declared, dict) else {}
    for name, played in answers.items():
        before = tools.get(name)
        kept = {key: before[key] for key in KEPT_OF_TOOLS if key in before} if isinstance(before, dict) else {}
        tools[name] = {**kept, "type": "scripted", "answers": played}
    copy["tool_registry"] = {**(registry if isinstance(registry, dict) else {}), "tools": tools}
    return copy


def _answers(played: Json) -> Json:
    if isinstance(played, dict):
        return {pattern: _listed(answer) for pattern, answer in played.items()}
    return _listed(played) if isinstance(played, list) else [_answer(played)]


def _listed(answer: Json) -> Json:
    return [_answer(each) for each in answer] if isinstance(answer, list) else _answer(answer)


def _answer(answer: Json) -> Json:
    """An object that is no answer of the scripted model's own form is what the agent answers."""
    if isinstance(answer, dict) and not (answer and answer.keys() <= ANSWER_KEYS):
        return {"json": answer}
    return answer


def _has_turns(played: Json) -> bool:
    each = list(played.values()) if isinstance(played, dict) else [played]
    return any(isinstance(one, Sequence) and not isinstance(one, str) and len(one) > 1 for one in each)
