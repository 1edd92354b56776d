"""One worker that finds names, for every appliance of a session."""

from collections.abc import Iterator

import pytest

from redaction.names.host import NamesHost


class _SharedNames(NamesHost):
    """It takes seconds to start, and keeps nothing between texts."""

    def stop(self) -> None:
        """Stay: the next appliance needs it, too."""


@pytest.fixture(scope="session")
def names() -> Iterator[NamesHost]:
    host = _SharedNames()
    yield host
    NamesHost.stop(host)
