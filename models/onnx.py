"""A sentence-embedding model in ONNX Runtime, inside a worker (or a worker thread).

A text's vector never depends on what else is embedded with it: texts of equal length share a batch, so that none
is padded. That makes vectors safe to cache by the hash of their text.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from models.folder import Manifest
from models.wire import Embedded, Inspected, Stopped
from runtime.errors import Invalid, Unavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_TOKENS = 256
"""Longer texts are cut here: what sentence-transformers sets for all-MiniLM-L6-v2."""
MAX_CHARACTERS = 65_536
"""Longer texts are cut before they are tokenised; 256 tokens of prose are about 1,200 characters."""

_BATCH_TOKENS = 512  # 32 questions of 16 tokens; larger batches of long texts run out of the processor's cache
_PROBE = ("a probe",)


class EmbeddingModel:
    """A loaded model and its tokenizer: mean pooling over the tokens, then unit length."""

    def __init__(self, folder: Path, *, threads: int) -> None:
        """Load model.onnx and tokenizer.json of `folder`. Raises Invalid, or Unavailable when the engine is missing."""
        # from 1.29 on it reports every session to its maker over the network, unless told not to before it is imported
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        try:
            import onnxruntime  # heavy, and only a worker needs it
            import tokenizers
        except ImportError as error:
            raise Unavailable(
                "model.engine_missing",
                f"model.onnx needs the packages 'onnxruntime' and 'tokenizers' ({error.name} is missing); run make "
                "setup, or rebuild with make pyz",
                retryable=False,
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # both libraries raise bare exceptions of their own
            raise Invalid(
                "model.unreadable",
                f"model.onnx or tokenizer.json can't be loaded ({type(error).__name__}); nothing was loaded",
            ) from None
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._inputs = {node.name for node in self._session.get_inputs()}
        self._check_shape()
        self._versions = f"onnxruntime {onnxruntime.__version__}, tokenizers {tokenizers.__version__}"
        self.dimensions = self.embed(_PROBE, lambda: False).dimensions

    def identity(self, manifest: Manifest) -> dict[str, str]:
        """What decides the bytes of a vector, its text aside. The engine's kernels differ by processor generation."""
        return {
            "engine": self._versions,
            "system": _vector_instructions(),
            "weights": manifest.files[0].sha256,
            "tokenizer": manifest.files[1].sha256,
            "context_tokens": str(MAX_TOKENS),
        }

    def inspected(self) -> Inspected:
        """What the files turned out to be."""
        return Inspected(context_tokens=MAX_TOKENS, licence="unknown", about=f"{self.dimensions} dimensions")

    def count_tokens(self, messages: Sequence[tuple[str, str]]) -> int:
        """Tokens of all contents together, as far as the model reads them."""
        return sum(len(encoding.ids) for encoding in self._encode([content for _, content in messages]))

    def embed(self, texts: Sequence[str], is_cancelled: Callable[[], bool]) -> Embedded:
        """One vector per text, in order. Raises Stopped when cancelled between two batches."""
        import numpy as np

        encodings = self._encode(texts)
        vectors: list[NDArray[np.float32] | None] = [None] * len(texts)
        for batch in _batches([len(encoding.ids) for encoding in encodings]):
            if is_cancelled():
                raise Stopped
            rows = self._run(np.array([encodings[index].ids for index in batch], dtype=np.int64))
            for index, row in zip(batch, rows, strict=True):
                vectors[index] = row
        cut = sum(
            bool(encoding.overflowing) or len(text) > MAX_CHARACTERS
            for encoding, text in zip(encodings, texts, strict=True)
        )
        matrix = np.stack(cast("list[NDArray[np.float32]]", vectors))
        return Embedded(
            vectors=matrix.astype("<f4", copy=False).tobytes(),
            dimensions=matrix.shape[1],
            input_tokens=sum(len(encoding.ids) for encoding in encodings),
            truncated_texts=cut,
        )

    def _encode(self, texts: Sequence[str]) -> "list[_Encoding]":
        encodings = self._tokenizer.encode_batch([text[:MAX_CHARACTERS] for text in texts])
        return cast("list[_Encoding]", encodings)

    def _run(self, ids: "NDArray[np.int64]") -> "NDArray[np.float32]":
        import numpy as np

        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, {name: feeds[name] for name in self._inputs})[0]
        pooled = hidden.mean(axis=1, dtype=np.float32)
        unit = pooled / np.linalg.norm(pooled, axis=1, keepdims=True).clip(1e-12)
        return cast("NDArray[np.float32]", unit.astype(np.float32, copy=False))

    def _check_shape(self) -> None:
        known = {"input_ids", "attention_mask", "token_type_ids"}
        outputs = self._session.get_outputs()
        if "input_ids" not in self._inputs or not self._inputs <= known or len(outputs[0].shape) != 3:
            raise Invalid(
                "model.not_an_encoder",
                f"model.onnx takes {sorted(self._inputs)}; expected a sentence encoder that takes {sorted(known)} and "
                "gives one vector per token",
            )


class _Encoding:
    """The part of tokenizers.Encoding that is used here."""

    ids: list[int]
    overflowing: "list[_Encoding]"


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices in groups of equal length, shortest first, each small enough to be quick."""
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    batch: list[int] = []
    for index in order:
        size = lengths[index]
        if batch and (lengths[batch[0]] != size or (len(batch) + 1) * size > _BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _vector_instructions() -> str:
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return "unknown"
    return " ".join(sorted(flags & {"avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"})) or "baseline"
