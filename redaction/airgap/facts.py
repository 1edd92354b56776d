"""What the kernel says of this process's way out, read without sending anything.

These are the passive checks of `af doctor --egress`: only where they hold may anything be tried.
"""

import os
import stat
from pathlib import Path

import msgspec

from runtime.sandbox import kernel

LOOPBACK = "lo"


class Facts(msgspec.Struct, frozen=True):
    """One look at a process."""

    network: str
    """Its network namespace, as `net:[4026531840]`; empty when it may not be read."""
    interfaces: tuple[str, ...]
    routes: tuple[str, ...]
    """Routes that lead to another interface than loopback, as `interface destination`."""
    seccomp_mode: int
    """2: filtered."""
    has_no_new_privileges: bool
    capabilities: int
    """Effective ones, as a bit set."""

    @property
    def is_isolated(self) -> bool:
        """Whether there is no interface but loopback, and no route to elsewhere."""
        return set(self.interfaces) <= {LOOPBACK} and not self.routes


def facts_of(process: int | str = "self") -> Facts:
    """The facts of a process, by default of this one. Raises OSError where they cannot be read."""
    folder = Path("/proc") / str(process)
    status = dict(
        line.split(":", 1) for line in (folder / "status").read_text(errors="replace").splitlines() if ":" in line
    )
    return Facts(
        network=_link(folder / "ns/net"),
        interfaces=_interfaces((folder / "net/dev").read_text()),
        routes=(*_routes(_text(folder / "net/route")), *_routes_6(_text(folder / "net/ipv6_route"))),
        seccomp_mode=int(status.get("Seccomp", "0")),
        has_no_new_privileges=status.get("NoNewPrivs", "0").strip() == "1",
        capabilities=int(status.get("CapEff", "0"), 16),
    )


def foreign_sockets() -> tuple[int, ...]:
    """Open file descriptors that are internet sockets of another network namespace than this process's.

    Such a socket leads out of the namespace whatever the process itself may open. Raises OSError before Linux 5.14.
    """
    own = kernel.own_network()
    found = []
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            is_inet = kernel.family_of(descriptor) in (kernel.AF_INET, kernel.AF_INET6)
            is_foreign = is_inet and kernel.network_of(descriptor) != own
        except OSError:  # the descriptor of the listing itself, closed by now
            continue
        if is_foreign:
            found.append(descriptor)
    return tuple(found)


def thread_count() -> int:
    """Threads of this process."""
    return len(os.listdir("/proc/self/task"))


def _interfaces(table: str) -> tuple[str, ...]:
    return tuple(sorted(line.partition(":")[0].strip() for line in table.splitlines()[2:] if ":" in line))


def _routes(table: str) -> list[str]:
    rows = [line.split() for line in table.splitlines()[1:]]
    return [f"{row[0]} {row[1]}" for row in rows if len(row) > 1 and row[0] != LOOPBACK]


def _routes_6(table: str) -> list[str]:
    rows = [line.split() for line in table.splitlines()]
    return [f"{row[-1]} {row[0]}" for row in rows if len(row) > 1 and row[-1] != LOOPBACK]


def _text(path: Path) -> str:
    """Empty where the kernel has no such protocol."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
