"""seccomp: which kinds of sockets a process may make, and the system calls around the network that it may not use.

A short deny list as a classic BPF program: everything that is not named goes through. See seccomp(2). Other
architectures' calls end the process, since their numbers mean something else.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from redaction.airgap import kernel

# number on x86_64, number on aarch64; None where the architecture has no such call
_CALLS: Final[dict[str, tuple[int, int | None]]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    # its sockets are made by the kernel's own threads, past the filter on socket()
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # into other namespaces, and into other processes' sockets and memory
    "setns": (308, 268),
    "pidfd_getfd": (438, 438),
    "process_vm_writev": (311, 271),
    "open_by_handle_at": (304, 265),
    "ptrace": (101, 117),
    # the kernel starts a program outside to answer for a key: `dns_resolver` looks names up
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # code in the kernel
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    # new processes and programs
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, None),
    "vfork": (58, None),
    "clone": (56, 220),
    "clone3": (435, 435),
}
_ARCHITECTURES: Final = {"x86_64": (0, 0xC000_003E), "aarch64": (1, 0xC000_00B7)}
_X32_BIT: Final = 0x4000_0000

WAYS_AROUND: Final = (
    "io_uring_setup", "io_uring_enter", "io_uring_register", "setns", "pidfd_getfd", "process_vm_writev",
    "open_by_handle_at", "add_key", "request_key", "keyctl", "bpf", "perf_event_open", "kexec_load",
    "kexec_file_load", "init_module", "finit_module",
)  # fmt: skip
"""Refused in every program inside the gap."""
TRACING: Final = ("ptrace",)
"""Refused as well where no Landlock domain keeps tracing inside."""
NEW_PROCESSES: Final = ("execve", "execveat", "fork", "vfork", "clone", "clone3")
"""Refused as well where one process is all there may be."""

_LOAD_WORD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; the low half of the argument
_ALLOW, _KILL_PROCESS = 0x7FFF_0000, 0x8000_0000
_EPERM, _ENOSYS = 0x0005_0001, 0x0005_0026


def refuse(calls: Iterable[str], *, families: Sequence[int]) -> None:
    """From here on `calls` fail with EPERM in this thread and all it starts, as do sockets of other `families`.

    `forbid_new_privileges` must come first. Raises OSError where the kernel or this program knows no filter for it.
    """
    kernel.install_filter(program(calls, families=families))


def program(calls: Iterable[str], *, families: Sequence[int]) -> bytes:
    """The filter as the kernel reads it. Raises OSError on an architecture that is not in the table."""
    if kernel.MACHINE not in _ARCHITECTURES:
        raise OSError(f"no table of system calls for {kernel.MACHINE}")
    column, architecture = _ARCHITECTURES[kernel.MACHINE]
    numbers = {name: row[column] for name, row in _CALLS.items()}
    return b"".join(
        [
            _instruction(_LOAD_WORD, _ARCHITECTURE),
            _instruction(_IF_EQUAL, architecture, 1, 0),
            _instruction(_RETURN, _KILL_PROCESS),
            _instruction(_LOAD_WORD, _NUMBER),
            *(_x32() if column == 0 else ()),
            *(part for name in calls for part in _refusal(numbers[name])),
            *_socket_rule(numbers["socket"], families),
            *_socket_rule(numbers["socketpair"], [kernel.AF_UNIX]),
            _instruction(_RETURN, _ALLOW),
        ]
    )


def _x32() -> tuple[bytes, bytes]:
    return _instruction(_IF_AT_LEAST, _X32_BIT, 0, 1), _instruction(_RETURN, _ENOSYS)


def _refusal(number: int | None) -> tuple[bytes, ...]:
    if number is None:
        return ()
    return _instruction(_IF_EQUAL, number, 0, 1), _instruction(_RETURN, _EPERM)


def _socket_rule(number: int | None, families: Sequence[int]) -> tuple[bytes, ...]:
    """Decide on a call by its first argument; any other call goes past, with its number still loaded."""
    assert number is not None, "every architecture has sockets"
    checks = [
        _instruction(_IF_EQUAL, family, len(families) - place, 0)  # to the allowing end
        for place, family in enumerate(families)
    ]
    body = [
        _instruction(_LOAD_WORD, _FIRST_ARGUMENT),
        *checks,
        _instruction(_RETURN, _EPERM),
        _instruction(_RETURN, _ALLOW),
    ]
    return _instruction(_IF_EQUAL, number, 0, len(body)), *body


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
