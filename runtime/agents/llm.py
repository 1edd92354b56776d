"""The `llm` agent: a prompt template in, free text or a schema-checked object out."""

import json
from collections.abc import Mapping
from typing import cast

from runtime.agents.evidence import evidence_of
from runtime.agents.templates import Template
from runtime.agents.tool_loop import DEFAULT_TURNS, converse, used
from runtime.domain.canonical import Json, parse
from runtime.domain.chat import ChatMessage, ChatReply, ChatRequest
from runtime.domain.workflow import AgentSpec, ModelSpec
from runtime.errors import Invalid, StepFailure
from runtime.ports import StepContext, StepResult, Task

MAX_TURNS = 100
"""As many as an agent may ask for."""


class LlmAgent:
    """Asks a chat model, and makes the calls of tools that it asks for.

    Its output is `{text}`, or the object that `output_schema` describes. In a session the model is told first what was
    said before.
    """

    def __init__(self, spec: AgentSpec) -> None:
        self._spec = spec
        self._model = spec.model or ModelSpec()
        self._prompt = Template(spec.prompt) if spec.prompt else None

    async def start(self) -> None:
        """Nothing to get ready; the model loads when it is first asked."""

    async def stop(self) -> None:
        """Nothing to release."""

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Ask the model: once, or, where the agent has tools, until it answers without calling one."""
        request = self.request(task.data, task.input)
        asked, told = request.messages[-1].content, dict[str, Json]()
        if ctx.session is not None:
            request, told = await ctx.session.recall(request)
        if self._spec.tools:
            reply, usage = await converse(request, ctx, agent=self._spec.id, turns=self._turns())
        else:
            reply = await ctx.models.complete(request)
            usage = used(reply)
        output, evidence = self.output(reply), evidence_of(reply)
        if ctx.session is not None:
            ctx.session.note(asked, reply.text)
            evidence["session"] = told
        return StepResult(output=output, usage=usage, evidence=evidence)

    def _turns(self) -> int:
        turns = self._spec.config.get("max_turns", DEFAULT_TURNS)
        if type(turns) is not int or not 1 <= turns <= MAX_TURNS:
            message = f"agent {self._spec.id!r}: config.max_turns is a whole number from 1 to {MAX_TURNS}"
            raise Invalid("llm.max_turns", message)
        return turns

    @property
    def names(self) -> frozenset[str]:
        """The names that its prompt reads."""
        return self._prompt.names if self._prompt else frozenset({"task"})

    def request(self, data: Mapping[str, Json], given: Json) -> ChatRequest:
        """What the model is asked, over a run's data and what the agent is given."""
        prompt = self._prompt.render({**data, "task": given}) if self._prompt else given
        content = prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False, sort_keys=True)
        system = (ChatMessage("system", self._spec.role),) if self._spec.role else ()
        return ChatRequest(
            provider=self._model.provider,
            model=self._model.name,
            messages=(*system, ChatMessage("user", content)),
            max_tokens=self._model.max_tokens,
            temperature=self._model.temperature,
            seed=self._model.seed,
            stop=tuple(cast("list[str]", self._model.options.get("stop", ()))),
            schema=self._spec.output_schema,
            options=self._model.options,
        )

    def output(self, reply: ChatReply) -> Json:
        """What the agent answers: the text, or the JSON that its schema asks for."""
        if self._spec.output_schema is None:
            return {"text": reply.text}
        try:
            return parse(reply.text)
        except Invalid:
            raise StepFailure(
                "llm.not_json",
                f"agent {self._spec.id!r}: model {reply.model!r} did not answer with JSON "
                f"({reply.output_tokens} tokens, finish reason {reply.finish_reason!r}); raise max_tokens",
                retryable=False,
            ) from None
