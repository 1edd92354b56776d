"""The real embedding model: vectors that mean something, and never depend on their neighbours."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from models.catalog import EMBEDDING_MODEL
from models.embeddings import SLICE_TEXTS, OnnxBackend
from models.pool import PoolSettings
from runtime.domain.chat import ChatMessage, ChatRequest, EmbedReply, EmbedRequest
from tests.models.cleared import cleared

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTIONS = (
    "My card was swallowed by the machine.",
    "The cash machine kept my bank card.",
    "What exchange rate do you use abroad?",
    "hi",
    "",
    "你好，我的卡丢了",
    "A long one: " + "please help me with my account " * 12,
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def backend(models_folder: Path) -> AsyncIterator[OnnxBackend]:
    backend = OnnxBackend(PoolSettings(folder=models_folder))
    yield backend
    await backend.stop()


async def embed(backend: OnnxBackend, texts: Sequence[str]) -> EmbedReply:
    return await backend.embed(cleared(EmbedRequest(model=EMBEDDING_MODEL, texts=tuple(texts))))


def matrix(reply: EmbedReply) -> NDArray[np.float32]:
    return np.frombuffer(reply.vectors, dtype="<f4").reshape(-1, reply.dimensions)


async def test_vectors_are_unit_length_float32(backend: OnnxBackend) -> None:
    reply = await embed(backend, QUESTIONS)
    lengths = np.linalg.norm(matrix(reply), axis=1)
    assert reply.dimensions == 384
    assert len(reply.vectors) == len(QUESTIONS) * 384 * 4
    assert np.allclose(lengths, 1.0, atol=1e-6)


async def test_texts_that_mean_the_same_are_near(backend: OnnxBackend) -> None:
    """Guards the pooling and the tokenizer: a mistake there still gives vectors."""
    vectors = matrix(await embed(backend, QUESTIONS[:3]))
    same, other = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])
    assert same > 0.6
    assert other < 0.3


async def test_a_vector_does_not_depend_on_its_neighbours(backend: OnnxBackend) -> None:
    """Vectors are cached by the hash of their text, so the same text must give the same bytes in any company."""
    together = (await embed(backend, QUESTIONS)).vectors
    alone = b"".join([(await embed(backend, [question])).vectors for question in QUESTIONS])
    crowd = [*(f"question number {number}" for number in range(100)), *reversed(QUESTIONS)]
    in_a_crowd = matrix(await embed(backend, crowd))[100:][::-1].tobytes()
    assert together == alone == in_a_crowd


async def test_a_vector_does_not_depend_on_the_worker(backend: OnnxBackend, models_folder: Path) -> None:
    """Nor on its number of threads."""
    expected = (await embed(backend, QUESTIONS)).vectors
    other = OnnxBackend(PoolSettings(folder=models_folder, threads=2))
    found = (await embed(other, QUESTIONS)).vectors
    await other.stop()
    assert found == expected


async def test_long_texts_are_cut_and_counted(backend: OnnxBackend) -> None:
    """What lies behind 256 tokens does not count, and that is said."""
    long = "money " * 400
    reply = await embed(backend, ["short", long, long + "and something else", "x" * 200_000])
    rows = matrix(reply)
    assert reply.truncated_texts == 3
    assert np.array_equal(rows[1], rows[2])
    assert reply.input_tokens < 4 * 256


async def test_a_long_job_reports_progress_in_slices(backend: OnnxBackend) -> None:
    seen: list[tuple[int, int]] = []
    texts = tuple(f"text {number}" for number in range(SLICE_TEXTS + 10))
    await backend.embed(
        cleared(EmbedRequest(model=EMBEDDING_MODEL, texts=texts)), lambda done, total: seen.append((done, total))
    )
    assert seen == [(SLICE_TEXTS, SLICE_TEXTS + 10), (SLICE_TEXTS + 10, SLICE_TEXTS + 10)]


async def test_a_question_need_not_wait_for_a_long_job(backend: OnnxBackend) -> None:
    """Someone's question is answered between two slices of somebody else's thousands of texts."""
    finished: list[str] = []
    started = asyncio.Event()

    async def long_job() -> None:
        texts = tuple(f"text {number}" for number in range(SLICE_TEXTS * 3))
        await backend.embed(
            cleared(EmbedRequest(model=EMBEDDING_MODEL, texts=texts)), lambda _done, _total: started.set()
        )
        finished.append("long")

    job = asyncio.create_task(long_job())
    await started.wait()
    await embed(backend, ["a question"])
    finished.append("question")
    await job
    assert finished == ["question", "long"]


async def test_tokens_are_counted_as_the_model_reads_them(backend: OnnxBackend) -> None:
    turns = tuple(ChatMessage("user", question) for question in QUESTIONS)
    counted = await backend.count_tokens(cleared(ChatRequest(model=EMBEDDING_MODEL, messages=turns)))
    assert counted == (await embed(backend, QUESTIONS)).input_tokens


async def test_vectors_are_those_of_the_reference(backend: OnnxBackend, models_folder: Path) -> None:
    """Padded to equal length with an attention mask, as sentence-transformers runs it: the same but for rounding."""
    import onnxruntime
    from tokenizers import Tokenizer

    home = models_folder / EMBEDDING_MODEL
    tokenizer = Tokenizer.from_file(str(home / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    encodings = tokenizer.encode_batch(list(QUESTIONS))
    ids = np.array([encoding.ids for encoding in encodings])
    mask = np.array([encoding.attention_mask for encoding in encodings])
    session = onnxruntime.InferenceSession(str(home / "model.onnx"), providers=["CPUExecutionProvider"])
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    hidden = cast("NDArray[np.float32]", session.run(None, feeds)[0])
    pooled = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    expected = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    assert np.allclose(matrix(await embed(backend, QUESTIONS)), expected, atol=1e-5)
