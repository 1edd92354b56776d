"""Finds definitions for commands that start nothing: no store, no model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.config.settings import Settings
    from appliance.workflows import WorkflowCatalogue
    from runtime.domain.workflow import Workflow


def catalogue(data: Path) -> "WorkflowCatalogue":
    """The catalogue of a data folder, which keeps nothing."""
    from appliance.cli.journal import reading_catalogue
    from runtime.store.volatile import VolatileStore

    return reading_catalogue(VolatileStore(), data)


async def find_definition(settings: "Settings", name: str) -> "Workflow":
    """The workflow of a name, file or folder. Raises NotFound and InvalidDefinition."""
    return await catalogue(settings.data).find(name, allow_paths=True)


def known_names(data: Path) -> Sequence[str]:
    """What can be named without a path."""
    return catalogue(data).names()
