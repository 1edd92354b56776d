"""Where data may go: zones, who allows them, and how sensitive the data are. Pure."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from runtime.domain.egress import ZoneRule

LOCAL = "local"
SITE = "site"
CLOUD_PREFIX = "cloud:"
UNKNOWN = "cloud:unknown"
"""The zone of a host that nobody has declared."""
WEB = "cloud:web"
"""Where a search service passes questions on to."""

DATA_CLASSES: dict[str, tuple[str, ...]] = {
    "public": (LOCAL, SITE, "cloud:*"),
    "internal": (LOCAL, SITE, "cloud:*"),
    "confidential": (LOCAL, SITE),
    "restricted": (LOCAL,),
}
"""Classes of data, and the zones that each may reach; the settings' `data_classes` change and add to them."""


def is_zone(zone: str) -> bool:
    """Whether `zone` is one that a destination can lie in: `local`, `site` or `cloud:REGION`."""
    region = zone.removeprefix(CLOUD_PREFIX)
    return zone in (LOCAL, SITE) or (region != zone and region.replace("-", "").isalnum() and region.islower())


def is_zone_pattern(pattern: str) -> bool:
    """Whether `pattern` names zones: one, or several with `*`, such as `cloud:eu-*`."""
    return pattern == "*" or is_zone(pattern.replace("*", "x"))


def allows(zones: Sequence[str], zone: str) -> bool:
    """Whether one of the patterns names the zone."""
    return any(fnmatchcase(zone, pattern) for pattern in zones)


def forbidding(zone: str, rules: Sequence[ZoneRule]) -> ZoneRule | None:
    """The first rule that does not allow the zone; None when all of them do."""
    return next((rule for rule in rules if not allows(rule.zones, zone)), None)


def rules_of(policies: Mapping[str, object], whose: str) -> tuple[ZoneRule, ...]:
    """The rule that a workflow's or an agent's `policies` set; none where they say nothing of residency."""
    given = policies.get("residency")
    if not isinstance(given, list):
        return ()
    return (ZoneRule(f"policies.residency of {whose}", tuple(map(str, given))),)
