"""What may leave, as data: the mode of the appliance and the hosts of its own network."""

import ipaddress
from typing import Literal

import msgspec

EgressMode = Literal["air_gapped", "restricted", "connected"]


class EgressPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The settings `mode` and `site_hosts`."""

    mode: EgressMode = "restricted"
    """`air_gapped`: nothing leaves this process and its workers. `restricted`: loopback and declared hosts.
    `connected`: as restricted, and cloud zones once redaction is installed."""
    site_hosts: tuple[str, ...] = ()
    """Hosts of the site's own network, as `name` or `name:port`; IPv6 addresses in brackets."""

    def declares(self, host: str) -> bool:
        """Whether `host` (`name:port`) is one of the declared ones."""
        name, port = split_host(host)
        return any(name == known and wanted in ("", port) for known, wanted in map(split_host, self.site_hosts))


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
