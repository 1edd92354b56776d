"""`af memory`: bring a folder of articles into long-term memory, search it, and see what sessions left."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.sessions import sessions

if TYPE_CHECKING:
    from runtime.memory.ingest import Ingested
    from runtime.memory.retrieval import Hit, Retrieved

DEFAULT_COLLECTION = "default"


@click.group(
    cls=Group,
    examples="""
        af memory ingest ./articles
        af memory search "the machine kept my card"
    """,
)
def memory() -> None:
    """Fill and search long-term memory; show and forget what agents remember of sessions.

    An agent reads a collection with `memory: {long_term: {collection: NAME}}`; one that names a folder ingests it
    by itself.
    """


@memory.command(
    "ingest",
    short_help="Fill a collection with the files of FOLDER.",
    examples="""
        af memory ingest ./articles
        af memory ingest ./manuals --collection manuals
    """,
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--collection", default=DEFAULT_COLLECTION, show_default=True)
@pass_af
def ingest_folder(af: Af, folder: Path, collection: str) -> int:
    """Make a collection say what the Markdown and text files of FOLDER say.

    Unchanged files cost nothing, and those that have gone are forgotten. Interrupted, it goes on where it stopped.
    Exit code 1 when a file could not be taken.
    """
    done = af.run_sealed(_ingest(af, folder, collection))
    for problem in done.problems:
        af.terminal.complain(str(problem))
    gone = f", {done.forgotten:,} forgotten" if done.forgotten else ""
    af.terminal.say(f"{collection}: {done.documents:,} documents, {done.saved:,} new or changed{gone}")
    af.terminal.say(f'  search them: af memory search "…" --collection {collection}')
    af.terminal.document({"collection": collection, **msgspec.to_builtins(done)})
    return 1 if done.problems else 0


@memory.command("search", examples='af memory search "the machine kept my card" --limit 5')
@click.argument("text")
@click.option("--collection", default=DEFAULT_COLLECTION, show_default=True)
@click.option("--limit", type=click.IntRange(1, 100), metavar="N", default=3, show_default=True)
@pass_af
def search_memory(af: Af, text: str, collection: str, limit: int) -> None:
    """Find the documents that answer TEXT, with their best sentences."""
    found = af.run_sealed(_search(af, text, collection, limit))
    if found is None or not found.hits:
        af.terminal.say(f"collection {collection!r} holds nothing; fill it: af memory ingest FOLDER")
        af.terminal.document({"hits": [], "confidence": 0.0})
        return
    for hit in found.hits:
        af.terminal.say(_drawn(hit))
    af.terminal.say(f"confidence {found.confidence:.2f} that one of them is on the subject")
    af.terminal.document({"hits": found.hits, "confidence": found.confidence})


memory.add_command(sessions)


async def _ingest(af: Af, folder: Path, name: str) -> "Ingested":
    from appliance.cli.progress import RunProgress
    from appliance.wiring import Appliance
    from runtime.domain.ids import DEFAULT_TENANT
    from runtime.domain.memory import Collection
    from runtime.memory.embedding import Embedder
    from runtime.memory.ingest import ingest

    progress = RunProgress(af.terminal)
    appliance = Appliance(msgspec.structs.replace(af.settings, drain_s=0.0), what="af memory ingest", known=af.known)
    try:
        await appliance.start(recover=False)
        return await ingest(
            folder,
            Collection(DEFAULT_TENANT, name),
            embedder=Embedder(appliance.models, appliance.memory),
            minimiser=appliance.minimising.of_memory,
            progress=lambda done, total, _: progress.work("files", done, total),
        )
    finally:
        progress.clear()
        await appliance.stop()


async def _search(af: Af, text: str, name: str, limit: int) -> "Retrieved | None":
    from appliance.wiring import MEMORY_FILE, Appliance
    from runtime.domain.ids import DEFAULT_TENANT
    from runtime.domain.memory import Collection
    from runtime.memory.embedding import DEFAULT_MODEL
    from runtime.memory.retrieval import retrieve

    if not (af.settings.data / MEMORY_FILE).exists():
        return None
    appliance = Appliance(af.settings, writer=False, what="af memory search", known=af.known)
    try:
        await appliance.start(recover=False)
        collection = Collection(DEFAULT_TENANT, name)
        return await retrieve(
            text, collection, limit=limit, models=appliance.models, memory=appliance.memory, model=DEFAULT_MODEL
        )
    finally:
        await appliance.stop()


def _drawn(hit: "Hit") -> str:
    from appliance.cli.terminal import paragraphs, printable

    title = printable(hit.data.get("title") or hit.source)
    head = f"{click.style(title, bold=True)}  {click.style(f'{printable(hit.source)}  {hit.score:.3f}', dim=True)}"
    return "\n".join([head, *(paragraphs(quote) for quote in hit.quotes[:2]), ""])
