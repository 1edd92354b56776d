"""A forked child of the zygote on its way to being a program: everything taken away, then the program run.

In a root of its own where the kernel allows one, else among the host's files with Landlock alone between.
"""

import atexit
import ctypes
import fcntl
import json
import linecache
import os
import resource
import signal
import stat
import struct
import sys
import threading
import traceback
import types
from typing import Any, Final, NoReturn

from runtime.sandbox import kernel, landlock, seccomp

SECRETS: Final = 3
"""The descriptor that a program reads its secrets from: one JSON object, name → value."""
DOOR: Final = 4
"""The descriptor of its door, where it has one."""
SECRETS_VARIABLE: Final = "AGENTFLOW_SECRETS_FD"
"""The environment variable that says so; absent where there are none."""
_LIBRARIES: Final = ("/bin", "/sbin", "/lib", "/lib64", "/lib32")
_LOADER: Final = ("/etc/ld.so.cache", "/etc/alternatives")
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_CAP_SYS_ADMIN: Final = 1 << 21
_NAMESPACES: Final = kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
_NOBODY: Final = 65_534
_SET_DUMPABLE, _SET_PARENTS_DEATH, _SET_NAME = 4, 1, 15
_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41}
_SET_HOST_NAME: Final = {"x86_64": 170, "aarch64": 161}
_UMOUNT: Final = {"x86_64": 166, "aarch64": 39}
_SET_MOUNT_ATTRIBUTES, _RECURSIVE, _READ_ONLY, _NO_SET_UID = 442, 0x8000, 0x1, 0x2
_TRIAL: Final[dict[str, Any]] = {
    "argv": [], "env": {}, "ro_paths": [], "scratch_bytes": 4_096, "memory_bytes": 2**30, "cpu_s": 5, "nofile": 64,
    "pids_max": 8,
}  # fmt: skip


def become(given: "list[int]", parent: int, *, has_root: bool) -> NoReturn:
    """Be the program: confined for good, then running it. Never returns."""
    code = 125
    try:
        os.setsid()
        program, said = _content(given[3]), json.loads(_content(given[4]))
        for place in range(3):
            os.dup2(given[place], place)
        life = fcntl.fcntl(given[5], fcntl.F_DUPFD, 64)
        _hand_over(said, given[6:], life)
        os.closerange(life + 1, 65_536)
        try:
            _confine(said, parent, has_root=has_root)
        except BaseException as error:
            os.write(life, json.dumps({"failed": f"{type(error).__name__}: {error}"}).encode() + b"\n")
            os._exit(code)
        os.close(life)
        code = _run(program.decode("utf-8", "surrogateescape"), said)
    finally:
        os._exit(code)


def _hand_over(said: "dict[str, Any]", more: "list[int]", life: int) -> None:
    """Leave secrets and door where the program looks for them, and close what lies between those and `life`."""
    secrets = fcntl.fcntl(more[0], fcntl.F_DUPFD, 64) if said["has_secrets"] else -1
    door = fcntl.fcntl(more[-1], fcntl.F_DUPFD, 64) if said["has_door"] else -1
    os.closerange(SECRETS, life if life < 64 else 64)
    for descriptor, place in ((secrets, SECRETS), (door, DOOR)):
        if descriptor >= 0:
            os.dup2(descriptor, place)
            os.close(descriptor)
    os.closerange(DOOR + 1, life)


