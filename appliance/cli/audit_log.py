"""The audit log as the commands of `af audit` open it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from appliance.cli.context import Af

if TYPE_CHECKING:
    from runtime.store.audit import AuditLog

TENANT = click.option("--tenant", metavar="TENANT", default="default", show_default=True, help="Whose chain.")


@asynccontextmanager
async def open_log(af: Af) -> "AsyncIterator[AuditLog | None]":
    """The audit log, to be read beside whoever writes it; None where nothing was run yet."""
    import os

    from runtime.engine.clock import SystemClock
    from runtime.store.audit import AuditLog
    from runtime.store.journal import JOURNAL_FILE, journal_database
    from runtime.store.keyring import database_key

    if not (af.settings.data / JOURNAL_FILE).exists():
        yield None
        return
    database = journal_database(af.settings.data, lock=None, key=database_key(os.environ, af.settings.data))
    await database.start()
    try:
        yield AuditLog(database, SystemClock().now_us)
    finally:
        await database.stop()
