"""Every kind of call at every zone: what the appliance's mode, its hosts, and the rules of residency let through."""

import asyncio
import itertools

import pytest
from msgspec.structs import replace

from redaction.doors.nats import NatsDoor, NatsServer
from redaction.guard import Guard
from redaction.policy import EgressMode, EgressPolicy, redaction_of
from redaction.presets import PRESETS
from runtime.domain.egress import Destination, Outbound, Sender, ZoneRule
from runtime.domain.envelope import message
from runtime.domain.forward import Forward
from runtime.domain.ids import DEFAULT_TENANT, AgentId, DefinitionHash
from runtime.domain.workflow import AgentSpec, Workflow
from runtime.engine.dispatcher import sender_of
from runtime.errors import AgentFlowError, Refused
from runtime.policies.residency import is_zone, is_zone_pattern, rules_of

KINDS = ("model", "http", "mail", "sql", "bus", "tool", "telemetry")
HOSTS = {
    "local": "",
    "site": "crm.bank.example:443",
    "cloud:eu": "api.eu.example:443",
    "cloud:us": "api.us.example:443",
}
KNOWN = EgressPolicy(
    mode="connected",
    has_cloud=True,
    site_hosts=("crm.bank.example",),
    cloud_hosts={"api.eu.example": "cloud:eu", "api.us.example:443": "cloud:us"},
    redaction=(("*", None),),
)


def policy(mode: EgressMode = "connected", *, has_cloud: bool = True, zones: tuple[str, ...] = ()) -> EgressPolicy:
    return replace(KNOWN, mode=mode, has_cloud=has_cloud, zones=zones or KNOWN.zones)


async def outcome(policy: EgressPolicy, zone: str, kind: str, sender: Sender) -> str:
    outbound = Outbound(destination=Destination(kind, zone, HOSTS[zone]), payload={"text": "hello"}, sender=sender)
    try:
        await Guard(policy).clear(outbound)
    except Refused as refused:
        return refused.code
    return "cleared"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("mode", "has_cloud", "reached"),
    [
        ("air_gapped", True, {"local"}),
        ("restricted", True, {"local", "site"}),
        ("connected", False, {"local", "site"}),
        ("connected", True, {"local", "site", "cloud:eu", "cloud:us"}),
    ],
)
async def test_the_mode_decides_which_zones_exist(
    kind: str, mode: EgressMode, has_cloud: bool, reached: set[str]
) -> None:
    policed = policy(mode, has_cloud=has_cloud)
    assert reached == {zone for zone in HOSTS if await outcome(policed, zone, kind, Sender()) == "cleared"}


@pytest.mark.parametrize("kind", KINDS)
async def test_every_rule_must_allow_the_zone(kind: str) -> None:
    """Tenant ∩ workflow ∩ agent: all triples of sets over the zones, and exactly their intersection is reached."""
    sets = (("local",), ("local", "site"), ("site", "cloud:*"), ("cloud:eu", "local"), ("*",))
    expected = {"*": set(HOSTS), "cloud:*": {"cloud:eu", "cloud:us"}}
    for tenant, workflow, agent in itertools.product(sets, repeat=3):
        sender = Sender(zone_rules=(ZoneRule("workflow", workflow), ZoneRule("agent", agent)))
        allowed = [
            set().union(*(expected.get(pattern, {pattern}) for pattern in rule)) for rule in (tenant, workflow, agent)
        ]
        reached = {zone for zone in HOSTS if await outcome(policy(zones=tenant), zone, kind, sender) == "cleared"}
        assert set.intersection(*allowed) == reached


@pytest.mark.parametrize(
    ("data_class", "reached"),
    [
        ("", set(HOSTS)),
        ("public", set(HOSTS)),
        ("internal", set(HOSTS)),
        ("confidential", {"local", "site"}),
        ("restricted", {"local"}),
        ("typo", set()),
    ],
)
async def test_a_class_of_data_stays_where_it_may(data_class: str, reached: set[str]) -> None:
    """One that nobody has declared goes nowhere: a typo must not open the door."""
    sender = Sender(data_class=data_class)
    assert reached == {zone for zone in HOSTS if await outcome(policy(), zone, "model", sender) == "cleared"}


async def test_an_agent_does_not_widen_the_class_of_its_workflow() -> None:
    """As with zones: an agent that calls its own part public sees the workflow's data all the same."""
    workflow = Workflow(name="w", hash=DefinitionHash("sha256:0"), policies={"data_class": "restricted"})
    spec = AgentSpec(id=AgentId("a"), type="llm", policies={"data_class": "public"})
    assert {"local"} == {
        zone for zone in HOSTS if await outcome(policy(), zone, "model", sender_of(workflow, spec)) == "cleared"
    }


@pytest.mark.parametrize(
    ("zone", "host"),
    [
        ("site", "evil.example:443"),
        ("cloud:eu", "api.us.example:443"),
        ("cloud:eu", "evil.example:443"),
        ("local", "evil.example:443"),
        ("local", "127.0.0.1:8000"),
    ],
)
async def test_a_zone_is_what_is_declared_not_what_is_claimed(zone: str, host: str) -> None:
    with pytest.raises(Refused) as refused:
        await Guard(policy()).clear(Outbound(destination=Destination("http", zone, host), payload="x"))
    assert refused.value.code == "egress.undeclared_host"


