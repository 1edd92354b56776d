"""Who a request comes from, and whether its Host header may be trusted. Pure functions over header values."""

import ipaddress
from collections.abc import Callable, Sequence

import msgspec

from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.errors import Refused
from runtime.policies.human import Person

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Caller(msgspec.Struct, frozen=True):
    """On whose behalf a request is served."""

    actor: str
    """Kept in the journal: the API key's name, or `local` for the UNIX socket."""
    tenant: TenantId = DEFAULT_TENANT
    role: str = ""
    """What budgets of a role go by; empty: none."""


LOCAL_CALLER = Caller("local")
"""Whoever may open the UNIX socket: its mode is 0600, so that is the appliance's own user (and root). Ask with `is`: an
API key may be called `local` too."""


def person_of(caller: Caller, name: str = "", role: str = "") -> Person:
    """Who answers a task: whoever the key is of, or over the UNIX socket whoever is named there.

    Raises Refused where the holder of a key names somebody else.
    """
    if caller is LOCAL_CALLER:
        return Person(name or caller.actor, role)
    if (name or caller.actor, role or caller.role) != (caller.actor, caller.role):
        raise Refused(
            "human.on_behalf",
            f"the API key {caller.actor!r} answers as itself, with the role that it has; leave 'actor' and 'role' out",
        )
    return Person(caller.actor, caller.role)


def caller_of(authorization: Sequence[bytes], caller: Callable[[str], Caller | None]) -> Caller | None:
    """The caller behind the `Authorization: Bearer` headers of a request; None unless there is exactly one good one."""
    if len(authorization) != 1:
        return None
    scheme, _, key = authorization[0].decode("latin-1").partition(" ")
    return caller(key.strip()) if scheme.lower() == "bearer" else None


def allows_host(header: str, names: frozenset[str], *, any_address: bool) -> bool:
    """Whether a Host header names this appliance, whatever its port.

    A page of another site can make a browser resolve that site's name to this machine (DNS rebinding), but the
    browser then still sends the site's name. `any_address` also takes every literal address, for a server that
    listens on all of them: a literal needs no resolving.
    """
    name = _name_of(header)
    return name in names or (any_address and _is_address(name))


def host_names(listen_host: str, extra: Sequence[str] = ()) -> frozenset[str]:
    """The names by which a server listening on `listen_host` may be called."""
    return frozenset({listen_host.lower(), *(name.lower() for name in extra)}) | LOOPBACK_NAMES


def _name_of(header: str) -> str:
    host = header.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
