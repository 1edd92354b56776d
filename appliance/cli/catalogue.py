"""Finds definitions for commands that start nothing: no model, and nothing is written."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.config.settings import Settings
    from appliance.workflows import WorkflowCatalogue
    from runtime.domain.workflow import Workflow


@asynccontextmanager
async def catalogue(settings: "Settings") -> "AsyncIterator[WorkflowCatalogue]":
    """The catalogue of a data folder, which keeps nothing."""
    from appliance.cli.journal import open_journal, reading_catalogue

    async with open_journal(settings) as store:
        yield reading_catalogue(store, settings.data)


async def find_definition(settings: "Settings", name: str) -> "Workflow":
    """The workflow of a name, file or folder. Raises NotFound and InvalidDefinition."""
    from appliance.cli.journal import reading_catalogue
    from runtime.store.volatile import VolatileStore

    if Path(name).exists():  # nothing of the data folder, nor its key, is needed for a file
        return await reading_catalogue(VolatileStore(), settings.data).find(name, allow_paths=True)
    async with catalogue(settings) as known:
        return await known.find(name, allow_paths=True)


def known_names(settings: "Settings") -> Sequence[str]:
    """What can be named without a path."""

    async def names() -> Sequence[str]:
        async with catalogue(settings) as known:
            return await known.names()

    return asyncio.run(names())
