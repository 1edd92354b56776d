"""A folder in RAM is this process's alone, and is gone with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.ram_folder import RamFolder
from runtime.errors import Unusable

# takes a folder, says which, and lives until its input ends
HOLDER = """
import sys
from pathlib import Path
from appliance.ram_folder import RamFolder
ram = RamFolder(Path(sys.argv[1]), mounts=Path(sys.argv[2]))
(ram.path() / "secret").write_text("in the clear")
print(ram.path(), flush=True)
sys.stdin.read()
"""
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    """A list of file systems in which the test's own folder is in RAM."""
    file = tmp_path / "mounts"
    file.write_text(f"/dev/sda / ext4 rw 0 0\ntmpfs {tmp_path} tmpfs rw 0 0\n")
    return file


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("agentflow-*"))


def test_the_folder_is_made_when_asked_for_and_gone_when_stopped(tmp_path: Path, mounts: Path) -> None:
    """Programs that lay out nothing leave no trace."""
    ram = RamFolder(tmp_path, mounts=mounts)
    ram.start()
    assert [] == left(tmp_path)
    folder = ram.path()
    (folder / "deep").mkdir()
    (folder / "deep" / "secret").write_text("in the clear")
    assert (folder, 0o700) == (ram.path(), folder.stat().st_mode & 0o777)
    assert [f"agentflow-{os.getuid()}-{os.getpid()}"] == [name.rpartition("-")[0] for name in left(tmp_path)]
    ram.stop()
    ram.stop()
    assert [] == left(tmp_path)


def test_a_killed_process_leaves_nothing_after_the_next_start(tmp_path: Path, mounts: Path) -> None:
    """And a living one keeps what is its own."""
    ram = RamFolder(tmp_path, mounts=mounts)
    command = [sys.executable, "-c", HOLDER, str(tmp_path), str(mounts)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().strip())
        ram.start()
        assert "in the clear" == (folder / "secret").read_text()
        holder.kill()
        holder.wait()
        assert folder.exists()
        ram.start()
        assert [] == left(tmp_path)


def test_what_only_looks_like_a_leftover_stays(tmp_path: Path, mounts: Path) -> None:
    """The place is everybody's: a link or another user's folder must not be followed or removed."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (tmp_path / f"agentflow-{os.getuid()}-1-link").symlink_to(precious)
    (tmp_path / f"agentflow-{os.getuid() + 1}-1-theirs").mkdir()
    (tmp_path / f"agentflow-{os.getuid()}-1-file").touch()
    RamFolder(tmp_path, mounts=mounts).start()
    assert 3 == len(left(tmp_path))
    assert precious.exists()


@pytest.mark.parametrize(
    "mounted", ["", "tmpfs / tmpfs rw 0 0\n/dev/sda {} ext4 rw 0 0\n", "tmpfs {}-other tmpfs rw 0 0\n"]
)
def test_a_folder_on_a_disk_is_refused(tmp_path: Path, mounted: str) -> None:
    """It would be written to the disk in the clear, which the key is there to prevent."""
    mounts = tmp_path / "mounts"
    mounts.write_text(mounted.format(tmp_path))
    with pytest.raises(Unusable, match=r"ram\.unusable.*not one in RAM"):
        RamFolder(tmp_path, mounts=mounts).path()
    assert [] == left(tmp_path)


def test_a_machine_without_the_place_is_told_what_to_do(tmp_path: Path, mounts: Path) -> None:
    """Containers may come without one."""
    ram = RamFolder(tmp_path / "shm", mounts=mounts)
    ram.start()
    with pytest.raises(Unusable, match="mount -t tmpfs"):
        ram.path()
    ram.stop()
