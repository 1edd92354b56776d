"""Putting up the walls, in the one order that works; each is tried, and reported as it was found.

Namespaces first, because later walls take the rights that make them; then UNIX sockets are covered, rights dropped,
Landlock and seccomp put on; the audit hook comes last. All of it must happen before a second thread exists.
"""

import os
from collections.abc import Container, Iterable, Sequence
from pathlib import Path

from redaction.airgap import facts, hook, namespace, unix_doors
from redaction.airgap.layers import AirGap, Layer
from runtime.errors import Unavailable
from runtime.sandbox import kernel, landlock, seccomp


def seal(
    *,
    ports: Sequence[int] = (),
    kept: Iterable[Path] = (),
    ledger: hook.Ledger | None = None,
    known: Container[int] = (),
    is_watched: bool = True,
) -> AirGap:
    """Put this process and all it starts behind every wall that the kernel allows; there is no way back.

    `ports` are the TCP ports of loopback that may be used inside, `kept` UNIX sockets that must stay reachable, `known`
    descriptors of sockets from outside that are open on purpose. Without `is_watched` the audit hook is left out, so
    that what lies under it can be tried.
    Raises Unavailable while other threads exist: they would stay outside.
    """
    threads = facts.thread_count()
    if threads > 1:
        raise Unavailable(
            "airgap.threads",
            f"the air gap must be entered before other threads exist, and there are {threads}; this is a bug",
            retryable=False,
        )
    network, has_own_mounts = _network(known)
    sockets = _cover_doors(kept, may_mount=has_own_mounts)
    namespace.give_up_rights()
    domain = _landlock(ports)
    calls = _seccomp(has_own_network=network.state != "missing", has_domain=domain.state != "missing")
    walls = AirGap((network, sockets, domain, calls))
    if not is_watched:
        return walls
    hook.watch(ledger)
    return walls.with_layer(Layer("audit_hook", "holds", "refuses with a reason, and keeps the ledger"))


def _network(known: Container[int]) -> tuple[Layer, bool]:
    """The wall, and whether this process has mounts of its own behind it."""
    try:
        entered = namespace.enter_namespaces()
    except OSError as error:
        return Layer("network", "missing", f"{error.strerror or error}"), False
    return _network_behind(entered.how, known), entered.has_own_mounts


def _network_behind(how: str, known: Container[int]) -> Layer:
    try:
        foreign = [number for number in facts.foreign_sockets() if number not in known]
    except OSError:
        return Layer("network", "partial", f"{how}; this kernel cannot tell whether a socket of outside is open here")
    if foreign:
        numbers = ", ".join(map(str, foreign))
        return Layer("network", "partial", f"{how}; but descriptor {numbers} is a socket of the network outside")
    return Layer("network", "holds", how)


def _cover_doors(kept: Iterable[Path], *, may_mount: bool) -> Layer:
    doors = unix_doors.open_doors(os.environ)
    if may_mount:  # else the machine would lose them, with everybody on it
        unix_doors.cover(doors, kept=kept)
    left = unix_doors.open_doors(os.environ)
    if left:
        return Layer("unix_sockets", "partial", f"still open: {', '.join(map(str, left))}")
    return Layer("unix_sockets", "holds", f"covered: {', '.join(map(str, doors))}" if doors else "none leads out")


def _landlock(ports: Sequence[int]) -> Layer:
    try:
        version = landlock.restrict(ports=ports)
    except OSError as error:
        return Layer("landlock", "missing", error.strerror or str(error))
    if version < landlock.TCP_VERSION:
        return Layer("landlock", "partial", f"version {version} knows nothing of TCP; Linux 6.7 brings that")
    allowed = f"TCP only to port {', '.join(map(str, ports))}" if ports else "no TCP"
    scope = "" if version >= landlock.SCOPE_VERSION else "; signals and abstract sockets are not kept in"
    return Layer("landlock", "holds", f"version {version}, {allowed}{scope}")


def _seccomp(*, has_own_network: bool, has_domain: bool) -> Layer:
    families = (kernel.AF_UNIX, kernel.AF_INET, kernel.AF_INET6) if has_own_network else (kernel.AF_UNIX,)
    calls = seccomp.WAYS_AROUND if has_domain else (*seccomp.WAYS_AROUND, *seccomp.TRACING)
    try:
        seccomp.refuse(calls, families=families)
    except OSError as error:
        return Layer("seccomp", "missing", error.strerror or str(error))
    what = "sockets of UNIX, IPv4 and IPv6" if has_own_network else "UNIX sockets only"
    return Layer("seccomp", "holds", f"{what}; no io_uring, no other namespaces, no keys")
