"""Who may call which tool, as the operator's `tools.yaml` and each workflow's `tool_registry` say it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from appliance.loader import load_tools
from appliance.loading.tool_security import policy_of
from appliance.loading.tool_specs import rate_of, schema_of, specs_of
from runtime.domain.canonical import Json
from runtime.domain.tool import SecurityLevel, ToolSpec
from runtime.domain.units import milliseconds, usd_micros
from runtime.domain.workflow import Workflow
from runtime.policies.permissions import RoleRule, ToolRule, ToolRules

FILE = "tools.yaml"
"""In the data folder: `tool_registry` and `tenants`, over every workflow."""


class RuleBook:
    """The rules of one data folder; the operator's are read once."""

    def __init__(self, own: ToolRules | None, specs: Sequence[ToolSpec] = ()) -> None:
        self._own = own
        self.specs = tuple(specs)
        """The tools that the operator declares."""
        self._known: dict[str, tuple[ToolRules, ...]] = {}

    def of(self, workflow: Workflow) -> tuple[ToolRules, ...]:
        """The operator's rules, then the workflow's own."""
        if workflow.hash not in self._known:
            of_workflow = rules_of(workflow.document, f"workflow {workflow.name!r}")
            self._known[workflow.hash] = tuple(rules for rules in (self._own, of_workflow) if rules is not None)
        return self._known[workflow.hash]

    @property
    def own(self) -> tuple[ToolRules, ...]:
        """The operator's rules alone."""
        return () if self._own is None else (self._own,)


def rule_book(data: Path) -> RuleBook:
    """The rules of a data folder. Raises InvalidDefinition, with every problem of its file, and Invalid."""
    path = data / FILE
    if not path.exists():
        return RuleBook(None)
    document = load_tools(path)
    return RuleBook(rules_of(document, str(path)), specs_of(document, str(path)))


def rules_of(document: Mapping[str, Json], source: str) -> ToolRules | None:
    """What a checked document says of tools; None: nothing."""
    registry, tenants = _mapping(document.get("tool_registry")), _mapping(document.get("tenants"))
    security = _mapping(document.get("tool_security"))
    if not registry and not tenants and not security:
        return None
    rbac = registry.get("rbac")
    return ToolRules(
        source=source,
        tools={name: _rule(_mapping(each)) for name, each in _mapping(registry.get("tools")).items()},
        roles=None
        if rbac is None
        else {name: _role(_mapping(each)) for name, each in _mapping(_mapping(rbac).get("roles")).items()},
        tenants={
            name: tuple(cast("list[str]", _mapping(_mapping(each).get("security_policy"))["tool_allowlist"]))
            for name, each in tenants.items()
            if "tool_allowlist" in _mapping(_mapping(each).get("security_policy"))
        },
        restricted=frozenset(
            name
            for name, each in tenants.items()
            if _mapping(_mapping(each).get("security_policy")).get("network_policy") == "restricted"
        ),
        policy=policy_of(security, set_by=source) if security else None,
    )


def _rule(found: Mapping[str, Json]) -> ToolRule:
    return ToolRule(
        rate_limit=rate_of(found.get("rate_limit")),
        security_level=cast("SecurityLevel", found.get("security_level", "low")),
        timeout_ms=milliseconds(found["timeout"]) if "timeout" in found else None,
        input_schema=schema_of(found.get("input_schema")),
        output_schema=schema_of(found.get("output_schema")),
    )


def _role(found: Mapping[str, Json]) -> RoleRule:
    return RoleRule(
        allowed_tools=tuple(cast("list[str]", found.get("allowed_tools", []))),
        cost_budget_micros=usd_micros(found["cost_budget"]) if "cost_budget" in found else None,
        security_level=cast("SecurityLevel | None", found.get("security_level")),
    )


def _mapping(found: Json) -> dict[str, Json]:
    return found if isinstance(found, dict) else {}
