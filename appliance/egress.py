"""What leaves the appliance: its policy as the settings say it, and what agents and tools send, cleared."""

import asyncio
from typing import cast

from msgspec.structs import replace

from appliance.config.settings import Settings
from appliance.loading.redaction import redaction_policy
from models.meter import is_uncharged
from models.prices import PriceTable
from models.servers import host_of
from redaction.doors.http import HttpDoor, destination_of
from redaction.doors.reaching import Reveal, place_of
from redaction.guard import Guard
from redaction.passage import Passage
from redaction.policy import EgressPolicy, redaction_of
from redaction.presets import RedactionPolicy
from runtime.domain.canonical import Json
from runtime.domain.egress import APPLIANCE, CostBound, Destination, Outbound, Sender
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.mail import Mail, MailReply, check_mail
from runtime.domain.sql import SqlQuery, SqlReply, check_statement
from runtime.errors import AgentFlowError
from runtime.policies.residency import DATA_CLASSES, SITE

INLINE_BYTES = 65_536
"""Replies up to this size are looked through on the event loop: 2 ms, and 20 when they are nothing but placeholders."""


def egress_policy(settings: Settings) -> EgressPolicy:
    """What the settings say about leaving, redaction policies read. Raises as `redaction_policy` does."""
    own = {pattern: named_policy(name) for pattern, name in settings.redaction.items()}
    hosts = {host_of(server.url): server.zone for server in settings.models.backends if server.zone != SITE}
    return EgressPolicy(
        mode=settings.mode,
        has_cloud="cloud" in settings.features,
        has_web="web_search" in settings.features,
        site_hosts=settings.site_hosts,
        cloud_hosts={**hosts, **settings.cloud_hosts},
        zones=settings.residency or EgressPolicy().zones,
        data_classes={**DATA_CLASSES, **{name: tuple(_split(zones)) for name, zones in settings.data_classes.items()}},
        redaction=redaction_of(own),
        max_bytes=settings.egress.max_bytes,
        per_minute=settings.egress.per_minute,
    )


def named_policy(name: str) -> RedactionPolicy | None:
    """The redaction policy of a preset or a file; None for `none`."""
    return None if name == "none" else redaction_policy(name)


def _split(zones: str) -> list[str]:
    return [zone.strip() for zone in zones.split(",") if zone.strip()]


class GuardedHttp:
    """Implements HttpAccess."""

    def __init__(self, guard: Guard, door: HttpDoor, prices: PriceTable) -> None:
        """A request is the tool `http/HOST:PORT` to prices, budgets and reports."""
        self._guard = guard
        self._door = door
        self._prices = prices

    async def send(self, request: HttpRequest, *, sender: Sender = APPLIANCE) -> HttpReply:
        """Send one request. Raises Refused, Unavailable, StepFailure or Invalid."""
        host = destination_of(request.url)
        kind = "search" if request.onward else "http"
        destination = Destination(kind, self._guard.zone_of(host), host, request.onward)
        bound = CostBound(usd_micros=self._prices.per_request(host), item=f"tool:http/{host}", payee=host)
        request = replace(request, holder=sender.tenant)  # never whom the caller says
        outbound = Outbound(destination=destination, payload=request, sender=sender, bound=bound)
        async with self._guard.passage(outbound) as passage:
            try:
                reply = await self._door.send(passage.cleared)
            except AgentFlowError as error:
                passage.spent = CostBound() if is_uncharged(error) else bound
                raise
            passage.reply_bytes = len(reply.body)
            if len(reply.body) <= INLINE_BYTES:
                return replace(reply, body=_restored(reply, passage))
            return replace(reply, body=await asyncio.to_thread(_restored, reply, passage))


class GuardedMail:
    """Implements MailAccess."""

    def __init__(self, guard: Guard, reveal: Reveal, prices: PriceTable) -> None:
        """A mail is the tool `mail/HOST:PORT` to prices, budgets and reports. `reveal`: for the door alone."""
        self._guard = guard
        self._reveal = reveal
        self._prices = prices

    async def send(self, mail: Mail, *, sender: Sender = APPLIANCE) -> MailReply:
        """Hand one mail in. Raises Refused, Unavailable, StepFailure or Invalid."""
        from redaction.doors.mail import MailDoor  # brings aiosmtplib

        check_mail(mail)
        host = place_of(mail.server.host, mail.server.port)
        destination = Destination("mail", self._guard.zone_of(host), host)
        bound = CostBound(usd_micros=self._prices.per_request(host, "mail"), item=f"tool:mail/{host}", payee=host)
        mail = replace(mail, holder=sender.tenant)  # never whom the caller says
        outbound = Outbound(destination=destination, payload=mail, sender=sender, bound=bound)
        async with self._guard.passage(outbound) as passage:
            try:
                return await MailDoor(reveal=self._reveal).send(passage.cleared)
            except AgentFlowError as error:
                passage.spent = CostBound() if is_uncharged(error) else bound
                raise


class GuardedSql:
    """Implements SqlAccess."""

    def __init__(self, guard: Guard, reveal: Reveal, prices: PriceTable) -> None:
        """A question is the tool `sql/HOST:PORT` to prices, budgets and reports. `reveal`: for the door alone."""
        self._guard = guard
        self._reveal = reveal
        self._prices = prices

    async def send(self, query: SqlQuery, *, sender: Sender = APPLIANCE) -> SqlReply:
        """Ask one statement. Raises Refused, Unavailable, StepFailure or Invalid."""
        from redaction.doors.sql import SqlDoor  # brings asyncpg

        check_statement(query.statement, query.parameters)
        host = place_of(query.server.host, query.server.port)
        destination = Destination("sql", self._guard.zone_of(host), host)
        bound = CostBound(usd_micros=self._prices.per_request(host, "sql"), item=f"tool:sql/{host}", payee=host)
        query = replace(query, holder=sender.tenant)  # never whom the caller says
        outbound = Outbound(destination=destination, payload=query, sender=sender, bound=bound)
        async with self._guard.passage(outbound) as passage:
            try:
                reply = await SqlDoor(reveal=self._reveal).send(passage.cleared)
            except AgentFlowError as error:
                passage.spent = CostBound() if is_uncharged(error) else bound
                raise
            rows = passage.payload(cast("Json", reply.rows))
            return replace(reply, rows=cast("list[list[Json]]", rows))


def _restored(reply: HttpReply, passage: Passage[HttpRequest]) -> bytes:
    try:
        text = reply.body.decode()
    except UnicodeDecodeError:
        return reply.body
    in_json = "json" in reply.headers.get("content-type", "")
    return passage.text(text, in_json=in_json).encode()
