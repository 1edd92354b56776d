"""The door for NATS, in front of a real server, and of servers that lie."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from redaction.doors.nats import NatsDoor
from redaction.doors.nats import NatsServer as Broker
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from redaction.presets import PRESETS
from runtime.domain.audit import AuditEntry
from runtime.domain.canonical import Json
from runtime.domain.egress import Cleared, Destination, Outbound, Sender, ZoneRule
from runtime.domain.envelope import Envelope, message, read
from runtime.domain.forward import Forward, StreamAsked
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.domain.secret import Reference
from runtime.errors import AgentFlowError, Invalid, NotFound, Refused, Unavailable
from tests.nats_server import NatsServer, free_port, needs_nats

OPENSSL = (
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
    *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
)
MAIL = "anna.kovacs@example.com"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    made = NatsServer(tmp_path / "nats")
    made.start()
    yield made
    made.kill()


@pytest.fixture
async def door(server: NatsServer) -> AsyncIterator[NatsDoor]:
    made = NatsDoor(Broker(url=server.url, timeout_s=3.0))
    yield made
    await made.stop()


PATTERNS = EgressPolicy(redaction=(("*", PRESETS["default"].patterns_only()),))
"""Without the model for names, which takes seconds to load."""


def envelope(number: int, payload: Json = None) -> Envelope:
    return message(
        "orders.created", payload, id=f"m-{number}", at_us=1_700_000_000_000_000 + number, tenant=DEFAULT_TENANT
    )


def forward(*envelopes: Envelope, stream: str = "AF") -> Forward:
    return Forward(envelopes=envelopes, prefix="site1", stream=stream)


async def cleared(payload: Forward, host: str, guard: Guard | None = None) -> Cleared[Forward]:
    guard = guard or Guard(PATTERNS)
    return await guard.clear(Outbound(destination=Destination("bus", "site", host), payload=payload))


async def asked(question: StreamAsked, host: str) -> Cleared[StreamAsked]:
    return await Guard(EgressPolicy()).clear(Outbound(destination=Destination("bus", "site", host), payload=question))


async def made(door: NatsDoor, host: str) -> None:
    view = await door.look(await asked(StreamAsked(stream="AF", create_for=("site1.>",)), host))
    assert (True, 86_400.0) == (view.was_made, view.duplicate_window_s)


@needs_nats
async def test_what_is_cleared_is_kept_once(door: NatsDoor, server: NatsServer) -> None:
    """In order, with the envelope's own bytes; a second publication of the same is no second message."""
    await made(door, server.host)
    sent = [envelope(number, {"amount": number}) for number in range(5)]
    first = await door.publish(await cleared(forward(*sent), server.host))
    assert [(each.id, number, False) for number, each in enumerate(sent, 1)] == [
        (taken.id, taken.seq, taken.is_duplicate) for taken in first
    ]
    again = await door.publish(await cleared(forward(*sent[3:], envelope(5)), server.host))
    assert [True, True, False] == [taken.is_duplicate for taken in again]
    view = await door.look(await asked(StreamAsked(stream="AF"), server.host))
    assert (6, ("site1.>",), False) == (view.messages, view.subjects, view.was_made)
    question = StreamAsked(stream="AF", subject="site1.orders.created")
    newest = await door.newest(await asked(question, server.host))
    assert newest is not None
    assert envelope(5) == read(newest)
    assert None is await door.newest(await asked(replace(question, subject="site1.nothing"), server.host))


@needs_nats
async def test_people_are_pseudonyms_and_ids_stay(door: NatsDoor, server: NatsServer) -> None:
    """An id that a policy changed would be another message to the broker."""
    await made(door, server.host)
    said = replace(envelope(4_111_111_111_111_111, {"from": MAIL}), sender=MAIL, metadata={"to": MAIL})
    await door.publish(await cleared(forward(said), server.host))
    newest = await door.newest(await asked(StreamAsked(stream="AF", subject="site1.orders.created"), server.host))
    assert newest is not None
    assert MAIL not in newest.decode()
    kept = read(newest)
    assert (said.id, said.at_us, said.subject) == (kept.id, kept.at_us, kept.subject)
    assert {"<EMAIL_1"} == {text[:8] for text in (kept.sender, kept.metadata["to"], kept.payload["from"])}  # type: ignore[index,call-overload]  # it is an object


