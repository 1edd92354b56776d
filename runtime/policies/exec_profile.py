"""The profile compiler: what a tool asks for, cut down by policy, tenant, role and air gap, as one profile. Pure.

Only intersections: nothing here ever gives more than each of them alone would, and what is unknown is denied.
"""

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from runtime.domain.canonical import digest
from runtime.domain.exec_profile import ExecProfile, Guarantee, Isolation, Program
from runtime.domain.tool import ToolSpec

ISOLATIONS: tuple[Isolation, ...] = ("process", "namespace", "userspace_kernel", "wasm")
"""Weakest first."""

SANDBOXES: dict[str, Isolation] = {
    "process": "process",
    "bubblewrap": "namespace",
    "docker": "namespace",
    "gvisor": "userspace_kernel",
    "wasm": "wasm",
}
"""What `default_sandbox` asks for at least."""

PRIVATE_ROOTS = ("/proc", "/sys", "/dev", "/run", "/var/run", "/boot")
"""Never given to a program, whoever asks."""

SPAWN = "process.spawn"
SCRATCH = "scratch"
"""The target of `files.write` that means an empty folder of the program's own."""

OWN_AREAS = frozenset({"database", "k8s", "mcp", "notify", "search", "tickets"})
"""Areas of permissions that the appliance itself carries out, in its own tables or through its own doors; programs in
a sandbox get none of them."""

ALL: frozenset[Guarantee] = frozenset(
    {
        "net_deny", "fs_deny", "mem_total", "cpu_total", "wall", "pids", "disk", "no_host_pid", "no_daemon",
        "output_cap",
    }
)  # fmt: skip


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The most that somebody allows; None: they do not say."""

    memory_bytes: int | None = None
    cpu_share: float | None = None
    """Cores."""
    timeout_ms: int | None = None
    pids_max: int | None = None
    scratch_bytes: int | None = None
    output_bytes: int | None = None


DEFAULT_LIMITS = Limits(
    memory_bytes=256 * 2**20,
    cpu_share=1.0,
    timeout_ms=30_000,
    pids_max=32,
    scratch_bytes=64 * 2**20,
    output_bytes=2**20,
)
"""Where nobody says."""
CEILING = Limits(
    memory_bytes=64 * 2**30,
    cpu_share=1_024.0,
    timeout_ms=86_400_000,
    pids_max=4_096,
    scratch_bytes=64 * 2**30,
    output_bytes=64 * 2**20,
)
"""More than anybody may say."""


class ToolPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The `tool_security` block, read."""

    isolation_min: Isolation = "process"
    network: Literal["deny_all", "custom", "allow_all"] = "deny_all"
    network_allow: tuple[str, ...] = ()
    """Patterns of `host:port`, where `network` is `custom`."""
    filesystem: Literal["none", "read_only", "custom"] = "none"
    filesystem_allow: tuple[str, ...] = ()
    """Folders by name or absolute path, where `filesystem` is `custom`; `scratch` allows an empty one."""
    limits: Limits = Limits()
    set_by: str = ""


NO_POLICY = ToolPolicy(set_by="no document has tool_security, and without one nothing is allowed")


