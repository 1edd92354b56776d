"""Open a GGUF file with the bundled llama.cpp library, after checking everything that would take the process down."""

from pathlib import Path
from types import ModuleType

from runtime.errors import Invalid, Unavailable

GGUF_MAGIC = b"GGUF"
BATCH_TOKENS = 64
"""Prompts are computed in pieces of this size, always cut at its multiples: the numbers depend on the cut."""

_INSTRUCTIONS = ("avx2", "bmi2", "f16c", "fma")  # what the bundled build is compiled for


def library_for(file: Path) -> ModuleType:
    """The library, when `file` and this machine are fit for it. Raises Invalid (not GGUF) or Unavailable."""
    check_magic(file)
    _check_processor()
    return _import_library()


def load_options(context_tokens: int, threads: int) -> dict[str, object]:
    """Arguments of `llama_cpp.Llama` beside the file."""
    return {
        "n_ctx": context_tokens,
        "n_batch": BATCH_TOKENS,
        "n_ubatch": BATCH_TOKENS,
        "n_threads": threads,
        "n_threads_batch": threads,
        "n_gpu_layers": 0,
        "use_mmap": False,  # a mapped file that is truncated later kills the process by SIGBUS
        "seed": 0,
        "verbose": False,
    }


def load_error(file: Path, error: ValueError) -> Invalid | Unavailable:
    """What the library's only kind of error means."""
    if "context" in str(error):
        return Unavailable(
            "model.no_memory",
            f"{file.name}: no memory for a context of this size. Give the model a smaller one, or the machine more",
            retryable=False,
        )
    return Invalid(
        "model.unreadable",
        f"{file.name} is damaged, or of a kind that this engine does not know; nothing was loaded",
    )


def check_magic(file: Path) -> None:
    """Raise Invalid when a file does not begin as GGUF files do."""
    with file.open("rb") as stream:
        found = stream.read(len(GGUF_MAGIC))
    if found != GGUF_MAGIC:
        raise Invalid("model.not_gguf", f"{file.name} is not a GGUF file: it begins with {found!r}, not {GGUF_MAGIC!r}")


def _check_processor() -> None:
    """Raise Unavailable where the bundled build would die of an unknown instruction (SIGILL)."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return
    missing = [name for name in _INSTRUCTIONS if name not in flags]
    if missing:
        raise Unavailable(
            "model.processor_too_old",
            f"this machine's processor lacks {', '.join(missing)}, which the bundled model engine needs (x86-64 with "
            "AVX2, from about 2013). Use another machine",
            retryable=False,
        )


def _import_library() -> ModuleType:
    try:
        import llama_cpp  # heavy, and only a worker needs it
    except ImportError as error:
        raise Unavailable(
            "model.engine_missing",
            f"model.llama_cpp needs the bundled wheel 'llama-cpp-python' ({error.name or error} is missing); run make "
            "setup, or rebuild with make pyz",
            retryable=False,
        ) from None
    return llama_cpp
