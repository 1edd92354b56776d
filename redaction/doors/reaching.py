"""From a name to the addresses that may be connected to, and to a connection at one of them; for every door.

A name is resolved once and its addresses are checked; whoever connects goes to one of those, so that a second answer
of the name server changes nothing.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence

from redaction.addresses import check_addresses
from runtime.domain.egress import Destination
from runtime.domain.ids import TenantId
from runtime.domain.secret import Reference
from runtime.errors import Refused, Unavailable

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name and port."""
Reveal = Callable[[TenantId, Reference, str], Awaitable[str]]
"""The value of a tenant's secret for a host (`name:port`)."""
Trust = Callable[[], ssl.SSLContext]


def place_of(host: str, port: int) -> str:
    """`host:port` as policies and settings write it; IPv6 addresses in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_place(destination: Destination, place: str) -> None:
    """Raise Refused where leave was granted for another host (`name:port`) than the payload names."""
    if destination.host != place:
        raise Refused("egress.other_destination", f"leave was granted for {destination.host!r}, not for {place!r}")


async def addresses_of(host: str, port: int, resolve: Resolve, *, zone: str = "") -> Sequence[str]:
    """The checked addresses of a name. Raises Refused for one that is never reached, Unavailable without any."""
    place = place_of(host, port)
    addresses = await resolve(host, port)
    if not addresses:
        raise Unavailable("egress.unresolvable", f"{place} has no address")
    check_addresses(place, addresses, zone=zone)
    return addresses


async def connected(host: str, port: int, resolve: Resolve, *, zone: str = "", timeout_s: float) -> socket.socket:
    """A connection to the first checked address that takes one. Raises as `addresses_of`, and Unavailable."""
    place = place_of(host, port)
    loop = asyncio.get_running_loop()
    for address in await addresses_of(host, port, resolve, zone=zone):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        tried = socket.socket(family, socket.SOCK_STREAM)
        try:
            tried.setblocking(False)
            async with asyncio.timeout(timeout_s):
                await loop.sock_connect(tried, (address, port))
            return tried
        except OSError:  # a time-out is one too: the next address may answer
            tried.close()
        except BaseException:
            tried.close()
            raise
    raise Unavailable("egress.unreachable", f"no connection to {place}: it refuses, or is not there")


def system_trust() -> ssl.SSLContext:
    """The system's authorities, so that a site's own one counts."""
    return ssl.create_default_context()


async def system_resolve(name: str, port: int) -> Sequence[str]:
    """What the system's resolver says; empty: nothing."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        pass
    else:
        return [name]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        return ()
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
