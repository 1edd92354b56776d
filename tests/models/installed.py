"""The real models, for tests that need them."""

import os
from pathlib import Path

import pytest

from appliance.config.settings import load_settings
from models.catalog import CATALOG
from models.folder import missing

_FOLDER = load_settings(None, os.environ).models_folder  # read before a test points AGENTFLOW_DATA to its own folder


def installed_models() -> Path:
    """The folder that holds both models of the catalogue, unchanged; skip the calling test when there is none."""
    absent = missing(_FOLDER, [model.name for model in CATALOG])
    if absent:
        pytest.skip(f"{', '.join(absent)} not in {_FOLDER}; fetch with: af models fetch")
    return _FOLDER
