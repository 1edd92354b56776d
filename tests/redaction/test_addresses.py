"""Addresses that are never connected to, whatever name led there."""

import pytest

from redaction.addresses import check_addresses
from runtime.errors import Refused


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("localhost:80", ["127.0.0.1", "::1"]),
        ("127.0.0.1:80", ["127.0.0.1"]),
        ("[::1]:80", ["::1"]),
        ("intranet:80", ["10.0.0.1", "192.168.1.1", "172.16.5.5", "fd12:3456::1"]),
        ("this-machine:80", ["127.0.1.1"]),
        ("mapped:80", ["::ffff:10.0.0.1"]),
    ],
)
def test_private_addresses_and_loopback_pass(host: str, addresses: list[str]) -> None:
    check_addresses(host, addresses)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.1.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "ff02::1",
    ],
)
def test_metadata_and_other_traps_are_refused(address: str) -> None:
    """The metadata service of a cloud hands its machine's credentials to whoever asks."""
    with pytest.raises(Refused, match=r"egress\.forbidden_address"):
        check_addresses("intranet:80", [address])


def test_one_bad_address_condemns_the_name() -> None:
    with pytest.raises(Refused):
        check_addresses("intranet:80", ["10.0.0.1", "169.254.169.254"])


def test_localhost_must_be_this_machine() -> None:
    """A name server that answers for localhost is lying."""
    with pytest.raises(Refused, match="not this machine"):
        check_addresses("localhost:80", ["10.0.0.1"])


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "172.31.0.9", "192.168.1.1", "100.64.0.1", "127.0.0.1", "fd00::7", "::1"]
)
def test_a_host_of_the_cloud_does_not_lead_into_the_site(address: str) -> None:
    """A name server beyond the site must not aim a tool at the site's own machines."""
    with pytest.raises(Refused, match="the site's own network, and its zone is 'cloud:eu'"):
        check_addresses("api.eu.example:443", [address], zone="cloud:eu")
    check_addresses("intranet:443", [address], zone="site")
    check_addresses("api.eu.example:443", ["203.0.113.7"], zone="cloud:eu")
