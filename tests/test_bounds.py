"""The suite's own bounds: a test that hangs is named at the end of the output, and where it hangs."""

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
HANGS = {
    "test_hangs.py": """
import asyncio, pytest

async def nobody_answers():
    await asyncio.Event().wait()

@pytest.mark.bound_s(1)
def test_waits():
    asyncio.run(nobody_answers())

def test_afterwards():
    pass
""",
    "test_lets_not_go.py": """
import pytest, signal, time

def sleeps():
    time.sleep(60)

@pytest.mark.bound_s(1, grace_s=0.5)
def test_deaf():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    sleeps()
""",
}


def test_what_hangs_is_named_in_the_last_lines(tmp_path: Path) -> None:
    """Where the end of the output is all that is shown, it must be enough; and no other test loses its turn."""
    for name, text in HANGS.items():
        (tmp_path / name).write_text(text)
    plugins = ["-p", "tests.bounds", "-p", "xdist"]
    spread = ["-n", "1", "--max-worker-restart", "0", "--dist", "loadfile"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *spread, "-q", "-c", "/dev/null", f"--rootdir={tmp_path}", tmp_path],
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        | {"PYTHONPATH": str(CHECKOUT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # they take seconds to import
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    last = ran.stdout.splitlines()[-7:]
    assert "2 failed, 1 passed" in last[0], ran.stdout
    assert last[1].startswith("failed: test_hangs.py::test_waits: Failed: hung: not done after 1 s, while it waits in")
    assert "test_hangs.py:5 nobody_answers" in last[1]
    assert last[2].startswith("failed: test_lets_not_go.py::test_deaf: worker 'gw0' crashed")
    assert last[3].startswith("not done: test_lets_not_go.py::test_deaf, begun ")
    assert "its process was ended (gw0)" in last[4]
    assert ["line 5 in sleeps", "line 10 in test_deaf"] == [line.rpartition(", ")[2] for line in last[5:]]
