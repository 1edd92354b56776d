"""The docker sandbox as far as it goes without an engine: what it asks a client, what it refuses, what it takes away.

The client here answers from a table and runs the program without any container: of what containers hold, nothing is
said.
"""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from runtime.domain.exec_profile import ExecProfile
from runtime.errors import Refused, Unavailable
from runtime.sandbox.docker import Docker
from runtime.sandbox.pythons import readable

PROFILE = ExecProfile(
    tool="t", tenant="default", policy_version="", runtime="python", filesystem="scratch", scratch_bytes=2**20,
    ro_paths=("/etc/ssl",), env={"LEVEL": "2"}, cpu_share=0.5,
)  # fmt: skip

CLIENT = """#!{python} -I
import json, os, sys, time
place = os.path.dirname(os.path.abspath(__file__))
answers = json.load(open(place + "/answers.json"))
asked = sys.argv[1:]
with open(place + "/asked.jsonl", "a") as log:
    log.write(json.dumps(asked) + "\\n")
if asked[0] == "create":
    open(place + "/created", "w").write(json.dumps(asked))
    time.sleep(answers.get("create_s", 0))
if asked[0] == "start" and "start" not in answers:
    created = json.load(open(place + "/created"))
    source = next(word for word in created if word.endswith("target=/program,readonly")).split("=", 2)[2].split(",")[0]
    os.execv(sys.executable, [sys.executable, "-I", source])
code, out, err = answers.get(asked[0], [0, "", ""])
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""
WORKS = {
    "context": [0, "unix:///var/run/docker.sock", ""],
    "version": [0, "28.2.2", ""],
    "image": [0, "sha256:abc", ""],
    "inspect": [0, '{"OOMKilled": false}', ""],
}


@pytest.fixture(autouse=True)
def _no_engine_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"version": [1, "", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."]},
            "does not answer",
        ),
        ({"context": [0, "tcp://10.0.0.5:2376", ""]}, "only an engine of this machine"),
        ({"image": [1, "", "No such image"]}, "nothing is pulled"),
        ({"create": [1, "", "invalid mount"]}, "invalid mount"),
    ],
)
async def test_it_says_why_it_cannot_be_used(tmp_path: Path, changed: dict[str, object], words: str) -> None:
    driver = _driver(tmp_path, {**WORKS, **changed})
    report = await driver.probe()
    assert not report.is_usable
    assert words in report.reason
    with pytest.raises(Refused, match="cannot hold"):
        await driver.run(PROFILE, b"")
    await driver.stop()


async def test_without_a_client_or_an_image_it_says_so() -> None:
    assert "no docker on PATH" in (await Docker(image="x", command="/nowhere/docker").probe()).reason
    assert "no image is named" in (await Docker(command=readable()).probe()).reason


async def test_an_engine_elsewhere_by_environment_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://somewhere")
    assert "ssh://somewhere" in (await _driver(tmp_path, WORKS).probe()).reason


async def test_nothing_is_pulled_and_nothing_is_left_open(tmp_path: Path) -> None:
    driver = _ready(tmp_path, WORKS)
    outcome = await driver._run(PROFILE, b"print(6 * 7)", b"")
    assert (0, b"42\n") == (outcome.exit_code, outcome.stdout)
    create, start, inspect, remove = _asked(tmp_path)
    assert ["create", "start", "inspect", "rm"] == [create[0], start[0], inspect[0], remove[0]]
    text = " ".join(create)
    for given in (
        "--pull=never", "--network none", "--read-only", "--cap-drop ALL", "--user 65534:65534", "--pids-limit 32",
        "--security-opt no-new-privileges", "--security-opt seccomp=", "--memory 268435456", "--memory-swap 268435456",
        "--cpus 0.5", "--ulimit cpu=5:5", "--ulimit core=0:0", "--ulimit fsize=1048576:1048576", "--log-driver none",
        "--tmpfs /tmp:rw,nosuid,nodev,mode=1777,size=1048576", "--env LEVEL=2",
        "type=bind,source=/etc/ssl,target=/etc/ssl,readonly", "--entrypoint python3 sha256:abc -I -S -B /program",
    ):  # fmt: skip
        assert given in text
    assert "--privileged" not in text
    assert create[2] == remove[2] == start[-1]
    await driver.stop()


async def test_the_filter_refuses_sockets_and_processes(tmp_path: Path) -> None:
    from runtime.sandbox.bundles import calls_refused

    alone, several = (json.loads(calls_refused(allows_subprocess=allowed)) for allowed in (False, True))
    names = {name for rule in alone["syscalls"] for name in rule["names"]}
    assert {"socket", "io_uring_setup", "unshare", "mount", "ptrace", "fork", "clone", "clone3"} <= names
    assert "fork" not in {name for rule in several["syscalls"] for name in rule["names"]}


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.1, 0.4])
async def test_cancelling_removes_the_container_however_early(tmp_path: Path, after_s: float) -> None:
    """Also one that the engine is still making."""
    driver = _ready(tmp_path, {**WORKS, "create_s": 0.2})
    call = asyncio.create_task(driver._run(PROFILE, b"import time\ntime.sleep(60)", b""))
    await asyncio.sleep(after_s)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    asked = [words[0] for words in _asked(tmp_path)]
    assert asked == [] or "rm" == asked[-1]
    await driver.stop()


async def test_time_and_memory_are_named(tmp_path: Path) -> None:
    driver = _ready(tmp_path, WORKS)
    outcome = await driver._run(msgspec.structs.replace(PROFILE, timeout_ms=400), b"import time\ntime.sleep(60)", b"")
    assert (True, "time") == (outcome.is_timed_out, outcome.killed_for)
    await driver.stop()
    other = _ready(tmp_path, {**WORKS, "start": [137, "", ""], "inspect": [0, '{"OOMKilled": true}', ""]})
    assert "memory" == (await other._run(PROFILE, b"", b"")).killed_for
    await other.stop()


async def test_a_failure_of_the_client_is_no_fault_of_the_program(tmp_path: Path) -> None:
    driver = _ready(tmp_path, {**WORKS, "start": [125, "", "the engine went away"]})
    with pytest.raises(Unavailable, match="the engine went away"):
        await driver._run(PROFILE, b"", b"")
    stuck = _ready(tmp_path, {**WORKS, "rm": [1, "", "it hangs"]})
    with pytest.raises(Unavailable, match="did not remove"):
        await stuck._run(PROFILE, b"", b"")
    await driver.stop()
    await stuck.stop()


async def test_containers_of_a_killed_appliance_are_removed(tmp_path: Path) -> None:
    abandoned = tmp_path / "abandoned"
    abandoned.mkdir()
    (abandoned / "lock").touch()
    driver = _driver(tmp_path, {**WORKS, "ps": [0, f"c1 {abandoned}\nc2 {tmp_path / 'gone'}\n", ""]})
    driver._sweep()
    removed = [words[2] for words in _asked(tmp_path) if words[0] == "rm" and not words[2].startswith("agentflow-")]
    assert ["c1", "c2"] == removed
    await driver.stop()


def _driver(place: Path, answers: Mapping[str, object]) -> Docker:
    if not readable():
        pytest.skip("no Python here that every user can read")
    (place / "answers.json").write_text(json.dumps(answers))
    client = place / "docker"
    client.write_text(CLIENT.format(python=readable()))
    client.chmod(0o755)
    return Docker(image="agentflow-sandbox", command=str(client))


def _ready(place: Path, answers: Mapping[str, object]) -> Docker:
    """Past its examination."""
    driver = _driver(place, answers)
    driver._image_id = "sha256:abc"
    return driver


def _asked(place: Path) -> list[list[str]]:
    log = place / "asked.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
