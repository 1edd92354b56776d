"""The door for NATS. It publishes envelopes that the guard has cleared to JetStream, and nothing else.

A connection is opened only for something that was cleared, to one address of the one host that leave was granted for:
other servers that a broker names are not gone to, and nothing is connected again by itself. The broker's word that a
message is kept is waited for. With `tls://` a broker that offers no TLS gets no credentials.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from redaction.addresses import check_addresses
from redaction.doors.nats_credentials import Credentials, credentials_of, read_credentials
from redaction.doors.reaching import Resolve, Reveal, system_resolve
from runtime.domain.egress import Cleared
from runtime.domain.envelope import Envelope, write
from runtime.domain.forward import Anchored, Broker, Forward, StreamAsked, StreamView, Taken, broker_of
from runtime.domain.ids import DEFAULT_TENANT
from runtime.domain.secret import reference_of
from runtime.errors import AgentFlowError, Invalid, NotFound, Refused, Unavailable

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js.api import PubAck
    from nats.js.errors import APIError

DUPLICATE_WINDOW_S = 24 * 3_600.0
"""Of a stream that is made here."""
PING_S = 20
"""How often a quiet connection is tried; one that does not answer twice is given up."""
_CLOSING_S = 0.5
_PUBLISHING_BYTES = 8 * 2**20
_NO_STREAM, _NO_MESSAGE = 10059, 10037

log = logging.getLogger(__name__)


class NatsServer(msgspec.Struct, frozen=True, kw_only=True):
    """A broker, and how it is spoken to."""

    url: str
    """`nats://HOST:PORT`, or `tls://HOST:PORT`."""
    credentials: str = ""
    """`secret://NAME`: a creds file's text, `USER:PASSWORD`, or a token; empty: none, or those of the file."""
    credentials_file: str = ""
    """A creds file, mode 0600."""
    ca_file: str = ""
    """Certificates of the authorities that may vouch for it, PEM; empty: the system's."""
    timeout_s: float = 10.0
    """How long a connection, or the answer to what was published, may take."""

    @property
    def host(self) -> str:
        """`name:port`. Raises Invalid."""
        return broker_of(self.url).host


