"""The `ml_model` agent: a classifier learnt from labelled examples, or a model behind an HTTP endpoint."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from runtime.agents.classifier import as_matrix, predict
from runtime.agents.evidence import evidence_of
from runtime.agents.examples import read_examples
from runtime.agents.http import HttpAgent
from runtime.agents.question import question_in
from runtime.agents.training import Trained, trained
from runtime.domain.canonical import Json
from runtime.domain.chat import EmbedRequest
from runtime.domain.event import Usage
from runtime.domain.workflow import AgentSpec, ModelSpec
from runtime.errors import Invalid
from runtime.memory.embedding import DEFAULT_MODEL, Embedder
from runtime.ports import MemoryStore, ModelAccess, Progress, StepContext, StepResult, Task

DIGITS = 6
"""Decimals that confidences are rounded to, so that an answer does not depend on the last bit of a sum."""
ALTERNATIVES = 3


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's `model:`, as far as this agent reads it."""

    examples: str = ""
    """A CSV among the workflow's files."""
    text: str = "text"
    """Its column of texts."""
    label: str = "label"
    """Its column of labels."""
    neighbours: int = 5
    """How many of the nearest examples say whether a text is of a kind that was seen."""
    reject_below: float | None = None
    """Least mean similarity to them of a known text; None: what 97 % of the examples have among themselves."""
    threshold: float = 0.0
    """Least confidence of a known text."""
    embedding_model: str = DEFAULT_MODEL
    endpoint: str = ""
    """URL that takes the input by POST; its answer is the agent's output."""


class MlModelAgent:
    """A classifier's output is `{label, confidence, similarity, known, alternatives: [{label, confidence}]}`.

    `confidence` is the probability of the label among those there are. `known` says whether the text is of a kind
    that the examples show; a text that is not should go to a person, whatever the confidence.
    """

    def __init__(
        self,
        spec: AgentSpec,
        *,
        folder: str,
        models: ModelAccess,
        memory: MemoryStore,
        progress: Progress = lambda *_: None,
    ) -> None:
        self._spec = spec
        self._folder = Path(folder)
        self._models = models
        self._memory = memory
        self._progress = progress
        self._trained: Trained | None = None

    async def start(self) -> None:
        """Learn the examples, or take what was learnt from equal ones. An endpoint needs nothing."""
        options = self._options()
        if options.endpoint:
            return
        examples = await asyncio.to_thread(
            read_examples, self._folder, options.examples, text=options.text, label=options.label
        )
        self._trained = await trained(
            examples,
            neighbours=options.neighbours,
            reject_below=options.reject_below,
            embedder=Embedder(self._models, self._memory, model=options.embedding_model),
            progress=lambda what, done, total: self._progress(f"{self._spec.id}: {what}", done, total),
        )

    async def stop(self) -> None:
        """Let go of what was learnt."""
        self._trained = None

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Classify once, or ask the endpoint once."""
        options = self._options()
        if options.endpoint:
            return await self._ask_endpoint(task, ctx)
        if self._trained is None:
            await self.start()
        assert self._trained is not None, "start() has trained it"
        classifier, digest = self._trained
        question = question_in(task.input, self._spec.id)
        reply = await ctx.models.embed(EmbedRequest(model=options.embedding_model, texts=(question,)))
        found = predict(classifier, as_matrix([reply.vectors])[0])
        (label, confidence), *others = found.ranking
        return StepResult(
            output={
                **_ranked(label, confidence),
                "similarity": round(found.similarity, DIGITS),
                "known": found.is_known and confidence >= options.threshold,
                "alternatives": [_ranked(*other) for other in others[:ALTERNATIVES]],
            },
            usage=Usage(reply.input_tokens),
            evidence={**evidence_of(reply), "classifier": f"sha256:{digest}"},
        )

    async def _ask_endpoint(self, task: Task, ctx: StepContext) -> StepResult:
        answered = await HttpAgent(self._spec).act(task, ctx)
        assert isinstance(answered.output, dict), "an http agent's output is an object"
        return StepResult(output=answered.output["body"], usage=answered.usage, evidence=answered.evidence)

    def _options(self) -> _Options:
        model = self._spec.model or ModelSpec()
        try:
            options = msgspec.convert(model.options, _Options)
        except msgspec.ValidationError as error:
            raise Invalid("ml_model.options", f"agent {self._spec.id!r}, model: {error}") from None
        if bool(options.examples) == bool(options.endpoint):
            raise Invalid(
                "ml_model.options",
                f"agent {self._spec.id!r}: model needs 'examples', a CSV beside the workflow, or 'endpoint', a URL",
            )
        if options.neighbours < 1:
            raise Invalid(
                "ml_model.options",
                f"agent {self._spec.id!r}: model.neighbours must be at least 1, found {options.neighbours}",
            )
        return options


def _ranked(label: str, confidence: float) -> dict[str, Json]:
    return {"label": label, "confidence": round(confidence, DIGITS)}
