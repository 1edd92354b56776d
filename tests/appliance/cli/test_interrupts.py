"""A command that is told to end by a signal cleans up as after Ctrl-C."""

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.cli.context import Af as Invocation
from appliance.cli.interrupts import SIGNALS, ended_as_by_ctrl_c
from appliance.cli.scenarios import rehearsal


@pytest.fixture(autouse=True)
def before() -> Iterator[dict[int, object]]:
    """What the signals did; a test that fails leaves nothing else."""
    found = {number: signal.getsignal(number) for number in SIGNALS}
    yield {int(number): was for number, was in found.items()}
    for number, was in found.items():
        signal.signal(number, was)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_rehearsal_that_is_told_to_end_leaves_no_folder(
    number: int, before: dict[int, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    invocation = Invocation()
    invocation.data = tmp_path / "data"
    signal.signal(number, signal.SIG_DFL)
    with pytest.raises(KeyboardInterrupt), rehearsal(invocation):  # noqa: PT012  # the signal comes inside
        assert 1 == len(os.listdir(tmp_path / "temporary"))
        signal.raise_signal(number)
    assert [] == os.listdir(tmp_path / "temporary")
    assert signal.SIG_DFL == signal.getsignal(number)


def test_a_job_in_the_background_is_ended_too() -> None:
    """A shell script has it ignore Ctrl-C."""
    was = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), ended_as_by_ctrl_c():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, was)


def test_what_is_ignored_stays_so() -> None:
    """As under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with ended_as_by_ctrl_c():
        signal.raise_signal(signal.SIGHUP)
    assert signal.SIG_IGN == signal.getsignal(signal.SIGHUP)


def test_in_another_thread_nothing_is_changed(before: dict[int, object]) -> None:
    found: list[object] = []

    def look() -> None:
        with ended_as_by_ctrl_c():
            found.append({number: signal.getsignal(number) for number in SIGNALS})

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert [before] == found
