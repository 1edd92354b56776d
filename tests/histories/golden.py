"""The files of a golden journal.

definition.json   the stored definition that the run began with
later.json        the one that it was migrated to, where it was
journal.jsonl     one line an entry: {"envelope": …, "hash": …}
state.json        the state that the journal folds to
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict, cast

import msgspec

from runtime.domain.canonical import Json, encode, parse
from runtime.domain.ids import RunId
from runtime.domain.journal import Row, envelope_of
from tests.histories.scenarios import Recorded

FOLDER = Path(__file__).parent
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def save(recorded: Recorded, folder: Path) -> None:
    """Write the files of a recording into a folder that is made for them, and was not there before."""
    folder.mkdir(parents=True)
    lines = [encode({"envelope": parse(envelope_of(row)), "hash": row.hash.hex()}) for row in recorded.rows]
    (folder / "journal.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    _write(folder / "definition.json", recorded.workflow.document)
    if recorded.later is not None:
        _write(folder / "later.json", recorded.later.document)
    _write(folder / "state.json", msgspec.to_builtins(recorded.state))


def rows_of(folder: Path) -> list[Row]:
    """The journal as a store would give it."""
    return [_row(line) for line in _lines_of(folder)]


def envelopes_of(folder: Path) -> list[tuple[bytes, str]]:
    """The bytes that each hash covers, taken from the file alone, and the hash in hex."""
    return [(encode(line["envelope"]), line["hash"]) for line in _lines_of(folder)]


class _Envelope(TypedDict):
    at: str
    data: Json
    run: str
    seq: int
    type: str
    v: int


class _Line(TypedDict):
    envelope: _Envelope
    hash: str


def _lines_of(folder: Path) -> list[_Line]:
    return [cast(_Line, parse(line)) for line in (folder / "journal.jsonl").read_bytes().splitlines()]


def _write(file: Path, document: Json) -> None:
    file.write_text(json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _row(line: _Line) -> Row:
    envelope = line["envelope"]
    at_us = (datetime.fromisoformat(envelope["at"]) - _EPOCH) // timedelta(microseconds=1)
    return Row(
        RunId(envelope["run"]),
        envelope["seq"],
        at_us,
        envelope["type"],
        encode(envelope["data"]),
        bytes.fromhex(line["hash"]),
        envelope["v"],
    )
