"""What the guards share."""

from collections.abc import Iterator

import pytest

from tests.architecture import source


@pytest.fixture(autouse=True, scope="package")
def _trees() -> Iterator[None]:
    yield
    source.forget()
