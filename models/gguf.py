"""A GGUF chat model in llama.cpp, inside a worker (or a worker thread): one model, one request at a time.

Deterministic: the seed is always set, sampling is spelled out, and no wall clock reaches the prompt.
Never takes a grammar from outside.
"""

import ctypes
import json
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path

from models.chat_template import ChatTemplate
from models.folder import Manifest
from models.grammar import grammar_for
from models.llama_library import BATCH_TOKENS, library_for, load_error, load_options
from models.text_stream import TextStream
from models.wire import Completed, Inspected, Stopped
from runtime.domain.chat import ChatMessage, ChatRequest
from runtime.errors import Invalid

SAMPLING: dict[str, float] = {"top_k": 40, "top_p": 0.95, "min_p": 0.05, "typical_p": 1.0, "repeat_penalty": 1.0}
"""Beside temperature and seed, which each request brings."""

_PROBE_CONTEXT_TOKENS = 1_024  # some templates bring a system prompt of hundreds
_PIECE_BYTES = 64


class ChatModel:
    """A loaded GGUF model with its own tokenizer and chat template."""

    def __init__(self, file: Path, *, context_tokens: int, threads: int) -> None:
        """Load `file`. Raises Invalid (damaged, no chat template), or Unavailable (engine or memory is missing)."""
        self._library = library_for(file)
        try:
            self._llama = self._library.Llama(str(file), **load_options(context_tokens, threads))
        except ValueError as error:
            raise load_error(file, error) from None
        self._vocabulary = self._library.llama_model_get_vocab(self._llama.model)
        self._computed: list[int] = []
        self.context_tokens: int = self._llama.n_ctx()
        self._template = self._own_template()

    @property
    def trained_context_tokens(self) -> int:
        """The longest context the model was made for."""
        return int(self._library.llama_model_n_ctx_train(self._llama.model))

    def identity(self, manifest: Manifest) -> dict[str, str]:
        """What decides the bytes of an answer, requests aside."""
        return {
            "engine": f"llama_cpp {self._library.__version__}",
            "system": self._library.llama_print_system_info().decode().strip(),
            "weights": manifest.files[0].sha256,
            "context_tokens": str(self.context_tokens),
            "batch_tokens": str(BATCH_TOKENS),
            "sampling": json.dumps(SAMPLING),
        }

    def inspected(self) -> Inspected:
        """What the file says of itself, after it has answered two tokens."""
        self.complete(_PROBE, lambda _text: None, lambda: False)
        facts = self._llama.metadata
        return Inspected(
            context_tokens=self.trained_context_tokens,
            licence=str(facts.get("general.license", "unknown")),
            about=str(facts.get("general.name", ""))[:100],
        )

    def count_tokens(self, messages: Sequence[tuple[str, str]]) -> int:
        """Exact input tokens of (role, content) pairs."""
        return len(self._prompt(messages))

    def complete(
        self, request: ChatRequest, emit: Callable[[str], None], is_cancelled: Callable[[], bool]
    ) -> Completed:
        """Answer; `emit` gets the pieces. Raises Invalid, StepFailure, or Stopped when cancelled between two tokens."""
        prompt = self._prompt([(message.role, message.content) for message in request.messages])
        self._check_room(len(prompt))
        grammar = grammar_for(request.schema, self._library, self._vocabulary) if request.schema is not None else None
        budget = min(request.max_tokens, self.context_tokens - len(prompt))
        stream = TextStream(request.stop)
        output_tokens, is_finished = 0, False
        self._compute(prompt, is_cancelled)
        self._llama.set_seed(request.seed)
        for token in self._llama.generate(prompt, temp=request.temperature, grammar=grammar, **SAMPLING):
            if is_cancelled():
                raise Stopped
            is_finished = bool(self._library.llama_vocab_is_eog(self._vocabulary, token))
            if is_finished:
                break
            output_tokens += 1
            if piece := stream.add(self._piece(token)):
                emit(piece)
            if stream.is_stopped or output_tokens == budget:
                break
        if piece := stream.close():
            emit(piece)
        return Completed(
            text=stream.text,
            finish_reason="stop" if is_finished or stream.is_stopped else "length",
            input_tokens=len(prompt),
            output_tokens=output_tokens,
        )

    def reset(self) -> None:
        """Forget what was computed for earlier prompts; after a failed call it can't be trusted."""
        self._computed = []
        self._llama.reset()

    def close(self) -> None:
        """Free the model's memory. It must not be asked again: that would crash the process."""
        self._llama.close()

    def _prompt(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        text = self._template.render(messages)
        tokens: list[int] = self._llama.tokenize(text.encode(), add_bos=False, special=True)
        return tokens

    def _compute(self, prompt: list[int], is_cancelled: Callable[[], bool]) -> None:
        """Run the prompt through the model, in pieces cut at multiples of BATCH_TOKENS.

        Whole pieces that an earlier prompt began with are kept. Nothing else is: one token computed alone differs in
        its last bits from the same token computed among others, and the answer would depend on what was asked before.
        """
        done = self._keep_common_pieces(prompt)
        while done < len(prompt):
            if is_cancelled():
                raise Stopped
            piece = prompt[done : done + BATCH_TOKENS]
            self._llama.eval(piece)
            done += len(piece)
            if len(piece) == BATCH_TOKENS:
                self._computed += piece

    def _keep_common_pieces(self, prompt: list[int]) -> int:
        """How many tokens of the prompt are computed already; at least the last one never is."""
        common = _common_length(self._computed, prompt[:-1]) // BATCH_TOKENS * BATCH_TOKENS
        memory = self._library.llama_get_memory(self._llama.ctx)
        if common and not self._library.llama_memory_seq_rm(memory, 0, common, -1):
            common = 0  # recurrent models can't go back
        if common == 0:
            self._llama.reset()
        self._llama.n_tokens = common
        self._computed = prompt[:common]
        return common

    def _check_room(self, prompt_tokens: int) -> None:
        if prompt_tokens >= self.context_tokens:
            raise Invalid(
                "model.prompt_too_long",
                f"the prompt has {prompt_tokens:,} tokens and the model's context is {self.context_tokens:,}, answer "
                "included. Shorten the prompt, or give the model a larger context",
                prompt_tokens=prompt_tokens,
                context_tokens=self.context_tokens,
            )

    def _piece(self, token: int) -> bytes:
        # The library's own detokenizer drops tokens longer than 32 bytes.
        size = _PIECE_BYTES
        while True:
            buffer = ctypes.create_string_buffer(size)
            length: int = self._library.llama_token_to_piece(self._vocabulary, token, buffer, size, 0, False)
            if length >= 0:
                return buffer.raw[:length]
            size = -length

    def _own_template(self) -> ChatTemplate:
        source = self._llama.metadata.get("tokenizer.chat_template")
        if not source:
            raise Invalid(
                "model.no_chat_template",
                "the model brings no chat template: it is a base model, or an embedding model, and can't hold a chat. "
                "Use an instruct model",
            )
        bos, eos = self._llama.token_bos(), self._llama.token_eos()
        return ChatTemplate(
            source, bos=self._token_text(bos), eos=self._token_text(eos), control_tokens=self._control_tokens()
        )

    def _control_tokens(self) -> list[str]:
        marks = self._library.LLAMA_TOKEN_ATTR_CONTROL | self._library.LLAMA_TOKEN_ATTR_UNKNOWN
        vocabulary = self._vocabulary
        attributes = self._library.llama_vocab_get_attr
        count = self._library.llama_vocab_n_tokens(vocabulary)
        return [self._token_text(token) for token in range(count) if attributes(vocabulary, token) & marks]

    def _token_text(self, token: int) -> str:
        if token < 0:  # the model has none
            return ""
        text: bytes = self._library.llama_vocab_get_text(self._vocabulary, token)
        return text.decode(errors="replace")


def inspect(file: Path) -> Inspected:
    """Load a GGUF file with a small context, let it answer two tokens, and say what it is."""
    model = ChatModel(file, context_tokens=_PROBE_CONTEXT_TOKENS, threads=1)
    try:
        return model.inspected()
    finally:
        model.close()


def _common_length(first: Sequence[int], second: Sequence[int]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


_PROBE = ChatRequest(model="", messages=(ChatMessage("user", "Hello"),), max_tokens=2)
