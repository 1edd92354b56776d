"""Journals that were written once are read, folded and replayed alike for ever."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.loader import from_document
from runtime.domain.canonical import encode
from runtime.domain.command import COMMANDS
from runtime.domain.event import EVENTS
from runtime.domain.ids import RunId
from runtime.domain.journal import Entry, Row, read
from runtime.domain.run import fold
from runtime.engine.replay import replay
from runtime.errors import Corrupt
from runtime.planners.lifecycle import planner_for
from tests.histories.cases import CASES
from tests.histories.record import history

FOLDER = Path(__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
MICROSECONDS = 1_000_000


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def rows(name: str) -> list[Row]:
    return [_row(line["envelope"], line["hash"]) for line in recorded(name)["journal"]]


def _row(envelope: dict[str, Any], digest: str) -> Row:
    at = datetime.fromisoformat(envelope["at"])
    at_us = int(at.replace(microsecond=0).timestamp()) * MICROSECONDS + at.microsecond
    data = encode(envelope["data"])
    run = RunId(envelope["run"])
    return Row(run, envelope["seq"], at_us, envelope["type"], data, bytes.fromhex(digest), envelope["v"])


def entries(name: str) -> list[Entry]:
    return [read(row) for row in rows(name)]


@pytest.mark.parametrize("name", NAMES)
def test_it_folds_to_the_state_that_it_folded_to(name: str) -> None:
    state = fold(rows(name)[0].run, entries(name))
    assert recorded(name)["state"] == json.loads(json.dumps(msgspec.to_builtins(state)))


@pytest.mark.parametrize("name", NAMES)
def test_it_replays_clean(name: str) -> None:
    workflow = from_document(recorded(name)["definition"], "")
    found = replay(rows(name)[0].run, entries(name), planner_for(workflow))
    assert found.divergence is None


@pytest.mark.parametrize("name", NAMES)
def test_todays_program_writes_the_same_bytes(name: str) -> None:
    assert recorded(name)["journal"] == history(name)["journal"]


def test_every_case_is_recorded_and_every_kind_of_entry_but_a_cancel_occurs() -> None:
    """A cancel comes from outside a plan; the contract suite of planners holds it."""
    assert sorted(CASES) == NAMES
    kinds = {entry.body.TYPE for name in NAMES for entry in entries(name)}
    assert {body.TYPE for body in (*EVENTS, *COMMANDS)} - kinds == {"cancel.requested"}


def test_a_changed_entry_is_found() -> None:
    first, *_ = rows("success")
    with pytest.raises(Corrupt):
        read(msgspec.structs.replace(first, data=first.data.replace(b"hi", b"ho")))
