"""Redaction policies in YAML: which entity is treated how, at which destination."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import msgspec

from appliance.loading.files import ProjectFiles
from appliance.loading.node import Node
from appliance.loading.place import Place, Reading
from appliance.loading.report import Report
from appliance.loading.shapes import Shape, boolean, choice, mapping_of, name, number, record
from appliance.loading.yaml_reader import MAX_BYTES, decode, read_documents
from redaction.findings import ENTITIES
from redaction.presets import ACTIONS, GROUPS, PRESETS, Action, Actions, RedactionPolicy
from runtime.domain.canonical import Json
from runtime.domain.problem import Problem
from runtime.errors import InvalidDefinition, NotFound, Unavailable

_ACTION = choice(*ACTIONS)
_SECTIONS: dict[str, Shape] = {
    "entities": record("entities", dict.fromkeys(ENTITIES, _ACTION)),
    "groups": record("groups", dict.fromkeys(GROUPS, _ACTION)),
}
POLICY = record(
    "a redaction policy",
    {
        "name": name,
        "extends": choice(*PRESETS),
        **_SECTIONS,
        "otherwise": _ACTION,
        "min_score": number(0, 1),
        "names": boolean,
        "destinations": mapping_of(record("a destination", _SECTIONS), what="a mapping from destinations", key=None),
    },
)


def redaction_policy(given: str) -> RedactionPolicy:
    """The preset of that name, or the policy in the file of that name.

    Raises NotFound when there is neither, InvalidDefinition with every problem of the file.
    """
    if given in PRESETS:
        return PRESETS[given]
    path = Path(given)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        known = ", ".join(PRESETS)
        raise NotFound("file.missing", f"{given!r} is no policy of ours ({known}) and no file") from None
    except OSError as error:
        message = f"the policy {given!r} cannot be read: {error.strerror}"
        raise Unavailable("file.unreadable", message, retryable=False) from None
    return policy_of(data, file=given)


def policy_of(data: bytes, *, file: str = "") -> RedactionPolicy:
    """The policy of a YAML document. Raises InvalidDefinition with every problem it has."""
    report = Report()
    text = decode(data, report, file)
    documents = [] if text is None else read_documents(text, report, file=file)
    found: Json = None
    if documents:
        found = POLICY(documents[0], Place(Reading(report, ProjectFiles(None))))
    if len(documents) != 1 and not report.has_errors:
        _complain_of_count(documents, report, file)
    if report.has_errors:
        raise InvalidDefinition(file or "the policy", report.problems())
    return _built(cast("Mapping[str, Json]", found))


def _complain_of_count(documents: list[Node], report: Report, file: str) -> None:
    message = f"expected one document, found {len(documents)}"
    report.add(Problem(code="yaml.documents", message=message, file=file, line=documents[1].line if documents else 1))


def _built(found: Mapping[str, Json]) -> RedactionPolicy:
    """The policy of checked values: what it says, and for the rest what it extends; alone, `default`."""
    base = PRESETS[str(found.get("extends", "default"))]
    own = msgspec.convert({key: found[key] for key in ("entities", "groups") if key in found}, Actions)
    places = msgspec.convert(found.get("destinations", {}), dict[str, Actions])
    groups = {**base.actions.groups, **own.groups}
    return msgspec.structs.replace(
        base,
        name=str(found.get("name", "unnamed")),
        actions=Actions(entities={**base.actions.entities, **own.entities}, groups=groups),
        destinations=places,
        otherwise=cast("Action", found.get("otherwise", base.otherwise)),
        min_score=float(cast("float", found.get("min_score", base.min_score))),
        names=bool(found.get("names", base.names)),
    )
