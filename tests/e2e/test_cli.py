"""The `af` command as a process: signals, pipes, terminals, limits and a server beside it."""

import json
import os
import pty
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from redaction.doors.local import LocalDoor
from runtime.domain.canonical import Json

AF = [sys.executable, "-m", "appliance"]
CHECKOUT = Path(__file__).resolve().parents[2]
MOST_HELP_CPU = 2.5
"""Of what Python itself takes with the libraries of any command, on the same machine."""
PATIENCE_S = 120

# the second step takes a minute until the file `go` is there; each step leaves a line in `done`
PROJECT = {
    "workflow.yaml": """
name: two-steps
agents:
  first: {type: custom, handler: "steps.py:first", input: "{{ input.folder }}"}
  second: {type: custom, handler: "steps.py:second", input: "{{ input.folder }}"}
""",
    "steps.py": """
import pathlib, time

def first(folder, ctx):
    return note(folder, "first")

def second(folder, ctx):
    if not pathlib.Path(folder, "go").exists():
        time.sleep(60)
    return note(folder, "second")

def note(folder, name):
    with pathlib.Path(folder, "done").open("a") as done:
        done.write(name + "\\n")
    return name
""",
}
GREET: dict[str, Json] = {
    "name": "greet",
    "agents": {"greet": {"type": "llm", "model": {"provider": "scripted", "answers": ["hello"]}, "prompt": "hi"}},
}


@pytest.fixture
def environment(data_folder: Path) -> dict[str, str]:
    return environment_of(data_folder)


def environment_of(data: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"AGENTFLOW_DATA": str(data), "PYTHONPATH": str(CHECKOUT)}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of two steps in Python, and its input."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in PROJECT.items():
        (folder / name).write_text(text)
    return folder


