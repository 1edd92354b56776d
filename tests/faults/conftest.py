"""What processes are forked from that a test kills."""

from collections.abc import Iterator

import pytest

from tests.faults.nest import Nest


@pytest.fixture(scope="module")
def nest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nest]:
    """Forks the processes of the module that a file of tests names as its `CHILD`."""
    made = Nest(request.module.CHILD, tmp_path_factory.mktemp("nest"))
    made.start()
    yield made
    made.stop()
