"""A real server for the screens."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.appliance.api.serving import Served, open_server


@pytest.fixture
async def served(data_folder: Path) -> AsyncIterator[Served]:
    """The API on a free port and a UNIX socket."""
    async with open_server(data_folder) as opened:
        yield opened
