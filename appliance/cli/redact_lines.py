"""`af redact --jsonl`: a payload a line, any number of them, in order and in bounded memory.

Lines that have already come are looked through for names together, while those before them are written. A line is
never kept waiting for the next, so whoever waits for an answer before writing on gets it.
"""

import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import BinaryIO

from appliance.cli.terminal import Terminal
from redaction.redactor import Redactor
from redaction.segments import look_ahead, redact_payload
from runtime.domain.canonical import Json, parse
from runtime.errors import AgentFlowError, Invalid, Refused, Unavailable

BATCH_LINES = 256
BATCH_BYTES = 262_144
"""What is looked through together; twice as much is held."""

Row = dict[str, Json]


def redact_lines(terminal: Terminal, redactor: Redactor, destination: str) -> int:
    """Answer each line of stdin with one on stdout. The exit code is 4 when a line could not be looked through.

    Raises Invalid for a line that is none of ours; those before it are answered.
    """
    lines, code = _Lines(sys.stdin.buffer), 0
    with ThreadPoolExecutor(1, "names") as pool:

        def begun(given: Sequence[bytes], first: int) -> "Future[list[Row | Invalid]]":
            return pool.submit(_read_ahead, redactor, given, first)

        batch, first = lines.take(), 1
        reading = begun(batch, first)
        while batch:
            rows = reading.result()
            following, after = lines.take(is_waiting=False), first + len(batch)
            if following:
                reading = begun(following, after)
            for number, row in enumerate(rows, first):
                if isinstance(row, Invalid):
                    raise row
                code = _answer(terminal, redactor, row, number=number, destination=destination) or code
            if not following:
                following = lines.take()
                reading = begun(following, after)
            batch, first = following, after
    return code


def _read_ahead(redactor: Redactor, lines: Sequence[bytes], first: int) -> "list[Row | Invalid]":
    rows = [_parsed(line, number) for number, line in enumerate(lines, first)]
    with suppress(Unavailable):  # each line then asks for itself, and says so
        look_ahead(redactor, (row["payload"] for row in rows if not isinstance(row, Invalid)))
    return rows


def _parsed(line: bytes, number: int) -> Row | Invalid:
    try:
        given = parse(line)
    except Invalid as error:
        return Invalid(error.code, f"line {number} of stdin: {error.message}")
    if not isinstance(given, dict) or "payload" not in given:
        return Invalid("redaction.line", f"line {number} of stdin must be {{id, destination, payload}}")
    return given


def _answer(terminal: Terminal, redactor: Redactor, row: Row, *, number: int, destination: str) -> int:
    place = str(row.get("destination") or destination)
    decision, payload, code = "block", None, 0
    try:
        found = redact_payload(redactor, row["payload"], place)
        decision, payload = found.decision, found.payload
    except (Refused, Unavailable) as error:
        _complain(terminal, number, error)
        code = error.exit_code if isinstance(error, Unavailable) else 0
    terminal.line({"id": row.get("id"), "decision": decision, "payload": payload})
    return code


def _complain(terminal: Terminal, number: int, error: AgentFlowError) -> None:
    terminal.complain(f"line {number}: {error.code}: {error.message}")


class _Lines:
    """Lines of a stream, read by a thread of their own as far as BATCH_BYTES ahead."""

    def __init__(self, stream: BinaryIO) -> None:
        self._come: queue.Queue[bytes | None] = queue.Queue(BATCH_LINES)
        self._is_over = False
        threading.Thread(target=self._read, args=(stream,), name="stdin", daemon=True).start()

    def take(self, *, is_waiting: bool = True) -> list[bytes]:
        """Lines that have come; waits for one if `is_waiting`. Empty when there are no more, or none yet."""
        return list(self._taken(is_waiting))

    def _taken(self, is_waiting: bool) -> Iterator[bytes]:
        size = 0
        for count in range(BATCH_LINES):
            if self._is_over or size > BATCH_BYTES:
                return
            try:
                line = self._come.get(block=is_waiting and not count)
            except queue.Empty:
                return
            if line is None:
                self._is_over = True
                return
            size += len(line)
            yield line

    def _read(self, stream: BinaryIO) -> None:
        for line in stream:
            if line.strip():
                self._come.put(line)
        self._come.put(None)
