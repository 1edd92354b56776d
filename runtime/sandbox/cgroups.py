"""Control groups: limits that count all processes of a call together, where this process may make groups.

Version 2 where a subtree is ours (systemd: `Delegate=`), version 1 where we are root. What is found is found by trying.
"""

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from runtime.domain.exec_profile import ExecProfile

PREFIX = "agentflow-"
OWN_GROUP = "appliance"
"""Where the appliance itself moves: a group of version 2 that limits others may hold no process."""
_WANTED = ("memory", "pids")
_HELPFUL = ("cpu", "cpuacct")
_PERIOD_US = 100_000
_GONE_WITHIN_S = 2.0
_NUMBERS = itertools.count(1)


class Group:
    """The group of one call."""

    def __init__(self, folders: Mapping[str, Path], *, is_unified: bool) -> None:
        self._folders = folders
        self._is_unified = is_unified

    def admit(self, pid: int) -> None:
        """Put a process in, and with it all that it starts from here on."""
        for folder in set(self._folders.values()):
            (folder / "cgroup.procs").write_text(str(pid))

    def cpu_ms(self) -> int:
        """What all of them have used; 0 where nobody counts it."""
        if self._is_unified:
            return _named(self._folders["memory"] / "cpu.stat", "usage_usec") // 1_000
        if "cpuacct" not in self._folders:
            return 0
        return _number(self._folders["cpuacct"] / "cpuacct.usage") // 1_000_000

    def memory_bytes(self) -> int:
        """The most that they held together; 0 where nobody counts it."""
        name = "memory.peak" if self._is_unified else "memory.max_usage_in_bytes"
        return _number(self._folders["memory"] / name)

    def was_short_of_memory(self) -> bool:
        """Whether the kernel ended one of them for it."""
        name = "memory.events" if self._is_unified else "memory.oom_control"
        return _named(self._folders["memory"] / name, "oom_kill") > 0

    def kill(self) -> None:
        """End all that are in it."""
        with contextlib.suppress(OSError):
            (self._folders["memory"] / "cgroup.kill").write_text("1")
        for folder in set(self._folders.values()):
            for pid in _members(folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def remove(self) -> None:
        """End what is left in it, and take it away."""
        deadline = time.monotonic() + _GONE_WITHIN_S
        for folder in set(self._folders.values()):
            while folder.exists():
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    break
                self.kill()
                if time.monotonic() > deadline:
                    return  # the next start sweeps it
                time.sleep(0.001)


class Groups:
    """Where groups of calls are made."""

    def __init__(self, bases: Mapping[str, Path], *, is_unified: bool) -> None:
        """`bases`: controller → the folder below which groups are made."""
        self._bases = bases
        self._is_unified = is_unified

    @property
    def words(self) -> str:
        """Which they are, for an operator."""
        return f"version {2 if self._is_unified else 1}, {', '.join(sorted(self._bases))}"

    @contextlib.contextmanager
    def made(self, profile: ExecProfile) -> Iterator[Group]:
        """A group with the limits of the profile; gone, with all that is in it, at the end. Raises OSError."""
        name = f"{PREFIX}{os.getpid()}-{next(_NUMBERS)}"
        folders = {controller: base / name for controller, base in self._bases.items()}
        group = Group(folders, is_unified=self._is_unified)
        try:
            for folder in set(folders.values()):
                folder.mkdir()
            for controller, file, value in _limits(profile, is_unified=self._is_unified):
                if controller in folders:
                    (folders[controller] / file).write_text(value)
            _bound_swap(folders["memory"], profile, is_unified=self._is_unified)
            yield group
        finally:
            group.remove()

    def sweep(self) -> None:
        """Take away what appliances that are gone left."""
        for base in set(self._bases.values()):
            for left in base.glob(f"{PREFIX}[0-9]*-*"):
                if not Path(f"/proc/{left.name.split('-')[1]}").exists():
                    with contextlib.suppress(OSError):
                        left.rmdir()


def found(root: Path = Path("/")) -> Groups | None:
    """The groups that can be made here; None where there are none. `root` is where `/proc` and `/sys` are."""
    for bases, is_unified in ((_unified(root), True), (_version_1(root), False)):
        if bases is None:
            continue
        groups = Groups(bases, is_unified=is_unified)
        groups.sweep()
        with contextlib.suppress(OSError), groups.made(_TRIAL):
            return groups
    return None


_TRIAL = ExecProfile(tool="probe", tenant="", policy_version="", runtime="python")


def _limits(profile: ExecProfile, *, is_unified: bool) -> list[tuple[str, str, str]]:
    quota = str(max(int(profile.cpu_share * _PERIOD_US), 1_000))
    if is_unified:
        return [
            ("memory", "memory.max", str(profile.memory_bytes)),
            ("pids", "pids.max", str(profile.pids_max)),
            ("cpu", "cpu.max", f"{quota} {_PERIOD_US}"),
        ]
    return [
        ("memory", "memory.limit_in_bytes", str(profile.memory_bytes)),
        ("pids", "pids.max", str(profile.pids_max)),
        ("cpu", "cpu.cfs_period_us", str(_PERIOD_US)),
        ("cpu", "cpu.cfs_quota_us", quota),
    ]


def _bound_swap(folder: Path, profile: ExecProfile, *, is_unified: bool) -> None:
    file, value = ("memory.swap.max", "0") if is_unified else ("memory.memsw.limit_in_bytes", str(profile.memory_bytes))
    with contextlib.suppress(OSError):  # there is no swap, or it is not counted
        (folder / file).write_text(value)


def _unified(root: Path) -> dict[str, Path] | None:
    place = next((place for kind, place, _ in _mounts(root) if kind == "cgroup2"), None)
    path = next((path for controllers, path in _own_groups(root) if not controllers), None)
    if place is None or path is None:
        return None
    own = root / place.lstrip("/") / path.lstrip("/")
    base = own.parent if own.name == OWN_GROUP else own
    if not set(_WANTED) <= set(_text(base / "cgroup.controllers").split()):
        return None
    if not set(_WANTED) <= set(_text(base / "cgroup.subtree_control").split()):
        with contextlib.suppress(OSError):
            _delegate(base)
    given = set(_text(base / "cgroup.subtree_control").split())
    return {name: base for name in ("memory", "pids", "cpu") if name in given} if set(_WANTED) <= given else None


def _delegate(base: Path) -> None:
    """Let groups below `base` have limits; where only this process and its own are in it, they move aside."""
    members = _members(base)
    if members and all(_is_own(pid) for pid in members):
        (base / OWN_GROUP).mkdir(exist_ok=True)
        for pid in members:
            (base / OWN_GROUP / "cgroup.procs").write_text(str(pid))
    controllers = [name for name in ("memory", "pids", "cpu") if name in _text(base / "cgroup.controllers").split()]
    (base / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))


