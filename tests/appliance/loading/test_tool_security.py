"""The source document's block of how tools are confined, as the profile compiler takes it."""

from appliance.loader import check_bytes
from appliance.loading.tool_security import policy_of
from runtime.domain.canonical import Json
from runtime.policies.exec_profile import Limits, ToolPolicy


def test_the_block_of_the_source_document_is_read() -> None:
    """Its three limits keep their spelling there and their units here."""
    block: dict[str, Json] = {
        "default_sandbox": "gvisor",
        "network_policy": "deny_all",
        "filesystem_access": "read_only",
        "resource_limits": {"memory": "512MB", "cpu": 0.5, "timeout": "30s"},
        "audit_level": "full",
    }
    expected = ToolPolicy(
        isolation_min="userspace_kernel",
        network="deny_all",
        filesystem="read_only",
        limits=Limits(memory_bytes=512_000_000, cpu_share=0.5, timeout_ms=30_000),
        set_by="tool_security of support.yaml",
    )
    assert expected == policy_of(block, set_by="support.yaml")


def test_an_empty_block_denies() -> None:
    """Leaving a line out must not open anything."""
    found = policy_of({}, set_by="x.yaml")
    assert ("deny_all", "none", "process") == (found.network, found.filesystem, found.isolation_min)


def test_custom_lists_are_read() -> None:
    block: dict[str, Json] = {"network_policy": "custom", "network_allow": ["a:1"], "filesystem_allow": ["scratch"]}
    found = policy_of(block, set_by="x.yaml")
    assert (("a:1",), ("scratch",)) == (found.network_allow, found.filesystem_allow)


def test_a_wrong_line_is_named() -> None:
    """An operator corrects the line that is named, not the one above it."""
    text = b"tool_security:\n  default_sandbox: gvisor\n  network_alow: [x]\n  resource_limits:\n    memory: much\n"
    found = [(each.line, each.path) for each in check_bytes(text, file="x.yaml").problems if each.severity == "error"]
    assert [(3, "tool_security.network_alow"), (5, "tool_security.resource_limits.memory")] == found
