"""One tool in words, as `af tools show` says it."""

import json
from collections.abc import Sequence

from appliance.cli.terminal import printable
from runtime.domain.exec_profile import ExecProfile
from runtime.domain.tool import ToolSpec
from runtime.policies.exec_profile import Denial

_MIB = 2**20
PLACES = {
    "tool.function": "in a worker process of the project's code, without a network",
    "tool.mcp": "in its server",
}
"""Where tools run that have no sandbox of their own."""


def page(spec: ToolSpec, profile: ExecProfile, denials: Sequence[Denial]) -> str:
    """What it is, what it takes, and what a call may reach; foreign text can do nothing to the terminal."""
    limit = spec.rate_limit
    rows = [
        ("type", f"{spec.kind.removeprefix('tool.')}, version {spec.version}"),
        ("set by", spec.set_by),
        ("takes", json.dumps(spec.input_schema, ensure_ascii=False)),
        ("answers", "any JSON" if spec.output_schema is None else json.dumps(spec.output_schema, ensure_ascii=False)),
        ("level", spec.security_level),
        ("costs", f"{spec.cost_usd_micros / 1e6:g} USD a call"),
        ("rate", "any" if limit is None else f"{limit.calls:,} calls in {limit.per_ms / 1_000:g} s"),
        ("answers kept", f"for {spec.cache_ms / 1_000:g} s" if spec.is_idempotent and spec.cache_ms else "no"),
        ("needs", ", ".join(spec.permissions) or "nothing beyond the appliance"),
        *_reach(spec.kind, profile, denials),
    ]
    head = [printable(spec.id), *([f"  {printable(spec.description)}"] if spec.description else [])]
    return "\n".join([*head, *(f"  {name:<13} {printable(said)}" for name, said in rows)])


def _reach(kind: str, profile: ExecProfile, denials: Sequence[Denial]) -> list[tuple[str, str]]:
    if denials:
        return [("denied", f"{each.permission}: {each.rule} ({each.set_by or 'tool_security'})") for each in denials]
    place = f"{profile.runtime} in a sandbox, {profile.isolation_min} at least"
    if profile.runtime == "inside":
        place = PLACES.get(kind, "inside the appliance")
    limits = f"{profile.timeout_ms / 1_000:g} s"
    if profile.runtime != "inside":
        limits += f", {profile.memory_bytes // _MIB:,} MiB, {profile.cpu_share:g} cores, {profile.pids_max} processes"
    return [
        ("runs", place),
        ("hosts", ", ".join(profile.egress_allow) or "none"),
        ("folders", ", ".join((*profile.ro_paths, *(f"{path} (writes)" for path in profile.rw_paths))) or "none"),
        ("secrets", ", ".join(profile.secrets) or "none"),
        ("limits", limits),
        ("profile", profile.profile_id),
    ]