class TenantRule(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant may give its tools."""

    id: str
    allows_network: bool = True
    tools: tuple[str, ...] | None = None
    """Patterns of the tools it may use; None: any."""
    limits: Limits = Limits()


class RoleRule(msgspec.Struct, frozen=True, kw_only=True):
    """What a role may give its tools."""

    id: str
    permissions: tuple[str, ...] | None = None
    """Patterns of the permissions it passes on; None: whatever the tool needs."""
    limits: Limits = Limits()


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """What names of folders mean here, and what is nobody's."""

    folders: Mapping[str, str] = {}
    """Name → absolute path with every link resolved."""
    private: tuple[str, ...] = ()
    """Absolute paths of the appliance's own: data, keys, sockets."""


class Denial(msgspec.Struct, frozen=True):
    """One thing that was asked for and is not in the profile."""

    permission: str
    rule: str
    """What denies it, in words for an operator."""
    set_by: str = ""
    """Where that stands."""


def compile_profile(
    tool: ToolSpec,
    program: Program,
    *,
    tenant: TenantRule,
    role: RoleRule,
    policies: Sequence[ToolPolicy],
    is_air_gapped: bool,
    places: Places = Places(),  # noqa: B008  # frozen
) -> tuple[ExecProfile, tuple[Denial, ...]]:
    """The profile of one call, and what the tool asked for in vain.

    `policies`: those of every document that has one; all of them must allow a thing. None: everything is denied.
    """
    policies = tuple(policies) or (NO_POLICY,)
    asked = sorted(set(tool.permissions))
    denials: list[Denial] = []
    granted: list[tuple[str, str]] = []
    for permission in asked:
        denial = _denial(
            permission, tool, program, tenant=tenant, role=role, policies=policies, places=places, sealed=is_air_gapped
        )
        if denial is not None:
            denials.append(denial)
        else:
            area, _, target = permission.partition(":")
            granted.append((area, target))
    limits = narrowest([tool_limits(tool), role.limits, tenant.limits, *(policy.limits for policy in policies)])
    profile = _profile(tool, program, granted, limits, tenant=tenant, policies=policies, places=places)
    return msgspec.structs.replace(profile, profile_id=profile_id(profile)), tuple(denials)


def profile_id(profile: ExecProfile) -> str:
    """`sha256:…` over all that a profile says."""
    fields = msgspec.to_builtins(msgspec.structs.replace(profile, profile_id=""))
    return digest({name: value for name, value in fields.items() if name != "profile_id"})


def required(profile: ExecProfile) -> frozenset[Guarantee]:
    """What a driver must hold to run it: everything, for what a profile leaves out is denied, not left open.

    But a bound on what it writes, where folders of the host are its own to write.
    """
    return ALL - {"disk"} if profile.is_lasting and profile.rw_paths else ALL


def narrowest(limits: Sequence[Limits]) -> Limits:
    """The least of each; the default where nobody says, and never beyond the ceiling."""
    fields: dict[str, int | float] = {}
    for name in Limits.__struct_fields__:
        said = [value for each in limits if (value := getattr(each, name)) is not None]
        fields[name] = max(min([*said, getattr(CEILING, name)]), 0) if said else getattr(DEFAULT_LIMITS, name)
    return msgspec.convert(fields, Limits)


def tool_limits(tool: ToolSpec) -> Limits:
    """What a tool says of itself, under `resource_limits`, already in bytes and milliseconds."""
    given = tool.config.get("resource_limits")
    own = msgspec.convert(given, Limits) if isinstance(given, dict) else Limits()
    timeout_ms = tool.timeout_ms if own.timeout_ms is None else min(tool.timeout_ms, own.timeout_ms)
    return msgspec.structs.replace(own, timeout_ms=timeout_ms)


def is_private(path: str, private: Collection[str]) -> bool:
    """Whether a path may be given to nobody: not absolute and plain, the appliance's own, or the kernel's."""
    parts = path.split("/")
    if not path.startswith("/") or "\0" in path or any(part in ("", ".", "..") for part in parts[1:]):
        return True  # also the root itself, which holds everything
    return any(_overlaps(path, root) for root in private) or any(_lies_in(path, root) for root in PRIVATE_ROOTS)


def _profile(
    tool: ToolSpec,
    program: Program,
    granted: Sequence[tuple[str, str]],
    limits: Limits,
    *,
    tenant: TenantRule,
    policies: Sequence[ToolPolicy],
    places: Places,
) -> ExecProfile:
    of: dict[str, list[str]] = {}
    for area, target in granted:
        of.setdefault(area.partition(".")[0] if area.startswith("network.") else area, []).append(target)
    paths = tuple(sorted({places.folders.get(name, name) for name in of.get("files.read", ())}))
    written = of.get("files.write", [])
    has_scratch = SCRATCH in written
    rw_paths = tuple(sorted({places.folders.get(name, name) for name in written if name != SCRATCH}))
    hosts = tuple(sorted(set(of.get("network", ()))))
    timeout_ms = max(limits.timeout_ms or 0, 1)
    share = limits.cpu_share or 0.0
    output_bytes = limits.output_bytes or 0
    isolation: Isolation = "process" if tool.is_trusted else "namespace"
    for policy in policies:
        isolation = max(isolation, policy.isolation_min, key=ISOLATIONS.index)
    return ExecProfile(
        tool=tool.id,
        tenant=tenant.id,
        policy_version=digest([msgspec.to_builtins(policy) for policy in policies]),
        isolation_min=isolation,
        runtime=program.runtime,
        argv=program.argv,
        entry_sha256=program.sha256,
        network="egress_door" if hosts else "deny_all",
        egress_allow=hosts,
        filesystem="scratch" if has_scratch else "read_only" if paths else "none",
        ro_paths=paths,
        rw_paths=rw_paths,
        scratch_bytes=(limits.scratch_bytes or 0) if has_scratch else 0,
        env={name: program.env[name] for name in sorted(program.env)},
        secrets=tuple(sorted(set(of.get("secrets.use", ())))),
        memory_bytes=limits.memory_bytes or 0,
        cpu_ms=max(int(timeout_ms * share), 1),
        cpu_share=share,
        timeout_ms=timeout_ms,
        pids_max=limits.pids_max or 0,
        allows_subprocess=SPAWN in of,
        stdout_max_bytes=output_bytes,
        stderr_max_bytes=min(output_bytes, 2**16),
    )


def _denial(
    permission: str,
    tool: ToolSpec,
    program: Program,
    *,
    tenant: TenantRule,
    role: RoleRule,
    policies: Sequence[ToolPolicy],
    places: Places,
    sealed: bool,
) -> Denial | None:
    """Who does not pass a permission on, or does not allow it; None: everybody does."""
    if permission in tool.withheld:
        return Denial(permission, "its own permissions do not name it", tool.set_by)
    if tenant.tools is not None and not any(fnmatchcase(tool.id, each) for each in tenant.tools):
        return Denial(permission, f"tool_allowlist of tenant {tenant.id!r} does not name the tool")
    if role.permissions is not None and not any(fnmatchcase(permission, each) for each in role.permissions):
        return Denial(permission, f"permissions of role {role.id!r} do not name it")
    area, _, target = permission.partition(":")
    if area.startswith("network.") and target:
        if sealed:
            return Denial(permission, "the appliance is air-gapped")
        if not tenant.allows_network:
            return Denial(permission, f"network_policy of tenant {tenant.id!r} is restricted")
    is_inside = program.runtime == "inside"
    for policy in policies:
        rule = _rule_against(area, target, policy, places, is_inside=is_inside)
        if rule:
            return Denial(permission, rule, policy.set_by)
    return None


def _rule_against(area: str, target: str, policy: ToolPolicy, places: Places, *, is_inside: bool) -> str:
    """The rule of one policy that denies a permission; empty: none does."""
    if area.startswith("network.") and target:
        return _network_rule(target, policy)
    if area == "files.read" and target:
        return _reading_rule(target, policy, places)
    if area == "files.write" and target == SCRATCH:
        is_open = policy.filesystem == "custom" and SCRATCH in policy.filesystem_allow
        return "" if is_open else f"filesystem_access is {policy.filesystem}, without scratch"
    if area == "files.write" and target and is_inside:
        if policy.filesystem != "custom":
            return f"filesystem_access is {policy.filesystem}, and writing takes custom"
        return _reading_rule(target, policy, places)
    if (area, target) == (SPAWN, "") or (area == "secrets.use" and target):
        return ""
    if is_inside and area.partition(".")[0] in OWN_AREAS:
        return ""
    return "no sandbox can give this: it is unknown, or names no target"


def _network_rule(target: str, policy: ToolPolicy) -> str:
    if policy.network == "deny_all":
        return "network_policy is deny_all"
    if policy.network == "custom" and not any(fnmatchcase(target, each) for each in policy.network_allow):
        return "network_policy is custom, and network_allow does not name the host"
    return "a pattern is no host" if "*" in target or "?" in target else ""


def _reading_rule(target: str, policy: ToolPolicy, places: Places) -> str:
    if policy.filesystem == "none":
        return "filesystem_access is none"
    path = places.folders.get(target, target)
    if policy.filesystem == "custom" and not any(
        target == each or _lies_in(path, places.folders.get(each, each)) for each in policy.filesystem_allow
    ):
        return "filesystem_access is custom, and filesystem_allow does not name the folder"
    if is_private(path, places.private):
        return "no such folder is named here, or it is the appliance's or the system's own"
    return ""


def _overlaps(path: str, root: str) -> bool:
    return _lies_in(path, root) or _lies_in(root, path)


def _lies_in(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
