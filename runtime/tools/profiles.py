"""The profile of each call: compiled anew from the tool, whoever calls and every document's policy; never stored."""

import os
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from runtime.domain.egress import Sender
from runtime.domain.exec_profile import INSIDE, ExecProfile, Program
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.errors import Refused
from runtime.policies.exec_profile import (
    Denial,
    Places,
    RoleRule,
    TenantRule,
    ToolPolicy,
    compile_profile,
    profile_id,
)
from runtime.policies.permissions import ToolRules
from runtime.ports import ProgramTool, Tool

SERVERS = ToolPolicy(
    network="allow_all", filesystem="custom", filesystem_allow=("/",), set_by="mcp.servers of the settings"
)
"""Of tools of servers, where no document has `tool_security`: the operator has granted what the server reaches."""


class Profiles:
    """Compiles the profiles of one appliance."""

    def __init__(
        self, *, is_air_gapped: bool = False, private: Sequence[str] = (), folders: Mapping[str, str] | None = None
    ) -> None:
        """`private`: absolute paths that are given to nobody. `folders`: name → absolute path of those with a name."""
        self._is_air_gapped = is_air_gapped
        self._folders = dict(folders or {})
        self._private = tuple(os.path.realpath(path) for path in private)

    def of(self, tool: Tool, call: ToolCall, sender: Sender, *, role: str, rules: Sequence[ToolRules]) -> ExecProfile:
        """What the call may do. Raises Refused for what the tool needs and a rule denies; Invalid for its program."""
        program = tool.program(call) if isinstance(tool, ProgramTool) else INSIDE
        profile, denials = self.compiled(tool.spec, program, tenant=sender.tenant, role=role, rules=rules)
        if denials:
            raise _refusal(tool.spec, denials[0])
        return profile

    def compiled(
        self, spec: ToolSpec, program: Program, *, tenant: str, role: str, rules: Sequence[ToolRules]
    ) -> tuple[ExecProfile, tuple[Denial, ...]]:
        """The profile of a call, and what the tool needs in vain."""
        spec = _bounded(spec, rules)
        policies = [document.policy for document in rules if document.policy is not None]
        return compile_profile(
            spec,
            program,
            tenant=TenantRule(id=tenant, allows_network=all(tenant not in document.restricted for document in rules)),
            role=RoleRule(id=role),
            policies=policies or ([SERVERS] if spec.kind == "tool.mcp" else []),
            is_air_gapped=self._is_air_gapped,
            places=self._places(spec, policies),
        )

    def of_own(self, own: ToolSpec, runs: Program, sender: Sender, *, rules: Sequence[ToolRules]) -> ExecProfile:
        """What an agent's own program may do; nothing weaker than WebAssembly holds it. Raises Refused as `of`."""
        policies = [document.policy for document in rules if document.policy is not None]
        profile, denials = compile_profile(
            own,
            runs,
            tenant=TenantRule(
                id=sender.tenant, allows_network=all(sender.tenant not in document.restricted for document in rules)
            ),
            role=RoleRule(id=sender.role),
            policies=policies,
            is_air_gapped=self._is_air_gapped,
            places=self._places(own, policies),
        )
        if denials:
            raise _refusal(own, denials[0])
        profile = replace(profile, isolation_min="wasm")
        return replace(profile, profile_id=profile_id(profile))

    def _places(self, spec: ToolSpec, policies: Sequence[ToolPolicy]) -> Places:
        """Where the folders that are named lie, with every link resolved."""
        wanted = [each.partition(":")[2] for each in spec.permissions if each.startswith("files.")]
        named = {each for each in (*wanted, *(path for policy in policies for path in policy.filesystem_allow))}
        paths = {each: self._folders.get(each, each) for each in named}
        folders = {each: os.path.realpath(path) for each, path in paths.items() if os.path.isabs(path)}
        return Places(folders=folders, private=self._private)


def _bounded(spec: ToolSpec, rules: Sequence[ToolRules]) -> ToolSpec:
    """The tool with the shortest time that a document gives it."""
    told = [document.tools[spec.id].timeout_ms for document in rules if spec.id in document.tools]
    return replace(spec, timeout_ms=min([spec.timeout_ms, *(each for each in told if each is not None)]))


def _refusal(spec: ToolSpec, denial: Denial) -> Refused:
    place = f" ({denial.set_by})" if denial.set_by else ""
    return Refused(
        "tool.denied",
        f"tool {spec.id!r} needs {denial.permission}, and {denial.rule}{place}. To grant it, change that rule; "
        "the keys of tool_security are in the manual's page on tools",
        rule=denial.rule,
    )
