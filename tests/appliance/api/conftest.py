"""The API over an appliance of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from redaction.names.host import NamesHost
from tests.appliance.api.serving import Api, Served, open_api, open_server


@pytest.fixture(autouse=True)
def _one_worker_for_names(names: NamesHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.wiring.NamesHost", lambda **_: names)


@pytest.fixture
async def api(data_folder: Path) -> AsyncIterator[Api]:
    """The API without sockets."""
    async with open_api(data_folder) as opened:
        yield opened


@pytest.fixture
async def served(data_folder: Path) -> AsyncIterator[Served]:
    """The API on a free port and a UNIX socket."""
    async with open_server(data_folder, heartbeat_s=0.05) as opened:
        yield opened
