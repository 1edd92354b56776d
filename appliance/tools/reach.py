"""What the door would make of whatever a tool reaches, judged without calling it."""

from collections.abc import Sequence

from appliance.config.settings import Settings
from appliance.egress import egress_policy
from redaction.leave import check_leave
from redaction.policy import EgressPolicy
from runtime.domain.egress import Destination, Sender
from runtime.domain.tool import ToolSpec
from runtime.errors import Refused
from runtime.policies.permissions import Ruling

KINDS = {"http": "http", "smtp": "mail", "sql": "sql"}
"""What permissions call a way out → what the door calls what goes there."""


def door_rulings(spec: ToolSpec, sender: Sender, settings: Settings) -> Sequence[Ruling]:
    """One for each host that the tool needs."""
    policy = egress_policy(settings)
    return [_ruling(each, sender, policy) for each in spec.permissions if each.startswith("network.") and ":" in each]


def _ruling(permission: str, sender: Sender, policy: EgressPolicy) -> Ruling:
    way, _, host = permission.removeprefix("network.").partition(":")
    zone = policy.zone_of(host)
    try:
        check_leave(Destination(KINDS.get(way, way), zone, host), sender, policy)
    except Refused as refused:
        return Ruling(
            rule=f"the door to {host}",
            is_allowed=False,
            why=refused.message,
            code=refused.code,
            grant="change the rule that is named; the manual's page on egress has them all",
        )
    return Ruling(rule=f"the door to {host}", is_allowed=True, why=f"the host is in zone {zone!r}, which is open")
