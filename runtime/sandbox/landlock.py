"""Landlock: no TCP connection and no TCP listener but to named ports, no abstract UNIX socket and no signal outside;
for a program of a sandbox also no file but the given ones.

It sees sockets that were inherited, too, which a network namespace does not; it does not see UDP. A process in a
Landlock domain can also trace no process outside it. See landlock(7); the versions of its interface are in there.
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable
from typing import Final

from runtime.sandbox import kernel

TCP_VERSION: Final = 4
"""The first version that knows of TCP ports (Linux 6.7)."""
SCOPE_VERSION: Final = 6
"""The first version that keeps signals and abstract sockets inside (Linux 6.12)."""

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same numbers on every architecture
_VERSION_QUERY = 1
_RULE_NET_PORT = 2
_BIND_TCP, _CONNECT_TCP = 1, 2
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_SCOPES = 3
_RULE_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL_DEV = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
_READ = _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_FILE_RIGHTS = (0x1FFF, 0x3FFF, 0x7FFF, 0x7FFF, 0xFFFF)
"""By version: 2 brought moves between folders, 3 truncation, 5 commands to devices."""


def version() -> int:
    """The version of Landlock that the kernel has; 0 where it has none, or keeps it switched off."""
    try:
        return kernel.syscall(_CREATE, None, 0, _VERSION_QUERY)
    except OSError:
        return 0


def restrict(*, ports: Iterable[int] = ()) -> int:
    """Put this thread and all it starts into a domain; return the version. TCP is for `ports` alone, on either end.

    `forbid_new_privileges` must come first. Without file rules (version 4 on) mounts stay possible for sandboxes
    that are started inside. Raises OSError where the kernel has no Landlock.
    """
    found = version()
    if found == 0:
        raise OSError(errno.ENOSYS, "the kernel has no Landlock, or it is switched off")
    knows_tcp = found >= TCP_VERSION
    files = 0 if knows_tcp else _MAKE_CHAR | _MAKE_BLOCK  # a domain has to handle something: then it is device files
    scopes = _SCOPES if found >= SCOPE_VERSION else 0
    attributes = struct.pack("=QQQ", files, _BIND_TCP | _CONNECT_TCP if knows_tcp else 0, scopes)
    size = 24 if found >= SCOPE_VERSION else 16 if knows_tcp else 8
    ruleset = kernel.syscall(_CREATE, ctypes.c_char_p(attributes), size, 0)
    try:
        for port in ports if knows_tcp else ():
            rule = struct.pack("=QQ", _BIND_TCP | _CONNECT_TCP, port)
            kernel.syscall(_ADD_RULE, ruleset, _RULE_NET_PORT, ctypes.c_char_p(rule), 0)
        kernel.syscall(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return found


def confine(*, reads: Iterable[str], writes: Iterable[str]) -> int:
    """As `restrict` without any port, and no file but those below `reads` and `writes`; return the version.

    What is not there is left out. A file that is open already stays open. Nothing may be executed, and devices take
    no commands where the version knows of them.
    """
    found = version()
    if found == 0:
        raise OSError(errno.ENOSYS, "the kernel has no Landlock, or it is switched off")
    handled = _FILE_RIGHTS[min(found, len(_FILE_RIGHTS)) - 1]
    knows_tcp = found >= TCP_VERSION
    scopes = _SCOPES if found >= SCOPE_VERSION else 0
    attributes = struct.pack("=QQQ", handled, _BIND_TCP | _CONNECT_TCP if knows_tcp else 0, scopes)
    size = 24 if found >= SCOPE_VERSION else 16 if knows_tcp else 8
    ruleset = kernel.syscall(_CREATE, ctypes.c_char_p(attributes), size, 0)
    try:
        for path in reads:
            _allow(ruleset, path, handled & _READ)
        for path in writes:
            _allow(ruleset, path, handled & ~(_EXECUTE | _MAKE_CHAR | _MAKE_BLOCK))
        kernel.syscall(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return found


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not there, or not for this user: then there is nothing to allow
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        kernel.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.c_char_p(struct.pack("=Qi", rights, place)), 0)
    finally:
        os.close(place)
