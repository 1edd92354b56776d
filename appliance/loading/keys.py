"""The keys of a definition that stand on their own: limits, memory, policies, tools, tenants.

They keep the source document's spelling. Agents, planners and whole documents have modules of their own.
"""

from collections.abc import Mapping

from appliance.loading import property_order
from appliance.loading.node import Node
from appliance.loading.place import Place
from appliance.loading.replanning import ESCALATION, MOST_TIMES, REPLAN
from appliance.loading.shapes import (
    Shape,
    anything,
    boolean,
    choice,
    duration,
    either,
    is_text,
    limit,
    mapping_of,
    matching,
    money,
    name,
    number,
    percent,
    rate,
    ratio,
    record,
    schema_of,
    size,
    takes,
    text,
    texts,
    whole,
    wrong,
)
from appliance.loading.tool_kinds import tool
from runtime.domain.canonical import Json
from runtime.domain.memory import REMOTE_BACKENDS, SHORT_TERM
from runtime.domain.spelling import did_you_mean
from runtime.domain.units import milliseconds
from runtime.domain.workflow import THRESHOLD
from runtime.errors import Invalid
from runtime.policies.residency import DATA_CLASSES, is_zone_pattern

_COUNT = whole(1, 1_000_000_000)


def inactive(shape: Shape, instead: str = "") -> Shape:
    """A key that is checked and kept, but that nothing acts on in this version; `instead`: what does what it means."""

    @takes(lambda: schema_of(shape))
    def checked(node: Node, place: Place) -> Json:
        key = place.path.rpartition(".")[2]
        place.warn("key.not_active", f"{key!r} is checked and kept, but has no effect in this version", node, instead)
        return shape(node, place)

    return checked


def template(node: Node, place: Place) -> Json:
    """A template, or a mapping or list of them, that compiles."""
    # the template engine is loaded when a document has a template
    from runtime.agents.templates import Template

    value = anything(node, place)
    try:
        Template(value)
    except Invalid as error:
        place.error(error.code, error.message, node)
    return value


@takes({"type": "string", "minLength": 1})
def template_text(node: Node, place: Place) -> Json:
    """A template that is one text."""
    return None if text(node, place) is None else template(node, place)


@takes({"type": "object"})
def json_schema(node: Node, place: Place) -> Json:
    """A JSON Schema that compiles and refers to nothing outside itself."""
    # the validator is a large library; most documents need none
    from runtime.domain.schema import Schema

    value = property_order.restore(anything(node, place))
    if not isinstance(value, dict):
        wrong(node, place, "a JSON Schema: a mapping with type, properties, required, …")
        return None
    try:
        Schema(value)
    except Invalid as error:
        place.error(error.code, error.message, node)
    return property_order.annotate(value)


_RETRY = record(
    "retry",
    {
        "max_attempts": whole(1, 100),
        "initial": duration,
        "multiplier": number(1, 100),
        "max": duration,
        "jitter": ratio,
    },
)


@takes(lambda: schema_of(_RETRY))
def retry(node: Node, place: Place) -> Json:
    """When a failure is tried again."""
    found = _RETRY(node, place)
    if not isinstance(found, dict) or not {"initial", "max"} <= found.keys():
        return found
    if milliseconds(found["initial"]) > milliseconds(found["max"]):
        place.child("max").error("value.range", "'max' is below 'initial'", node.find(("max",))[0])
    return found


@takes({"type": ["string", "array"], "items": {"type": "string"}})
def residency(node: Node, place: Place) -> Json:
    """Zones that may be reached: one, or a list."""
    found = texts(node, place)
    wrong_ones = [zone for zone in found if not is_zone_pattern(str(zone))] if isinstance(found, list) else []
    if wrong_ones:
        message = f"{wrong_ones[0]!r} is no zone; write local, site, cloud:REGION or cloud:*"
        place.error("policies.zone", message, node)
    return found


@takes({"type": "string"})
def data_class(node: Node, place: Place) -> Json:
    """A class of data that is declared: an unknown one may reach no zone, so that a typo would stop every call."""
    found, reading = name(node, place), place.reading
    known = sorted({*DATA_CLASSES, *(reading.site.classes or ())})
    if not isinstance(found, str) or found in known or reading.files.are_stored:
        return found
    hint = did_you_mean(place.guess(found, known))
    if reading.site.classes is not None or hint:
        message = (
            f"{found!r} is no class of data; expected one of {', '.join(known)}, or one of data_classes in the settings"
        )
        place.error("policies.data_class", message, node, hint)
    return found


_POLICIES: dict[str, Shape] = {
    "residency": residency,
    "data_class": data_class,
    "minimise": boolean,
    "replan": REPLAN,
    "cost_budget": limit,
    "cost_budget_tokens": _COUNT,
    "rate_limit": inactive(rate),
    "permissions": inactive(texts),
    "sla_response_time": duration,
    ESCALATION: either(
        whole(1, MOST_TIMES),
        matching(r"[1-9][0-9]?_failures?", "a number of failures such as 3_failures"),
        is_text,
    ),
    THRESHOLD: ratio,
    "appeals_process": inactive(
        either(boolean, choice("enabled", "disabled"), is_text),
        "an appeal is a task for people: an agent of type human_task, or a state with wait_for",
    ),
}
POLICIES = record("policies", _POLICIES)
AGENT_POLICIES = record("policies", {**_POLICIES, "sla_response_time": inactive(duration)})


