"""What may leave, as data: the mode of the appliance, the hosts and zones it knows, and what is done on the way."""

import ipaddress
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from redaction.presets import PRESETS, RedactionPolicy
from runtime.domain.egress import Destination
from runtime.policies.residency import DATA_CLASSES, LOCAL, SITE, UNKNOWN

EgressMode = Literal["air_gapped", "restricted", "connected"]

DEFAULT_REDACTION: tuple[tuple[str, RedactionPolicy | None], ...] = (
    (LOCAL, None),
    ("http/site", PRESETS["secrets-only"]),
    ("sql/site", PRESETS["secrets-only"]),
    ("telemetry/site", PRESETS["secrets-only"]),
    ("*", PRESETS["default"]),
)
"""A local model sees what there is; a service of the site gets the values that it is called with, and no secrets;
everybody else gets pseudonyms."""


class EgressPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say about leaving."""

    mode: EgressMode = "restricted"
    """`air_gapped`: nothing leaves this process and its workers. `restricted`: loopback and declared hosts.
    `connected`: as restricted, and declared hosts of cloud zones once the feature is on."""
    has_cloud: bool = False
    """Whether the feature `cloud` is on."""
    has_web: bool = False
    """Whether the feature `web_search` is on, by which a service of the site may pass questions on to the web."""
    site_hosts: tuple[str, ...] = ()
    """Hosts of the site's own network, as `name` or `name:port`; IPv6 addresses in brackets."""
    cloud_hosts: dict[str, str] = {}
    """Other hosts, written the same way → their zone."""
    zones: tuple[str, ...] = (LOCAL, SITE, "cloud:*")
    """Zones that the tenant allows, as patterns; the setting `residency`."""
    data_classes: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=lambda: DATA_CLASSES)
    """Classes of data → the zones that each may reach."""
    redaction: tuple[tuple[str, RedactionPolicy | None], ...] = DEFAULT_REDACTION
    """Pattern of `zone` or `kind/zone` → the policy applied there, None for none; the first that fits counts."""
    max_bytes: int = 16 * 2**20
    """Bytes of one payload."""
    per_minute: int = 6_000
    """Payloads that a tenant may send to one host within a minute; 0: any number."""

    def declares(self, host: str) -> bool:
        """Whether `host` (`name:port`) is one of the site's."""
        return _named(host, self.site_hosts) is not None

    def zone_of(self, host: str) -> str:
        """The zone of a host (`name:port`): this machine and declared hosts are `site`, others as declared."""
        if is_loopback(host) or self.declares(host):
            return SITE
        known = _named(host, tuple(self.cloud_hosts))
        return self.cloud_hosts[known] if known is not None else UNKNOWN

    def redaction_at(self, destination: Destination) -> RedactionPolicy | None:
        """The policy for what goes to a destination; `strict` where nothing is said, None where none is wanted."""
        for pattern, policy in self.redaction:
            if any(fnmatchcase(name, pattern) for name in names_of(destination)):
                return policy
        return PRESETS["strict"]


def names_of(destination: Destination) -> tuple[str, str]:
    """How policies call a destination, by the furthest zone: `site`, `http/site`."""
    zone = destination.onward or destination.zone
    return zone, f"{destination.kind}/{zone}"


def redaction_of(own: Mapping[str, RedactionPolicy | None]) -> tuple[tuple[str, RedactionPolicy | None], ...]:
    """What an operator has set, before what holds otherwise."""
    return (*own.items(), *DEFAULT_REDACTION)


def split_host(host: str) -> tuple[str, str]:
    """Name and port (maybe empty) of `name:port`, in lower case, without brackets and a trailing dot."""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        return name.lower(), port.removeprefix(":")
    name, colon, port = host.rpartition(":")
    if not colon or ":" in name:  # no port, or a bare IPv6 address
        name, port = host, ""
    return name.lower().removesuffix("."), port


def is_loopback(host: str) -> bool:
    """Whether `host` (`name:port`) names this machine itself: 127.0.0.0/8, ::1 or localhost, spelled in full."""
    name, _ = split_host(host)
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _named(host: str, known: Sequence[str]) -> str | None:
    """Which of the known hosts this one is."""
    name, port = split_host(host)
    for each in known:
        known_name, known_port = split_host(each)
        if name == known_name and known_port in ("", port):
            return each
    return None
