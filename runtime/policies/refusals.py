"""Which errors mean that a policy said no, by their codes: a run that ends so has exit code 3. Pure."""

_REFUSING = (
    "airgap.",
    "budget.",
    "egress.",
    "file.outside",
    "file.read_only",
    "http.redirect_refused",
    "kubernetes.not_allowed",
    "mail.clear_password",
    "mail.recipient_refused",
    "mcp.changed",
    "mcp.not_approved",
    "mcp.not_granted",
    "minimise.blocked",
    "model.all_refused",
    "model.cloud_refused",
    "redaction.blocked",
    "redaction.too_deep",
    "redaction.too_large",
    "secret.denied",
    "secret.other_host",
    "slack.channel_refused",
    "sql.not_allowed",
    "sql.operation",
    "sql.read_only",
    "sql.superuser",
    "tool.denied",
    "tool.feature",
    "tool.host_not_granted",
    "tool.not_for_level",
    "tool.not_for_role",
    "tool.not_for_tenant",
    "tool.not_granted",
    "tool.place_not_granted",
    "tool.rate_limited",
    "tool.secret_not_granted",
    "tool.unknown",
    "workflow.refused",
)


def is_refusal(code: str) -> bool:
    """Whether an error of this code is a policy's."""
    return code.startswith(_REFUSING)
