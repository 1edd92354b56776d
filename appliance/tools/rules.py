"""Who may call which tool, as the operator's `tools.yaml` and each workflow's `tool_registry` say it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from appliance.loader import load_tools
from appliance.loading.tool_security import policy_of
from appliance.loading.tool_specs import rate_of, schema_of, specs_of
from runtime.audit.levels import Level
from runtime.domain.canonical import Json
from runtime.domain.tool import SecurityLevel, ToolSpec
from runtime.domain.units import milliseconds, usd_micros
from runtime.domain.workflow import Workflow
from runtime.errors import AgentFlowError
from runtime.policies.permissions import RoleRule, ToolRule, ToolRules, audit_levels_of

FILE = "tools.yaml"
"""In the data folder: `tool_registry` and `tenants`, over every workflow."""


log = logging.getLogger(__name__)


class RuleBook:
    """The rules of one data folder. The operator's file is read again when it has changed; one with errors is
    complained of, and what it said before holds."""

    def __init__(self, path: Path) -> None:
        """Raises InvalidDefinition, with every problem of the file, and Invalid."""
        self._path = path
        self._own: ToolRules | None = None
        self._specs: tuple[ToolSpec, ...] = ()
        self._known: dict[str, tuple[ToolRules, ...]] = {}
        self._stamp = (0, 0)
        self._read(_stamp_of(path))

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools that the operator declares; the same tuple until the file changes."""
        self._look()
        return self._specs

    @property
    def own(self) -> tuple[ToolRules, ...]:
        """The operator's rules alone."""
        self._look()
        return () if self._own is None else (self._own,)

    def of(self, workflow: Workflow) -> tuple[ToolRules, ...]:
        """The operator's rules, then the workflow's own."""
        self._look()
        if workflow.hash not in self._known:
            of_workflow = rules_of(workflow.document, f"workflow {workflow.name!r}", is_of_workflow=True)
            self._known[workflow.hash] = tuple(rules for rules in (self._own, of_workflow) if rules is not None)
        return self._known[workflow.hash]

    def _look(self) -> None:
        stamp = _stamp_of(self._path)
        if stamp == self._stamp:
            return
        try:
            self._read(stamp)
        except AgentFlowError as error:
            self._stamp = stamp
            log.error("%s has changed and is not taken; the rules before hold: %s", self._path, error.message)
        else:
            log.info("%s has changed and was read again", self._path)

    def _read(self, stamp: tuple[int, int]) -> None:
        document = load_tools(self._path) if stamp != _ABSENT else {}
        self._own = rules_of(document, str(self._path))
        self._specs = tuple(specs_of(document, str(self._path)))
        self._known = {}
        self._stamp = stamp


_ABSENT = (0, 0)


def _stamp_of(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return _ABSENT
    return found.st_mtime_ns, found.st_size


def rule_book(data: Path) -> RuleBook:
    """The rules of a data folder. Raises InvalidDefinition, with every problem of its file, and Invalid."""
    return RuleBook(data / FILE)


def audit_levels(data: Path) -> dict[str, Level]:
    """What the operator's file says of how much is audited. Raises as `rule_book` does."""
    levels: dict[str, Level] = {}
    for document in rule_book(data).own:
        levels |= cast("dict[str, Level]", audit_levels_of(document))
    return levels


def rules_of(document: Mapping[str, Json], source: str, *, is_of_workflow: bool = False) -> ToolRules | None:
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
        audit_level=str(security.get("audit_level", "")),
        audited={
            name: str(level)
            for name, each in tenants.items()
            if (level := _mapping(_mapping(each).get("security_policy")).get("audit_level"))
        },
        is_of_workflow=is_of_workflow,
    )


def _rule(found: Mapping[str, Json]) -> ToolRule:
    return ToolRule(
        rate_limit=rate_of(found.get("rate_limit")),
        security_level=cast("SecurityLevel", found.get("security_level", "low")),
        timeout_ms=milliseconds(found["timeout"]) if "timeout" in found else None,
        input_schema=schema_of(found.get("input_schema")),
        output_schema=schema_of(found.get("output_schema")),
        audit_level=str(found.get("audit_level", "")),
    )


def _role(found: Mapping[str, Json]) -> RoleRule:
    return RoleRule(
        allowed_tools=tuple(cast("list[str]", found.get("allowed_tools", []))),
        cost_budget_micros=usd_micros(found["cost_budget"]) if "cost_budget" in found else None,
        security_level=cast("SecurityLevel | None", found.get("security_level")),
    )


def _mapping(found: Json) -> dict[str, Json]:
    return found if isinstance(found, dict) else {}


def declared_tools(data: Path) -> frozenset[str]:
    """The names of the tools that the operator declares; none where the file has errors: `af doctor` tells."""
    try:
        return frozenset(spec.id for spec in rule_book(data).specs)
    except AgentFlowError:
        return frozenset()
