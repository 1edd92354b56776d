"""seccomp: which kinds of sockets a process may make, and the system calls that it may not use.

A short deny list as a classic BPF program: everything that is not named goes through. See seccomp(2). Other
architectures' calls end the process, since their numbers mean something else.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from runtime.sandbox import kernel

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
    "process_vm_readv": (310, 270),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    # other namespaces and file systems
    "unshare": (272, 97),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    # memory that no limit counts, or that outlives its program
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "userfaultfd": (323, 282),
    # the machine's own state
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "delete_module": (176, 106),
    "personality": (135, 92),
    "fanotify_init": (300, 262),
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
    # what reaches other processes of the same user
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "prlimit64": (302, 261),
    "setpriority": (141, 140),
    "getpriority": (140, 141),
    "ioprio_set": (251, 30),
    "ioprio_get": (252, 31),
    "sched_setaffinity": (203, 122),
    "sched_getaffinity": (204, 123),
    "sched_setparam": (142, 118),
    "sched_getparam": (143, 121),
    "sched_setscheduler": (144, 119),
    "sched_getscheduler": (145, 120),
    "sched_setattr": (314, 274),
    "sched_getattr": (315, 275),
    "getpgid": (121, 155),
    "getsid": (124, 156),
    "setpgid": (109, 154),
    "get_robust_list": (274, 100),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "prctl": (157, 167),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
    "setsockopt": (54, 208),
    # changes of files that need no open file
    "truncate": (76, 45),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
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
BEYOND_A_PROGRAM: Final = (
    "process_vm_readv", "process_madvise", "kcmp", "unshare", "mount", "umount2", "pivot_root", "chroot", "open_tree",
    "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "name_to_handle_at", "memfd_create",
    "memfd_secret", "shmget", "msgget", "semget", "mq_open", "userfaultfd", "syslog", "acct", "quotactl", "swapon",
    "swapoff", "reboot", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "sethostname", "setdomainname",
    "delete_module", "personality", "fanotify_init", "inotify_init", "inotify_init1",
)  # fmt: skip
"""Refused as well in a program of a sandbox, which needs none of them. Libraries are files of the host, and who watches
them learns what it starts."""
OTHER_PROCESSES: Final = (
    "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open", "pidfd_send_signal", "setpriority", "getpriority",
    "ioprio_set", "ioprio_get", "get_robust_list", "migrate_pages", "move_pages",
)  # fmt: skip
"""Refused as well where a program sees the processes of its host; `of_itself` goes with it."""
FILE_ATTRIBUTES: Final = (
    "truncate", "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes",
    "futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr",
)  # fmt: skip
"""Refused as well where a program sees the files of its host: Landlock knows of none of them, or of late only."""


class Rule(NamedTuple):
    """A call that is decided on by the low half of one argument. The first rule on a call decides."""

    call: str
    argument: int
    """Counted from 0."""
    values: tuple[int, ...]
    allows: bool
    """Whether `values` are all that may be, or all that may not."""


_SEND_BUFFERS, _WATCHES = (7, 32), (1024, 1026)
SENDING: Final = Rule("setsockopt", 2, _SEND_BUFFERS, allows=False)
"""No socket pair that holds more than the usual (SO_SNDBUF): no limit of a process counts what waits in it."""
BUFFERS_AND_WATCHES: Final = (SENDING, Rule("fcntl", 1, _WATCHES, allows=False))
"""Nor leases on files, nor word of what is done in folders (F_SETLEASE, F_NOTIFY)."""
TERMINAL_AND_OWNER: Final = (
    SENDING,
    Rule("ioctl", 1, (0x5412, 0x541C, 0x8901, 0x8902), allows=False),
    Rule("fcntl", 1, (8, 10, 15, *_WATCHES), allows=False),
    Rule("prctl", 0, (1, 4), allows=False),
)
"""All of that; no typing into a terminal (TIOCSTI, TIOCLINUX), no signals by a file's owner,
no outliving the parent."""


def of_itself(pid: int) -> tuple[Rule, ...]:
    """Rules by which a process can signal and ask about nobody but itself."""
    asking = (
        "prlimit64", "sched_setaffinity", "sched_getaffinity", "sched_setparam", "sched_getparam",
        "sched_setscheduler", "sched_getscheduler", "sched_setattr", "sched_getattr", "getpgid", "getsid", "setpgid",
    )  # fmt: skip
    return (
        *(Rule(name, 0, (pid, 0), allows=True) for name in asking),
        Rule("kill", 0, (pid,), allows=True),
        Rule("tgkill", 0, (pid,), allows=True),
    )


_LOAD_WORD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; the low half of the argument
_ALLOW, _KILL_PROCESS = 0x7FFF_0000, 0x8000_0000
_CLONE_NEW_NAMESPACE, _CLONE_THREAD = 0x7E02_0000, 0x0001_0000
_EPERM, _ENOSYS = 0x0005_0001, 0x0005_0026


def refuse(calls: Iterable[str], *, families: Sequence[int]) -> None:
    """From here on `calls` fail with EPERM in this thread and all it starts, as do sockets of other `families`.

    `forbid_new_privileges` must come first. Raises OSError where the kernel or this program knows no filter for it.
    """
    kernel.install_filter(program(calls, families=families))


def program(
    calls: Iterable[str],
    *,
    families: Sequence[int],
    allows_processes: bool | None = None,
    rules: Iterable[Rule] = (),
) -> bytes:
    """The filter as the kernel reads it. Raises OSError on an architecture that is not in the table.

    `allows_processes`: None leaves new processes alone; otherwise none may be in a namespace of its own, and with
    False there may be new threads only.
    """
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
            *(() if allows_processes is None else _process_rules(numbers, allows_processes=allows_processes)),
            *(part for rule in rules for part in _by_argument(numbers[rule.call], rule)),
            *_by_argument(numbers["socket"], Rule("socket", 0, tuple(families), allows=True)),
            *_by_argument(numbers["socketpair"], Rule("socketpair", 0, (kernel.AF_UNIX,), allows=True)),
            _instruction(_RETURN, _ALLOW),
        ]
    )


def _x32() -> tuple[bytes, bytes]:
    return _instruction(_IF_AT_LEAST, _X32_BIT, 0, 1), _instruction(_RETURN, _ENOSYS)


def _refusal(number: int | None) -> tuple[bytes, ...]:
    if number is None:
        return ()
    return _instruction(_IF_EQUAL, number, 0, 1), _instruction(_RETURN, _EPERM)


def _process_rules(numbers: dict[str, int | None], *, allows_processes: bool) -> list[bytes]:
    """Rules on clone() by its flags; clone3() is said not to exist, since its flags cannot be read here."""
    clone, clone3 = numbers["clone"], numbers["clone3"]
    assert clone is not None, "every architecture has it"
    assert clone3 is not None, "every architecture has it"
    body = [
        _instruction(_LOAD_WORD, _FIRST_ARGUMENT),
        _instruction(_IF_ANY_BIT, _CLONE_NEW_NAMESPACE, 0, 1),
        _instruction(_RETURN, _EPERM),
        *(() if allows_processes else _only_threads()),
        _instruction(_RETURN, _ALLOW),
    ]
    forks = () if allows_processes else (*_refusal(numbers["fork"]), *_refusal(numbers["vfork"]))
    return [
        _instruction(_IF_EQUAL, clone3, 0, 1),
        _instruction(_RETURN, _ENOSYS),
        *forks,
        _instruction(_IF_EQUAL, clone, 0, len(body)),
        *body,
    ]


def _only_threads() -> tuple[bytes, bytes]:
    return _instruction(_IF_ANY_BIT, _CLONE_THREAD, 1, 0), _instruction(_RETURN, _EPERM)


def _by_argument(number: int | None, rule: Rule) -> tuple[bytes, ...]:
    """Decide on a call by an argument; any other call goes past, with its number still loaded."""
    if number is None:
        return ()
    named, other = (_ALLOW, _EPERM) if rule.allows else (_EPERM, _ALLOW)
    checks = [
        _instruction(_IF_EQUAL, value, len(rule.values) - place, 0)  # to the last instruction
        for place, value in enumerate(rule.values)
    ]
    body = [
        _instruction(_LOAD_WORD, _FIRST_ARGUMENT + 8 * rule.argument),
        *checks,
        _instruction(_RETURN, other),
        _instruction(_RETURN, named),
    ]
    return _instruction(_IF_EQUAL, number, 0, len(body)), *body


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
