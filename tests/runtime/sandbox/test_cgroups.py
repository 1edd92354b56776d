"""Control groups of both versions, on a tree of files that looks like theirs: what is written where."""

import os
from pathlib import Path

from runtime.domain.exec_profile import ExecProfile
from runtime.sandbox import cgroups

PROFILE = ExecProfile(
    tool="t", tenant="default", policy_version="", runtime="python", memory_bytes=2**27, pids_max=8, cpu_share=0.5
)


def test_version_2_is_used_where_a_subtree_is_ours(tmp_path: Path) -> None:
    own = _unified(tmp_path, "/system.slice/af.service/appliance")
    groups = cgroups.Groups(cgroups._unified(tmp_path) or {}, is_unified=True)
    assert "version 2, cpu, memory, pids" == groups.words
    with groups.made(PROFILE) as group:
        made = next(own.parent.glob("agentflow-*"))
        assert ("134217728", "8", "50000 100000", "0") == tuple(
            (made / name).read_text() for name in ("memory.max", "pids.max", "cpu.max", "memory.swap.max")
        )
        group.admit(4_242_424)
        assert "4242424" == (made / "cgroup.procs").read_text()
        (made / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\n")
        (made / "memory.peak").write_text("1000\n")
        (made / "memory.events").write_text("low 0\noom_kill 2\n")
        assert (1_500, 1_000, True) == (group.cpu_ms(), group.memory_bytes(), group.was_short_of_memory())
        for file in made.iterdir():  # a real group takes its files along
            file.unlink()
    assert not list(own.parent.glob("agentflow-*"))


def test_a_group_that_is_shared_with_others_is_not_taken_over(tmp_path: Path) -> None:
    """Nobody else's process is moved, and a group with processes in it gives no limits to others."""
    own = _unified(tmp_path, "/user.slice/session", given="")
    (own / "cgroup.procs").write_text("1\n")
    assert cgroups._unified(tmp_path) is None
    assert not (own / "appliance").exists()


def test_version_1_is_used_where_there_is_no_other(tmp_path: Path) -> None:
    for name in ("memory", "pids", "cpuacct"):
        (tmp_path / "sys/fs/cgroup" / name / "own").mkdir(parents=True)
    _proc(
        tmp_path,
        "".join(f"cgroup /sys/fs/cgroup/{name} cgroup rw,{name} 0 0\n" for name in ("memory", "pids", "cpuacct")),
        "3:memory:/own\n2:pids:/own\n1:cpuacct:/elsewhere\n0::/\n",
    )
    groups = cgroups.Groups(cgroups._version_1(tmp_path) or {}, is_unified=False)
    assert "version 1, cpuacct, memory, pids" == groups.words
    with groups.made(PROFILE):
        made = next((tmp_path / "sys/fs/cgroup/memory/own").glob("agentflow-*"))
        assert "134217728" == (made / "memory.limit_in_bytes").read_text()
        assert "8" == (tmp_path / "sys/fs/cgroup/pids/own" / made.name / "pids.max").read_text()
        for file in (tmp_path / "sys/fs/cgroup").glob("*/**/agentflow-*/*"):
            file.unlink()


def test_groups_of_the_dead_are_taken_away(tmp_path: Path) -> None:
    dead, own = tmp_path / "agentflow-999999999-1", tmp_path / f"agentflow-{os.getpid()}-9"
    dead.mkdir()
    own.mkdir()
    cgroups.Groups({"memory": tmp_path, "pids": tmp_path}, is_unified=True).sweep()
    assert (False, True) == (dead.exists(), own.exists())


def _unified(root: Path, path: str, given: str = "cpu memory pids") -> Path:
    own = root / "sys/fs/cgroup" / path.lstrip("/")
    own.mkdir(parents=True)
    base = own.parent if own.name == "appliance" else own
    (base / "cgroup.controllers").write_text("cpu memory pids")
    (base / "cgroup.subtree_control").write_text(given)
    _proc(root, "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", f"0::{path}\n")
    return own


def _proc(root: Path, mounts: str, groups: str) -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mounts").write_text(mounts)
    (root / "proc/self/cgroup").write_text(groups)
