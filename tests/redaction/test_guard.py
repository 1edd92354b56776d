"""What may leave, by mode and zone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redaction.guard import Guard
from redaction.policy import EgressMode, EgressPolicy, is_loopback, split_host
from runtime.domain.egress import Destination, Outbound, Sender
from runtime.errors import Refused

HOSTS = ("intranet.bank.example", "10.1.2.3:8080", "[fd00::7]:443")


def outbound(zone: str, host: str = "", kind: str = "http") -> Outbound[str]:
    return Outbound(destination=Destination(kind, zone, host), payload="hello", sender=Sender(purpose="agent:answer"))


def guard(mode: EgressMode = "restricted") -> Guard:
    return Guard(EgressPolicy(mode=mode, site_hosts=HOSTS))


async def refusal(guarded: Guard, wanted: Outbound[str]) -> Refused:
    with pytest.raises(Refused) as refused:
        await guarded.clear(wanted)
    return refused.value


@pytest.mark.parametrize("mode", ["air_gapped", "restricted", "connected"])
async def test_the_appliances_own_workers_are_always_reached(mode: EgressMode) -> None:
    cleared = await guard(mode).clear(outbound("local", kind="model"))
    assert ("hello", Destination("model", "local")) == (cleared.payload, cleared.destination)


@pytest.mark.parametrize("mode", ["restricted", "connected"])
@pytest.mark.parametrize(
    "host",
    [
        "localhost:80",
        "LocalHost:80",
        "localhost.:80",
        "127.0.0.1:9000",
        "127.8.8.8:1",
        "[::1]:80",
        "intranet.bank.example:443",
        "INTRANET.bank.example.:80",
        "10.1.2.3:8080",
        "[fd00::7]:443",
    ],
)
async def test_loopback_and_declared_hosts_are_reached(mode: EgressMode, host: str) -> None:
    assert (await guard(mode).clear(outbound("site", host))).payload == "hello"
    assert guard(mode).zone_of(host) == "site"


@pytest.mark.parametrize(
    "host",
    [
        "example.com:80",
        "evil-intranet.bank.example:443",
        "intranet.bank.example.evil.example:443",
        "sub.intranet.bank.example:443",
        "10.1.2.3:8081",
        "10.1.2.3",
        "10.1.2.33:8080",
        "[fd00::7]:444",
        "127.1:80",
        "2130706433:80",
        "0x7f000001:80",
        "0177.0.0.1:80",
        "0.0.0.0:80",
        "localhost.evil.example:80",
        "169.254.169.254:80",
        "",
    ],
)
async def test_other_hosts_are_not(host: str) -> None:
    """Also those that merely look like a declared one, and addresses in spellings that resolvers read differently."""
    refused = await refusal(guard(), outbound("site", host))
    assert refused.code == "egress.undeclared_host"
    assert guard().zone_of(host) == "cloud:unknown"


@pytest.mark.parametrize("mode", ["restricted", "connected"])
@pytest.mark.parametrize("zone", ["cloud:unknown", "cloud:eu-central-1", "", "Local", "moon"])
async def test_no_other_zone_is_reached_without_redaction(mode: EgressMode, zone: str) -> None:
    """Unknown zones are refused like clouds: closed is the way to fail."""
    refused = await refusal(guard(mode), outbound(zone, "intranet.bank.example:443"))
    assert refused.code == "egress.cloud_refused"
    assert "site_hosts in the settings" in refused.message


@pytest.mark.parametrize(("zone", "host"), [("site", "localhost:80"), ("site", HOSTS[0]), ("cloud:eu", "x.example:1")])
async def test_air_gapped_means_nothing_leaves(zone: str, host: str) -> None:
    refused = await refusal(guard("air_gapped"), outbound(zone, host))
    assert refused.code == "egress.air_gapped"
    assert "mode in the settings" in refused.message


async def test_a_refusal_names_who_asked_and_where_to() -> None:
    refused = await refusal(guard(), outbound("site", "example.com:80"))
    assert "agent:answer wants to reach example.com:80" in refused.message
    assert "hello" not in str(refused)


async def test_decisions_are_counted() -> None:
    """The first thing an operator asks is what was refused."""
    guarded = guard()
    await guarded.clear(outbound("local", kind="model"))
    await guarded.clear(outbound("site", "localhost:80"))
    await guarded.clear(outbound("site", "127.0.0.1:80"))
    await refusal(guarded, outbound("cloud:unknown", "example.com:80"))
    assert guarded.counts == {
        ("model", "local", "cleared"): 1,
        ("http", "site", "cleared"): 2,
        ("http", "cloud:unknown", "egress.cloud_refused"): 1,
    }


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("name:80", ("name", "80")),
        ("name", ("name", "")),
        ("Name.:80", ("name", "80")),
        ("[fd00::7]:443", ("fd00::7", "443")),
        ("[fd00::7]", ("fd00::7", "")),
        ("fd00::7", ("fd00::7", "")),
    ],
)
def test_hosts_are_split(host: str, expected: tuple[str, str]) -> None:
    assert split_host(host) == expected


@given(st.text())
def test_any_text_is_judged(host: str) -> None:
    """A host comes from a definition; whatever it says, the answer is yes or no."""
    split_host(host)
    assert is_loopback(host) in (True, False)
    assert EgressPolicy(site_hosts=(host,)).declares(host) in (True, False)
