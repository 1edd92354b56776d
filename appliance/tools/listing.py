"""Every tool that there is here, out of files alone, and what the rules make of a call before anybody makes it."""

from collections.abc import Sequence
from typing import cast

from appliance.config.settings import Settings
from appliance.loading.tool_specs import specs_of
from appliance.tools.reach import door_rulings
from appliance.tools.rules import RuleBook
from appliance.tools.services import profiles_of, with_settings
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.exec_profile import INSIDE, ExecProfile, Program, Runtime
from runtime.domain.tool import ToolSpec
from runtime.domain.workflow import Workflow
from runtime.policies.exec_profile import Denial
from runtime.policies.permissions import Caller, Ruling, ToolRules, rulings
from runtime.tools.built_in import BUILT_IN
from runtime.tools.mcp.approvals import Approvals
from runtime.tools.mcp.servers import approved_specs


def every_tool(settings: Settings, book: RuleBook, workflow: Workflow | None) -> dict[str, ToolSpec]:
    """The tools of the appliance, of `tools.yaml`, of a workflow, and those of servers that were approved, by name."""
    own = () if workflow is None else specs_of(workflow.document, f"workflow {workflow.name!r}")
    servers = approved_specs(settings.mcp.servers, Approvals(settings.data))
    complete = with_settings(settings.mail, settings.folders)
    found = {spec.id: complete(spec) for spec in (*servers, *own, *book.specs, *BUILT_IN)}
    return {name: found[name] for name in sorted(found)}


def verdicts(
    spec: ToolSpec | None,
    caller: Caller,
    rules: Sequence[ToolRules],
    settings: Settings,
    *,
    sender: Sender = APPLIANCE,
) -> list[Ruling]:
    """What every rule says of a call, then what the rules of what tools may reach say, as the call would find it,
    then the door.

    `spec`: None for a tool that nobody knows. `sender`: on whose behalf it would reach anything.
    """
    level = "low" if spec is None else spec.security_level
    tool = "" if spec is None else spec.id
    found = rulings(tool, caller, rules, level=level)
    if spec is None:
        return found
    _, denials = reach(spec, caller, rules, settings)
    return [*found, *(_as_ruling(denial) for denial in denials), *door_rulings(spec, sender, settings)]


def reach(
    spec: ToolSpec, caller: Caller, rules: Sequence[ToolRules], settings: Settings
) -> tuple[ExecProfile, tuple[Denial, ...]]:
    """The profile that a call would have, and what the tool needs in vain."""
    language = spec.config.get("language")
    program = INSIDE if spec.kind != "tool.code" else Program(runtime=cast("Runtime", language))
    return profiles_of(settings).compiled(spec, program, tenant=caller.tenant, role=caller.role, rules=rules)


def _as_ruling(denial: Denial) -> Ruling:
    return Ruling(
        rule=denial.set_by or "tool_security",
        is_allowed=False,
        why=f"it needs {denial.permission}, and {denial.rule}",
        code="tool.denied",
        grant="change that rule; the keys of tool_security are in the manual's page on tools",
    )
