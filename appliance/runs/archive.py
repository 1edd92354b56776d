"""Runs taken elsewhere and back: one file with their journals, definitions and project files, checked by hashes.

A line of canonical JSON each: first `{"format": "agentflow.runs", "v": 1, …}`, then files, definitions, runs with their
entries, and last the SHA-256 of all the lines before. Runs that came from elsewhere are looked at, never gone on with.
"""

import base64
import binascii
import platform
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from runtime.domain.audit import AuditEntry, AuditEvent
from runtime.domain.canonical import Json, digest, encode, parse
from runtime.domain.event import RunStarted
from runtime.domain.ids import DefinitionHash, RunId
from runtime.domain.journal import Body, Entry, Row, envelope_of, read, rfc3339, write
from runtime.domain.run import fold
from runtime.engine.minimise import said_by, saying
from runtime.engine.reading import entries_of
from runtime.engine.replay import definitions_of
from runtime.errors import AgentFlowError, Conflict, Corrupt, Invalid, NotFound
from runtime.store.journal import Journal

if TYPE_CHECKING:
    from appliance.wiring import Appliance

FORMAT = "agentflow.runs"
VERSION = 1
MAX_PARTS = 1_000
PROGRAM = "cli"
"""Who did what was typed without a name; nobody's own."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Export(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to write into a file."""

    runs: Annotated[list[str], Meta(min_length=1, max_length=10_000, description="Ids of runs.")]
    minimise: Annotated[bool, Meta(description="Put pseudonyms in the place of people's data, for good.")] = False
    definitions: Annotated[bool, Meta(description="With the definitions and project files.")] = True


class FileView(msgspec.Struct, frozen=True):
    """A file of runs."""

    content: str


Minimise = Callable[[Json], Awaitable[Json]]
"""Puts pseudonyms in the place of people's data, for good."""


class ImportedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a file."""

    run_id: RunId
    workflow: str
    status: str
    entries: int
    is_new: bool
    """False: it was here already, with the same entries."""


class ImportView(msgspec.Struct, frozen=True, kw_only=True):
    """What a file held."""

    origin: str
    """Where it came from, as its first line says."""
    minimised: bool
    runs: list[ImportedRun]
    definitions: int


async def export_file(appliance: "Appliance", asked: Export, *, actor: str) -> bytes:
    """Write a file; the audit log says so first. Raises as `export_runs` does."""
    await _tell(appliance, "data.exported", actor, ", ".join(asked.runs[:5]))
    return await export_runs(
        appliance.store,
        [RunId(run) for run in asked.runs],
        origin=platform.node(),
        at_us=appliance.clock.now_us(),
        minimise=appliance.minimising.minimiser.once if asked.minimise else None,
        with_definitions=asked.definitions,
    )


async def import_file(appliance: "Appliance", content: bytes, *, actor: str) -> ImportView:
    """Take in a file, and have the audit log say so. Raises as `import_runs` does."""
    view = await import_runs(appliance.store, content, at_us=appliance.clock.now_us())
    await _tell(appliance, "data.imported", actor, ", ".join(run.run_id for run in view.runs[:5]))
    return view


async def _tell(appliance: "Appliance", event: AuditEvent, actor: str, subject: str) -> None:
    await appliance.record(AuditEntry(event=event, actor=actor, subject=subject, outcome="ok"))


async def export_runs(
    store: Journal,
    runs: Sequence[RunId],
    *,
    origin: str,
    at_us: int,
    minimise: Minimise | None = None,
    with_definitions: bool = True,
) -> bytes:
    """The file of these runs and of the runs of their steps. Raises NotFound, Corrupt, and Refused of `minimise`."""
    journals: dict[RunId, list[Entry]] = {}
    for run in runs:
        await _collect(store, run, journals)
    head: Json = {
        "at": rfc3339(at_us),
        "format": FORMAT,
        "minimised": minimise is not None,
        "origin": origin,
        "v": VERSION,
    }
    lines = [encode(head)]
    if with_definitions:
        lines += [encode(line) for line in await _definitions(store, journals)]
    people: dict[str, str] = {PROGRAM: PROGRAM}
    for run, entries in journals.items():
        told = entries if minimise is None else await _minimised(entries, minimise, people)
        rows = [write(run, entry) for entry in told]
        lines.append(encode({"entries": len(rows), "run": run}))
        lines += [encode({"envelope": parse(envelope_of(row)), "hash": row.hash.hex()}) for row in rows]
    body = b"".join(line + b"\n" for line in lines)
    return body + encode({"sha256": sha256(body).hexdigest()}) + b"\n"


async def import_runs(store: Journal, content: bytes, *, at_us: int) -> ImportView:
    """Take in a file; each run is kept whole, or not at all. Raises Invalid for what is no such file, and Corrupt for
    one that was changed, before anything is kept; Conflict for a run that is here with other entries."""
    head, lines = _checked(content)
    origin = str(head.get("origin") or "elsewhere")
    files = {str(line["file"]): _decoded(str(line["content"])) for line in lines if "file" in line}
    documents = [line for line in lines if "definition" in line]
    journals = dict(_journals(lines))
    for line in documents:
        if digest(line["document"]) != line["definition"]:
            raise _changed(f"definition {line['definition']!r}")
    for name, found in files.items():
        if sha256(found).hexdigest() != name:
            raise _changed(f"file {name!r}")
    for line in documents:
        await store.save_definition(
            DefinitionHash(str(line["definition"])),
            str(line.get("name") or ""),
            encode(line["document"]),
            at_us,
            files=list(files.values()),
        )
    runs = [await _adopt(store, run, entries, origin, at_us) for run, entries in journals.items()]
    return ImportView(origin=origin, minimised=bool(head.get("minimised")), runs=runs, definitions=len(documents))


async def _collect(store: Journal, run: RunId, journals: dict[RunId, list[Entry]]) -> None:
    if run in journals or len(journals) >= MAX_PARTS:
        return
    journals[run] = entries = await entries_of(store, run)
    for step in fold(run, entries).steps.values():
        for part in step.runs or ():
            try:
                await _collect(store, part, journals)
            except NotFound:
                continue


async def _definitions(store: Journal, journals: dict[RunId, list[Entry]]) -> list[Json]:
    """The definitions that the runs went by, each behind its files; one that is gone is left out."""
    lines: list[Json] = []
    files: set[str] = set()
    for definition in dict.fromkeys(each for entries in journals.values() for each in definitions_of(entries)):
        try:
            name, document = await store.definition(definition)
            found = parse(document)
            named = found.get("files") if isinstance(found, dict) else None
            for file in named.values() if isinstance(named, dict) else ():
                if str(file) not in files:
                    content = base64.b64encode(await store.file(str(file))).decode()
                    lines.append({"content": content, "file": str(file)})
                    files.add(str(file))
        except NotFound:
            continue
        lines.append({"definition": definition, "document": found, "name": name})
    return lines


async def _minimised(entries: Sequence[Entry], minimise: Minimise, people: dict[str, str]) -> list[Entry]:
    said = await minimise([said_by(entry.body) for entry in entries])
    assert isinstance(said, list), "minimising keeps the shape"
    told = [
        Entry(entry.seq, entry.at_us, _by_nobody(saying(entry.body, each), people))
        for entry, each in zip(entries, said, strict=True)
    ]
    first = told[0].body
    if isinstance(first, RunStarted):
        told[0] = Entry(told[0].seq, told[0].at_us, msgspec.structs.replace(first, minimised=True))
    return told


def _by_nobody(body: Body, people: dict[str, str]) -> Body:
    """An entry with numbers in place of those who did it, the same for the same in all runs of a file."""
    names = {field: str(getattr(body, field)) for field in ("actor", "person") if getattr(body, field, "")}
    said = {field: people.setdefault(name, f"person-{len(people)}") for field, name in names.items()}
    return msgspec.structs.replace(body, **said) if said else body


def _checked(content: bytes) -> tuple[dict[str, Json], list[dict[str, Json]]]:
    body, _, last = content.rstrip(b"\n").rpartition(b"\n")
    body += b"\n"
    try:
        lines = [parse(line) for line in body.splitlines()]
        end = parse(last)
    except Invalid as error:
        raise Invalid("archive.not_one", f"this is no file of `af runs export`: {error.message}") from None
    head = lines[0] if lines else None
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise Invalid("archive.not_one", "this is no file of `af runs export`: its first line does not say so")
    if head.get("v") != VERSION:
        raise Invalid(
            "archive.version", f"the file has version {head.get('v')!r}; this program reads {VERSION}. Use a newer one"
        )
    if not isinstance(end, dict) or end.get("sha256") != sha256(body).hexdigest():
        raise Corrupt(
            "archive.changed", "the file was cut or changed: it does not match its SHA-256; take it over again"
        )
    return head, [line for line in lines[1:] if isinstance(line, dict)]


def _journals(lines: Sequence[dict[str, Json]]) -> Iterator[tuple[RunId, list[Entry]]]:
    run, expected = RunId(""), 0
    entries: list[Entry] = []
    end: dict[str, Json] = {"run": ""}
    for line in [*lines, end]:
        if "envelope" in line:
            row = _row(line)
            if row.run != run or row.seq != len(entries) + 1:
                raise _changed(f"entry {row.seq} of run {row.run!r}")
            entries.append(_read(row))
        elif "run" in line:
            if run:
                if len(entries) != expected or not entries:
                    raise _changed(f"run {run!r}")
                fold(run, entries)
                yield run, entries
            run, entries, expected = RunId(str(line["run"])), [], int(str(line.get("entries") or 0))


def _read(row: Row) -> Entry:
    try:
        return read(row)
    except Corrupt:
        raise _changed(f"entry {row.seq} of run {row.run!r}") from None


def _row(line: dict[str, Json]) -> Row:
    try:
        envelope = line["envelope"]
        assert isinstance(envelope, dict), "checked by its hash below"
        at_us = (datetime.fromisoformat(str(envelope["at"])) - _EPOCH) // timedelta(microseconds=1)
        return Row(
            RunId(str(envelope["run"])),
            int(str(envelope["seq"])),
            at_us,
            str(envelope["type"]),
            encode(envelope["data"]),
            bytes.fromhex(str(line["hash"])),
            int(str(envelope["v"])),
        )
    except (AssertionError, KeyError, ValueError, TypeError):
        raise _changed("an entry") from None


async def _adopt(store: Journal, run: RunId, entries: list[Entry], origin: str, at_us: int) -> ImportedRun:
    state, is_new = fold(run, entries), True
    try:
        here = await entries_of(store, run)
    except NotFound:
        await store.adopt(run, entries, origin=origin, at_us=at_us)
    else:
        if [write(run, entry).hash for entry in here] != [write(run, entry).hash for entry in entries]:
            raise Conflict("archive.other_run", f"run {run!r} is here already, with other entries; it stays as it is")
        is_new = False
    return ImportedRun(run_id=run, workflow=state.workflow, status=state.status, entries=len(entries), is_new=is_new)


def _decoded(content: str) -> bytes:
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise _changed("a project file") from None


def _changed(what: str) -> AgentFlowError:
    return Corrupt("archive.changed", f"{what} in the file is not what its hash says; take the file over again")
