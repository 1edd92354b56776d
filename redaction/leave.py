"""The rules that need only policy and destination, in the order in which they are asked. Pure.

Each raises Refused, naming the rule and where it is set.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from redaction.policy import EgressPolicy, is_loopback
from runtime.domain.egress import Destination, Sender, ZoneRule
from runtime.errors import Refused
from runtime.policies.residency import LOCAL, SITE, UNKNOWN, forbidding


def check_leave(destination: Destination, sender: Sender, policy: EgressPolicy) -> None:
    """Destination known? → air gap → residency → class of data."""
    if destination.zone != LOCAL:
        _check_mode(destination, sender, policy)
        _check_known(destination, sender, policy)
    elif destination.host:
        raise _refused(
            "egress.undeclared_host",
            f"{sender.purpose} wants to reach {destination.host} as if it were one of the appliance's own workers, "
            "which have no host. Add it to site_hosts in the settings",
            destination,
        )
    if destination.onward and not policy.has_web:
        raise _refused(
            "egress.web_refused",
            f"{sender.purpose} wants to ask {place(destination)}, which passes the question on to the web; that takes "
            "features: [web_search] in the settings",
            destination,
        )
    for zone in filter(None, (destination.zone, destination.onward)):
        there = replace(destination, zone=zone)
        _check_zone(there, sender, policy)
        for data_class in (sender.workflow_class, sender.data_class):
            _check_data_class(there, sender, policy, data_class)


def _check_mode(destination: Destination, sender: Sender, policy: EgressPolicy) -> None:
    """Air-gapped means that nothing but the appliance's own workers is reached, loopback included."""
    if policy.mode == "air_gapped":
        raise _refused(
            "egress.air_gapped",
            f"{sender.purpose} wants to reach {place(destination)}, and this appliance is air-gapped: nothing leaves "
            "it. The rule is mode in the settings",
            destination,
        )
    if destination.zone == SITE or (policy.mode == "connected" and policy.has_cloud):
        return
    missing = "mode: connected" if policy.mode != "connected" else "features: [cloud]"
    raise _refused(
        "egress.cloud_refused",
        f"{sender.purpose} wants to reach {place(destination)}, beyond the site's own network; that takes {missing} "
        "in the settings. If the host is the site's own, add it to site_hosts in the settings",
        destination,
    )


def _check_known(destination: Destination, sender: Sender, policy: EgressPolicy) -> None:
    host = destination.host
    if destination.zone == SITE and not (is_loopback(host) or policy.declares(host)):
        raise _refused(
            "egress.undeclared_host",
            f"{sender.purpose} wants to reach {place(destination)}, which is not a declared host of this site. Add it "
            "to site_hosts in the settings",
            destination,
        )
    if destination.zone != SITE and (destination.zone == UNKNOWN or policy.zone_of(host) != destination.zone):
        zone = "" if destination.zone == UNKNOWN else f" for zone {destination.zone!r}"
        raise _refused(
            "egress.undeclared_host",
            f"{sender.purpose} wants to reach {place(destination)}, which no setting declares{zone}. Add it to "
            "site_hosts in the settings, or to cloud_hosts with its zone",
            destination,
        )


def _check_zone(destination: Destination, sender: Sender, policy: EgressPolicy) -> None:
    rules: Sequence[ZoneRule] = (ZoneRule("residency in the settings", policy.zones), *sender.zone_rules)
    rule = forbidding(destination.zone, rules)
    if rule is not None:
        raise _refused(
            "egress.zone_refused",
            f"{sender.purpose} wants to reach {place(destination)} in zone {destination.zone!r}; {rule.set_by} allows "
            f"{', '.join(rule.zones) or 'no zone'}",
            destination,
        )


def _check_data_class(destination: Destination, sender: Sender, policy: EgressPolicy, data_class: str) -> None:
    zones = policy.data_classes.get(data_class, ())
    if data_class and forbidding(destination.zone, (ZoneRule("", zones),)) is not None:
        raise _refused(
            "egress.data_class_refused",
            f"{sender.purpose} wants to reach {place(destination)} in zone {destination.zone!r} with data of class "
            f"{data_class!r}, which may reach {', '.join(zones) or 'no zone'}. The rule is data_classes in the "
            "settings, the class is policies.data_class of the workflow or agent",
            destination,
        )


def place(destination: Destination) -> str:
    """A destination in words."""
    return destination.host or f"zone {destination.zone!r}"


def _refused(code: str, message: str, destination: Destination) -> Refused:
    return Refused(code, message, zone=destination.zone, host=destination.host)
