"""The tools that a checked document declares → their specifications."""

from collections.abc import Mapping
from typing import cast

import msgspec

from appliance.loading.property_order import restore
from appliance.loading.tool_kinds import TOOL_KINDS, ToolKind, own_keys
from runtime.domain.canonical import Json
from runtime.domain.tool import RateLimit, SecurityLevel, ToolSpec
from runtime.domain.units import milliseconds, size_bytes, usd_micros
from runtime.policies.exec_profile import OWN_AREAS, SPAWN, Limits

_PER_MS = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}


def specs_of(document: Mapping[str, Json], source: str) -> list[ToolSpec]:
    """Every tool of `tool_registry.tools`; `source` names the document, for refusals."""
    registry = document.get("tool_registry")
    tools = registry.get("tools") if isinstance(registry, dict) else None
    found = tools.items() if isinstance(tools, dict) else ()
    return [_spec(name, each, source) for name, each in found if isinstance(each, dict)]


def rate_of(found: Json) -> RateLimit | None:
    """`100/hour`, read; None where nothing stands there."""
    if not isinstance(found, str):
        return None
    calls, _, per = found.partition("/")
    return RateLimit(int(calls), _PER_MS[per])


def schema_of(found: Json) -> dict[str, Json] | None:
    """A checked schema; None where nothing stands there."""
    schema = restore(found) if found is not None else None
    return schema if isinstance(schema, dict) else None


def limits_of(given: Mapping[str, Json]) -> Limits:
    """`resource_limits`, in bytes and milliseconds."""
    cpu = given.get("cpu")
    return Limits(
        memory_bytes=size_bytes(given["memory"]) if "memory" in given else None,
        cpu_share=float(cpu) if isinstance(cpu, int | float) else None,
        timeout_ms=milliseconds(given["timeout"]) if "timeout" in given else None,
    )


def _spec(name: str, found: Mapping[str, Json], source: str) -> ToolSpec:
    kind = TOOL_KINDS.get(str(found["type"]), ToolKind())
    config = {key: value for key, value in found.items() if key in own_keys(str(found["type"]))}
    limits = found.get("resource_limits")
    if isinstance(limits, dict):
        config["resource_limits"] = msgspec.to_builtins(limits_of(limits))
    declared = tuple(cast("list[str]", found["permissions"])) if "permissions" in found else None
    permissions, withheld = _permissions(declared, kind.needs(config))
    defaults = ToolSpec(id=name, kind=f"tool.{found['type']}")
    return kind.complete(
        ToolSpec(
            id=name,
            kind=defaults.kind,
            version=str(found.get("version", defaults.version)),
            description=str(found.get("description", "")),
            input_schema=schema_of(found.get("input_schema")) or defaults.input_schema,
            output_schema=schema_of(found.get("output_schema")),
            permissions=permissions,
            withheld=withheld,
            cost_usd_micros=usd_micros(found["cost_per_call"]) if "cost_per_call" in found else 0,
            rate_limit=rate_of(found.get("rate_limit")),
            timeout_ms=milliseconds(found["timeout"]) if "timeout" in found else defaults.timeout_ms,
            is_idempotent=found.get("idempotent") is True,
            cache_ms=milliseconds(found["cache"]) if "cache" in found else 0,
            security_level=cast("SecurityLevel", found.get("security_level", "low")),
            is_trusted=True,
            set_by=f"tool_registry.tools.{name} of {source}",
            config=config,
        )
    )


def _permissions(declared: tuple[str, ...] | None, needed: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the tool asks for, and what it needs and its own `permissions` leave out.

    One without a target, such as `network.smtp`, stands for whatever the tool's keys make it need of that kind.
    """
    if declared is None:
        return needed, ()
    bare = {each for each in declared if ":" not in each}
    kept = [each for each in declared if ":" in each or each == SPAWN or each.partition(".")[0] in OWN_AREAS]
    withheld = tuple(each for each in needed if each not in declared and each.partition(":")[0] not in bare)
    return tuple(dict.fromkeys((*kept, *needed))), withheld