@takes({"enum": ["local", "sqlite", *REMOTE_BACKENDS]})
def _backend(node: Node, place: Place) -> Json:
    backend = choice("local", "sqlite", *REMOTE_BACKENDS)(node, place)
    if backend not in REMOTE_BACKENDS:
        return backend
    if backend in place.reading.site.memories:
        message = f"the local memory answers in the place of {backend!r}, as memory.backends in the settings says"
        place.warn("memory.mapped", message, node)
    else:
        place.refuse(
            "memory.remote",
            f"memory backend {backend!r} is a service that this version does not reach",
            node,
            f"leave 'backend' out, or map it in the settings: memory.backends: {{{backend}: local}}",
        )
    return backend


_LAYERS: dict[str, Shape] = {
    SHORT_TERM: record(
        "short_term",
        {
            "enabled": boolean,
            "ttl_minutes": number(0, 5_256_000),
            "max_items": _COUNT,
            "cost_budget_tokens": _COUNT,
            "session": template_text,
        },
    ),
    "long_term": record(
        "long_term",
        {
            "enabled": boolean,
            "backend": _backend,
            "embedding_model": text,
            "k": whole(1, 1_000),
            "cache_ttl_minutes": number(0, 5_256_000),
            "cost_budget_dollars": money,
            "folder": text,
            "collection": name,
        },
    ),
    "episodic": record("episodic", {"enabled": boolean, "retention_days": _COUNT, "compression_ratio": ratio}),
    "summarizer": record(
        "summarizer",
        {"enabled": boolean, "cadence": choice("hourly", "daily", "weekly", "on_size"), "model": text},
    ),
}
MEMORY = record("memory", _LAYERS)
AGENT_MEMORY = record(
    "memory",
    {layer: shape if layer in ("long_term", SHORT_TERM) else inactive(shape) for layer, shape in _LAYERS.items()},
)
_OF_AGENTS = "an agent has memory of its own: agents.NAME.memory.long_term"
WORKFLOW_MEMORY = record(
    "memory",
    {
        layer: shape if layer == SHORT_TERM else inactive(shape, _OF_AGENTS if layer == "long_term" else "")
        for layer, shape in _LAYERS.items()
    },
)
"""Of all agents that remember what is said and do not say themselves how."""


def has_no_session(node: Node, place: Place) -> None:
    """Point out memory of what is said where nobody says anything."""
    message = f"{SHORT_TERM!r} is checked and kept, but has no effect here: agents of type 'llm' remember what is said"
    hint = "within a run, templates read what was answered before, {{ steps.NAME }}"
    at = node.find(("memory", SHORT_TERM))[0]
    place.child("memory").child(SHORT_TERM).warn("key.not_active", message, at, hint)


_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
method = choice(*_METHODS)

_AUDIT_LEVEL = choice("none", "basic", "full")
RESOURCE_LIMITS = record("resource_limits", {"memory": size, "cpu": number(0.01, 1_024), "timeout": duration})
TOOL_SECURITY = record(
    "tool_security",
    {
        "default_sandbox": choice("gvisor", "bubblewrap", "docker", "process", "wasm"),
        "network_policy": choice("allow_all", "deny_all", "custom"),
        "network_allow": texts,
        "filesystem_access": choice("none", "read_only", "custom"),
        "filesystem_allow": texts,
        "resource_limits": RESOURCE_LIMITS,
        "audit_level": _AUDIT_LEVEL,
    },
)
_LEVEL = choice("low", "medium", "high")
_TOOL: dict[str, Shape] = {
    "audit_level": _AUDIT_LEVEL,
    "version": text,
    "permissions": texts,
    "rate_limit": rate,
    "idempotent": boolean,
    "cache": duration,
    "resource_limits": RESOURCE_LIMITS,
    "security_level": _LEVEL,
    "timeout": duration,
    "input_schema": json_schema,
    "output_schema": json_schema,
}
_RBAC = record(
    "rbac",
    {
        "roles": mapping_of(
            record("a role", {"allowed_tools": texts, "cost_budget": money, "security_level": _LEVEL}),
            what="a mapping from role names to roles",
        )
    },
)


def _tool_registry(more: Mapping[str, Shape], rbac: Shape) -> Shape:
    common = {"type": name, "description": text, "cost_per_call": money, **more}
    tools = mapping_of(tool(common), what="a mapping from tool names to tools")
    return record("tool_registry", {"tools": tools, "rbac": rbac})


TOOL_REGISTRY = _tool_registry(_TOOL, _RBAC)
TENANTS = mapping_of(
    record(
        "a tenant",
        {
            "namespace": text,
            "database_schema": text,
            "resource_quotas": record(
                "resource_quotas",
                {
                    "max_agents": _COUNT,
                    "max_workflows": _COUNT,
                    "residency": residency,
                    "data_class": data_class,
                    "cost_budget": money,
                    "storage_gb": number(0, 1_000_000_000),
                },
            ),
            "security_policy": record(
                "security_policy",
                {
                    "tool_allowlist": texts,
                    "network_policy": choice("restricted", "open"),
                    "audit_level": _AUDIT_LEVEL,
                },
            ),
        },
    ),
    what="a mapping from tenant ids to tenants",
)
_SHARE = inactive(
    percent,
    "a time is watched, as sla: 60s; the share of runs that succeeded is a matter of agentflow_runs_finished_total",
)
SLA = either(_SHARE, duration, lambda node: not (is_text(node) and str(node.value).strip().endswith("%")))
