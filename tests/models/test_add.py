"""Bringing models in from a stick: whatever is on it, this program lives and says what is wrong."""

import shutil
from pathlib import Path

import pytest

from models.add import add
from models.catalog import CHAT_MODEL, EMBEDDING_MODEL
from models.folder import list_models, model_names, verify
from runtime.errors import Conflict, Invalid, NotFound


@pytest.fixture(scope="session")
def gguf(models_folder: Path) -> Path:
    """The real chat model's file."""
    return models_folder / CHAT_MODEL / "model.gguf"


def test_a_known_file_gets_the_catalogues_name_and_facts(gguf: Path, tmp_path: Path) -> None:
    manifest = add(gguf, tmp_path)
    assert (CHAT_MODEL, "chat", "Apache-2.0", 8192) == (
        manifest.name,
        manifest.kind,
        manifest.licence,
        manifest.context_tokens,
    )
    assert verify(tmp_path, CHAT_MODEL) == manifest


def test_adding_the_same_again_changes_nothing(gguf: Path, tmp_path: Path) -> None:
    assert add(gguf, tmp_path) == add(gguf, tmp_path)


def test_an_embedding_model_is_a_folder(models_folder: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick" / "My Encoder"
    stick.mkdir(parents=True)
    for name in ("model.onnx", "tokenizer.json"):
        shutil.copy(models_folder / EMBEDDING_MODEL / name, stick)
    assert add(stick, tmp_path / "models", name="encoder").kind == "embedding"
    assert add(stick, tmp_path / "models").name == EMBEDDING_MODEL
    assert [model.name for model in list_models(tmp_path / "models")] == [EMBEDDING_MODEL, "encoder"]


def test_another_models_name_is_not_taken(gguf: Path, models_folder: Path, tmp_path: Path) -> None:
    add(models_folder / EMBEDDING_MODEL, tmp_path, name="mine")
    with pytest.raises(Conflict, match="--name"):
        add(gguf, tmp_path, name="mine")


def test_a_folder_that_differs_from_its_own_manifest_is_damaged(models_folder: Path, tmp_path: Path) -> None:
    """A stick that lost a bit on the way from another appliance."""
    stick = tmp_path / "stick"
    shutil.copytree(models_folder / EMBEDDING_MODEL, stick)
    tokenizer = stick / "tokenizer.json"
    tokenizer.chmod(0o644)
    tokenizer.write_bytes(tokenizer.read_bytes() + b" ")
    with pytest.raises(Invalid, match="copy it again"):
        add(stick, tmp_path / "models")


@pytest.mark.parametrize(
    ("size", "flip", "code"),
    [
        (0, None, "model.not_gguf"),
        (4, None, "model.unreadable"),
        (100, None, "model.unreadable"),
        (5_000_000, None, "model.unreadable"),
        (98_000_000, None, "model.unreadable"),
        (98_362_432, (4, b"\x63"), "model.unreadable"),
        (98_362_432, (8, b"\xff" * 8), "model.unreadable"),
        (98_362_432, (16, b"\xff" * 8), "model.unreadable"),
        (98_362_432, (0, b"GGML"), "model.not_gguf"),
    ],
    ids=["empty", "magic-only", "header", "vocab", "tensors", "version", "tensor-count", "key-count", "magic"],
)
def test_a_damaged_gguf_is_refused(
    gguf: Path, tmp_path: Path, size: int, flip: tuple[int, bytes] | None, code: str
) -> None:
    """Truncated anywhere, another version, absurd counts: nothing is added and nothing crashes."""
    damaged = tmp_path / "stick.gguf"
    content = bytearray(gguf.read_bytes()[:size])
    if flip:
        content[flip[0] : flip[0] + len(flip[1])] = flip[1]
    damaged.write_bytes(content)
    with pytest.raises(Invalid) as invalid:
        add(damaged, tmp_path / "models")
    assert invalid.value.code == code
    assert model_names(tmp_path / "models") == []


@pytest.mark.parametrize("content", [b"Dear customer,\n", b"PK\x03\x04", b"\x7fELF", b"#!/bin/sh\n"])
def test_what_is_no_gguf_is_refused_by_its_first_bytes(tmp_path: Path, content: bytes) -> None:
    other = tmp_path / "model.gguf"
    other.write_bytes(content * 100)
    with pytest.raises(Invalid, match="is not a GGUF file"):
        add(other, tmp_path / "models")


def test_a_damaged_onnx_file_is_refused(models_folder: Path, tmp_path: Path) -> None:
    stick = tmp_path / "encoder"
    stick.mkdir()
    shutil.copy(models_folder / EMBEDDING_MODEL / "tokenizer.json", stick)
    (stick / "model.onnx").write_bytes((models_folder / EMBEDDING_MODEL / "model.onnx").read_bytes()[:1_000_000])
    with pytest.raises(Invalid, match=r"model\.unreadable"):
        add(stick, tmp_path / "models")


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        add(tmp_path / "nothing.gguf", tmp_path / "models")


def test_a_folder_without_a_model_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"expected model\.gguf or model\.onnx and tokenizer\.json"):
        add(tmp_path, tmp_path / "models")


def test_a_file_is_no_embedding_model(gguf: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="is a folder"):
        add(gguf, tmp_path, kind="embedding")
