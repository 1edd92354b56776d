"""`af backup`: all that runs need as one file, taken while it is in use."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.units import size
from runtime.errors import NotFound

if TYPE_CHECKING:
    from runtime.store.verification import Verified


@click.command(cls=Command, examples="af backup /mnt/backup/journal-2026-01-31.db")
@click.argument("file", type=click.Path(path_type=Path))
@pass_af
def backup(af: Af, file: Path) -> None:
    """Copy the journal of the data folder to FILE, and verify every entry of the copy.

    It holds the definitions of all runs, with the project files they name. It may be in use meanwhile. A copy keeps
    the key of an encrypted journal. To restore, stop every `af` on the data folder and put the copy in the place of
    its journal.db, without the -wal and -shm files beside it.
    """
    verified = af.run(_back_up(af, file))
    af.terminal.say(
        f"{file}  {size(file.stat().st_size)}  {verified.runs:,} runs, {verified.entries:,} entries, verified"
    )
    af.terminal.document(
        {"file": str(file), "size_bytes": file.stat().st_size, "runs": verified.runs, "entries": verified.entries}
    )


async def _back_up(af: Af, file: Path) -> "Verified":
    from appliance.audit.notes import Note, note
    from runtime.store.journal import JOURNAL_FILE, Journal, journal_database
    from runtime.store.keyring import database_key

    data = af.settings.data
    if not (data / JOURNAL_FILE).exists():
        raise NotFound("backup.nothing", f"there is no journal in {data} yet; nothing was run there")
    # the line first: a copy that nobody was told of is what the log is there to prevent
    await note(af.settings, Note(event="data.exported", subject=f"backup {file.name}"))
    database = journal_database(data, lock=None, key=database_key(os.environ, data))
    await database.start()
    try:
        return await Journal(database).backup(file.absolute())
    finally:
        await database.stop()
