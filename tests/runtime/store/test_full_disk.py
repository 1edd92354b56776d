"""A disk that is full refuses writes, loses nothing, and is forgiven when there is room again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = [sys.executable, "-m", "tests.runtime.store.full_disk_program"]
SMALL_DISK = 'mkdir "$1" && mount -t tmpfs -o size=2m none "$1" && shift && exec "$@"'


def check(said: dict[str, Any]) -> None:
    """Every producer was refused in clear words; all that was acknowledged, and nothing else, is there."""
    assert 8 == len(said["refusals"])
    for refusal in said["refusals"]:
        assert refusal.startswith("store.full: ")
        assert "journal.db takes no more" in refusal
        assert "nothing of this write was kept" in refusal
    (_, entries), ends = said["full"]
    assert sum(ends) == entries
    assert sum(ends) > 100
    assert [8, sum(said["ends"])] == said["checked"]
    assert said["ends"] == said["found"]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare to mount a small disk")
def test_a_full_disk(tmp_path: Path) -> None:
    """The disk really is full: the log, the index beside it and the file itself compete for the last block."""
    folder = str(tmp_path / "small")
    ended = subprocess.run(
        ["unshare", "-rm", "sh", "-c", SMALL_DISK, "sh", folder, *PROGRAM, folder, "disk"],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare:" in ended.stderr or "mount:" in ended.stderr:
        pytest.skip(f"this machine does not let tests mount: {ended.stderr.strip()}")
    assert 0 == ended.returncode, ended.stderr
    said = json.loads(ended.stdout)
    check(said)
    assert "copy.db.partial takes no more" in said["backup"]
    assert [] == said["copies"]


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """A quota or a limit refuses otherwise than a full disk does; the caller is told the same."""
    ended = subprocess.run([*PROGRAM, str(tmp_path / "data"), "limit"], capture_output=True, text=True, check=False)
    assert 0 == ended.returncode, ended.stderr
    check(json.loads(ended.stdout))
