"""One writing process per data folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import Unavailable
from runtime.store.lock import LOCK_FILE, hold, holder
from tests.runtime.store.samples import NOON_US

HOLDER = """
import pathlib, sys
from runtime.store.lock import hold
held = hold(pathlib.Path(sys.argv[1]), what="af serve", now_us=1767268800000000)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_and_told_who_has_it(folder: Path) -> None:
    """Two writers on one journal would each believe in their own end of it."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert "held\n" == process.stdout.readline()
        with pytest.raises(Unavailable) as refused:
            hold(folder, what="af run", now_us=NOON_US)
        assert "data.locked" == refused.value.code
        assert 2 == refused.value.exit_code
        assert f"'af serve' (pid {process.pid}) since 2026-01-01T12:00:00.000000Z" in refused.value.message
        process.kill()
    hold(folder, what="af run", now_us=NOON_US).release()  # the lock died with its holder


def test_the_same_process_does_not_get_it_twice(folder: Path) -> None:
    """An embedded server and a script in one process are two writers as well."""
    with hold(folder, what="one", now_us=NOON_US):
        with pytest.raises(Unavailable, match=r"data\.locked.*'one'"):
            hold(folder, what="two", now_us=NOON_US)
        assert "one" == getattr(holder(folder), "what", None)


def test_a_released_lock_is_free(folder: Path) -> None:
    """Releasing twice is what cleaning up after an error does."""
    held = hold(folder, what="one", now_us=NOON_US)
    held.release()
    held.release()
    with hold(folder, what="two", now_us=NOON_US):
        assert os.getpid() == getattr(holder(folder), "pid", None)


def test_a_folder_of_its_owner_alone_is_made(folder: Path) -> None:
    """The journal holds what customers wrote."""
    with hold(folder / "deep", what="one", now_us=NOON_US):
        assert 0o700 == (folder / "deep").stat().st_mode & 0o777
        assert 0o600 == (folder / "deep" / LOCK_FILE).stat().st_mode & 0o777


def test_a_lock_file_of_nonsense_is_no_obstacle(folder: Path) -> None:
    """A process that died while it signed leaves half a line."""
    folder.mkdir()
    (folder / LOCK_FILE).write_bytes(b'{"pid": 1')
    assert holder(folder) is None
    with hold(folder, what="one", now_us=NOON_US):
        assert "one" == getattr(holder(folder), "what", None)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The user mistyped AGENTFLOW_DATA."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"store\.cannot_open.*file/data/lock"):
        hold(tmp_path / "file" / "data", what="one", now_us=NOON_US)