def _confine(said: "dict[str, Any]", parent: int, *, has_root: bool) -> None:
    """Take everything away that the program was not given; the order is the one in which each step is still allowed."""
    for group in said.get("groups", ()):
        with open(f"{group}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
    os.umask(0o022)
    held = kernel.effective_capabilities()
    if has_root and held & _CAP_SYS_ADMIN:
        _enter_private_root(said, as_user=False)
    if said.get("user"):
        os.setgroups([])
        os.setresgid(said["user"], said["user"], said["user"])
        os.setresuid(said["user"], said["user"], said["user"])
        kernel.prctl(_SET_DUMPABLE, 1)  # or the maps of a new user namespace would be root's
    if has_root and not held & _CAP_SYS_ADMIN:
        _enter_private_root(said, as_user=True)
    os.umask(0o077)
    kernel.prctl(_SET_NAME, b"af-program")
    _limit(said)
    kernel.keep_capabilities(0)
    kernel.forbid_new_privileges()
    kernel.prctl(_SET_PARENTS_DEATH, signal.SIGKILL)
    if os.getppid() != parent:
        raise OSError("the fork server is gone")
    os.environ.clear()
    os.environ.update(said["env"])
    os.chdir("/tmp" if has_root and said["scratch_bytes"] else "/")
    if has_root:
        landlock.confine(reads=["/"], writes=["/dev/null", *(["/tmp"] if said["scratch_bytes"] else [])])
    else:
        own = [*_LIBRARIES, *_LOADER, *_DEVICES, "/usr", sys.base_prefix]
        landlock.confine(reads=[*own, *said["ro_paths"]], writes=["/dev/null"])
    kernel.install_filter(_filter(sees_host_files=not has_root))


def _filter(*, sees_host_files: bool) -> bytes:
    return seccomp.program(
        (
            *seccomp.WAYS_AROUND,
            *seccomp.TRACING,
            *seccomp.BEYOND_A_PROGRAM,
            *seccomp.OTHER_PROCESSES,
            "execve",
            "execveat",
            *(seccomp.FILE_ATTRIBUTES if sees_host_files else ()),
        ),
        families=(),
        allows_processes=False,
        rules=(*seccomp.TERMINAL_AND_OWNER, *seccomp.of_itself(os.getpid())),
    )


def _limit(said: "dict[str, Any]") -> None:
    pids = said["pids_max"]
    if said.get("counts_user"):  # the limit is one of all tasks of the user, and others run under it
        pids += _tasks_of(os.getuid())
    for which, soft, hard in (
        (resource.RLIMIT_AS, said["memory_bytes"], said["memory_bytes"]),
        (resource.RLIMIT_CPU, said["cpu_s"], said["cpu_s"] + 1),
        (resource.RLIMIT_FSIZE, said["scratch_bytes"], said["scratch_bytes"]),
        (resource.RLIMIT_NPROC, pids, pids),
        (resource.RLIMIT_NOFILE, said["nofile"], said["nofile"]),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
        (resource.RLIMIT_SIGPENDING, 64, 64),
    ):
        most = resource.getrlimit(which)[1]
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(which, (soft, hard))


def _tasks_of(user: int) -> int:
    found = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat(f"/proc/{name}").st_uid == user:
                    found += len(os.listdir(f"/proc/{name}/task"))
            except OSError:  # it has ended meanwhile
                continue
    return found


def _enter_private_root(said: "dict[str, Any]", *, as_user: bool) -> None:
    """A root of its own in which nothing is but the libraries, a few devices, and the folders that were given."""
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(_NAMESPACES | (kernel.CLONE_NEWUSER if as_user else 0))
    if as_user:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{_NOBODY} {user} 1"),
            ("gid_map", f"{_NOBODY} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    kernel.syscall(_SET_HOST_NAME[kernel.MACHINE], b"sandbox", 7)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_SLAVE)
    prefix = () if sys.base_prefix.startswith("/usr") else (sys.base_prefix,)
    wanted = [*("/usr", *_LIBRARIES, *_LOADER, *_DEVICES, *prefix), *said["ro_paths"]]
    opened = [(path, os.open(path, os.O_PATH)) for path in wanted if os.path.exists(path) and not os.path.islink(path)]
    links = [(path, os.readlink(path)) for path in _LIBRARIES if os.path.islink(path)]
    base = "/tmp"
    kernel.mount("tmpfs", base, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=256k")
    scratch = f"{base}/tmp"
    if said["scratch_bytes"]:
        os.mkdir(scratch)
        options = f"mode=1777,size={said['scratch_bytes']},nr_inodes={_files(said['scratch_bytes'])}"
        kernel.mount("tmpfs", scratch, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
    for path, place in opened:
        _make_place(base + path, is_folder=stat.S_ISDIR(os.fstat(place).st_mode))
        kernel.mount(f"/proc/self/fd/{place}", base + path, None, kernel.MS_BIND | kernel.MS_REC)
        os.close(place)
    for path, target in links:
        os.symlink(target, base + path)
    _set_mount(base, _READ_ONLY | _NO_SET_UID, 0, how=_RECURSIVE)
    if said["scratch_bytes"]:
        _set_mount(scratch, 0, _READ_ONLY, how=0)
    os.chdir(base)
    kernel.syscall(_PIVOT_ROOT[kernel.MACHINE], b".", b".")
    kernel.syscall(_UMOUNT[kernel.MACHINE], b".", 2)  # MNT_DETACH: the old root lies on top of the new one
    os.chdir("/")


def _files(scratch_bytes: int) -> int:
    """How many a scratch folder holds: each takes memory of the kernel's own, with names and links up to 4 KiB."""
    return max(scratch_bytes // 4_096, 64)


def _make_place(path: str, *, is_folder: bool) -> None:
    if is_folder:
        os.makedirs(path, mode=0o755, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))


def _set_mount(path: str, given: int, taken: int, *, how: int) -> None:
    attributes = struct.pack("=4Q", given, taken, 0, 0)
    kernel.syscall(_SET_MOUNT_ATTRIBUTES, -100, os.fsencode(path), how, ctypes.c_char_p(attributes), len(attributes))


def tried_private_root() -> "tuple[bool, str]":
    """Whether the kernel lets us give each program a root of its own, and else why not; tried in a child."""
    reads, writes = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        reason = "it failed without a word"
        try:
            _confine(_TRIAL, parent, has_root=True)
            reason = ""
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"
        finally:
            os.write(writes, reason.encode())
            os._exit(0)
    os.close(writes)
    os.waitpid(pid, 0)
    reason = os.read(reads, 4_096).decode()
    os.close(reads)
    return not reason, reason


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def _run(source: str, said: "dict[str, Any]") -> int:
    """Run a program as `python3 program` would, and return its exit code."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "runtime"]:
        del sys.modules[name]
    sys.argv = ["/program", *said["argv"]]
    main_module = types.ModuleType("__main__")
    main_module.__dict__.update(__file__="/program", __builtins__=__builtins__)
    sys.modules["__main__"] = main_module
    linecache.cache["/program"] = (len(source), None, source.splitlines(keepends=True), "/program")
    code = 0
    try:
        exec(compile(source, "/program", "exec", dont_inherit=True), main_module.__dict__)
    except SystemExit as error:
        code = _exit_code(error.code)
    except BaseException as error:
        traceback.print_exception(type(error), error, _of_program(error.__traceback__))
        code = 1
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the interpreter does at its end
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        return code or 120
    return code


def _of_program(trace: "types.TracebackType | None") -> "types.TracebackType | None":
    while trace is not None and trace.tb_frame.f_code.co_filename != "/program":
        trace = trace.tb_next
    return trace


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1