REFUSALS: dict[str, tuple[Sender, dict[str, Any]]] = {
    "egress.zone_refused": (Sender(zone_rules=(ZoneRule("policies.residency of workflow 'w'", ("local",)),)), {}),
    "egress.data_class_refused": (Sender(data_class="restricted"), {}),
    "egress.air_gapped": (Sender(), {"mode": "air_gapped"}),
    "egress.too_large": (Sender(), {"max_bytes": 10}),
}


@needs_nats
@pytest.mark.parametrize("code", REFUSALS)
async def test_a_refusal_leaves_no_byte(door: NatsDoor, server: NatsServer, code: str) -> None:
    """The server's own counters say so: not even a connection."""
    sender, changes = REFUSALS[code]
    audit: list[AuditEntry] = []

    async def record(entry: AuditEntry) -> None:
        audit.append(entry)

    guard = Guard(replace(EgressPolicy(), **changes), record=record)
    before = server.figures()
    destination = Destination("bus", "site", server.host)
    outbound = Outbound(destination=destination, payload=forward(envelope(1, "x" * 100)), sender=sender)

    async def publish() -> None:
        async with guard.passage(outbound) as passage:
            await door.publish(passage.cleared)

    with pytest.raises(Refused) as refused:
        await publish()
    assert code == refused.value.code
    assert [("egress.refused", code)] == [(each.event, each.outcome) for each in audit]
    after = server.figures()
    counters = ("total_connections", "in_msgs", "in_bytes")
    assert [before[name] for name in counters] == [after[name] for name in counters]


@needs_nats
async def test_without_an_audit_log_nothing_leaves(door: NatsDoor, server: NatsServer) -> None:
    """The line is durable before the first byte, or there is no byte."""

    async def record(entry: AuditEntry) -> None:
        raise Unavailable("store.full", "no room")

    with pytest.raises(Unavailable):
        await cleared(forward(envelope(1)), server.host, Guard(EgressPolicy(), record=record))
    assert 0 == server.figures()["total_connections"]


@needs_nats
async def test_leave_is_for_one_host(door: NatsDoor, server: NatsServer) -> None:
    """Another host is refused by the door, before it connects."""
    with pytest.raises(Refused) as refused:
        await door.publish(await cleared(forward(envelope(1)), "127.0.0.1:1"))
    assert "egress.other_destination" == refused.value.code
    assert 0 == server.figures()["total_connections"]


@needs_nats
async def test_each_thing_that_goes_wrong_has_its_code(door: NatsDoor, server: NatsServer, tmp_path: Path) -> None:
    """No stream, too large for the broker, nobody there, and back again after a kill."""
    with pytest.raises(NotFound) as no_stream:
        await door.publish(await cleared(forward(envelope(1)), server.host))
    with pytest.raises(NotFound) as unknown:
        await door.look(await asked(StreamAsked(stream="AF"), server.host))
    assert {"nats.no_stream"} == {no_stream.value.code, unknown.value.code}
    await made(door, server.host)
    with pytest.raises(Refused) as too_large:
        await door.publish(await cleared(forward(envelope(1), envelope(2, "x" * 1_048_500)), server.host))
    assert ("nats.too_large", "m-2") == (too_large.value.code, too_large.value.facts["id"])
    server.kill()
    with pytest.raises(Unavailable) as away:
        await door.publish(await cleared(forward(envelope(1)), server.host))
    assert away.value.code in ("nats.unreachable", "nats.broken")  # at once, and not after the time for an answer
    assert not door.is_connected
    server.start()
    assert [1] == [each.seq for each in await door.publish(await cleared(forward(envelope(1)), server.host))]


