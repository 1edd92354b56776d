"""Damaged weights with the real engine: what loads silently is stopped by its hash, and nothing kills the program."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from models.catalog import CHAT_MODEL
from models.llama_cpp import LlamaCppBackend
from models.pool import PoolSettings
from runtime.domain.chat import ChatMessage, ChatRequest
from runtime.errors import Invalid
from tests.models.cleared import cleared

HELLO = ChatRequest(model=CHAT_MODEL, messages=(ChatMessage("user", "Hello"),), max_tokens=3)
TENSORS = 50_000_000
"""An offset inside the tensor data of the chat model."""


@pytest.fixture
def weights(models_folder: Path, tmp_path: Path) -> Path:
    """A copy of the chat model's file that may be damaged, in a model folder of its own."""
    home = tmp_path / "models" / CHAT_MODEL
    shutil.copytree(models_folder / CHAT_MODEL, home)
    (home / "model.gguf").chmod(0o644)
    return home / "model.gguf"


@pytest.fixture
async def backend(weights: Path) -> AsyncIterator[LlamaCppBackend]:
    backend = LlamaCppBackend(PoolSettings(folder=weights.parents[1], context_tokens=256))
    yield backend
    await backend.stop()


def flip(file: Path, offset: int, length: int) -> None:
    with file.open("r+b") as stream:
        stream.seek(offset)
        content = stream.read(length)
        stream.seek(offset)
        stream.write(bytes(byte ^ 0xFF for byte in content))


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: flip(file, TENSORS, 1),
        lambda file: flip(file, TENSORS, 1_000_000),
        lambda file: flip(file, 0, 4),
        lambda file: file.write_bytes(file.read_bytes()[:TENSORS]),
        lambda file: file.write_bytes(b""),
        lambda file: file.unlink(),
    ],
    ids=["one-byte", "a-megabyte", "magic", "truncated", "empty", "missing"],
)
async def test_changed_weights_are_never_loaded(
    backend: LlamaCppBackend, weights: Path, damage: Callable[[Path], object]
) -> None:
    """A model with flipped bits loads, and answers nonsense without a word."""
    damage(weights)
    with pytest.raises(Invalid) as invalid:
        await backend.complete(cleared(HELLO))
    assert ("model.corrupt", 2) == (invalid.value.code, invalid.value.exit_code)
    assert "af models rm" in invalid.value.message


async def test_a_file_truncated_under_a_loaded_model_does_no_harm(backend: LlamaCppBackend, weights: Path) -> None:
    """Weights are read, not mapped: a mapped file that shrinks kills its process."""
    expected = await backend.complete(cleared(HELLO))
    weights.write_bytes(b"")
    assert await backend.complete(cleared(HELLO)) == expected


async def test_a_mended_model_is_loaded_at_the_next_question(
    backend: LlamaCppBackend, weights: Path, models_folder: Path
) -> None:
    """No restart is needed after the operator has put the file right."""
    flip(weights, TENSORS, 1)
    with pytest.raises(Invalid):
        await backend.complete(cleared(HELLO))
    shutil.copyfile(models_folder / CHAT_MODEL / "model.gguf", weights)
    assert (await backend.complete(cleared(HELLO))).text
