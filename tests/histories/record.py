"""Record a history that is not there yet: `python -m tests.histories.record NAME`."""

import json
import sys
from pathlib import Path

import msgspec

from appliance.loader import from_document
from runtime.domain.journal import Entry, envelope_of, write
from runtime.engine.simulate import script_of, simulate
from tests.histories.cases import CASES

HERE = Path(__file__).parent


def history(name: str) -> dict[str, object]:
    """The history of a case, as today's program makes it."""
    definition, outcomes = CASES[name]
    workflow = from_document(definition, "")
    simulation = simulate(workflow, {"message": "hi"}, script_of(outcomes))
    entries = [
        Entry(beat.seq + place, beat.at_us, body)
        for beat in simulation.beats
        for place, body in enumerate((beat.event, *beat.commands))
    ]
    rows = [write(simulation.state.run, entry) for entry in entries]
    return {
        "definition": workflow.document,
        "journal": [{"envelope": json.loads(envelope_of(row)), "hash": row.hash.hex()} for row in rows],
        "state": msgspec.to_builtins(simulation.state),
    }


def main() -> None:
    """Write the histories that are named; refuse one that exists."""
    for name in sys.argv[1:]:
        with (HERE / f"{name}.json").open("x", encoding="utf-8") as file:
            json.dump(history(name), file, indent=1, ensure_ascii=False)
            file.write("\n")


if __name__ == "__main__":
    main()
