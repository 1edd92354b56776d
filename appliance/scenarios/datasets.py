"""Datasets: a scenario for each row of a CSV or JSON-lines file, its input and expectations filled in from the row."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from typing import cast

import msgspec

from appliance.loading.keys import template
from appliance.loading.node import Node
from appliance.loading.place import Place
from appliance.loading.shapes import Shape, anything, choice, mapping_of, ratio, text, whole
from appliance.scenarios.format import NAMES, Dataset, Expected, Scenario
from appliance.scenarios.places import place_problem
from runtime.agents.templates import Template
from runtime.domain.canonical import Json, parse
from runtime.domain.spelling import did_you_mean
from runtime.errors import AgentFlowError, Invalid

ROW = "row"
MAX_ROWS = 100_000
MAX_BYTES = 50 * 1_000_000
Row = Mapping[str, Json]
ReadExpect = Callable[[Node, Place], Expected]
_COLUMN = re.compile(r"\brow\.([A-Za-z_]\w*)")
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


def _place_or_template(node: Node, place: Place) -> Json:
    """A place of the output, or a template over the run."""
    found = text(node, place)
    if isinstance(found, str) and "{{" in found:
        if template(node, place) is not None:
            for name in sorted(Template(found).names - NAMES):
                hint = f"there are: {', '.join(sorted(NAMES))}"
                place.error("template.unknown_name", f"it reads {name!r}, which no run has", node, hint)
        return found
    if isinstance(found, str) and (fault := place_problem(found)):
        place.error("value.path", fault, node)
    return found


DATASET_KEYS: dict[str, Shape] = {
    "name": text,
    "file": text,
    "limit": whole(1, MAX_ROWS),
    "columns": mapping_of(
        choice("number", "integer", "boolean", "json", "text"), what="a mapping from columns to their types", key=text
    ),
    "input": template,
    "expect": anything,
    "label": template,
    "found": _place_or_template,
    "min_accuracy": ratio,
}


def dataset_of(
    found: Mapping[str, Json], node: Node, place: Place, *, template: Scenario, read_expect: ReadExpect
) -> Dataset | None:
    """The dataset that checked keys say; None, and problems, where its file or a template of it cannot be used."""
    if ("label" in found) is not ("found" in found):
        lacking = "found" if "label" in found else "label"
        place.error("key.missing", f"'label' and 'found' go together; this one lacks {lacking!r}", node)
    if not found.keys() & {"expect", "label"}:
        place.error("key.missing", "a dataset needs 'expect', or 'label' with 'found'", node)
    rows = _rows_of(found, node, place)
    if not rows:
        return None
    compiled = _compiled(found, node, place, columns=list(rows[0][1]))
    if compiled is None:
        return None
    scenarios = []
    for number, row in rows:
        one = _row_scenario(template, compiled, node, place, number=number, row=row, read_expect=read_expect)
        if one is None:  # the next ones have the same fault
            return None
        scenarios.append(one)
    return Dataset(
        name=template.name,
        file=template.file,
        line=template.line,
        rows=tuple(scenarios),
        min_accuracy=float(cast("float", found.get("min_accuracy", 1.0))),
        has_labels="label" in found,
    )


def _row_scenario(
    base: Scenario,
    compiled: Mapping[str, Template],
    node: Node,
    place: Place,
    *,
    number: int,
    row: Row,
    read_expect: ReadExpect,
) -> Scenario | None:
    rendered: dict[str, Json] = {}
    for key, each in compiled.items():
        try:
            rendered[key] = each.render({ROW: dict(row)})
        except AgentFlowError as error:
            place.child(key).error(error.code, f"row {number}: {error.message}", _at(node, key))
            return None
    expect = Expected()
    if "expect" in rendered:
        at = _at(node, "expect")
        expect = read_expect(_placed(rendered["expect"], at.file, at.line), place.child("expect"))
        if place.reading.report.has_errors:
            return None
    found = node.member("found")
    return msgspec.structs.replace(
        base,
        name=f"{base.name}:{number}",
        input=rendered.get("input", dict(row)),
        expect=expect,
        expected_label=words(rendered["label"]) if "label" in rendered else None,
        found_at=str(found.value) if found is not None else "",
    )


def words(value: Json) -> str:
    """A label as it is counted: texts as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _compiled(found: Mapping[str, Json], node: Node, place: Place, *, columns: list[str]) -> dict[str, Template] | None:
    """The templates of a dataset; None, and a problem, where one cannot be or reads what no row has."""
    compiled: dict[str, Template] = {}
    for key in ("input", "expect", "label"):
        if key not in found:
            continue
        try:
            compiled[key] = Template(found[key])
        except Invalid as error:
            place.child(key).error(error.code, error.message, _at(node, key))
            return None
        for name in sorted(compiled[key].names - {ROW}):
            hint = f"write {{{{ row.{name} }}}}" if name in columns else f"columns are: {', '.join(columns)}"
            place.child(key).error(
                "template.unknown_name", f"it reads {name!r}; there is only 'row'", _at(node, key), hint
            )
        for column in sorted(_columns_read(found[key]) - set(columns)):
            hint = did_you_mean(place.guess(column, columns)) or f"columns are: {', '.join(columns)}"
            place.child(key).error("dataset.no_column", f"no row has a column {column!r}", _at(node, key), hint)
    return None if place.reading.report.has_errors else compiled