@needs_nats
@pytest.mark.parametrize(
    ("more", "secret", "outcome"),
    [
        ('authorization { user: af, password: "open-sesame" }', "af:open-sesame", ""),
        ('authorization { user: af, password: "open-sesame" }', "af:wrong", "nats.denied"),
        ('authorization { user: af, password: "open-sesame" }', "", "nats.denied"),
        ('authorization { token: "t0k3n-of-the-site" }', "t0k3n-of-the-site", ""),
        (
            "authorization { users: [{user: af, password: pass-word, permissions: {publish: [other]}}] }",
            "af:pass-word",
            "nats.denied",
        ),
    ],
)
async def test_credentials_come_from_a_secret(tmp_path: Path, more: str, secret: str, outcome: str) -> None:
    """And what goes wrong with them says nothing of them."""
    server = NatsServer(tmp_path / "nats", more)
    server.start()
    revealed: list[tuple[str, str]] = []

    async def reveal(tenant: TenantId, reference: Reference, host: str) -> str:
        revealed.append((reference.name, host))
        return secret

    broker = Broker(url=server.url, credentials="secret://uplink" if secret else "", timeout_s=1.0)
    door = NatsDoor(broker, reveal=reveal)
    code, said = "", ""
    try:
        await door.look(await asked(StreamAsked(stream="AF", create_for=("site1.>",)), server.host))
    except AgentFlowError as error:
        code, said = error.code, error.message
    finally:
        await door.stop()
        server.kill()
    assert outcome == code
    assert not secret or secret not in said
    assert ([("uplink", server.host)] if secret else []) == revealed[:1]


