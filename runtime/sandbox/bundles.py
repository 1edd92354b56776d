"""Containers as folders: what gVisor is told of one call, in the form of the Open Container Initiative's runtime
specification, and a place for it that is removed afterwards, also when the appliance was killed meanwhile.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runtime.domain.canonical import Json, encode
from runtime.domain.exec_profile import ExecProfile
from runtime.sandbox import programs, seccomp

_PREFIX = "agentflow-sandbox-"
_NOBODY = 65_534
_ROOT = 0
"""Within a container that is the plain user whom it runs as, without a right of the root's; owns that user's files."""
_LINKED = ("/bin", "/sbin", "/lib", "/lib64", "/lib32")
_LOADER = ("/etc/ld.so.cache", "/etc/alternatives")
_REFUSED = (
    "socket", "fork", "vfork", "clone", "clone3", "execveat", "memfd_create", "memfd_secret", "shmget", "msgget",
    "semget", "mq_open", "io_uring_setup", "io_uring_enter", "io_uring_register", "unshare", "setns", "mount",
    "umount2", "pivot_root", "chroot", "ptrace", "process_vm_readv", "process_vm_writev", "keyctl", "add_key",
    "request_key", "bpf", "perf_event_open", "userfaultfd", "open_by_handle_at", "name_to_handle_at", "personality",
    "sethostname", "setdomainname", "clock_settime", "settimeofday", "adjtimex", "syslog", "setsockopt",
)  # fmt: skip
"""What a program in it does not need. `clone` goes with threads: gVisor counts no tasks, so there is one;
`setsockopt` makes a socket pair hold megabytes that it counts nowhere."""


class Folder:
    """Where one driver's containers live while this process does."""

    def __init__(self, path: Path, lock: int) -> None:
        self._path = path
        self._lock = lock

    @classmethod
    def made(cls, kind: str) -> "Folder":
        """A new one; those of processes that are gone are removed first, with all that still runs in them."""
        where = Path(tempfile.gettempdir())
        for left in where.glob(f"{_PREFIX}{kind}-*"):
            _sweep(left)
        made = Path(tempfile.mkdtemp(prefix="agentflow-new-"))
        lock = os.open(made / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        made.chmod(0o711)
        path = where / made.name.replace("agentflow-new-", f"{_PREFIX}{kind}-")
        made.rename(path)  # nobody sweeps it before it is locked
        return cls(path, lock)

    @contextlib.contextmanager
    def call(self, user: int | None) -> Iterator[Path]:
        """A folder for one call, that only `user` (None: we) may look into."""
        place = Path(tempfile.mkdtemp(dir=self._path))
        try:
            (place / "state").mkdir()
            if user is not None:
                for each in (place, place / "state"):
                    os.chown(each, user, user)
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def remove(self) -> None:
        """Remove it. Safe to call twice."""
        shutil.rmtree(self._path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._lock)


def bundle(place: Path, profile: ExecProfile, program: bytes, *, python: str, user: int | None) -> None:
    """Write what is run, and how, into the folder of a call."""
    root = place / "rootfs"
    root.mkdir()
    mounts: list[Json] = [
        _mount("/proc", "proc", "proc"),
        _mount("/dev", "tmpfs", "tmpfs", "ro", "size=65536"),
        _mount("/dev/shm", "tmpfs", "tmpfs", "ro", "size=4096"),
    ]
    has_scratch = profile.filesystem == "scratch" and profile.scratch_bytes > 0
    if has_scratch:
        mounts.append(_mount("/tmp", "tmpfs", "tmpfs", "mode=1777", f"size={profile.scratch_bytes}"))
    else:  # or gVisor puts one of its own there, without a bound
        mounts.append(_mount("/tmp", "tmpfs", "tmpfs", "ro", "size=4096"))
    (place / "program").write_bytes(program)
    own_root = () if python.startswith("/usr/") else (str(Path(python).parent.parent),)
    given = {"/usr": "/usr", "/program": str(place / "program")}
    given |= {path: path for path in (*_LOADER, *own_root, *profile.ro_paths) if os.path.exists(path)}
    for path in _LINKED:
        if os.path.islink(path):
            (root / path.lstrip("/")).symlink_to(os.readlink(path))
        elif os.path.isdir(path):
            given[path] = path
    mounts += [_mount(path, "bind", source, "ro", "rbind") for path, source in given.items()]
    mounts += [_mount(path, "bind", path, "rw", "rbind") for path in profile.rw_paths]
    spec: dict[str, Json] = {
        "ociVersion": "1.0.0",
        "hostname": "sandbox",
        "root": {"path": "rootfs", "readonly": True},
        "process": _process(profile, python, cwd="/tmp" if has_scratch else "/"),
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
            "seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW",
                "architectures": [f"SCMP_ARCH_{os.uname().machine.upper()}"],
                "syscalls": [{"names": list(_REFUSED), "action": "SCMP_ACT_ERRNO"}],
            },
        },
    }
    (place / "config.json").write_bytes(encode(spec))
    if user is not None:
        for each in (root, place / "program", place / "config.json"):
            os.chown(each, user, user)


def _process(profile: ExecProfile, python: str, *, cwd: str) -> dict[str, Json]:
    limits = {
        "RLIMIT_AS": profile.memory_bytes,
        "RLIMIT_FSIZE": profile.scratch_bytes,
        "RLIMIT_NOFILE": profile.nofile,
        "RLIMIT_NPROC": profile.pids_max,
        "RLIMIT_CORE": 0,
    }
    env = {**programs.ENV, **profile.env}
    own = _ROOT if profile.rw_paths else _NOBODY
    return {
        "user": {"uid": own, "gid": own},
        "args": list[Json](programs.arguments(profile, python)),
        "env": [f"{name}={value}" for name, value in env.items()],
        "cwd": cwd,
        "capabilities": {each: list[Json]() for each in ("bounding", "effective", "inheritable", "permitted")},
        "noNewPrivileges": True,
        "rlimits": [{"type": name, "hard": most, "soft": most} for name, most in limits.items()],
    }


def _mount(destination: str, kind: str, source: str, *options: str) -> dict[str, Json]:
    return {"destination": destination, "type": kind, "source": source, "options": list[Json](options)}


def is_abandoned(folder: Path) -> bool:
    """Whether the process that made a folder is gone, or the folder is."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def calls_refused(*, allows_subprocess: bool) -> bytes:
    """The profile of system calls that an engine takes: as `_REFUSED`, for a kernel that counts tasks itself."""
    refused = {*seccomp.WAYS_AROUND, *seccomp.TRACING, *seccomp.BEYOND_A_PROGRAM, "socket"}
    rules: list[Json] = [
        {"names": list[Json](sorted(refused)), "action": "SCMP_ACT_ERRNO"},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
    ]
    if not allows_subprocess:
        thread: Json = {"index": 0, "value": 0x0001_0000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
        rules += [
            {"names": ["fork", "vfork"], "action": "SCMP_ACT_ERRNO"},
            {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "args": [thread]},
        ]
    return encode({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules})


def _sweep(left: Path) -> None:
    """Remove what a process that is gone left; whoever lives holds the lock."""
    try:
        lock = os.open(left / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # somebody else's, or half removed
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    else:
        _kill_those_of(left)
        shutil.rmtree(left, ignore_errors=True)
    finally:
        os.close(lock)


def _kill_those_of(left: Path) -> None:
    needle = os.fsencode(left) + b"/"
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is not ours
            if needle in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
