"""The system calls of the air gap that Python 3.11 has no function for, through ctypes. Raises OSError as `os` does.

Everything here changes the calling process for good; nothing here can be undone.
"""

import ctypes
import fcntl
import os
import struct
from typing import Final

CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWUTS: Final = 0x0400_0000
CLONE_NEWIPC: Final = 0x0800_0000
CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWNET: Final = 0x4000_0000

MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_BIND: Final = 0x1000
MS_REC: Final = 0x4000
MS_SLAVE: Final = 0x8_0000

AF_UNIX: Final = 1
AF_INET: Final = 2
AF_INET6: Final = 10

MACHINE: Final = os.uname().machine

_SOCK_DGRAM: Final = 2
_SOL_SOCKET: Final = 1
_SO_DOMAIN: Final = 39
_SO_NETNS_COOKIE: Final = 71
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 0x1
_IFREQ: Final = "16sh22x"

_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_CAPABILITY_VERSION: Final = 0x2008_0522
_LAST_CAPABILITY: Final = 63

_LIBC = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Leave namespaces for new ones. EINVAL for a new user namespace while a second thread exists."""
    _checked(_LIBC.unshare(flags))


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """mount(2)."""
    _checked(
        _LIBC.mount(
            source.encode(),
            os.fsencode(target),
            None if kind is None else kind.encode(),
            ctypes.c_ulong(flags),
            options.encode() or None,
        )
    )


def forbid_new_privileges() -> None:
    """No program that is started from here on gains rights by its file: set-uid bits and capabilities do nothing."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def keep_capabilities(kept: int) -> None:
    """Drop every capability but those in the bit set `kept`, also for programs that are started later."""
    for number in range(_LAST_CAPABILITY + 1):
        if not kept >> number & 1:
            try:
                prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
            except OSError:  # beyond the last one that this kernel knows, or not ours to drop: then it is not held
                break
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    held = effective_capabilities() & kept if kept else 0
    low, high = held & 0xFFFF_FFFF, held >> 32
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    sets = struct.pack("=6I", low, low, 0, high, high, 0)  # effective, permitted, inheritable; low words first
    _checked(_LIBC.capset(header, sets))


def effective_capabilities() -> int:
    """The capabilities that count now, as a bit set."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("CapEff:"):
                return int(line.split()[1], 16)
    return 0


def bring_loopback_up() -> None:
    """Switch `lo` on; a new network namespace has it switched off."""
    descriptor = _checked(_LIBC.socket(AF_INET, _SOCK_DGRAM, 0))
    try:
        _, flags = struct.unpack(_IFREQ, fcntl.ioctl(descriptor, _SIOCGIFFLAGS, struct.pack(_IFREQ, b"lo", 0)))
        fcntl.ioctl(descriptor, _SIOCSIFFLAGS, struct.pack(_IFREQ, b"lo", flags | _IFF_UP))
    finally:
        os.close(descriptor)


def opens_socket(family: int) -> bool:
    """Whether a datagram socket of a family can be made here; makes one, and sends nothing."""
    try:
        os.close(_checked(_LIBC.socket(family, _SOCK_DGRAM, 0)))
    except OSError:
        return False
    return True


def network_of(descriptor: int) -> int:
    """A number that is the same for sockets of the same network namespace; needs Linux 5.14."""
    return _socket_option(descriptor, _SO_NETNS_COOKIE, ctypes.c_uint64())


def family_of(descriptor: int) -> int:
    """The address family of a socket."""
    return _socket_option(descriptor, _SO_DOMAIN, ctypes.c_int())


def own_network() -> int:
    """What `network_of` says of the namespace that this process is in."""
    descriptor = _checked(_LIBC.socket(AF_UNIX, _SOCK_DGRAM, 0))
    try:
        return network_of(descriptor)
    finally:
        os.close(descriptor)


def syscall(number: int, *arguments: object) -> int:
    """A system call by its number. Integers are passed as 64 bits, so that none is cut off."""
    wide = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return _checked(_LIBC.syscall(ctypes.c_long(number), *wide))


def install_filter(program: bytes) -> None:
    """Put a seccomp filter (8 bytes an instruction) on this thread; threads and programs it starts inherit it."""
    instructions = ctypes.create_string_buffer(program, len(program))
    filter_program = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    prctl(22, 2, ctypes.c_char_p(filter_program), 0, 0)  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def prctl(option: int, *arguments: object) -> int:
    """prctl(2)."""
    wide = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    return _checked(_LIBC.prctl(option, *wide))


def _socket_option(descriptor: int, option: int, value: "ctypes.c_int | ctypes.c_uint64") -> int:
    size = ctypes.c_uint32(ctypes.sizeof(value))
    _checked(_LIBC.getsockopt(descriptor, _SOL_SOCKET, option, ctypes.byref(value), ctypes.byref(size)))
    return int(value.value)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
