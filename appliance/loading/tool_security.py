"""The `tool_security` block of a checked document → the policy that profiles are compiled from.

What the block leaves out is denied, or left to the defaults of the compiler.
"""

from collections.abc import Mapping
from typing import Literal

from appliance.loading.tool_specs import limits_of
from runtime.domain.canonical import Json
from runtime.policies.exec_profile import SANDBOXES, Limits, ToolPolicy

_NETWORK: dict[str, Literal["custom", "allow_all"]] = {"custom": "custom", "allow_all": "allow_all"}
_FILESYSTEM: dict[str, Literal["read_only", "custom"]] = {"read_only": "read_only", "custom": "custom"}


def policy_of(block: Mapping[str, Json], *, set_by: str) -> ToolPolicy:
    """The policy; `set_by` names the file, for refusals."""
    limits = block.get("resource_limits")
    network, filesystem = block.get("network_policy"), block.get("filesystem_access")
    return ToolPolicy(
        isolation_min=SANDBOXES[str(block.get("default_sandbox", "process"))],
        network=_NETWORK.get(str(network), "deny_all"),
        network_allow=_texts(block.get("network_allow")),
        filesystem=_FILESYSTEM.get(str(filesystem), "none"),
        filesystem_allow=_texts(block.get("filesystem_allow")),
        limits=limits_of(limits) if isinstance(limits, dict) else Limits(),
        set_by=f"tool_security of {set_by}",
    )


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
