"""What is supposed of a run: its values and models, each with what it is to be instead. Pure."""

from collections.abc import Sequence

import msgspec

from runtime.domain.journal import Entry
from tui.journal import compact, pretty, told
from tui.lines import Column, Line, Source, Span, listed, wrap
from tui.supposing import Place, Supposition

COLUMNS = (Column("what", 26), Column("as recorded", 22), Column("suppose", 0))
ADD, HEAD, AT, DEFINITION, ANSWERS, SCRIPT, TOOLS = "@add", "@", "@at", "@definition", "@answers", "@script", "@tools"
"""Rows that are no values."""
HOW = {
    "live": "the models, as in any run",
    "recorded": "what was recorded, even for another input",
    "scripted": "a script",
}


class Row(msgspec.Struct, frozen=True):
    """One line of the form."""

    key: str
    name: str
    recorded: str
    supposed: str
    place: Place | None = None
    is_loud: bool = False


def rows(found: Sequence[Place], supposed: Supposition, entries: Sequence[Entry]) -> list[Row]:
    """The whole form: how to run it, then what to change."""
    listed_places = [_of_place(place, supposed) for place in found]
    named = {place.name for place in found if not place.is_model}
    listed_places += [
        Row(name, name, "nothing", _said(value), Place(name=name))
        for name, value in supposed.set.items()
        if name not in named
    ]
    listed_places.append(Row(ADD, "another value", "", "Enter: say which"))
    return [*listed_places, *_settings(supposed, entries)]


def rows_source(form: Sequence[Row]) -> Source:
    """The form as a list."""
    return listed(COLUMNS, form, _cells, lambda row: row.key, empty="reading …")


def value_lines(row: Row | None, supposed: Supposition, width: int) -> list[Line]:
    """One value in full: as it is recorded, and as it is supposed to be."""
    if row is None:
        return []
    lines: list[Line] = [[(row.name, "strong")], []]
    if row.place is None:
        return [*lines, *wrap(row.supposed, width)]
    recorded = f"✗ {row.place.error}" if row.place.error else pretty(row.place.value)
    lines += [[("as recorded", "head")], *wrap(recorded, width)]
    if row.key in supposed.set:
        lines += [[], [("supposed", "head")], *wrap(pretty(supposed.set[row.key]), width, "warn")]
    elif row.place.is_model and row.place.name in supposed.models:
        lines += [[], [("supposed", "head")], *wrap(supposed.models[row.place.name], width, "warn")]
    return lines


def _of_place(place: Place, supposed: Supposition) -> Row:
    if place.is_model:
        new = supposed.models.get(place.name, "")
        return Row(f"model {place.name}", f"model of {place.name}", compact(place.value) or "as defined", new, place)
    new = _said(supposed.set[place.name]) if place.name in supposed.set else ""
    recorded = f"✗ {place.error}" if place.error else _said(place.value)
    return Row(place.name, place.name, recorded, new, place)


def _settings(supposed: Supposition, entries: Sequence[Entry]) -> list[Row]:
    if supposed.at:
        entry = entries[supposed.at - 1] if supposed.at <= len(entries) else None
        what = f"  {entry.body.TYPE} {told(entry.body)}" if entry is not None else ""
        at = f"entry {supposed.at} of {len(entries)}{what}"
    else:
        at = "the change; ← and → choose an entry"
    tools = "HAVE THEIR EFFECT" if supposed.live_tools else "have no effect"
    found = [
        Row(HEAD, "", "", ""),
        Row(AT, "as it was up to", "", at),
        Row(DEFINITION, "definition", "", supposed.definition or "the run's own", is_loud=bool(supposed.definition)),
        Row(ANSWERS, "new questions go to", "", HOW[supposed.answers], is_loud=supposed.answers != "live"),
    ]
    if supposed.answers == "scripted":
        script = compact(dict(supposed.script)) if supposed.script else "none yet; Enter: write it"
        found.append(Row(SCRIPT, "script", "", script, is_loud=True))
    return [*found, Row(TOOLS, "tools and requests", "", tools, is_loud=supposed.live_tools)]


def _cells(row: Row) -> Sequence[Span]:
    if row.place is None:
        return ((row.name, "head"), ("", ""), (row.supposed, "warn" if row.is_loud else "dim"))
    recorded = "bad" if row.recorded.startswith("✗") else "dim"
    return ((row.name, "strong"), (row.recorded, recorded), (f"→ {row.supposed}" if row.supposed else "", "warn"))


def _said(value: object) -> str:
    return compact(value) or ('""' if value == "" else "null")  # type: ignore[arg-type]  # JSON by its origin
