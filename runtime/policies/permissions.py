"""Who may call which tool: what agents, roles and tenants are granted, and what says so. Pure.

Every rule must allow a call; what no rule names is denied where there is a rule of its kind. `rulings` gives all of
them in the order in which they are looked at, so that a refusal and its explanation never disagree.
"""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import msgspec
from msgspec.structs import replace

from runtime.domain.canonical import Json
from runtime.domain.tool import SECURITY_LEVELS, RateLimit, SecurityLevel
from runtime.errors import Refused
from runtime.policies.exec_profile import ToolPolicy

DEFAULT_ROLE = "default"
"""The role of callers that have none, where it is declared."""


class ToolRule(msgspec.Struct, frozen=True, kw_only=True):
    """What one document says of one tool."""

    rate_limit: RateLimit | None = None
    security_level: SecurityLevel = "low"
    timeout_ms: int | None = None
    input_schema: dict[str, Json] | None = None
    output_schema: dict[str, Json] | None = None
    audit_level: str = ""
    """How much the audit log tells of its calls; empty: nothing is said."""


class RoleRule(msgspec.Struct, frozen=True, kw_only=True):
    """What one document grants a role."""

    allowed_tools: tuple[str, ...] = ()
    """Names, or patterns such as `crm_*`."""
    cost_budget_micros: int | None = None
    """Micro-dollars a day; None: as much as the other budgets allow."""
    security_level: SecurityLevel | None = None
    """The highest level of a tool that it may call; None: any for tools that are named, `low` for patterns."""


class ToolRules(msgspec.Struct, frozen=True, kw_only=True):
    """What one document says of tools."""

    source: str
    """The file, or the workflow, that they stand in."""
    tools: dict[str, ToolRule] = {}
    roles: dict[str, RoleRule] | None = None
    """None: it says nothing of roles, so none is needed."""
    tenants: dict[str, tuple[str, ...]] = {}
    """Tenant → the names or patterns of the tools that it may use; others may use all."""
    restricted: frozenset[str] = frozenset()
    """Tenants whose tools have no network."""
    policy: ToolPolicy | None = None
    """Its `tool_security`; None: it has none."""
    audit_level: str = ""
    """Of all its tools; empty: nothing is said."""
    audited: dict[str, str] = {}
    """Tenant → how much the audit log tells of it."""
    is_of_workflow: bool = False
    """Whether a workflow says so, rather than the operator."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants to call."""

    tenant: str
    role: str = ""
    """Of whoever asked for the run; empty: none."""
    agent: str = ""
    agent_role: str = ""
    """The agent's `role:`; it counts where it is the name of a role."""
    agent_tools: tuple[str, ...] | None = None
    """The agent's `tools:`; None: no agent asks."""
    workflow: str = ""


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule says of a call."""

    rule: str
    """Where it stands: `tool_registry.rbac.roles.clerk of tools.yaml`."""
    is_allowed: bool
    why: str
    code: str = ""
    """Of the refusal; empty when it allows the call."""
    grant: str = ""
    """What to change so that it allows the call."""


def rulings(tool: str, caller: Caller, rules: Sequence[ToolRules], *, level: SecurityLevel = "low") -> list[Ruling]:
    """What every rule says, in order; a call is allowed when all of them allow it. `level`: the tool's own."""
    found = [] if caller.agent_tools is None else [_of_agent(tool, caller, caller.agent_tools)]
    level = max(level, level_of(tool, rules), key=SECURITY_LEVELS.index)
    for document in rules:
        if document.roles is not None:
            found.extend(_of_roles(tool, level, caller, document, document.roles))
    for document in rules:
        if caller.tenant in document.tenants:
            found.append(_of_tenant(tool, caller, document))
    return [replace(ruling, code="", grant="") if ruling.is_allowed else ruling for ruling in found]


def check(tool: str, caller: Caller, rules: Sequence[ToolRules], *, level: SecurityLevel = "low") -> None:
    """Raise Refused for the first rule that does not allow the call: which, where it stands, how to grant it."""
    for ruling in rulings(tool, caller, rules, level=level):
        if not ruling.is_allowed:
            who = f"agent {caller.agent!r} of workflow {caller.workflow!r}" if caller.agent else "the caller"
            raise Refused(
                ruling.code,
                f"{who} may not call tool {tool!r}: {ruling.why}. The rule is {ruling.rule}; {ruling.grant}",
                rule=ruling.rule,
            )


