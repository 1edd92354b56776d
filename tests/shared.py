"""Where tests find the data that is too large, or not ours, to be kept in the checkout."""

import os
from pathlib import Path

import pytest

_CHECKOUT = Path(__file__).resolve().parents[1]


def shared(path: str) -> Path:
    """Return `path` inside the shared folder; skip the calling test, saying so, where it is absent.

    The folder is the one AGENTFLOW_SHARED names, else `shared` beside the checkout.
    """
    folder = Path(os.environ.get("AGENTFLOW_SHARED") or _CHECKOUT.parent / "shared")
    found = folder / path
    if not found.exists():
        pytest.skip(f"shared data {path!r} is not in {folder}; set AGENTFLOW_SHARED to the folder that holds it")
    return found
