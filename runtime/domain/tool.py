"""Tools as types: what one may do and costs, one call of it, and what the call came to."""

from typing import Literal

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.exec_profile import Used

SecurityLevel = Literal["low", "medium", "high"]
"""How much trust a role needs to call a tool, in this order."""

SECURITY_LEVELS: tuple[SecurityLevel, ...] = ("low", "medium", "high")


class RateLimit(msgspec.Struct, frozen=True):
    """At most so many calls in so long, as a token bucket that starts full: `100/hour`."""

    calls: int
    per_ms: int


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as the registry knows it: the only thing that permissions, budgets and profiles are decided by."""

    id: str
    """The name that agents call it by; those of a server of tools are `SERVER.NAME`."""
    kind: str
    """Dotted id of what runs it, such as `tool.http`, `tool.code`, `tool.mcp`."""
    version: str = "1"
    description: str = ""
    """Foreign text where the tool is: shown and hashed, never obeyed."""
    input_schema: dict[str, Json] = msgspec.field(default_factory=lambda: {"type": "object"})
    """JSON Schema 2020-12 that the arguments must satisfy."""
    output_schema: dict[str, Json] | None = None
    """JSON Schema 2020-12 that the answer must satisfy; None: any JSON."""
    permissions: tuple[str, ...] = ()
    """What it needs, as `AREA.VERB` with an optional `:TARGET`: `network.http:api.internal`, `files.read:handbook`,
    `files.write:reports`, `process.spawn`, `database.read`, `secrets.use:smtp-password`. What is not here is denied."""
    withheld: tuple[str, ...] = ()
    """What it cannot do without and its own declaration leaves out; a call is refused for it."""
    cost_usd_micros: int = 0
    """Of one call."""
    rate_limit: RateLimit | None = None
    timeout_ms: int = 30_000
    is_idempotent: bool = False
    """Whether a second call with equal arguments changes nothing: only then may an answer be kept and given again."""
    cache_ms: int = 0
    """For how long the answer of an idempotent tool may be given again; 0: it is not kept."""
    security_level: SecurityLevel = "low"
    is_trusted: bool = False
    """Whether its code came with the appliance or from the operator's own project; foreign code is not."""
    set_by: str = ""
    """Where it is declared, such as `tool_registry.tools.send_email of support.yaml`."""
    config: dict[str, Json] = {}
    """Keys that only this kind knows (`allowed_hosts`, `connection`, `folder`, `code`, …)."""


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call, as the tool sees it: allowed, its arguments held to the schemas."""

    tool: str
    arguments: dict[str, Json]
    idempotency_key: str
    """Equal for every attempt at this call, also after a crash; a tool with side effects hands it on."""


class ToolResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a call came to, with what the audit log needs."""

    output: Json
    profile_id: str = ""
    """Hash of the profile that it ran under."""
    driver: str = ""
    """The sandbox that held it; empty where nothing was started."""
    is_cached: bool = False
    cost_usd_micros: int = 0
    wall_ms: int = 0
    used: Used | None = None
    """What its programs took; None: no sandbox ran any."""
