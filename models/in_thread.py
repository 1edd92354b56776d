"""One model in a thread of this process: the same engine without a process around it.

For places where no child process may be started. A crash of the engine ends the whole program, and while it loads,
the library redirects this process's standard output: never use it under a terminal screen.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from models.engine import Engine
from models.host import DEFAULT_LIMITS, HostLimits
from models.wire import AnyAsk, Chunk, Final, Load, Loaded, Stopped, failure, to_error
from runtime.errors import AgentFlowError, Unavailable


class ThreadHost:
    """Answers like a WorkerHost. What hangs can't be killed: later calls wait for it, and fail at their deadline."""

    def __init__(self, load: Load, *, limits: HostLimits = DEFAULT_LIMITS) -> None:
        self._load = load
        self._limits = limits
        self._turn = asyncio.Lock()
        self._engine = Engine()
        self._thread: ThreadPoolExecutor | None = None
        self._cancelled = threading.Event()
        self._straggler: asyncio.Future[Final] | None = None
        self.loaded: Loaded | None = None
        """What the engine said when it loaded; None before."""

    async def call(self, ask: AnyAsk, *, on_text: Callable[[str], None] = lambda _text: None) -> Final:
        """Ask when it is our turn. Raises what the engine raised, or Unavailable when it hangs."""
        async with self._turn:
            if self.loaded is None:
                answer = await self._exchange(self._load, self._limits.load_s, on_text)
                self.loaded = answer if isinstance(answer, Loaded) else None
            return await self._exchange(ask, self._limits.answer_s, on_text)

    async def stop(self) -> None:
        """End the call that runs, and free the model unless the engine hangs. Safe to call twice."""
        self._cancelled.set()
        async with self._turn:
            thread, engine = self._thread, self._engine
            self._thread, self._engine, self._straggler, self.loaded = None, Engine(), None, None
            if thread is not None:
                closing = asyncio.get_running_loop().run_in_executor(thread, engine.close)
                await asyncio.wait({closing}, timeout=self._limits.cancel_s)
                thread.shutdown(wait=False)

    async def _exchange(self, ask: AnyAsk, deadline_s: float, on_text: Callable[[str], None]) -> Final:
        if self._straggler is not None and not self._straggler.done():
            await asyncio.wait({self._straggler}, timeout=deadline_s)
            if not self._straggler.done():
                raise _hung(deadline_s)
        loop = asyncio.get_running_loop()
        cancelled = self._cancelled = threading.Event()

        def emit(chunk: Chunk) -> None:
            loop.call_soon_threadsafe(on_text, chunk.text)

        answer = loop.run_in_executor(self._own_thread(), self._answer, ask, emit, cancelled.is_set)
        try:
            done, _ = await asyncio.wait({answer}, timeout=deadline_s)
        except asyncio.CancelledError:
            cancelled.set()
            await self._leave_behind(answer)
            raise
        if not done:
            cancelled.set()
            await self._leave_behind(answer)
            raise _hung(deadline_s)
        try:
            return answer.result()
        except Stopped:
            raise Unavailable("model.stopped", "the model was stopped before it had answered") from None

    def _answer(self, ask: AnyAsk, emit: Callable[[Chunk], None], is_cancelled: Callable[[], bool]) -> Final:
        try:
            return self._engine.answer(ask, emit, is_cancelled)
        except (AgentFlowError, Stopped):
            raise
        except Exception as error:  # the edge of the engine: everything becomes one of our errors
            raise to_error(failure(error)) from error

    async def _leave_behind(self, answer: asyncio.Future[Final]) -> None:
        """Wait a little for a call that was told to stop; what does not stop holds up the next call."""
        answer.add_done_callback(_ignore_outcome)
        self._straggler = answer
        await asyncio.wait({answer}, timeout=self._limits.cancel_s)

    def _own_thread(self) -> ThreadPoolExecutor:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        return self._thread


def _hung(deadline_s: float) -> Unavailable:
    return Unavailable(
        "model.hung",
        f"the model gave no answer within {deadline_s:g} s and runs in this process, where it can't be killed. Use "
        "mode 'process'",
    )


def _ignore_outcome(answer: asyncio.Future[Final]) -> None:
    if not answer.cancelled():
        answer.exception()
