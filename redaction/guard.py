"""The one place that grants leave: everything on its way out of this process passes `clear`.

Pure decisions over policy and destination; it opens nothing itself. No other module makes a `Cleared`.
"""

from collections import Counter

from redaction.policy import EgressPolicy, is_loopback
from runtime.domain.egress import Cleared, Outbound, Payload
from runtime.errors import Refused


class Guard:
    """Applies one policy, and counts what it decided."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy
        self.counts: Counter[tuple[str, str, str]] = Counter()
        """Decisions by (kind of destination, zone, `cleared` or the code of the refusal)."""

    def clear(self, outbound: Outbound[Payload]) -> Cleared[Payload]:
        """Grant leave. Raises Refused, naming the rule and where it is set.

        One step after the other; each takes what the one before let through and may refuse it, or change its payload.
        """
        destination = outbound.destination
        try:
            outbound = _within_mode(outbound, self._policy)
            outbound = _within_zone(outbound, self._policy)
        except Refused as refused:
            self.counts[destination.kind, destination.zone, refused.code] += 1
            raise
        self.counts[destination.kind, destination.zone, "cleared"] += 1
        return Cleared(outbound.destination, outbound.payload)

    def zone_of(self, host: str) -> str:
        """The zone of a host (`name:port`): `site` for this machine and declared hosts, else `cloud:unknown`."""
        return "site" if is_loopback(host) or self._policy.declares(host) else "cloud:unknown"


def _within_mode(outbound: Outbound[Payload], policy: EgressPolicy) -> Outbound[Payload]:
    """Air-gapped means that nothing but the appliance's own workers is reached, loopback included."""
    destination = outbound.destination
    if policy.mode == "air_gapped" and destination.zone != "local":
        raise Refused(
            "egress.air_gapped",
            f"{outbound.purpose} wants to reach {_place(outbound)}, and this appliance is air-gapped: nothing leaves "
            "it. The rule is mode in the settings",
            zone=destination.zone,
            host=destination.host,
        )
    return outbound


def _within_zone(outbound: Outbound[Payload], policy: EgressPolicy) -> Outbound[Payload]:
    """Local is free, the site's network goes by declared hosts, and the cloud is shut."""
    destination = outbound.destination
    if destination.zone == "local":
        return outbound
    if destination.zone != "site":
        raise Refused(
            "egress.cloud_refused",
            f"{outbound.purpose} wants to reach {_place(outbound)}, beyond the site's own network; nothing goes there "
            "without redaction, which this version does not have. If the host is the site's own, add it to "
            "site_hosts in the settings",
            zone=destination.zone,
            host=destination.host,
        )
    if not (is_loopback(destination.host) or policy.declares(destination.host)):
        raise Refused(
            "egress.undeclared_host",
            f"{outbound.purpose} wants to reach {_place(outbound)}, which is not a declared host of this site. Add it "
            "to site_hosts in the settings",
            zone=destination.zone,
            host=destination.host,
        )
    return outbound


def _place(outbound: Outbound[Payload]) -> str:
    return outbound.destination.host or f"zone {outbound.destination.zone!r}"