@needs_nats
async def test_a_creds_file_signs_the_brokers_nonce(tmp_path: Path) -> None:
    """JWT and seed as `nsc` writes them; a file that others may read is refused."""
    operator, account, system, user = (_key_pair(bytes([number]) * 32) for number in (1, 2, 3, 4))
    by, of, above, who = (
        _nkey(public, prefix)
        for (_, public), prefix in zip(
            (operator, account, system, user), (b"\x70", b"\x00", b"\x00", b"\xa0"), strict=True
        )
    )
    amounts = {"subs": -1, "conn": -1, "data": -1, "payload": -1, "leaf": -1, "imports": -1, "exports": -1}
    kept = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1, "wildcards": True}
    operator_jwt = _jwt(operator, by, by, "operator", {"system_account": above})
    account_jwt = _jwt(operator, by, of, "account", {"limits": {**amounts, **kept}})
    system_jwt = _jwt(operator, by, above, "account", {"limits": amounts})
    user_jwt = _jwt(account, of, who, "user", {"subs": -1, "data": -1, "payload": -1})
    server = NatsServer(
        tmp_path / "nats",
        f"operator: {operator_jwt}\nsystem_account: {above}\nresolver: MEMORY\n"
        f"resolver_preload: {{ {of}: {account_jwt}, {above}: {system_jwt} }}",
    )
    server.start()
    creds = tmp_path / "user.creds"
    seed = _nkey(user[0], bytes([18 << 3 | 20 >> 2, (20 & 3) << 6]))
    creds.write_text(
        f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
    creds.chmod(0o600)
    door = NatsDoor(Broker(url=server.url, credentials_file=str(creds), timeout_s=3.0))
    try:
        await made(door, server.host)
        await door.stop()
        creds.chmod(0o644)
        with pytest.raises(Refused) as exposed:
            await door.look(await asked(StreamAsked(stream="AF"), server.host))
        assert "nats.credentials_exposed" == exposed.value.code
    finally:
        await door.stop()
        server.kill()


async def test_credentials_that_are_none_are_refused(tmp_path: Path) -> None:
    """Before anything is connected."""
    for text in ("-----BEGIN NATS USER JWT-----\nabc\n------END NATS USER JWT------\n", "SU" + "A" * 56, "  "):
        file = tmp_path / "x.creds"
        file.write_text(text)
        file.chmod(0o600)
        door = NatsDoor(Broker(url="nats://127.0.0.1:9", credentials_file=str(file)))
        with pytest.raises(Invalid) as invalid:
            await door.publish(await cleared(forward(envelope(1)), "127.0.0.1:9"))
        assert "nats.bad_credentials" == invalid.value.code


@needs_nats
async def test_tls_or_nothing(tmp_path: Path, server: NatsServer) -> None:
    """`tls://` to a server without TLS sends no credentials; to one with, its certificate is checked."""
    certificate, key = _certificate(tmp_path)
    secure = NatsServer(tmp_path / "secure", f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}')
    secure.start()
    url = f"tls://localhost:{secure.port}"
    try:
        good = NatsDoor(Broker(url=url, ca_file=str(certificate), timeout_s=3.0))
        await made(good, f"localhost:{secure.port}")
        await good.stop()
        codes = []
        for broker in (
            Broker(url=url, timeout_s=3.0),  # nobody known vouches for it
            Broker(url=secure.url, timeout_s=3.0),  # plain, to a server that takes TLS alone
            Broker(url=f"tls://localhost:{server.port}", credentials="secret://x", timeout_s=3.0),
        ):
            door = NatsDoor(broker, reveal=_sesame)
            with pytest.raises(Unavailable) as refused:
                await door.look(await asked(StreamAsked(stream="AF"), broker.host))
            codes.append((refused.value.code, refused.value.retryable))
        assert [("nats.tls", False)] * 3 == codes
    finally:
        secure.kill()
    assert 0 == server.figures()["in_bytes"]


async def test_other_servers_that_a_broker_names_are_not_gone_to(tmp_path: Path) -> None:
    """A broker that breaks off and names another must not lead the door there."""
    visited: list[bytes] = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visited.append(await reader.read(1))
        writer.close()

    async def lying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = {"server_id": "x", "max_payload": 1_000_000, "connect_urls": [f"127.0.0.1:{other_port}"]}
        writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        await reader.readuntil(b"PING\r\n")
        writer.write(b"PONG\r\n")
        await reader.readline()
        writer.close()

    other = await asyncio.start_server(elsewhere, "127.0.0.1", 0)
    other_port = other.sockets[0].getsockname()[1]
    first = await asyncio.start_server(lying, "127.0.0.1", 0)
    host = f"127.0.0.1:{first.sockets[0].getsockname()[1]}"
    door = NatsDoor(Broker(url=f"nats://{host}", timeout_s=1.0))
    for _ in range(2):
        with pytest.raises(Unavailable):
            await door.publish(await cleared(forward(envelope(1)), host))
    await door.stop()
    first.close()
    other.close()
    assert [] == visited


@pytest.mark.parametrize("url", ["http://x:1", "nats://", "nats://u:p@host:1", "nats://host:99999", "nats://a b:1"])
def test_an_address_is_nothing_but_an_address(url: str) -> None:
    """A password in a URL ends up in every log."""
    with pytest.raises(Invalid) as invalid:
        assert Broker(url=url).host
    assert "nats.bad_url" == invalid.value.code


async def _sesame(tenant: TenantId, reference: Reference, host: str) -> str:
    return "af:open-sesame"


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "tls.pem", folder / "tls.key"
    subprocess.run(
        [*OPENSSL, "-out", certificate, "-keyout", key],
        check=True,
        capture_output=True,
    )
    ssl.create_default_context(cafile=str(certificate))
    return certificate, key


def _key_pair(seed: bytes) -> tuple[bytes, bytes]:
    """Seed and public key."""
    from runtime.store.signing import SigningKey

    return seed, SigningKey(seed).named("any").public


def _nkey(content: bytes, prefix: bytes) -> str:
    """As NATS spells keys: kind, bytes, CRC-16, in base32."""
    import base64
    import binascii

    raw = prefix + content
    return base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode().rstrip("=")


def _jwt(signer: tuple[bytes, bytes], issuer: str, subject: str, kind: str, facts: dict[str, object]) -> str:
    import base64

    from runtime.store.signing import SigningKey

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).decode().rstrip("=")

    claims = {
        "jti": f"{kind}-1",
        "iat": 1_700_000_000,
        "iss": issuer,
        "name": kind,
        "sub": subject,
        "nats": {**facts, "type": kind, "version": 2},
    }
    body = part(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode()) + "." + part(json.dumps(claims).encode())
    return f"{body}.{part(SigningKey(signer[0]).sign(body.encode()))}"


async def test_nobody_there_is_told_at_once() -> None:
    """And not after the time that an answer may take."""
    port = free_port()
    door = NatsDoor(Broker(url=f"nats://127.0.0.1:{port}", timeout_s=60.0))
    async with asyncio.timeout(60):
        with pytest.raises(Unavailable) as away:
            await door.publish(await cleared(forward(envelope(1)), f"127.0.0.1:{port}"))
    assert "nats.unreachable" == away.value.code