def level_of(tool: str, rules: Sequence[ToolRules]) -> SecurityLevel:
    """The highest level that any document gives a tool."""
    levels = [document.tools[tool].security_level for document in rules if tool in document.tools]
    return max(levels, key=SECURITY_LEVELS.index, default="low")


def roles_of(caller: Caller, declared: Mapping[str, RoleRule]) -> list[str]:
    """The roles that a document's rules go by: the caller's, and the agent's where it is declared."""
    agents = [caller.agent_role] if caller.agent_role in declared else []
    return list(dict.fromkeys([caller.role, *agents])) if caller.role else agents or [DEFAULT_ROLE]


def _of_agent(tool: str, caller: Caller, granted: tuple[str, ...]) -> Ruling:
    return Ruling(
        rule=f"agents.{caller.agent}.tools of workflow {caller.workflow!r}",
        is_allowed=tool in granted,
        why=f"the agent is granted {', '.join(granted) or 'no tools'}",
        code="tool.not_granted",
        grant=f"add {tool!r} to it",
    )


def _of_roles(
    tool: str, level: SecurityLevel, caller: Caller, document: ToolRules, declared: Mapping[str, RoleRule]
) -> Iterator[Ruling]:
    for role in roles_of(caller, declared):
        place = f"tool_registry.rbac.roles.{role}"
        rule = declared.get(role)
        if rule is None:
            none_given = role == DEFAULT_ROLE and not caller.role
            yield Ruling(
                rule=f"tool_registry.rbac.roles of {document.source}",
                is_allowed=False,
                why="no role was given" if none_given else f"there is no role {role!r}",
                code="tool.not_for_role",
                grant=("ask in a role (af run --as ROLE), or " if none_given else "")
                + f"declare role {role!r} there with allowed_tools: [{tool}]",
            )
            continue
        pattern = next((each for each in rule.allowed_tools if fnmatchcase(tool, each)), "")
        yield Ruling(
            rule=f"{place}.allowed_tools of {document.source}",
            is_allowed=bool(pattern),
            why=f"role {role!r} is granted {', '.join(rule.allowed_tools) or 'no tools'}",
            code="tool.not_for_role",
            grant=f"add {tool!r} to it",
        )
        if pattern:
            highest = rule.security_level or ("high" if tool in rule.allowed_tools else "low")
            yield Ruling(
                rule=f"{place}.security_level of {document.source}",
                is_allowed=SECURITY_LEVELS.index(level) <= SECURITY_LEVELS.index(highest),
                why=f"the tool is of level {level}, and role {role!r} goes up to {highest}",
                code="tool.not_for_level",
                grant=f"set it to {level}" + ("" if rule.security_level else f", or name {tool!r} in allowed_tools"),
            )


def _of_tenant(tool: str, caller: Caller, document: ToolRules) -> Ruling:
    allowed = document.tenants[caller.tenant]
    return Ruling(
        rule=f"tenants.{caller.tenant}.security_policy.tool_allowlist of {document.source}",
        is_allowed=any(fnmatchcase(tool, pattern) for pattern in allowed),
        why=f"tenant {caller.tenant!r} may use {', '.join(allowed) or 'no tools'}",
        code="tool.not_for_tenant",
        grant=f"add {tool!r} to it",
    )


def audit_level_of(tool: str, rules: Sequence[ToolRules]) -> str:
    """How much the workflow wants told of a tool's calls; empty: it says nothing."""
    for document in rules:
        if document.is_of_workflow:
            rule = document.tools.get(tool)
            return (rule.audit_level if rule else "") or document.audit_level
    return ""


def audit_levels_of(document: ToolRules) -> dict[str, str]:
    """What an operator's document says of levels, by the names that the setting `audit.levels` has."""
    return {
        **({"*/*": document.audit_level} if document.audit_level else {}),
        **document.audited,
        **{f"*/{name}": rule.audit_level for name, rule in document.tools.items() if rule.audit_level},
    }
