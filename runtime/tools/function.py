"""The kind `function`: a Python function of the project, in a worker process as those of `custom` agents.

Its arguments are the tool's, by name; one that is called `ctx` has the idempotency key and the secrets. It has no
network, and calls no other tools.
"""

from runtime.domain.canonical import Json
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.errors import AgentFlowError
from runtime.ports import ToolContext
from runtime.tools.registry import ToolServices
from runtime.tools.workers import Workers


class FunctionTool:
    """Calls `handler: file.py:function`."""

    def __init__(self, spec: ToolSpec, services: ToolServices) -> None:
        self.spec = spec
        handler = str(spec.config["handler"])
        who = f"tool {spec.id!r}"
        self._workers = Workers(services.folder, handler, who=who, confinement=services.confinement)

    async def stop(self) -> None:
        """End the workers. Safe to call twice."""
        await self._workers.stop()

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        """Run it once. Raises StepFailure with the kind and place of what it raises, never its text."""
        context = {
            "run_id": ctx.sender.run,
            "step": ctx.sender.step,
            "attempt": 1,
            "idempotency_key": call.idempotency_key,
            "secrets": {name: await ctx.reveal(name) for name in ctx.profile.secrets},
        }
        given: Json = dict(call.arguments)
        try:
            return await self._workers.call(given, context, by_name=True)
        except AgentFlowError as error:
            message = f"tool {self.spec.id!r}: {error.message}"
            raise type(error)(error.code, message, retryable=error.retryable) from None