def _columns_read(source: Json) -> set[str]:
    """The columns that templates read plainly, as `row.NAME`."""
    if isinstance(source, dict):
        return set().union(*map(_columns_read, source.values()))
    if isinstance(source, list):
        return set().union(*map(_columns_read, source))
    return set(_COLUMN.findall(source)) if isinstance(source, str) and "{{" in source else set()


def _rows_of(found: Mapping[str, Json], node: Node, place: Place) -> list[tuple[int, Row]]:
    """Line and row of each; none, and a problem, where the file cannot be read."""
    name = str(found["file"])
    at = _at(node, "file")
    limit = cast("int", found.get("limit", MAX_ROWS))
    try:
        data = place.reading.files.read(name, max_bytes=MAX_BYTES)
        if len(data) > MAX_BYTES:
            raise Invalid("dataset.too_large", f"{name!r} has more than {MAX_BYTES // 1_000_000} MB")
        content = data.decode("utf-8-sig")
        lines = _csv_rows(content, name) if name.endswith((".csv", ".tsv")) else _json_rows(content, name)
        columns = cast("dict[str, str]", found.get("columns") or {})
        rows: list[tuple[int, Row]] = []
        for number, row in lines:
            if len(rows) >= limit:
                break
            at_line = f"{name!r}, line {number}"
            rows.append(
                (number, {key: _typed(value, columns.get(key, ""), key, at_line) for key, value in row.items()})
            )
    except UnicodeDecodeError:
        place.child("file").error("dataset.not_utf8", f"{name!r} must be UTF-8", at)
        return []
    except AgentFlowError as error:
        place.child("file").error(error.code, error.message, at)
        return []
    if not rows:
        place.child("file").error("dataset.empty", f"{name!r} has no rows", at)
    for column in sorted(columns.keys() - set(rows[0][1] if rows else columns)):
        place.child("columns").error("dataset.no_column", f"no row has a column {column!r}", _at(node, "columns"))
    return rows


def _csv_rows(content: str, name: str) -> Iterator[tuple[int, Row]]:
    reader = csv.reader(StringIO(content, newline=""), delimiter="\t" if name.endswith(".tsv") else ",", strict=True)
    try:
        header = next(reader, [])
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                message = f"{name!r}, line {reader.line_num}: {len(cells)} cells, and the header has {len(header)}"
                raise Invalid("dataset.ragged", f"{message}; put a cell that holds a comma in quotes")
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise Invalid("dataset.not_csv", f"{name!r}, line {reader.line_num}: {error}") from None


def _json_rows(content: str, name: str) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = parse(line)
        except Invalid as error:
            raise Invalid("dataset.not_json", f"{name!r}, line {number}: {error.message}") from None
        if not isinstance(row, dict):
            raise Invalid("dataset.not_json", f'{name!r}, line {number}: expected an object such as {{"text": …}}')
        yield number, row


def _typed(value: Json, kind: str, column: str, at_line: str) -> Json:
    """A cell as the type that `columns` says."""
    if not kind or kind == "text" or not isinstance(value, str):
        return value
    lowered = value.strip().lower()
    try:
        if kind == "boolean" and lowered in _TRUE | _FALSE:
            return lowered in _TRUE
        if kind == "json":
            return parse(value)
        if kind == "integer":
            return int(value)
        if kind == "number":
            return float(value)
    except (ValueError, Invalid):
        pass
    raise Invalid("dataset.cell", f"{at_line}: column {column!r} should be of type {kind}")


def _at(node: Node, key: str) -> Node:
    """A key of the dataset, as a place for problems."""
    return Node(None, node.file, node.key_line(key))


def _placed(value: Json, file: str, line: int) -> Node:
    """A tree all of which stands in one line."""
    if isinstance(value, dict):
        keys = dict.fromkeys(value, (line, 1))
        return Node({key: _placed(item, file, line) for key, item in value.items()}, file, line, keys=keys)
    if isinstance(value, list):
        return Node([_placed(item, file, line) for item in value], file, line)
    return Node(value, file, line)
