"""Reads scenario files: YAML → typed scenarios, or every problem with its line. Runs nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import msgspec

from appliance.loader import FILE as WORKFLOW_FILE
from appliance.loading.files import ProjectFiles
from appliance.loading.node import Node
from appliance.loading.place import Place, Reading
from appliance.loading.report import Report
from appliance.loading.shapes import Shape, anything, duration, list_of, record
from appliance.loading.yaml_reader import decode, read_documents
from appliance.scenarios.datasets import DATASET_KEYS, dataset_of
from appliance.scenarios.format import DEFAULT_TIMEOUT_MS, FOLDER, Dataset, Expected, Scenario, Signal, Suite
from appliance.scenarios.shapes import (
    ANSWERS,
    EXPECTED,
    SIGNALS,
    TOOL_ANSWERS,
    expected_of,
    scenario_shape,
    version,
    workflow_file,
)
from runtime.domain.canonical import Json
from runtime.domain.units import milliseconds
from runtime.errors import Invalid, InvalidDefinition, NotFound

PLAYED = ("answers", "tool_answers")
"""Keys of what is played."""


def read_suite(file: Path) -> Suite:
    """The scenarios of a file. Raises NotFound, and InvalidDefinition with every problem that it has."""
    report = Report()
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise NotFound("scenarios.not_found", f"there is no file {str(file)!r}") from None
    except OSError as error:
        raise Invalid("file.unreadable", f"{str(file)!r} cannot be read: {error.strerror}") from None
    content = decode(data, report, str(file))
    documents = read_documents(content, report, file=str(file)) if content is not None else []
    place = Place(Reading(report, ProjectFiles(file.parent), file=str(file)))
    suite = None
    if documents and not report.has_errors:
        suite = _suite(documents, place, file)
    elif not report.has_errors:
        place.error("scenarios.empty", "the file is empty; expected scenarios", Node(None, str(file), 1))
    if suite is None or report.has_errors:
        raise InvalidDefinition(str(file), report.problems())
    return suite


def _suite(documents: list[Node], place: Place, file: Path) -> Suite | None:
    if len(documents) > 1:
        place.error("yaml.documents", "expected one document, found several; '---' begins another", documents[1])
    node = documents[0]
    keys: dict[str, Shape] = {
        "version": version,
        "workflow": workflow_file(file.parent),
        "answers": ANSWERS,
        "tool_answers": TOOL_ANSWERS,
        "timeout": duration,
        "scenarios": list_of(anything, what="a list of scenarios"),
        "datasets": list_of(anything, what="a list of datasets"),
    }
    found = record("a scenario file", keys)(node, place)
    if not isinstance(found, dict):
        return None
    if not found.keys() & {"scenarios", "datasets"}:
        place.error("key.missing", "a scenario file needs 'scenarios' or 'datasets'", node)
    is_known = node.member("version") is not None
    common: dict[str, Json] = {key: found[key] for key in (*PLAYED, "workflow", "timeout") if key in found}
    one = scenario_shape(file.parent, is_known=is_known)
    scenarios = []
    for each, at in _members(node, "scenarios", place):
        read = one(each, at)
        if isinstance(read, dict):
            scenarios.append(scenario_of({**common, **read, **_both(common, read)}, each, file, is_known))
    datasets = []
    for each, at in _members(node, "datasets", place):
        made = _dataset(each, at, file, common)
        if made is not None:
            datasets.append(made)
    _check_names([*scenarios, *datasets], place)
    return Suite(file=file, scenarios=tuple(scenarios), datasets=tuple(datasets))


def _members(node: Node, key: str, place: Place) -> list[tuple[Node, Place]]:
    held = node.member(key)
    listed = held.value if held is not None and isinstance(held.value, list) else []
    return [(each, place.child(key).child(number)) for number, each in enumerate(listed)]


def _both(common: Mapping[str, Json], own: Mapping[str, Json]) -> dict[str, Json]:
    """What the file has played, what the scenario has before it."""
    both: dict[str, Json] = {}
    for key in PLAYED:
        played: dict[str, Json] = {}
        for each in (common.get(key), own.get(key)):
            played |= each if isinstance(each, dict) else {}
        both[key] = played
    return both


def scenario_of(found: Mapping[str, Json], node: Node, file: Path, is_known: bool) -> Scenario:
    """The scenario that checked keys say."""
    expect = found.get("expect")
    return Scenario(
        name=str(found.get("name", "")),
        file=str(file),
        line=node.line,
        workflow=Path(str(found.get("workflow") or _project(file))),
        input=found.get("input", {}),
        role=str(found.get("as", "")),
        answers=cast("dict[str, Json]", found.get("answers") or {}),
        tool_answers=cast("dict[str, Json]", found.get("tool_answers") or {}),
        signals=tuple(msgspec.convert(found.get("signals") or [], list[Signal])),
        repeat=cast("int", found.get("repeat", 1)),
        pass_ratio=float(cast("float", found.get("pass_rate", 1.0))),
        timeout_ms=milliseconds(found["timeout"]) if found.get("timeout") else DEFAULT_TIMEOUT_MS,
        expect=expected_of(expect if isinstance(expect, dict) else {}, is_known=is_known),
        skip=str(found.get("skip", "")),
    )


def _project(file: Path) -> Path:
    """The folder of the definition, where a scenario file names none."""
    folder = file.parent
    return folder.parent if folder.name == FOLDER and not (folder / WORKFLOW_FILE).exists() else folder


def _dataset(node: Node, place: Place, file: Path, common: Mapping[str, Json]) -> Dataset | None:
    keys: dict[str, Shape] = {
        **DATASET_KEYS,
        "workflow": workflow_file(file.parent),
        "answers": ANSWERS,
        "tool_answers": TOOL_ANSWERS,
        "timeout": duration,
        "signals": SIGNALS,
    }
    found = record("a dataset", keys, required=("name", "file"))(node, place)
    if not isinstance(found, dict) or not {"name", "file"} <= found.keys():
        return None
    whole_ = {**common, **found, **_both(common, found)}

    def read_expect(value: Node, at: Place) -> Expected:
        checked = EXPECTED(value, at)
        return expected_of(checked if isinstance(checked, dict) else {})

    return dataset_of(whole_, node, place, template=scenario_of(whole_, node, file, True), read_expect=read_expect)


def _check_names(named: "list[Scenario | Dataset]", place: Place) -> None:
    """Names are what one scenario is asked for by, so that each stands once."""
    first: dict[str, int] = {}
    for each in named:
        if each.name in first:
            at = Node(None, each.file, each.line)
            message = f"the name {each.name!r} stands twice; first in line {first[each.name]}"
            place.error("scenarios.duplicate", message, at, "give each scenario a name of its own")
        first.setdefault(each.name, each.line)
