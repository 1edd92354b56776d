"""No profile is wider than any of what it was compiled from."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.exec_profile import Program
from runtime.domain.tool import ToolSpec
from runtime.policies.exec_profile import (
    CEILING,
    DEFAULT_LIMITS,
    ISOLATIONS,
    Limits,
    Places,
    RoleRule,
    TenantRule,
    ToolPolicy,
    compile_profile,
    is_private,
    profile_id,
)

PERMISSIONS = (
    "network.http:api.internal:443", "network.http:*", "network.smtp", "files.read:handbook", "files.read:/srv/open",
    "files.read:/data/keys", "files.read:/", "files.read:/proc/self", "files.read:/srv/../data", "files.read:nothing",
    "files.write:scratch", "files.write:reports", "process.spawn", "secrets.use:smtp", "secrets.use", "made.up:x", "",
)  # fmt: skip
PLACES = Places(folders={"handbook": "/srv/handbook", "own": "/data/x"}, private=("/data", "/etc/agentflow"))

amounts = st.none() | st.integers(-5, 10**12)
limits = st.builds(
    Limits,
    memory_bytes=amounts,
    cpu_share=st.none() | st.floats(0, 4_000),
    timeout_ms=amounts,
    pids_max=amounts,
    scratch_bytes=amounts,
    output_bytes=amounts,
)
lists = st.lists(st.sampled_from(PERMISSIONS), max_size=8).map(tuple)
tools = st.builds(
    ToolSpec,
    id=st.sampled_from(["a", "b.c"]),
    kind=st.just("tool.code"),
    permissions=lists,
    timeout_ms=st.integers(1, 10**9),
    is_trusted=st.booleans(),
    config=st.just({}) | limits.map(lambda each: {"resource_limits": msgspec.to_builtins(each)}),
)
policies = st.builds(
    ToolPolicy,
    isolation_min=st.sampled_from(ISOLATIONS),
    network=st.sampled_from(["deny_all", "custom", "allow_all"]),
    network_allow=st.lists(st.sampled_from(["api.*:443", "*", "x:1"]), max_size=2).map(tuple),
    filesystem=st.sampled_from(["none", "read_only", "custom"]),
    filesystem_allow=st.lists(st.sampled_from(["handbook", "/srv", "scratch", "/"]), max_size=3).map(tuple),
    limits=limits,
)
tenants = st.builds(
    TenantRule, id=st.just("t"), allows_network=st.booleans(), tools=st.none() | st.just(("a",)), limits=limits
)
roles = st.builds(
    RoleRule, id=st.just("r"), permissions=st.none() | lists | st.just(("files.*", "process.*")), limits=limits
)
PROGRAM = Program(runtime="python")


@given(tools, tenants, roles, policies, st.booleans())
def test_a_profile_is_never_wider_than_any_input(
    tool: ToolSpec, tenant: TenantRule, role: RoleRule, policy: ToolPolicy, is_air_gapped: bool
) -> None:
    """Intersection is the one promise that makes four people's rules safe to put together."""
    profile, denials = compile_profile(
        tool, PROGRAM, tenant=tenant, role=role, policies=(policy,), is_air_gapped=is_air_gapped, places=PLACES
    )
    for each in (tenant.limits, role.limits, policy.limits, CEILING):
        for name, given_value in (
            ("memory_bytes", profile.memory_bytes),
            ("pids_max", profile.pids_max),
            ("scratch_bytes", profile.scratch_bytes),
            ("output_bytes", profile.stdout_max_bytes),
        ):
            said = getattr(each, name)
            assert said is None or given_value <= max(said, 0)
        assert each.timeout_ms is None or profile.timeout_ms <= max(each.timeout_ms, 1)
    assert profile.timeout_ms <= tool.timeout_ms
    assert profile.cpu_ms <= max(profile.timeout_ms * (policy.limits.cpu_share or CEILING.cpu_share or 0), 1)
    assert ISOLATIONS.index(profile.isolation_min) >= ISOLATIONS.index(policy.isolation_min)
    assert tool.is_trusted or profile.isolation_min != "process"
    asked = set(tool.permissions)
    if is_air_gapped or not tenant.allows_network or policy.network == "deny_all":
        assert (profile.network, profile.egress_allow) == ("deny_all", ())
    assert {f"network.http:{each}" for each in profile.egress_allow} <= asked
    assert {f"secrets.use:{each}" for each in profile.secrets} <= asked
    assert {"/srv/handbook", "/srv/open"} >= set(profile.ro_paths)
    assert policy.filesystem != "none" or not profile.ro_paths
    assert "process.spawn" in asked or not profile.allows_subprocess
    assert not any(is_private(path, PLACES.private) for path in profile.ro_paths)
    assert {each.permission for each in denials} <= asked
    if tenant.tools is not None and tool.id not in tenant.tools:
        assert asked == {each.permission for each in denials}


@given(tools, policies)
def test_equal_permissions_give_equal_profiles(tool: ToolSpec, policy: ToolPolicy) -> None:
    """The record of a call names its profile by hash: order and repetition of a list may not matter."""
    shuffled = msgspec.structs.replace(tool, permissions=tuple(reversed(tool.permissions)) * 2)
    one, other = (
        compile_profile(
            each, PROGRAM, tenant=TenantRule(id="t"), role=RoleRule(id="r"), policies=(policy,), is_air_gapped=False
        )[0]
        for each in (tool, shuffled)
    )
    assert one == other
    assert one.profile_id == profile_id(one)
    assert one.profile_id != profile_id(msgspec.structs.replace(one, memory_bytes=one.memory_bytes + 1))


@given(tools, policies)
def test_another_rule_never_gives_more(tool: ToolSpec, policy: ToolPolicy) -> None:
    """Taking a permission or a limit away can only take away from the profile."""
    free = {"tenant": TenantRule(id="t"), "role": RoleRule(id="r"), "is_air_gapped": False, "places": PLACES}
    wide, _ = compile_profile(tool, PROGRAM, policies=(policy,), **free)  # type: ignore[arg-type]  # by their names
    fewer = msgspec.structs.replace(tool, permissions=tool.permissions[1:], timeout_ms=max(tool.timeout_ms // 2, 1))
    narrow, _ = compile_profile(fewer, PROGRAM, policies=(policy,), **free)  # type: ignore[arg-type]  # by their names
    assert set(narrow.ro_paths) <= set(wide.ro_paths)
    assert set(narrow.egress_allow) <= set(wide.egress_allow)
    assert narrow.timeout_ms <= wide.timeout_ms
    assert narrow.cpu_ms <= max(wide.cpu_ms, 1)
    assert narrow.allows_subprocess <= wide.allows_subprocess


def test_where_nobody_says_the_default_counts() -> None:
    """A tool that asks for nothing gets nothing, and little time for it."""
    tool = ToolSpec(id="a", kind="tool.code")
    profile, denials = compile_profile(
        tool, PROGRAM, tenant=TenantRule(id="t"), role=RoleRule(id="r"), policies=(), is_air_gapped=False
    )
    assert () == denials
    assert ("deny_all", "none", (), (), False) == (
        profile.network, profile.filesystem, profile.ro_paths, profile.secrets, profile.allows_subprocess,
    )  # fmt: skip
    assert DEFAULT_LIMITS.memory_bytes == profile.memory_bytes
    assert "namespace" == profile.isolation_min
