"""The real models, for tests that need them."""

import os
from pathlib import Path

import pytest

from models.catalog import CATALOG
from models.folder import missing


def installed_models() -> Path:
    """The folder that holds both models of the catalogue, unchanged; skip the calling test when there is none."""
    named = os.environ.get("AGENTFLOW_MODELS")
    folder = Path(named) if named else Path.home() / ".local/share/agentflow/models"
    absent = missing(folder, [model.name for model in CATALOG])
    if absent:
        pytest.skip(f"{', '.join(absent)} not in {folder}; fetch with: af models fetch")
    return folder
