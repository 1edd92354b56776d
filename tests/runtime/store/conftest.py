"""A data folder with a journal in it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from runtime.store.database import Database
from runtime.store.journal import Journal, journal_database
from runtime.store.lock import DataLock, hold
from tests.runtime.store.samples import NOON_US


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def lock(folder: Path) -> Iterator[DataLock]:
    with hold(folder, what="test", now_us=NOON_US) as held:
        yield held


@pytest.fixture
async def database(folder: Path, lock: DataLock) -> AsyncIterator[Database]:
    opened = journal_database(folder, lock=lock)
    await opened.start()
    yield opened
    await opened.stop()


@pytest.fixture
def journal(database: Database) -> Journal:
    return Journal(database)
