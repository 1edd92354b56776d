"""The tools that a checked document declares → their specifications."""

from collections.abc import Mapping
from typing import cast

from appliance.loading.property_order import restore
from appliance.loading.tool_kinds import TOOL_KINDS, ToolKind, own_keys
from runtime.domain.canonical import Json
from runtime.domain.tool import RateLimit, SecurityLevel, ToolSpec
from runtime.domain.units import milliseconds, usd_micros

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


def _spec(name: str, found: Mapping[str, Json], source: str) -> ToolSpec:
    kind = str(found["type"])
    config = {key: value for key, value in found.items() if key in own_keys(kind)}
    declared = tuple(cast("list[str]", found.get("permissions", [])))
    defaults = ToolSpec(id=name, kind=f"tool.{kind}")
    return ToolSpec(
        id=name,
        kind=f"tool.{kind}",
        description=str(found.get("description", "")),
        input_schema=schema_of(found.get("input_schema")) or defaults.input_schema,
        output_schema=schema_of(found.get("output_schema")),
        permissions=tuple(dict.fromkeys((*declared, *TOOL_KINDS.get(kind, ToolKind()).needs(config)))),
        cost_usd_micros=usd_micros(found["cost_per_call"]) if "cost_per_call" in found else 0,
        rate_limit=rate_of(found.get("rate_limit")),
        timeout_ms=milliseconds(found["timeout"]) if "timeout" in found else defaults.timeout_ms,
        security_level=cast("SecurityLevel", found.get("security_level", "low")),
        is_trusted=True,
        set_by=f"tool_registry.tools.{name} of {source}",
        config=config,
    )
