"""The `custom` agent: a Python function of the project's folder, run in a worker process of its own."""

from runtime.domain.secret import Reference
from runtime.domain.workflow import AgentSpec
from runtime.errors import Invalid, Unavailable
from runtime.ports import StepContext, StepResult, Task
from runtime.tools.context import Reveal
from runtime.tools.workers import Workers


class CustomAgent:
    """Calls `handler: file.py:function` with the task's input and a context."""

    def __init__(self, spec: AgentSpec, *, folder: str, confinement: bytes = b"", reveal: Reveal | None = None) -> None:
        """`confinement`: a seccomp program that every worker puts on before it loads the project's file.

        `reveal`: gives the values of secrets, for no host, which go to the worker with each call, on its pipe alone.
        """
        handler = str(spec.config.get("handler", ""))
        file, _, function = handler.partition(":")
        if not file or not function:
            raise Invalid("custom.no_handler", f"agent {spec.id!r} needs 'handler', such as actions.py:compose")
        self._spec = spec
        self._reveal = reveal
        named = spec.config.get("secrets", [])
        self._secrets = [str(name) for name in named] if isinstance(named, list) else []
        self._workers = Workers(folder, handler, who=f"agent {spec.id!r}", confinement=confinement)

    async def start(self) -> None:
        """Start the first worker, so that a module that does not load is known before a task waits for it."""
        await self._workers.start()

    async def stop(self) -> None:
        """End every worker."""
        await self._workers.stop()

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Run the function once."""
        context = {
            "run_id": task.run,
            "step": task.step,
            "attempt": task.attempt,
            "idempotency_key": task.idempotency_key,
            "secrets": await self._revealed(task),
        }
        return StepResult(output=await self._workers.call(task.input, context, serve=ctx.call_tool))

    async def _revealed(self, task: Task) -> dict[str, str]:
        """The values of the secrets that the agent is granted, as they are now."""
        if not self._secrets:
            return {}
        if self._reveal is None:
            raise Unavailable("secret.no_store", f"agent {self._spec.id!r} needs secrets, and nothing gives any here")
        return {name: await self._reveal(task.tenant, Reference(name), "") for name in self._secrets}
