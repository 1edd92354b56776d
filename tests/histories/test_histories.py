"""Every golden journal is read by today's reader, folds to the state it folded to, and decides as it decided."""

from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from appliance.loader import from_document
from runtime.domain.canonical import parse
from runtime.domain.command import COMMANDS
from runtime.domain.event import EVENTS
from runtime.domain.journal import VERSION, read
from runtime.domain.run import fold
from runtime.engine.replay import replay
from runtime.planners.lifecycle import planner_for
from tests.histories.golden import FOLDER, envelopes_of, rows_of
from tests.histories.human import HUMAN
from tests.histories.kinds import KINDS
from tests.histories.plans import PLANS
from tests.histories.scenarios import SCENARIOS, play
from tests.histories.trees import TREES
from tests.properties.values import is_same

GOLDEN = sorted(file.parent for file in FOLDER.glob("v*/*/journal.jsonl"))
each = pytest.mark.parametrize("folder", GOLDEN, ids=lambda folder: f"{folder.parent.name}-{folder.name}")


@each
def test_the_hashes_are_sha256_over_the_envelopes(folder: Path) -> None:
    """With nothing of the reader's own: as somebody else would check them."""
    for envelope, digest in envelopes_of(folder):
        assert digest == sha256(envelope).hexdigest()


@each
def test_the_journal_folds_to_the_state_it_folded_to(folder: Path) -> None:
    """To the kind of each number."""
    rows = rows_of(folder)
    state = msgspec.to_builtins(fold(rows[0].run, map(read, rows)))
    assert is_same(parse((folder / "state.json").read_bytes()), state)


@each
def test_the_journal_replays_against_its_definition(folder: Path) -> None:
    """The definition is read from what was stored, and still has its hash."""
    rows = rows_of(folder)
    workflow = from_document((folder / "definition.json").read_bytes(), "")
    later = folder / "later.json"
    last = from_document(later.read_bytes(), "") if later.exists() else workflow
    others = {last.hash: planner_for(last)}
    found = replay(rows[0].run, [read(row) for row in rows], planner_for(workflow), others=others)
    assert found.divergence is None, str(found.divergence)
    assert last.hash == found.state.definition


@pytest.mark.parametrize("name", [*SCENARIOS, *TREES, *KINDS, *PLANS, *HUMAN])
async def test_the_same_run_is_written_today_as_it_was_then(name: str, tmp_path: Path) -> None:
    """To the byte. A change on purpose gets a new version of the journal, and the old files stay."""
    folder = FOLDER / f"v{VERSION}" / name
    assert folder.exists(), f"scenario {name!r} has no golden journal; python -m tests.histories.record makes it"
    recorded = await play(({**SCENARIOS, **TREES, **KINDS, **PLANS, **HUMAN})[name], tmp_path)
    assert rows_of(folder) == recorded.rows


def test_every_kind_of_entry_has_its_golden_journal() -> None:
    """A new one ships with a recording."""
    recorded = {row.type for folder in GOLDEN for row in rows_of(folder)}
    assert {body.TYPE for body in (*EVENTS, *COMMANDS)} == recorded
