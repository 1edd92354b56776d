"""Brings a folder of Markdown and text files into a collection, and keeps it in step with the folder.

A file that has not changed costs a read and a hash; a changed one is cut and embedded again; one that has gone
is forgotten. Every file is saved by itself, so that a call after an interruption goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.memory import Collection, Document, Passage, Quote
from runtime.domain.minimise import Holder, of_collection
from runtime.domain.problem import Problem
from runtime.errors import Invalid, NotFound, Refused
from runtime.memory import passages
from runtime.memory.embedding import Embedder
from runtime.ports import Minimiser

SUFFIXES = frozenset({".md", ".markdown", ".txt"})
MAX_FILE_BYTES = 10_000_000

Progress = Callable[[int, int, int], None]
"""Told how many files are done, of how many, and how many bytes were read so far."""


class Ingested(msgspec.Struct, frozen=True, kw_only=True):
    """What an ingestion did."""

    documents: int
    """In the collection now."""
    saved: int
    forgotten: int
    size_bytes: int
    """Of all files that were read."""
    problems: tuple[Problem, ...]
    """Files that could not be taken, each with the reason; what the collection had of them stays."""


class _Part(msgspec.Struct, frozen=True):
    heading: str = ""
    text: str = ""


class _Said(msgspec.Struct, frozen=True):
    """What a document says, as it comes back from the minimiser; what a policy drops is empty."""

    fields: dict[str, str] = {}
    sections: tuple[_Part, ...] = ()


class _File(NamedTuple):
    size_bytes: int
    digest: str
    reading: passages.Reading | None
    """None when the collection has it already."""


async def ingest(
    folder: Path,
    collection: Collection,
    *,
    embedder: Embedder,
    minimiser: Minimiser | None = None,
    progress: Progress = lambda *_: None,
) -> Ingested:
    """Make the collection say what the folder's files say.

    `minimiser`: keeps people's data out of it; pseudonyms are embedded and saved in their place, in names of files too.
    Raises NotFound when there is no such folder, and what embedding and saving raise. A file that cannot be taken
    is named in the outcome's problems and holds up nothing else.
    """
    memory = embedder.memory
    names = list_files(folder)
    sources = await _sources(names, of_collection(collection), minimiser)
    known = await memory.sources(collection)
    # what was saved in one way is saved anew in the other
    engine = await embedder.engine() + (" minimised" if minimiser is not None else "")
    problems: list[Problem] = []
    size_bytes = saved = 0
    for done, name in enumerate(names):
        progress(done, len(names), size_bytes)
        try:
            # off the event loop: a large file takes seconds to read and cut
            file = await asyncio.to_thread(_take, folder, name, engine, known.get(sources[name]))
        except Invalid as error:
            problems.append(Problem(code=error.code, message=error.message, file=_printable(name)))
            continue
        size_bytes += file.size_bytes
        reading = file.reading
        if reading is not None and minimiser is not None:
            try:
                reading = await _minimised(reading, of_collection(collection), minimiser)
            except Refused as refused:
                problems.append(Problem(code=refused.code, message=refused.message, file=_printable(name)))
                continue
        if reading is not None:
            document = await _document(sources[name], file.digest, reading, collection, embedder)
            await memory.save(collection, [document])
            saved += 1
    gone = sorted(set(known) - set(sources.values()))
    forgotten = await memory.forget(collection, gone) if gone else 0
    progress(len(names), len(names), size_bytes)
    return Ingested(
        documents=len(await memory.sources(collection)),
        saved=saved,
        forgotten=forgotten,
        size_bytes=size_bytes,
        problems=tuple(problems),
    )


def list_files(folder: Path) -> Sequence[str]:
    """Paths of the files to take, relative to the folder, in order; hidden ones are left out. Raises NotFound."""
    if not folder.is_dir():
        raise NotFound("ingest.no_folder", f"there is no folder {str(folder)!r} to take articles from")
    names: list[str] = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        names += [
            (Path(place) / name).relative_to(folder).as_posix()
            for name in files
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
        ]
    return sorted(names)


def content_digest(folder: Path) -> str:
    """64 hex digits over the names and bytes of the files to take. Raises NotFound."""
    names = list_files(folder)
    total = sha256()
    for name in names:
        try:
            content = sha256(_read(folder, name)).hexdigest()
        except Invalid as error:
            content = error.code
        total.update(f"{len(name)} {name} {content} ".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _take(folder: Path, name: str, engine: str, known: str | None) -> _File:
    """Read a file, and cut it unless the collection has it already. Raises Invalid with the reason it cannot be."""
    content = _read(folder, name)
    digest = sha256(f"{passages.FORMAT} {engine} ".encode() + content).hexdigest()
    return _File(len(content), digest, None if digest == known else passages.read(_text(content)))


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    if name != _printable(name):
        raise Invalid("ingest.name", "its name is not UTF-8; rename it")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise Invalid("ingest.outside", "it is a link to a file outside the folder; put a copy into the folder")
    try:
        status = path.stat()
        if not S_ISREG(status.st_mode):
            raise Invalid("ingest.no_file", "it is a device or a pipe; put a file there")
        if status.st_size > MAX_FILE_BYTES:
            raise Invalid(
                "ingest.too_large", f"it has {status.st_size:,} bytes, over the {MAX_FILE_BYTES:,} allowed; split it"
            )
        return path.read_bytes()
    except OSError as error:
        raise Invalid("ingest.unreadable", f"it cannot be read: {error.strerror}") from None


def _printable(name: str) -> str:
    return name.encode("utf-8", "replace").decode()


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Invalid("ingest.not_utf8", f"it is not UTF-8 text; byte {error.start} is not") from None


async def _sources(names: Sequence[str], holder: Holder, minimiser: Minimiser | None) -> Mapping[str, str]:
    """What each file is called in the collection."""
    if minimiser is None:
        return {name: name for name in names}
    kept = await minimiser.kept(holder, [_printable(name) for name in names])
    assert isinstance(kept, list), "minimising keeps the shape"
    return {name: str(source) for name, source in zip(names, kept, strict=True)}


async def _minimised(reading: passages.Reading, holder: Holder, minimiser: Minimiser) -> passages.Reading:
    """A document without people's data; its sentences are cut again, so that they say what its passages say."""
    sections: list[Json] = [{"heading": section.heading, "text": section.text} for section in reading.sections]
    said: Json = {"fields": {**reading.fields}, "sections": sections}
    kept = msgspec.convert(await minimiser.kept(holder, said), _Said)
    return passages.Reading(
        {name: value for name, value in kept.fields.items() if value},
        tuple(
            passages.Section(section.heading, section.text, passages.sentences(section.text))
            for section in kept.sections
            if section.text
        ),
    )


async def _document(
    name: str, digest: str, reading: passages.Reading, collection: Collection, embedder: Embedder
) -> Document:
    data = _data(name, reading.fields)
    title = data["title"]
    headings = [
        f"{title}: {part.heading}" if part.heading not in ("", title) else str(title) for part in reading.sections
    ]
    texts = [f"{heading}. {part.text}" for heading, part in zip(headings, reading.sections, strict=True)]
    texts += [sentence for section in reading.sections for sentence in section.sentences]
    vectors = iter(await embedder.embed_once(texts, tenant=collection.tenant))
    found = [next(vectors) for _ in reading.sections]
    return Document(
        source=name,
        digest=digest,
        data=data,
        passages=tuple(
            Passage(
                heading=heading,
                text=section.text,
                vector=vector,
                quotes=tuple(Quote(sentence, next(vectors)) for sentence in section.sentences),
            )
            for heading, section, vector in zip(headings, reading.sections, found, strict=True)
        ),
    )


def _data(name: str, fields: Mapping[str, str]) -> dict[str, Json]:
    stem = Path(name).stem
    return {**fields, "id": fields.get("id") or stem, "title": fields.get("title") or stem.replace("-", " ")}
