"""UNIX sockets that lead out although no network does: whoever answers there has a network of its own.

Name services look names up, D-Bus and service managers start programs, container engines start whole machines,
multiplexers of terminals type into shells. None is needed here, so each is covered over in our own mount namespace.
"""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from runtime.sandbox import kernel

# folders are covered whole, sockets alone; {uid} is the user's number
KNOWN = (
    "/run/nscd", "/run/systemd/resolve", "/run/systemd/private", "/run/systemd/io.systemd.Manager",
    "/run/systemd/io.systemd.Machine", "/run/systemd/userdb", "/run/dbus", "/run/avahi-daemon", "/run/gssproxy.sock",
    "/var/lib/sss/pipes", "/run/docker.sock", "/run/docker", "/run/containerd", "/run/podman", "/run/crio",
    "/run/libvirt", "/run/lxd", "/var/snap/lxd/common/lxd", "/run/incus", "/run/snapd.socket", "/run/snapd-snap.socket",
    "/run/cups", "/run/screen", "/tmp/tmux-{uid}", "/tmp/.X11-unix",
    "/run/user/{uid}/bus", "/run/user/{uid}/systemd/private", "/run/user/{uid}/systemd/io.systemd.Manager",
    "/run/user/{uid}/docker.sock", "/run/user/{uid}/podman", "/run/user/{uid}/containerd-rootless",
    "/run/user/{uid}/gnupg", "/run/user/{uid}/keyring", "/run/user/{uid}/wayland-0", "/run/user/{uid}/pulse",
)  # fmt: skip
IN_ENVIRONMENT = ("SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST", "CONTAINER_HOST")

_COVER = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC


def open_doors(environment: Mapping[str, str]) -> list[Path]:
    """The known doors that this process can open now: sockets it may write to, or folders with such sockets."""
    named = [Path(each.format(uid=os.getuid())) for each in KNOWN]
    return [path for path in dict.fromkeys([*named, *_in_environment(environment)]) if _leads_out(path)]


def cover(doors: Iterable[Path], *, kept: Iterable[Path] = ()) -> None:
    """Put emptiness over each door, in a mount namespace of our own; never over a path that leads to one of `kept`.

    A door that cannot be covered stays open: ask `open_doors` again.
    """
    needed = [path.resolve() for path in kept]
    for door in doors:
        place = door.resolve()
        if any(path.is_relative_to(place) for path in needed):
            continue
        try:
            if place.is_dir():
                kernel.mount("none", str(place), "tmpfs", _COVER, "size=4k,mode=555")
            else:
                kernel.mount("/dev/null", str(place), None, kernel.MS_BIND)
        except OSError:
            continue


def _in_environment(environment: Mapping[str, str]) -> list[Path]:
    """Socket paths out of `unix:path=/run/…,guid=…`, `unix:///run/…` and plain paths."""
    found = []
    for name in IN_ENVIRONMENT:
        for address in environment.get(name, "").split(";"):
            path = address.removeprefix("unix:").removeprefix("path=").partition(",")[0]
            if path.startswith("/"):
                found.append(Path("/" + path.lstrip("/")))
    return found


def _leads_out(path: Path) -> bool:
    try:
        kind = path.stat().st_mode
        if stat.S_ISSOCK(kind):
            return os.access(path, os.W_OK)
        return stat.S_ISDIR(kind) and any(
            each.is_socket() and os.access(each, os.W_OK) for each in path.rglob("*") if not each.is_symlink()
        )
    except OSError:  # not there, or not for this user
        return False
