"""What the tests of `models` share."""

from pathlib import Path

import pytest

from tests.models.installed import installed_models


@pytest.fixture(scope="session")
def models_folder() -> Path:
    """The folder with the real models; tests that ask for it are skipped where there is none."""
    return installed_models()