@pytest.mark.parametrize("mode", ["restricted", "connected"])
async def test_a_host_that_nobody_has_declared_is_never_reached(mode: EgressMode) -> None:
    """With the cloud switched on and every zone allowed as well: `cloud:*` names no host that has no zone."""
    guard, host = Guard(policy(mode, zones=("*",))), "evil.example:443"
    with pytest.raises(Refused) as refused:
        await guard.clear(Outbound(destination=Destination("http", guard.zone_of(host), host), payload="x"))
    assert {"restricted": "egress.cloud_refused", "connected": "egress.undeclared_host"}[mode] == refused.value.code


async def test_a_refusal_names_the_rule_and_where_it_is_set() -> None:
    sender = Sender(purpose="agent 'draft'", zone_rules=rules_of({"residency": ["local", "site"]}, "agent 'draft'"))
    with pytest.raises(Refused) as refused:
        await Guard(policy()).clear(
            Outbound(destination=Destination("model", "cloud:eu", HOSTS["cloud:eu"]), payload="x", sender=sender)
        )
    assert (
        "agent 'draft' wants to reach api.eu.example:443 in zone 'cloud:eu'; policies.residency of agent 'draft' "
        "allows local, site"
    ) == refused.value.message


@pytest.mark.parametrize(
    ("kind", "zone", "expected"),
    [
        ("model", "local", None),
        ("http", "site", "secrets-only"),
        ("model", "site", "default"),
        ("mail", "site", "default"),
        ("sql", "site", "secrets-only"),
        ("sql", "cloud:eu", "default"),
        ("http", "cloud:eu", "default"),
        ("model", "cloud:us", "phi"),
    ],
)
def test_the_first_name_that_fits_says_how_a_destination_is_redacted(
    kind: str, zone: str, expected: str | None
) -> None:
    policed = EgressPolicy(redaction=redaction_of({"model/cloud:us": PRESETS["phi"]}))
    found = policed.redaction_at(Destination(kind, zone, "x"))
    assert expected == (found.name if found else None)


def test_where_nothing_is_said_the_strictest_policy_holds() -> None:
    policed = EgressPolicy(redaction=(("local", None),))
    assert PRESETS["strict"] == policed.redaction_at(Destination("model", "site", "x"))


@pytest.mark.parametrize("zone", ["local", "site", "cloud:eu", "cloud:eu-central-1"])
def test_zones_are_recognised(zone: str) -> None:
    assert is_zone(zone)
    assert is_zone_pattern(zone)


@pytest.mark.parametrize("zone", ["", "Local", "cloud", "cloud:", "cloud:EU", "moon", "cloud:eu west"])
def test_what_is_no_zone_is_not(zone: str) -> None:
    assert not is_zone(zone)


@pytest.mark.parametrize(
    ("mode", "reached"),
    [("air_gapped", []), ("restricted", ["broker.site"]), ("connected", ["broker.site", "broker.eu"])],
)
async def test_the_nats_sender_connects_where_it_may_and_nowhere_else(mode: EgressMode, reached: list[str]) -> None:
    """A tap in place of every broker counts connections: what is refused has none, and so no byte."""
    tapped: list[bytes] = []

    async def tap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tapped.append(b"")
        writer.close()

    async def here(name: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    server = await asyncio.start_server(tap, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    policed = replace(
        policy(mode, zones=("local", "site", "cloud:eu")),
        site_hosts=("broker.site",),
        cloud_hosts={"broker.eu": "cloud:eu", "broker.us": "cloud:us"},
    )
    guard, found = Guard(policed), []
    said = message("orders.created", None, id="m", at_us=1, tenant=DEFAULT_TENANT)
    for name in ("broker.site", "broker.eu", "broker.us", "broker.unknown"):
        host, before = f"{name}:{port}", len(tapped)
        door = NatsDoor(NatsServer(url=f"nats://{host}", timeout_s=5.0), resolve=here)
        outbound = Outbound(
            destination=Destination("bus", guard.zone_of(host), host), payload=Forward(envelopes=(said,))
        )
        with pytest.raises(AgentFlowError) as error:
            await door.publish(await guard.clear(outbound))
        assert isinstance(error.value, Refused) == (len(tapped) == before)
        found += [name] * (len(tapped) - before)
        await door.stop()
    server.close()
    assert reached == found


ONWARD = Destination("search", "site", HOSTS["site"], onward="cloud:web")


def asks(sender: Sender = Sender(), **changes: object) -> str:  # noqa: B008  # frozen
    try:
        Guard(replace(KNOWN, **{"has_web": True, **changes})).check(ONWARD, sender)
    except Refused as refused:
        return refused.code
    return "cleared"


def test_what_a_service_passes_on_to_the_web_is_held_to_the_webs_rules() -> None:
    """The service stands in the site's network, and what it is asked does not stay there."""
    assert "cleared" == asks()
    assert "cleared" == asks(mode="restricted"), "the service itself is the site's"
    assert "egress.web_refused" == asks(has_web=False)
    assert "egress.air_gapped" == asks(mode="air_gapped")
    assert "egress.zone_refused" == asks(zones=("local", "site"))
    assert "egress.zone_refused" == asks(Sender(zone_rules=(ZoneRule("the agent", ("site",)),)))
    assert "egress.data_class_refused" == asks(Sender(data_class="confidential"))


def test_what_a_service_passes_on_is_redacted_as_what_goes_there() -> None:
    """`http/site` lets values through; a search would carry them out."""
    usual = EgressPolicy()
    assert usual.redaction_at(Destination("http", "site", "a:1")) == PRESETS["secrets-only"]
    assert usual.redaction_at(ONWARD) == PRESETS["default"]
    own = EgressPolicy(redaction=redaction_of({"site": None, "search/cloud:*": PRESETS["strict"]}))
    assert own.redaction_at(ONWARD) == PRESETS["strict"]
