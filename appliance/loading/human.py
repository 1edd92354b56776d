"""What a `human_task` agent says of its tasks: whose they are, when they go to whom, how people are told."""

from collections.abc import Collection, Mapping

from appliance.loading.keys import json_schema, template_text
from appliance.loading.node import Node
from appliance.loading.place import Place
from appliance.loading.property_order import restore
from appliance.loading.shapes import (
    Shape,
    duration,
    either,
    is_text,
    list_of,
    mapping_of,
    name,
    number,
    record,
    text,
    tool_name,
)
from runtime.agents.human_task import KINDS, LOCAL, TICKETS
from runtime.domain.canonical import Json
from runtime.domain.human import Level, Terms
from runtime.domain.spelling import did_you_mean
from runtime.domain.units import milliseconds

UNKNOWN = "unknown"
"""The kind of a tool that the operator declares."""
_MOST_MINUTES = 5_256_000
"""Ten years."""
_minutes = number(0.0001, _MOST_MINUTES)
_TIMES: dict[str, Shape] = {"timeout_minutes": _minutes, "timeout": duration}


def _is_list(node: Node) -> bool:
    return isinstance(node.value, list)


def _is_mapping(node: Node) -> bool:
    return isinstance(node.value, dict)


_RULE = record("an assignment rule", {"role": name, "backup_role": name, "assignee": text})
_LEVEL = record("a role of the chain", {"role": name, **_TIMES}, required=("role",))
_ADDRESSES = either(text, list_of(text, what="a list of addresses"), _is_list)
_CONFIG = record(
    "config of a 'human_task' agent",
    {
        "assignment_rules": either(_RULE, list_of(_RULE, what="a list of rules such as {role: NAME}"), _is_list),
        "escalation": record(
            "escalation",
            {
                **_TIMES,
                "escalation_chain": list_of(
                    either(name, _LEVEL, _is_mapping), what="a list of roles such as [supervisor, manager]", least=1
                ),
            },
            required=("escalation_chain",),
        ),
        "notification": record(
            "notification",
            {
                "channels": list_of(tool_name, what="a list of channels such as [log, ticket, email]"),
                "reminders": list_of(
                    either(_minutes, duration, is_text), what="a list of times: minutes, or texts such as 2h"
                ),
                "contacts": mapping_of(_ADDRESSES, what="a mapping from roles or people to addresses", key=None),
            },
        ),
        "decisions": list_of(name, what="a list of decisions such as [approve, reject]", least=1),
        "form": json_schema,
        "title": template_text,
        "instructions": template_text,
        "expiry": record("expiry", {**_TIMES, "decision": name}),
    },
)


def check_human(found: dict[str, Json], node: Node, place: Place) -> None:
    """Read the config, and report what does not fit together."""
    at = node.member("config")
    if at is None or not isinstance(found.get("config"), dict):
        return
    here = place.child("config")
    read = _CONFIG(at, here)
    config = found["config"] = read if isinstance(read, dict) else {}
    _check_times(config, at, here)
    _check_expiry(config, at, here, has_timeout="timeout" in found)
    if "instructions" in config and "prompt" in found:
        here.child("instructions").error("key.conflict", "'instructions' and 'prompt' are the same; keep one", at)
    rules = config.get("assignment_rules")
    seen: set[str] = set()
    for rule in rules if isinstance(rules, list) else []:
        for key in rule if isinstance(rule, dict) else ():
            if key in seen:
                message = f"{key!r} stands in two rules; a task has one role, one backup and one assignee"
                here.child("assignment_rules").error("key.conflict", message, at.find(("assignment_rules",))[0])
            seen.add(key)


def check_channels(agents: dict[str, Json], kinds: Mapping[str, str], node: Node, place: Place) -> None:
    """Point out channels that nothing answers to; `kinds`: the tools that are known and their kinds."""
    for agent_name, found in agents.items():
        if not isinstance(found, dict) or found.get("type") != "human_task":
            continue
        listed = found.get("tools")
        tools = [str(tool) for tool in listed] if isinstance(listed, list) else []
        notification = _part(found, "config", "notification")
        channels = notification.get("channels")
        here = place.child("agents").child(agent_name).child("config").child("notification").child("channels")
        at = node.find(("agents", agent_name, "config", "notification", "channels"))[0]
        for channel in channels if isinstance(channels, list) else []:
            if isinstance(channel, str) and not _is_answered(channel, tools, kinds):
                kind = KINDS.get(channel, "").removeprefix("tool.")
                known = [*LOCAL, *KINDS, *tools]
                tool = f"a tool of type {kind}" if kind else f"the tool {channel!r}"
                hint = (did_you_mean(here.guess(channel, known)) if not kind else "") or (
                    f"declare {tool} in tool_registry and name it in 'tools'"
                )
                message = f"channel {channel!r} takes {tool} among the agent's tools; until then nobody is told over it"
                here.warn("human.channel", message, at, hint)


def terms_of(config: Mapping[str, Json], timeout: Json) -> Terms:
    """The terms of an agent's tasks; `timeout`: the agent's own."""
    rules = config.get("assignment_rules")
    merged: dict[str, Json] = {}
    for rule in rules if isinstance(rules, list) else [rules]:
        merged |= rule if isinstance(rule, dict) else {}
    notification, expiry = _part(config, "notification"), _part(config, "expiry")
    reminders, decisions = notification.get("reminders"), config.get("decisions")
    expires_ms = _time(expiry) or (milliseconds(timeout) if timeout is not None else 0)
    return Terms(
        role=_text(merged.get("role")),
        backup=_text(merged.get("backup_role")),
        assignee=_text(merged.get("assignee")),
        decisions=tuple(map(str, decisions)) if isinstance(decisions, list) else Terms.DECISIONS,
        chain=_chain(_part(config, "escalation")),
        reminders_ms=tuple(sorted(map(_reminder, reminders if isinstance(reminders, list) else []))),
        channels=channels_of(config),
        expires_ms=expires_ms,
        on_expiry=_text(expiry.get("decision")),
    )