class NatsDoor:
    """One connection to one broker, made when something is to leave."""

    def __init__(self, server: NatsServer, *, resolve: Resolve | None = None, reveal: Reveal | None = None) -> None:
        """`resolve` and `reveal`: as of the HTTP door."""
        self._server = server
        self._resolve = resolve or system_resolve
        self._reveal = reveal
        self._client: Client | None = None
        self._connecting = asyncio.Lock()
        self._closed = asyncio.Event()
        self._complaint: Exception | None = None
        """What the broker said last of what it does not let through."""

    @property
    def is_connected(self) -> bool:
        """Whether the broker was there when it was last heard of."""
        return self._client is not None and self._client.is_connected

    async def publish(self, cleared: Cleared[Forward]) -> Sequence[Taken]:
        """Have a stream keep the envelopes, in order; return when it has acknowledged every one.

        After an error some may be kept all the same: publishing them again is safe, as their ids are equal. Raises
        Refused (`nats.too_large` with the `id`, `nats.denied`), NotFound (no such stream) or Unavailable.
        """
        return await self._publish(cleared.payload, cleared.destination.host)

    async def anchor(self, cleared: Cleared[Anchored]) -> Taken:
        """The same for a checkpoint."""
        held = cleared.payload
        forward = Forward(envelopes=(held.envelope,), prefix=held.prefix, stream=held.stream)
        return (await self._publish(forward, cleared.destination.host))[0]

    async def _publish(self, forward: Forward, host: str) -> Sequence[Taken]:
        client = await self._connected(host)
        stream = client.jetstream(timeout=self._server.timeout_s)
        contents = [(envelope, write(envelope)) for envelope in forward.envelopes]
        _require_room(contents, client.max_payload)
        with self._in_our_words(forward.stream):
            async with asyncio.timeout(self._server.timeout_s):
                waiting: list[asyncio.Future[PubAck]] = []
                try:
                    for envelope, content in contents:
                        headers = {"Nats-Msg-Id": envelope.id, "traceparent": envelope.traceparent}
                        waiting.append(
                            await stream.publish_async(
                                forward.subject(envelope), content, stream=forward.stream or None, headers=headers
                            )
                        )
                    acks = await self._acknowledged(waiting)
                except BaseException:
                    _let_go(waiting)
                    await self.stop()  # what was not acknowledged is not waited for on this connection any more
                    raise
        return [
            Taken(id=envelope.id, stream=ack.stream, seq=ack.seq, is_duplicate=bool(ack.duplicate))
            for envelope, ack in zip(forward.envelopes, acks, strict=True)
        ]

    async def look(self, cleared: Cleared[StreamAsked]) -> StreamView:
        """What the broker says of a stream, which is made where that was asked for. Raises as `publish` does."""
        asked = cleared.payload
        client = await self._connected(cleared.destination.host)
        manager, was_made = client.jetstream(timeout=self._server.timeout_s), False
        with self._in_our_words(asked.stream):
            try:
                found = await manager.stream_info(asked.stream)
            except _api_error() as error:
                if error.err_code != _NO_STREAM or not asked.create_for:
                    raise
                found = await manager.add_stream(
                    name=asked.stream, subjects=list(asked.create_for), duplicate_window=DUPLICATE_WINDOW_S
                )
                was_made = True
        return StreamView(
            stream=asked.stream,
            subjects=tuple(found.config.subjects or ()),
            messages=found.state.messages,
            last_seq=found.state.last_seq,
            duplicate_window_s=found.config.duplicate_window or 0.0,
            was_made=was_made,
        )

    async def newest(self, cleared: Cleared[StreamAsked]) -> bytes | None:
        """The newest message that a stream keeps of a subject; None where it has none. Raises as `publish` does."""
        asked = cleared.payload
        client = await self._connected(cleared.destination.host)
        with self._in_our_words(asked.stream):
            try:
                found = await client.jetstream(timeout=self._server.timeout_s).get_last_msg(asked.stream, asked.subject)
            except _api_error() as error:
                if error.err_code == _NO_MESSAGE:
                    return None
                raise
        return found.data

    async def stop(self) -> None:
        """Close the connection. Safe to call twice; the next thing that is cleared opens another."""
        client, self._client = self._client, None
        if client is not None:
            try:
                async with asyncio.timeout(_CLOSING_S):
                    await client.close()
            except Exception as error:  # it is gone either way
                log.debug("the connection to %s ended with %s", self._server.host, type(error).__name__)

    async def _acknowledged(self, waiting: "Sequence[asyncio.Future[PubAck]]") -> "Sequence[PubAck]":
        """What the broker says of each; a connection that breaks meanwhile is not waited for."""
        acks, closed = asyncio.ensure_future(_each(waiting)), asyncio.ensure_future(self._closed.wait())
        both: tuple[asyncio.Future[Any], ...] = (acks, closed)
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if acks.done():
                return acks.result()
            raise Unavailable("nats.broken", f"the connection to {self._server.host} broke off")
        finally:
            for each in both:
                each.cancel()

    async def _noted(self, error: Exception) -> None:
        """The library would print a traceback; whoever publishes gets the error itself."""
        log.debug("the broker's connection: %s", type(error).__name__)
        self._complaint = error

    async def _connected(self, host: str) -> "Client":
        if host != self._server.host:
            raise Refused("egress.other_destination", f"leave was granted for {host!r}, not for {self._server.host!r}")
        async with self._connecting:
            if self._client is None or not self._client.is_connected:
                await self.stop()
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> "Client":
        await asyncio.to_thread(_load)
        broker = broker_of(self._server.url)
        addresses = await self._addresses(broker.name, broker.port)
        credentials = await self._credentials()
        tls = await asyncio.to_thread(self._tls) if broker.is_tls else None
        for number, address in enumerate(addresses, 1):
            try:
                with self._in_our_words(""):
                    async with asyncio.timeout(self._server.timeout_s):
                        return await self._opened(address, broker, tls=tls, credentials=credentials)
            except Unavailable:
                if number == len(addresses):
                    raise
        raise AssertionError("a name that was resolved has an address")

    async def _opened(
        self, address: str, broker: Broker, *, tls: ssl.SSLContext | None, credentials: Credentials
    ) -> "Client":
        self._closed, self._complaint = asyncio.Event(), None
        client = _client(requires_tls=tls is not None, host=self._server.host, on_lost=self._closed.set)
        host = f"[{address}]" if ":" in address else address
        try:
            await client.connect(
                servers=[f"nats://{host}:{broker.port}"],
                name="agentflow",
                allow_reconnect=False,  # by whoever has leave, to the address that was checked
                connect_timeout=max(1, round(self._server.timeout_s)),
                ping_interval=PING_S,
                max_outstanding_pings=2,
                pending_size=_PUBLISHING_BYTES,
                error_cb=self._noted,
                tls=tls,
                tls_hostname=broker.name if tls is not None else None,
                user=credentials.user or None,
                password=credentials.password or None,
                token=credentials.token or None,
                user_jwt_cb=credentials.jwt if credentials.has_jwt else None,
                signature_cb=credentials.signature if credentials.has_jwt else None,
            )
        except BaseException:
            await _closed(client)
            raise
        return client

    async def _addresses(self, name: str, port: int) -> Sequence[str]:
        try:
            addresses = await self._resolve(name, port)
        except Unavailable:
            addresses = ()
        if not addresses:
            raise Unavailable("nats.unreachable", f"the name {name!r} has no address here")
        check_addresses(self._server.host, addresses)
        return addresses

    async def _credentials(self) -> Credentials:
        if self._server.credentials:
            reference = reference_of(self._server.credentials)
            if self._reveal is None:
                raise Unavailable("secret.no_store", f"{reference} can't be resolved here", retryable=False)
            return credentials_of(await self._reveal(DEFAULT_TENANT, reference, self._server.host), str(reference))
        if self._server.credentials_file:
            return await asyncio.to_thread(read_credentials, self._server.credentials_file)
        return Credentials()

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._server.ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise Invalid(
                "nats.bad_ca",
                f"uplink.ca_file: {self._server.ca_file} holds no certificates that can be used ({error})",
            ) from None

    @contextmanager
    def _in_our_words(self, stream: str) -> Iterator[None]:
        """Whatever the library says, as one of our errors."""
        from nats import errors
        from nats.js import errors as js

        host = self._server.host
        try:
            yield
        except AgentFlowError:
            raise
        except (TimeoutError, errors.TimeoutError):
            if self._complaint is not None and "permissions" in str(self._complaint).lower():
                raise _explained(host, self._complaint) from None  # to what it forbids a broker gives no answer
            message = f"{host} gave no answer within {self._server.timeout_s:g} s"
            raise Unavailable("nats.timeout", message) from None
        except js.NoStreamResponseError:
            raise _no_stream(host, stream) from None
        except js.ServiceUnavailableError:
            raise Unavailable(
                "nats.no_jetstream", f"{host} has no JetStream switched on, or none for this user"
            ) from None
        except js.APIError as error:
            if error.err_code == _NO_STREAM:
                raise _no_stream(host, stream) from None
            raise Unavailable(
                "nats.stream_refused", f"{host} keeps nothing in {stream!r}: {error.description}"
            ) from None
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", "") or error.reason or "no TLS"
            raise Unavailable("nats.tls", f"no TLS connection to {host}: {why}", retryable=False) from None
        except (errors.Error, OSError) as error:
            raise _explained(host, error) from None


