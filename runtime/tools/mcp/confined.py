"""The program that a server of tools is started by: it gives up what the server was not given, and becomes it.

Started as a script by its path, in Python's isolated mode; imports nothing of ours. One argument: JSON with `argv`,
`reads`, `writes` (folders and files), `scratch` (the only folder of its own), `filter` (a seccomp program, in hex).
What it gives up stays given up, for the server and all that it starts: files that are not named, every kind of
network socket, signals and sockets of other programs, rights through set-uid programs, memory and files without end.
"""

import ctypes
import json
import os
import resource
import struct
import sys

CREATE, ADD_RULE, RESTRICT = 444, 445, 446  # the same numbers on every architecture
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
TRUNCATE, IOCTL = 1 << 14, 1 << 15
READS = EXECUTE | READ_FILE | READ_DIR
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL
RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
NETWORK_VERSION, SCOPE_VERSION = 4, 6
SYSTEM = (
    *("/usr", "/lib", "/lib64", "/bin"),
    *("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", "/etc/ssl/openssl.cnf", "/etc/ssl/certs"),
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
LIMITS = {
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_NOFILE: 512,
    resource.RLIMIT_FSIZE: 2**30,
    resource.RLIMIT_DATA: 4 * 2**30,
}
"""No limit on addresses: JavaScript's engine reserves far more of them than it uses."""

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Confine, then become the program. What fails is said on stderr, which the host shows."""
    order = json.loads(sys.argv[1])
    os.chdir(order["scratch"])
    os.umask(0o077)
    for limit, most in LIMITS.items():
        _, hard = resource.getrlimit(limit)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (bound, bound))
    prctl(1, ctypes.c_ulong(9))  # PR_SET_PDEATHSIG: it does not outlive the appliance
    prctl(38, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))  # PR_SET_NO_NEW_PRIVS
    restrict_files([*SYSTEM, *order["reads"]], [order["scratch"], *order["writes"]])
    install(bytes.fromhex(order["filter"]))
    try:
        os.execvp(order["argv"][0], order["argv"])
    except OSError as error:
        sys.exit(f"cannot start {order['argv'][0]!r}: {error.strerror}; name a program that exists, with its path")


def restrict_files(reads: list[str], writes: list[str]) -> None:
    """Landlock: only these, and no TCP, no signal and no abstract socket beyond this domain."""
    found = libc.syscall(CREATE, None, 0, 1)
    if found < 1:
        sys.exit("the kernel has no Landlock, without which servers of tools are not started")
    handled = RIGHTS.get(found, (1 << 16) - 1)
    network = 3 if found >= NETWORK_VERSION else 0
    scopes = 3 if found >= SCOPE_VERSION else 0
    size = 24 if scopes else 16 if network else 8
    ruleset = checked(libc.syscall(CREATE, ctypes.c_char_p(struct.pack("=QQQ", handled, network, scopes)), size, 0))
    for paths, rights in ((reads, READS), (writes, handled & ~IOCTL), (DEVICES, READ_FILE | WRITE_FILE)):
        for path in paths:
            allow(ruleset, path, rights & handled)
    checked(libc.syscall(RESTRICT, ruleset, 0))
    os.close(ruleset)


def allow(ruleset: int, path: str, rights: int) -> None:
    """One rule; what does not exist needs none."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):
        rights &= ON_FILES
    checked(libc.syscall(ADD_RULE, ruleset, 1, ctypes.c_char_p(struct.pack("=Qi", rights, place)), 0))
    os.close(place)


def install(program: bytes) -> None:
    """Seccomp: no sockets of any network."""

    class Filter(ctypes.Structure):
        """struct sock_fprog."""

        _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))

    held = Filter(len(program) // 8, program)
    prctl(22, ctypes.c_ulong(2), ctypes.byref(held))  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def prctl(*arguments: object) -> None:
    """prctl(2)."""
    checked(libc.prctl(*arguments))


def checked(result: int) -> int:
    """The result of a call of the kernel's; says what failed and ends where it did."""
    if result < 0:
        sys.exit(f"cannot be confined: {os.strerror(ctypes.get_errno())}")
    return result


if __name__ == "__main__":
    main()
