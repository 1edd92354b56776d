"""Which scenarios a change touches: those that would not run as they ran before."""

from collections.abc import Mapping, Sequence

import msgspec

from appliance.scenarios.definitions import Definitions
from appliance.scenarios.format import Scenario, Suite
from runtime.domain.canonical import digest

Marks = Mapping[tuple[str, str], str]
"""File and name of a scenario or dataset → what it was when it was last run."""


def marks_of(suites: Sequence[Suite], definitions: Definitions) -> dict[tuple[str, str], str]:
    """What each scenario is now: itself, where it stands left aside, and the definition that it runs.

    Raises InvalidDefinition and NotFound as reading these does.
    """
    found: dict[tuple[str, str], str] = {}
    for suite in suites:
        for scenario in suite.scenarios:
            found[scenario.file, scenario.name] = _mark([scenario], definitions)
        for dataset in suite.datasets:
            found[dataset.file, dataset.name] = _mark(dataset.rows, definitions, dataset.min_accuracy)
    return found


def touched(suites: Sequence[Suite], before: Marks, after: Marks) -> list[Suite]:
    """The scenarios that are new or otherwise than before."""
    left = []
    for suite in suites:
        scenarios = tuple(each for each in suite.scenarios if _differs((each.file, each.name), before, after))
        datasets = tuple(each for each in suite.datasets if _differs((each.file, each.name), before, after))
        if scenarios or datasets:
            left.append(msgspec.structs.replace(suite, scenarios=scenarios, datasets=datasets))
    return left


def _differs(key: tuple[str, str], before: Marks, after: Marks) -> bool:
    return before.get(key) != after.get(key)


def _mark(rows: Sequence[Scenario], definitions: Definitions, *more: float) -> str:
    held = [msgspec.to_builtins(msgspec.structs.replace(row, line=0), enc_hook=str) for row in rows]
    return digest([definitions.plain(rows[0].workflow).hash, held, list(more)])