def channels_of(config: Mapping[str, Json]) -> tuple[str, ...]:
    """The channels of an agent, each once."""
    channels = _part(config, "notification").get("channels")
    return tuple(dict.fromkeys(map(str, channels))) if isinstance(channels, list) else ()


def tools_of(config: Mapping[str, Json], tools: tuple[str, ...]) -> tuple[str, ...]:
    """The tools of an agent, with the one that its channels take of the appliance's own."""
    is_needed = {"notify", "ticket"} & set(channels_of(config)) and TICKETS not in tools
    return (*tools, TICKETS) if is_needed else tools


def config_of(config: Mapping[str, Json]) -> dict[str, Json]:
    """The config as the agent has it: its form in the order of its author."""
    return {key: restore(value) if key == "form" else value for key, value in config.items()}


def _check_times(config: dict[str, Json], at: Node, here: Place) -> None:
    escalation = _part(config, "escalation")
    chain = escalation.get("escalation_chain")
    own_time = _time(escalation)
    both = [key for key in ("escalation", "expiry") if {"timeout", "timeout_minutes"} <= _part(config, key).keys()]
    for key in both:
        message = f"{key!r} has 'timeout' and 'timeout_minutes'; keep one"
        here.child(key).error("key.conflict", message, at.find((key,))[0])
    for number_of, each in enumerate(chain if isinstance(chain, list) else []):
        if not own_time and not (isinstance(each, dict) and _time(each)):
            role = each.get("role") if isinstance(each, dict) else each
            message = f"nothing says when a task goes to {role!r}"
            place = here.child("escalation").child("escalation_chain").child(number_of)
            place.error("key.missing", message, at.find(("escalation",))[0], "add escalation: {timeout: 4h}")
            return
    levels = _chain(escalation)
    expires_ms = _time(_part(config, "expiry"))
    if levels and expires_ms and expires_ms <= sum(level.after_ms for level in levels):
        message = "tasks expire before they reach the last role of the chain"
        here.child("expiry").warn("human.expires_early", message, at.find(("expiry",))[0])
    first_ms = levels[0].after_ms if levels else expires_ms
    reminders = _part(config, "notification").get("reminders")
    for each in reminders if isinstance(reminders, list) else []:
        if each is not None and first_ms and _reminder(each) >= first_ms:
            message = "a reminder comes no sooner than the task has gone to the next role, or has expired"
            place = here.child("notification").child("reminders")
            place.warn("human.late_reminder", message, at.find(("notification", "reminders"))[0])
            return


def _check_expiry(config: dict[str, Json], at: Node, here: Place, *, has_timeout: bool) -> None:
    expiry = _part(config, "expiry")
    decision, listed = expiry.get("decision"), config.get("decisions")
    decisions = [str(each) for each in listed] if isinstance(listed, list) else list(Terms.DECISIONS)
    if isinstance(decision, str) and decision not in decisions:
        message = f"{decision!r} is none of the decisions: {', '.join(decisions)}"
        place = here.child("expiry").child("decision")
        place.error("human.decision", message, at.find(("expiry", "decision"))[0], _hint(place, decision, decisions))
    if "expiry" in config and not _time(expiry) and not has_timeout:
        message = "'expiry' says nothing of when"
        here.child("expiry").error("key.missing", message, at.find(("expiry",))[0], "add expiry: {timeout: 7d}")


def _hint(place: Place, word: str, known: Collection[str]) -> str:
    return did_you_mean(place.guess(word, known))


def _is_answered(channel: str, tools: list[str], kinds: Mapping[str, str]) -> bool:
    if channel in LOCAL or channel in tools:
        return True
    kind = KINDS.get(channel)
    # of a tool that the operator declares nobody knows the kind here
    return kind is not None and any(kinds.get(tool, "") in (kind, UNKNOWN) for tool in tools)


def _chain(escalation: Mapping[str, Json]) -> tuple[Level, ...]:
    chain, usual_ms = escalation.get("escalation_chain"), _time(escalation)
    levels: list[Level] = []
    for each in chain if isinstance(chain, list) else []:
        if isinstance(each, dict):
            levels.append(Level(_text(each.get("role")), _time(each) or usual_ms))
        elif isinstance(each, str):
            levels.append(Level(each, usual_ms))
    return tuple(levels)


def _time(found: Mapping[str, Json]) -> int:
    """Milliseconds of `timeout` or `timeout_minutes`; 0: neither is there."""
    minutes, written = found.get("timeout_minutes"), found.get("timeout")
    if isinstance(minutes, int | float):
        return max(1, round(minutes * 60_000))
    return milliseconds(written) if written is not None else 0


def _reminder(found: Json) -> int:
    return max(1, round(found * 60_000)) if isinstance(found, int | float) else milliseconds(found)


def _part(found: Mapping[str, Json], *path: str) -> dict[str, Json]:
    part: Json = dict(found)
    for key in path:
        part = part.get(key) if isinstance(part, dict) else None
    return part if isinstance(part, dict) else {}


def _text(found: Json) -> str:
    return found if isinstance(found, str) else ""