def _load() -> None:
    """Import the library: a fifth of a second that the event loop, and an appliance without an uplink, need not pay."""
    import nats.js.errors  # noqa: F401  # with everything else


def _client(*, requires_tls: bool, host: str, on_lost: Callable[[], None]) -> "Client":
    """A client that goes nowhere but where it is told to, and says who it is to nobody without TLS where TLS is due.

    `on_lost` is called as soon as the connection is gone; the library's own callback waits for what it still has open.
    """
    from nats.aio.client import Client

    class OneServer(Client):
        async def _process_info(self, info: dict[str, object], initial_connection: bool = False) -> None:
            if initial_connection and requires_tls and not info.get("tls_required"):
                raise Unavailable(
                    "nats.tls",
                    f"{host} offers no TLS, and its URL says tls://: nothing was sent to it. Switch TLS on there",
                    retryable=False,
                )
            if initial_connection and not requires_tls and info.get("tls_required"):
                raise Unavailable("nats.tls", f"{host} takes TLS alone; write tls:// in its URL", retryable=False)
            known = {name: value for name, value in info.items() if name != "connect_urls"}
            await super()._process_info(known, initial_connection)

        async def _select_next_server(self) -> None:
            server = self._server_pool[0]
            await self._connect_to_server(server)  # once: whoever has leave decides when to try again
            self._current_server = server

        async def _process_op_err(self, e: Exception) -> None:
            on_lost()
            await super()._process_op_err(e)

    return OneServer()


async def _closed(client: "Client") -> None:
    """Close a connection that did not come about."""
    try:
        async with asyncio.timeout(_CLOSING_S):  # a peer that broke TLS off is not waited for
            await client.close()
    except Exception as error:
        log.debug("a connection that did not come about ended with %s", type(error).__name__)


def _require_room(contents: Sequence[tuple[Envelope, bytes]], max_payload: int) -> None:
    for envelope, content in contents:
        if len(content) > max_payload:
            raise Refused(
                "nats.too_large",
                f"the envelope {envelope.id!r} has {len(content):,} bytes; the broker takes {max_payload:,}. Its "
                "setting is max_payload",
                id=envelope.id,
            )


async def _each(waiting: "Sequence[asyncio.Future[PubAck]]") -> "Sequence[PubAck]":
    return [await each for each in waiting]


def _let_go(waiting: Sequence["asyncio.Future[PubAck]"]) -> None:
    """Futures that nobody awaits any more, without a complaint of theirs."""
    for each in waiting:
        if not each.done():
            each.cancel()
        elif not each.cancelled():
            each.exception()


def _api_error() -> type["APIError"]:
    from nats.js.errors import APIError

    return APIError


def _no_stream(host: str, stream: str) -> NotFound:
    named = f"no stream {stream!r} that keeps these subjects" if stream else "no stream that keeps these subjects"
    return NotFound(
        "nats.no_stream", f"{host} has {named}; make one there, or with: af uplink test --create", retryable=True
    )


def _explained(host: str, error: Exception) -> AgentFlowError:
    said = str(error).lower()
    if "authorization" in said or "authentication" in said or "expired" in said:
        return Refused("nats.denied", f"{host} takes none of these credentials; look at uplink.credentials")
    if "permissions" in said:
        return Refused("nats.denied", f"{host} does not let this user publish there; its permissions say so")
    if isinstance(error, ConnectionRefusedError):
        return Unavailable("nats.unreachable", f"no connection to {host}: nobody listens there")
    return Unavailable("nats.broken", f"the connection to {host} broke off ({type(error).__name__})")
