"""The manual names every key of the format."""

from appliance.scenarios.datasets import DATASET_KEYS
from appliance.scenarios.shapes import EXPECTED_KEYS
from tests.architecture.source import ROOT


def test_every_key_is_explained() -> None:
    page = (ROOT / "appliance" / "docs" / "testing.md").read_text(encoding="utf-8")
    assert [] == [key for key in (*EXPECTED_KEYS, *DATASET_KEYS) if f"`{key}`" not in page]