def _is_own(pid: int) -> bool:
    for _ in range(32):
        if pid == os.getpid():
            return True
        words = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        pid = int(words[1]) if len(words) > 1 else 0
        if pid <= 1:
            return False
    return False


def _version_1(root: Path) -> dict[str, Path] | None:
    bases: dict[str, Path] = {}
    paths = {name: path for controllers, path in _own_groups(root) for name in controllers}
    for kind, place, options in _mounts(root):
        if kind != "cgroup":
            continue
        for name in set(options) & {*_WANTED, *_HELPFUL}:
            top = root / place.lstrip("/")
            own = top / paths.get(name, "/").lstrip("/")
            bases[name] = own if own.is_dir() else top
    return bases if set(_WANTED) <= bases.keys() else None


def _mounts(root: Path) -> list[tuple[str, str, list[str]]]:
    """Kind, place and options of each."""
    rows = [line.split() for line in _text(root / "proc/self/mounts").splitlines()]
    return [(row[2], row[1], row[3].split(",")) for row in rows if len(row) > 3]


def _own_groups(root: Path) -> list[tuple[list[str], str]]:
    rows = [line.split(":", 2) for line in _text(root / "proc/self/cgroup").splitlines()]
    return [([name for name in row[1].split(",") if name], row[2]) for row in rows if len(row) == 3]


def _members(folder: Path) -> list[int]:
    return [int(word) for word in _text(folder / "cgroup.procs").split()]


def _number(path: Path) -> int:
    text = _text(path).strip()
    return int(text) if text.isdigit() else 0


def _named(path: Path, name: str) -> int:
    words = dict(line.split()[:2] for line in _text(path).splitlines() if len(line.split()) > 1)
    return int(words.get(name, "0"))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
