"""Which addresses may be connected to at all, whatever name led there. Pure."""

import ipaddress
from collections.abc import Sequence

from redaction.policy import is_loopback
from runtime.errors import Refused
from runtime.policies.residency import CLOUD_PREFIX

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = {
    ipaddress.ip_address(address)
    for address in (
        "169.254.169.254",  # AWS, Azure, Google and most others; link-local as well
        "169.254.170.2",  # AWS ECS credentials
        "fd00:ec2::254",  # AWS over IPv6
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's agent
        "192.0.0.192",  # Oracle
    )
}
"""Where a cloud's machines read their own credentials; each address as its vendor documents it."""
_OWN = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "fc00::/7",
        "::1/128",
    )
)
"""Private, shared and loopback (RFC 1918, 6598, 4193)."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def check_addresses(host: str, addresses: Sequence[str], *, zone: str = "") -> None:
    """Raise Refused when one of the addresses that `host` (`name:port`) resolved to must not be connected to.

    A host of a `cloud:` zone is not on the site's own network, so a name that leads there was tampered with.

    One bad address condemns the name: an attacker's name server answers with a good and a bad one.
    """
    for address in addresses:
        unwrapped = _unwrapped(address)
        reason = _reason_against(host, unwrapped)
        if not reason and zone.startswith(CLOUD_PREFIX) and _is_inside(unwrapped):
            reason = f"an address of the site's own network, and its zone is {zone!r}"
        if reason:
            raise Refused(
                "egress.forbidden_address",
                f"{host} resolves to {address}, {reason}; no request goes there, whatever the policy says",
                host=host,
                address=address,
            )


def _reason_against(host: str, address: IPAddress) -> str:
    if address in _METADATA:
        return "a cloud's metadata service"
    if address.is_link_local:
        return "a link-local address"
    if address.is_loopback:  # before the next line, which counts ::1 as reserved
        return ""
    if address.is_multicast or address.is_unspecified or address.is_reserved:
        return "not the address of one machine"
    if is_loopback(host):
        return "which is not this machine, though the name says so"
    return ""


def _is_inside(address: IPAddress) -> bool:
    return any(address in network for network in _OWN if network.version == address.version)


def _unwrapped(address: str) -> IPAddress:
    """The address that is really meant: IPv4 in IPv6 clothes is judged as IPv4."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return parsed.ipv4_mapped
        if parsed in _NAT64:
            return ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
    return parsed
