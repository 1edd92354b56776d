"""What one call of a tool may reach: what the appliance has, narrowed to the call's profile and sender."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.exec_profile import Answer, ExecProfile, Outcome, Used
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.ids import RunId, TenantId
from runtime.domain.mail import Mail, MailReply
from runtime.domain.secret import Reference
from runtime.domain.sql import SqlQuery, SqlReply
from runtime.errors import Refused, Unavailable
from runtime.ports import Clock, HttpAccess, MailAccess, SqlAccess
from runtime.tools.door import answering

_PORTS = {"http": 80, "https": 443}

Reveal = Callable[[TenantId, Reference, str], Awaitable[str]]
"""A tenant's secret → its value, for a host, or for this machine where that is empty."""


class RunProgram(Protocol):
    """Runs a program in a sandbox that holds its profile."""

    async def __call__(
        self,
        profile: ExecProfile,
        program: bytes,
        *,
        stdin: bytes = b"",
        secrets: Mapping[str, str] | None = None,
        egress: Answer | None = None,
    ) -> Outcome:
        """As `Sandboxes.run`."""


class _Timeless:
    """Where nobody has a clock; no call of a tool asks then."""

    def now_us(self) -> int:
        return 0

    async def sleep_until(self, at_us: int) -> None:
        raise Unavailable("tool.no_clock", "tools have no clock here")

    def new_run_id(self) -> RunId:
        raise Unavailable("tool.no_clock", "tools have no clock here")


@dataclass(frozen=True, kw_only=True)
class Means:
    """What the appliance has that tools may use; None: it has none of it here."""

    http: HttpAccess | None = None
    mail: MailAccess | None = None
    sql: SqlAccess | None = None
    reveal: Reveal | None = None
    run: RunProgram | None = None
    make_ready: Callable[[ExecProfile, bytes], Awaitable[object]] | None = None
    """Has the sandbox ready that `run` will take; the first time that takes seconds: drivers try themselves."""
    clock: Clock = _Timeless()  # noqa: RUF009  # it has no state


class CallContext:
    """Implements ToolContext."""

    def __init__(self, means: Means, profile: ExecProfile, sender: Sender) -> None:
        self._means = means
        self.profile = profile
        self.sender = sender
        self.clock = means.clock
        self.driver = ""
        """The sandbox that held the program; empty: none was started."""
        self.used: Used | None = None
        """What its programs have taken; None: none has come to its end."""
        self.http: HttpAccess = _Http(means.http, profile, sender)
        self.mail: MailAccess = _Mail(means.mail, profile, sender)
        self.sql: SqlAccess = _Sql(means.sql, profile, sender)

    async def prepare(self, program: bytes = b"") -> None:
        """Have a sandbox ready for it, so that a call's time is the program's own. Raises Unavailable where none is."""
        if self._means.make_ready is not None and self.profile.runtime != "inside":
            await self._means.make_ready(self.profile, program)

    async def run(self, program: bytes, *, stdin: bytes = b"") -> Outcome:
        """Run a program under the profile, handing it the secrets that are in it, and a door to its hosts.

        Raises Unavailable where no sandbox holds it, and as `reveal` does.
        """
        if self._means.run is None:
            raise Unavailable("tool.no_sandbox", f"tool {self.profile.tool!r} runs a program, and nothing runs any")
        secrets = {name: await self.reveal(name) for name in self.profile.secrets}
        outcome = await self._means.run(
            self.profile,
            program,
            stdin=stdin,
            secrets=secrets,
            egress=answering(self.http) if self.profile.network == "egress_door" else None,
        )
        self.driver = outcome.driver
        self.used = (self.used or Used()).plus(outcome)
        return outcome

    async def reveal(self, secret: str, *, host: str = "") -> str:
        """The value of a secret that the profile names. Raises Refused for another, and as the store does."""
        if secret not in self.profile.secrets:
            raise Refused(
                "tool.secret_not_granted",
                f"tool {self.profile.tool!r} is not granted the secret {secret!r}; it is granted "
                f"{', '.join(self.profile.secrets) or 'none'}. Add secrets.use:{secret} to the permissions of the tool",
            )
        if self._means.reveal is None:
            raise Unavailable(
                "secret.no_store", f"tool {self.profile.tool!r} needs secrets, and nothing gives any here"
            )
        return await self._means.reveal(self.sender.tenant, Reference(secret), host)


class _Http:
    """HTTP to the hosts of a profile, on behalf of the call's sender. Implements HttpAccess."""

    def __init__(self, http: HttpAccess | None, profile: ExecProfile, sender: Sender) -> None:
        self._http = http
        self._profile = profile
        self._sender = sender

    async def send(self, request: HttpRequest, *, sender: Sender = APPLIANCE) -> HttpReply:
        """Send one request; the sender is the call's, whatever a tool says. Raises Refused for another host."""
        _check_host(self._profile, host_of(request.url), "http")
        if self._http is None:
            raise Unavailable("tool.no_http", f"tool {self._profile.tool!r} sends over HTTP, and nothing sends here")
        return await self._http.send(request, sender=self._sender)


class _Mail:
    """Mail by the servers of a profile, on behalf of the call's sender. Implements MailAccess."""

    def __init__(self, mail: MailAccess | None, profile: ExecProfile, sender: Sender) -> None:
        self._mail = mail
        self._profile = profile
        self._sender = sender

    async def send(self, mail: Mail, *, sender: Sender = APPLIANCE) -> MailReply:
        """Hand one mail in; the sender is the call's, whatever a tool says. Raises Refused for another server."""
        _check_host(self._profile, place_of(mail.server.host, mail.server.port), "smtp")
        if self._mail is None:
            raise Unavailable("tool.no_mail", f"tool {self._profile.tool!r} sends mail, and nothing sends any here")
        return await self._mail.send(mail, sender=self._sender)


class _Sql:
    """The databases of a profile, on behalf of the call's sender. Implements SqlAccess."""

    def __init__(self, sql: SqlAccess | None, profile: ExecProfile, sender: Sender) -> None:
        self._sql = sql
        self._profile = profile
        self._sender = sender

    async def send(self, query: SqlQuery, *, sender: Sender = APPLIANCE) -> SqlReply:
        """Ask one statement; the sender is the call's, whatever a tool says. Raises Refused for another server."""
        _check_host(self._profile, place_of(query.server.host, query.server.port), "sql")
        if self._sql is None:
            raise Unavailable("tool.no_sql", f"tool {self._profile.tool!r} asks a database, and nothing asks any here")
        return await self._sql.send(query, sender=self._sender)


def _check_host(profile: ExecProfile, host: str, way: str) -> None:
    if host in profile.egress_allow:
        return
    raise Refused(
        "tool.host_not_granted",
        f"tool {profile.tool!r} may not send to {host or 'what is no address'!r}; it may send to "
        f"{', '.join(profile.egress_allow) or 'no host'}. Add network.{way}:{host} to its permissions, and the host to "
        "network_allow of tool_security, with network_policy: custom",
    )


def place_of(host: str, port: int) -> str:
    """`host:port` in lower case; IPv6 addresses in brackets."""
    return f"[{host.lower()}]:{port}" if ":" in host else f"{host.lower()}:{port}"


def host_of(url: str) -> str:
    """The `host:port` of an HTTP address, in lower case; empty where it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return ""
    if not parts.hostname or port is None:
        return ""
    return place_of(parts.hostname, port)