def af(environment: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*AF, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def start(environment: dict[str, str], *arguments: str | Path) -> subprocess.Popen[str]:
    command = [*AF, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"the process ended with {process.wait()} and never said {words!r}")


def folder_input(project: Path) -> str:
    return json.dumps({"folder": str(project)})


def test_help_starts_fast(environment: dict[str, str]) -> None:
    """It is typed more often than anything else, on machines that are busy."""
    least = [sys.executable, "-c", "import asyncio, click, dataclasses, json"]
    spent: dict[str, list[float]] = {"least": [], "help": []}
    for _ in range(4):
        for name, command in (("least", least), ("help", [*AF, "--help"])):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent["help"]) <= MOST_HELP_CPU * min(spent["least"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_goes_on_without_doing_a_step_twice(
    environment: dict[str, str], project: Path, number: signal.Signals
) -> None:
    """Ctrl-C says how to go on; kill -9 can't, and loses nothing either."""
    running = start(environment, "run", project, "--input", folder_input(project))
    read_until(running, "✓ first")
    running.send_signal(number)
    _, said = running.communicate(timeout=PATIENCE_S)
    if number == signal.SIGINT:
        assert 130 == running.returncode
        assert "go on with: af runs resume r-" in said
        assert "Traceback" not in said
    (project / "go").touch()
    resumed = af(environment, "runs", "resume", "--json")
    assert ["succeeded"] == [run["status"] for run in json.loads(resumed.stdout)["runs"]], resumed.stderr
    assert ["first", "second"] == (project / "done").read_text().split()
    assert 0 == af(environment, "replay", "last", "--check").returncode


def test_an_interrupted_batch_goes_on_with_resume(environment: dict[str, str], project: Path) -> None:
    """A line that was begun keeps its run; the answers come complete and in order."""
    inputs = project.parent / "inputs.jsonl"
    go = project.parent / "go"
    go.mkdir()
    (go / "go").touch()
    inputs.write_text(
        "".join(json.dumps({"folder": str(folder), "n": n}) + "\n" for n, folder in enumerate([go, project]))
    )
    running = start(environment, "run", project, "--inputs", inputs, "--concurrency", "2")
    assert running.stdout is not None
    first = running.stdout.readline()
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=PATIENCE_S)
    assert (130, True) == (running.returncode, "--resume" in said)
    (project / "go").touch()
    resumed = af(environment, "run", project, "--inputs", inputs, "--resume")
    assert 0 == resumed.returncode, resumed.stderr
    assert first == resumed.stdout.splitlines(keepends=True)[0]
    assert [0, 1] == [json.loads(line)["input"]["n"] for line in resumed.stdout.splitlines()]
    assert 2 == len(json.loads(af(environment, "runs", "list", "--json").stdout)["runs"])


def test_a_reader_that_leaves_is_no_error(environment: dict[str, str]) -> None:
    """`af config list | head -1` must not end in a traceback."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "w") as closed:
        done = subprocess.run(
            [*AF, "config", "list"], env=environment, stdout=closed, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (141, "") == (done.returncode, done.stderr)


def test_output_that_cannot_be_written_is_said(environment: dict[str, str]) -> None:
    """A full disk behind `>` must not pass for success."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*AF, "config", "list"], env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (4, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize(
    ("variables", "is_colored"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_are_for_terminals_that_want_them(
    environment: dict[str, str], variables: dict[str, str], is_colored: bool
) -> None:
    """And never in a pipe."""
    ours, theirs = pty.openpty()
    told = environment | {"TERM": "xterm"} | variables
    listing = [*AF, "config", "list", "--verbose"]
    drawn = b""
    with subprocess.Popen(listing, env=told, stdout=theirs, stderr=subprocess.DEVNULL):
        os.close(theirs)
        with suppress(OSError):  # the other end was closed, and all is read
            while piece := os.read(ours, 65_536):
                drawn += piece
    os.close(ours)
    assert b"AGENTFLOW_MODE" in drawn
    assert is_colored == (b"\x1b[" in drawn)
    piped = subprocess.run(listing, env=told, capture_output=True, check=False).stdout
    assert (True, False) == (b"AGENTFLOW_MODE" in piped, b"\x1b" in piped)


def test_a_terminal_that_knows_only_ascii_still_runs(environment: dict[str, str], project: Path) -> None:
    """Serial consoles and minimal containers."""
    (project / "go").touch()
    plain = environment | {"PYTHONIOENCODING": "ascii"}
    done = af(plain, "run", project, "--input", folder_input(project))
    assert 0 == done.returncode, done.stderr
    assert "first" in done.stdout


def test_the_shell_completes_commands_and_workflows(environment: dict[str, str]) -> None:
    """What the printed script asks for."""

    def complete(words: str, position: int) -> str:
        asked = environment | {"_AF_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(position)}
        return af(asked).stdout

    assert {"plain,run", "plain,runs"} == set(complete("af ru", 1).split())
    assert "plain,support" in complete("af run sup", 2).split()
    assert "plain,--status" in complete("af runs list --st", 3).split()


def test_a_full_disk_is_one_message_and_loses_nothing(environment: dict[str, str], project: Path) -> None:
    """A file size limit stands for the disk: the journal cannot grow."""
    (project / "go").touch()
    assert 0 == af(environment, "run", project, "--input", folder_input(project)).returncode
    padded = project / "input.json"
    padded.write_text(json.dumps({"folder": str(project), "padding": "x" * 1_000_000}))
    shell = 'ulimit -f 500; exec "$@"'
    command = ["bash", "-c", shell, "bash", *AF, "run", str(project), "--input", f"@{padded}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert 2 == done.returncode, done
    assert "error[store.full]" in done.stderr
    assert "Traceback" not in done.stderr
    assert 0 == af(environment, "replay", "--all", "--check").returncode
    assert 0 == af(environment, "run", project, "--input", folder_input(project)).returncode


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of the server that tests share."""
    return environment_of(tmp_path_factory.mktemp("served") / "data")


@pytest.fixture(scope="module")
def server(served: dict[str, str]) -> Iterator[str]:
    """A server on a free port, with the workflow `greet`; gives its READY line."""
    serving = start(served, "serve", "--listen", "127.0.0.1:0")
    try:
        ready = read_until(serving, "READY")
        door = LocalDoor(Path(served["AGENTFLOW_DATA"]) / "run" / "af.sock")
        door.call("PUT", "/v1/workflows/greet", GREET)
        yield ready
    finally:
        serving.send_signal(signal.SIGTERM)
        serving.communicate(timeout=PATIENCE_S)
    assert 0 == serving.returncode


def test_commands_go_through_the_server_that_has_the_data_folder(
    served: dict[str, str], server: str, tmp_path: Path
) -> None:
    """Nobody stops a server to look at a run, or to start one."""
    ran = af(served, "run", "greet", "--input", "{}", "--json")
    assert ("succeeded", {"text": "hello"}) == (
        (run := json.loads(ran.stdout))["status"],
        run["output"],
    ), ran.stderr
    assert [run["run_id"]] == [one["run_id"] for one in json.loads(af(served, "runs", "list", "--json").stdout)["runs"]]
    inputs = tmp_path / "q.jsonl"
    inputs.write_text('{"n": 1}\n{"n": 2}\n')
    batch = af(served, "run", "greet", "--inputs", inputs)
    assert ["succeeded"] * 2 == [json.loads(line)["status"] for line in batch.stdout.splitlines()], batch.stderr
    assert batch.stdout == af(served, "run", "greet", "--inputs", inputs, "--resume").stdout
    cancelled = af(served, "runs", "cancel", "last")
    assert (1, True) == (cancelled.returncode, "run.final" in cancelled.stderr)
    here = next(path.name for path in Path.cwd().iterdir() if path.is_dir() and "." not in path.name)
    for place in ("./somewhere", here):
        paths = af(served, "run", place, "--input", "{}")
        assert (4, True) == (paths.returncode, "server.no_paths" in paths.stderr), paths.stderr


def test_a_second_server_and_a_taken_port_are_refused(served: dict[str, str], server: str, tmp_path: Path) -> None:
    """With who is in the way, and what to do."""
    second = af(served, "serve", "--listen", "127.0.0.1:0")
    assert (2, True) == (second.returncode, "error[data.locked]" in second.stderr)
    address = server.split()[1].removeprefix("http://")
    taken = af(served, "serve", "--listen", address, "--data", tmp_path / "other")
    assert (2, True) == (taken.returncode, "error[server.port_in_use]" in taken.stderr)
    assert 3 == af(served, "serve", "--listen", "0.0.0.0:0", "--data", tmp_path / "other").returncode
