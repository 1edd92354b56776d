"""A tool that was under way when the appliance was killed is called again with the same idempotency key."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

DESK = """
name: desk
tool_registry: {tools: {pay: {type: function, handler: "tools.py:pay", timeout: 60s}}}
agents:
  a: {type: custom, handler: "tools.py:act", tools: [pay]}
"""
TOOLS = """
import os, time

def pay(file: str, cents: int, ctx):
    with open(file, "a") as kept:
        kept.write(ctx.idempotency_key + "\\n")
    if len(open(file).readlines()) == 2:  # the second payment of the first attempt
        time.sleep(60)
    return {"paid": cents}

def act(task, ctx):
    return [ctx.tool("pay", {"file": task["file"], "cents": cents}) for cents in (1, 2)]
"""
DEADLINE_S = 60


def test_the_attempt_after_a_kill_calls_with_the_same_keys(tmp_path: Path) -> None:
    """Whoever takes the payment sees that it is the same one, and takes it once."""
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "desk.yaml").write_text(DESK)
    kept, data = tmp_path / "keys", ("--data", str(tmp_path / "data"))
    af = (sys.executable, "-m", "appliance")
    given = ("--input", json.dumps({"file": str(kept)}))
    with (tmp_path / "log").open("w") as log:
        child = subprocess.Popen(
            [*af, "run", str(tmp_path / "desk.yaml"), *given, *data], stdout=log, stderr=log, start_new_session=True
        )
        deadline = time.monotonic() + DEADLINE_S
        while not (kept.exists() and len(kept.read_text().splitlines()) == 2):
            assert child.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)  # another process is waited for
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    ended = subprocess.run([*af, "runs", "resume", *data], capture_output=True, text=True, check=False)
    keys = kept.read_text().splitlines()
    assert 4 == len(keys), ended.stderr
    assert keys[:2] == keys[2:]
    assert keys[1] == f"{keys[0]}~2"
    shown = subprocess.run([*af, "runs", "show", "last", "--json", *data], capture_output=True, text=True, check=True)
    run = json.loads(shown.stdout)
    assert ("succeeded", [{"paid": 1}, {"paid": 2}]) == (run["status"], run["output"])
