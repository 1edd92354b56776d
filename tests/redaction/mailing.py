"""A mail server in this process, which takes what it is told to take and remembers it; and certificates for it."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "af", "correct-horse-battery"


class Post:
    """What came in, and how to behave."""

    def __init__(self) -> None:
        self.port = 0
        self.envelopes: list[Envelope] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.says: dict[str, str] = {}
        """Command (or `RCPT:address`) → what it is answered in place of being obeyed."""
        self.helo = ""

    async def handle_EHLO(  # the library's spelling
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.helo = hostname
        session.host_name = hostname
        return responses

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.says.get(f"RCPT:{address}", self.says.get("RCPT", "250 OK"))
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.says.get("DATA", "250 OK")
        if answer == "hang":
            await asyncio.sleep(60)
        if answer == "drop":
            assert server.transport is not None
            server.transport.close()
            return "250 OK"
        if answer.startswith("250"):
            self.envelopes.append(envelope)
        return answer

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, found: LoginPassword
    ) -> AuthResult:
        self.logins.append((found.login, found.password))
        is_right = (found.login, found.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=is_right, handled=False)


@asynccontextmanager
async def post_office(
    *, tls: ssl.SSLContext | None = None, is_tls_from_the_start: bool = False, wants_login: bool = False
) -> AsyncIterator[Post]:
    """A server on loopback. `tls`: offered by STARTTLS, and demanded; or spoken from the first byte."""
    post, loop = Post(), asyncio.get_running_loop()

    def protocol() -> SMTP:
        return SMTP(
            post,
            hostname="post.test",
            tls_context=None if is_tls_from_the_start else tls,
            require_starttls=tls is not None and not is_tls_from_the_start,
            authenticator=post.authenticate,
            auth_required=wants_login,
            auth_require_tls=not is_tls_from_the_start and tls is not None,
            loop=loop,
        )

    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls if is_tls_from_the_start else None)
    post.port = server.sockets[0].getsockname()[1]
    try:
        yield post
    finally:
        server.close()


def certificate(folder: Path, *, name: str = "127.0.0.1") -> tuple[ssl.SSLContext, Path]:
    """What a server shows, and the file of the authority that has signed it."""
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "post.test")])
    now = datetime.datetime.now(datetime.UTC)
    try:
        other: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        other = x509.DNSName(name)
    signed = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([other]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "server.pem", folder / "server.key"
    public.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    private.chmod(0o600)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public
