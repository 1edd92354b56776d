"""One append, checked and encoded before it goes anywhere near a transaction. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from runtime.domain.command import AwaitSignal, FinishRun, StartStep
from runtime.domain.event import RunStarted, SignalReceived
from runtime.domain.ids import RunId
from runtime.domain.journal import Entry, Row, write
from runtime.errors import Conflict, Invalid


class Decision(NamedTuple):
    """The entries of one decision as rows, and what they mean for the index of runs."""

    run: RunId
    expected_seq: int
    entries: Sequence[Entry]
    rows: Sequence[Row]
    """The entries as they are stored."""
    status: str | None
    """The run's status behind these rows; None when they leave it as it was."""
    started: RunStarted | None
    """Given for the first decision of a run, and for no other."""
    idempotency_key: str | None


def decision_of(
    run: RunId, expected_seq: int, entries: Sequence[Entry], idempotency_key: str | None, status: str | None = None
) -> Decision:
    """Check and encode. Raises Invalid unless the entries may stand behind `expected_seq`.

    `status`: the run's behind them; None: what they say by themselves.
    """
    found = [entry.seq for entry in entries]
    if not found or found != list(range(expected_seq + 1, expected_seq + len(found) + 1)):
        raise _malformed(run, f"behind sequence {expected_seq} entry {expected_seq + 1} comes next; found {found}")
    first = entries[0].body
    started = first if isinstance(first, RunStarted) else None
    if (started is None) == (expected_seq == 0):
        raise _malformed(run, f"{RunStarted.TYPE!r} is entry 1 and no other; entry {found[0]} is {first.TYPE!r}")
    if idempotency_key is not None and started is None:
        raise _malformed(run, "only its first append can bind an idempotency key")
    rows = [write(run, entry) for entry in entries]
    return Decision(run, expected_seq, entries, rows, status or status_after(entries), started, idempotency_key)


def status_after(entries: Sequence[Entry]) -> str | None:
    """The run's status behind these entries; None when they leave it as it was."""
    status: str | None = None
    for entry in entries:
        match entry.body:
            case StartStep() | RunStarted():
                status = "running"
            case AwaitSignal():
                status = "waiting"
            case FinishRun(status=final):
                status = final
            case SignalReceived() if len(entries) > 1:  # one that nobody awaits stands alone and decides nothing
                status = "running"
    return status


def key_taken(idempotency_key: str, by: RunId) -> Conflict:
    """The error for a key that another run has."""
    return Conflict(
        "run.key_taken",
        f"the idempotency key {idempotency_key!r} is bound to run {by!r}; read that run, or use a fresh key",
        run=by,
    )


def _malformed(run: RunId, problem: str) -> Invalid:
    return Invalid("journal.malformed_append", f"run {run!r}: {problem}", run=run)
