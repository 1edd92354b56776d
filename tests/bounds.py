"""A bound in time for every test: one that hangs fails where it waits, and the last words of a run name it.

Two bounds follow each other. The first raises inside the test, so that this test fails and the run goes on.
The second is for a test that does not let go: its process is ended, and with it the run, for nobody takes over the
files of a worker that is gone. The mark `bound_s(seconds, grace_s=…)` gives a test others.
Whoever sees no more than the end of a run's output reads there what hung, what was still running and what failed.
"""

import asyncio
import faulthandler
import itertools
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

BOUND_S = 240.0
GRACE_S = 90.0
"""How much later than the first bound the second one comes."""
SHOWN_TESTS = 6
SHOWN_FRAMES = 8
HUNG = "hung: not done after"
_ROOT = f"{Path(__file__).resolve().parents[1]}/"


class Bound:
    """Bounds each test of this process; `written` is the descriptor that a last trace goes to."""

    def __init__(self, written: int) -> None:
        self._written = written

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Set both bounds around set-up, call and tear-down together."""
        mark = item.get_closest_marker("bound_s")
        bound_s, grace_s = (mark.args[0], mark.kwargs.get("grace_s", GRACE_S)) if mark else (BOUND_S, GRACE_S)

        def ends(_number: int, _frame: FrameType | None) -> None:
            pytest.fail("\n  ".join([f"{HUNG} {bound_s:g} s, while it waits in", *_waiting()]))

        before = signal.signal(signal.SIGALRM, ends)
        signal.setitimer(signal.ITIMER_REAL, bound_s)
        faulthandler.dump_traceback_later(bound_s + grace_s, file=self._written, exit=True)
        try:
            return (yield)
        finally:
            faulthandler.cancel_dump_traceback_later()
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    @pytest.hookimpl(tryfirst=True)
    def pytest_enter_pdb(self) -> None:
        """A person may think for as long as they like."""
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)


def _waiting() -> list[str]:
    """Each task of the running loop as the calls that it waits in, outermost first."""
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:
        return ["no event loop: see the trace"]
    return [f"{task.get_name()}: {' > '.join(_calls(task.get_coro()))}" for task in tasks]


def _calls(awaited: object) -> Iterator[str]:
    while awaited is not None:
        for kind in ("cr", "ag", "gi"):
            frame = getattr(awaited, f"{kind}_frame", None)
            if frame is not None:
                yield f"{frame.f_code.co_filename.removeprefix(_ROOT)}:{frame.f_lineno} {frame.f_code.co_name}"
                break
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)


class LastWords:
    """Says at the very end of a run, in a few lines, what nobody should have to scroll up for."""

    def __init__(self) -> None:
        self._traces: Path | None = None
        self._running: dict[str, float] = {}
        self._failed: dict[str, str] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A worker, or this process, began a test."""
        self._running[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """It is done."""
        self._running.pop(nodeid, None)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the names of those that failed, each once, and why."""
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            lines = str(getattr(crash, "message", report.longrepr)).splitlines()
            is_hung = any(HUNG in line for line in lines)
            self._failed.setdefault(report.nodeid, " ".join(lines[: 4 if is_hung else 1])[: 480 if is_hung else 120])

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: object) -> None:
        """Tell a worker where its last trace goes: what it prints itself comes somewhere in the middle."""
        self._traces = self._traces or Path(tempfile.mkdtemp(prefix="agentflow-traces-"))
        node.workerinput["traces"] = str(self._traces)  # type: ignore[attr-defined]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Iterator[None]:
        """Speak after everybody else."""
        try:
            return (yield)
        finally:
            sys.stdout.flush()  # what was said so far, where both go to one pipe
            for line in self._lines():
                print(line, file=sys.stderr, flush=True)
            if self._traces:
                shutil.rmtree(self._traces)

    def _lines(self) -> Iterator[str]:
        now = time.monotonic()
        for name, why in list(self._failed.items())[:SHOWN_TESTS]:
            yield f"failed: {name}: {why}"
        if len(self._failed) > SHOWN_TESTS:
            yield f"failed: {len(self._failed) - SHOWN_TESTS} more, see above"
        for name, began in self._running.items():
            yield f"not done: {name}, begun {now - began:.0f} s ago"
        for trace in sorted(self._traces.iterdir()) if self._traces else ():
            yield from _short(trace)


def _short(trace: Path) -> Iterator[str]:
    """The calls of the thread that ran the test, as far as they are the test's: the first two, then ours."""
    lines = trace.read_text(errors="replace").splitlines()
    threads = [n for n, line in enumerate(lines) if "most recent call first" in line]
    if not threads:
        return
    calls = list(itertools.takewhile(lambda line: "/_pytest/" not in line, lines[threads[-1] + 1 :]))
    ours = [line for line in calls if _ROOT in line and "/.venv/" not in line]
    yield f"hung, and its process was ended ({trace.name}), in, most recent call first:"
    yield from (line.replace(_ROOT, "") for line in list(dict.fromkeys([*calls[:2], *ours]))[:SHOWN_FRAMES])


def pytest_configure(config: pytest.Config) -> None:
    """Bound the tests of this process; in the one that commands the workers, gather the last words."""
    config.addinivalue_line("markers", "bound_s(seconds, grace_s=…): the time after which a test counts as hung")
    told: dict[str, str] = getattr(config, "workerinput", {})
    if told:
        written = os.open(Path(told["traces"]) / told["workerid"], os.O_WRONLY | os.O_CREAT, 0o600)
    else:
        config.pluginmanager.register(LastWords(), "last-words")
        written = os.dup(sys.stderr.fileno())
    config.pluginmanager.register(Bound(written), "bound")
