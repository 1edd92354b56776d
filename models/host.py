"""Supervise one model worker process: start it, ask it one thing at a time, and survive whatever it does.

    ask ──▶ turn (first come, first served) ──▶ start and load if needed ──▶ answer
                                                        │ cancelled: told so; not done in 2 s: killed
                                                        │ silent beyond its deadline: killed
                                                        └ died: Unavailable; 3 deaths in 60 s: a rest of 30 s

Never blocks the event loop, and never asks again by itself: the caller's retry policy decides that.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from models.process import WorkerProcess
from models.wire import AnyAsk, Call, Cancel, Failed, Final, Load, Loaded, Ping, to_error
from runtime.errors import Unavailable


class HostLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How patient a host is, in seconds."""

    answer_s: float = 300.0
    """Bound on one answer, counted from its turn. A busy machine needs minutes for a long prompt."""
    load_s: float = 120.0
    """Bound on starting a worker and loading its model."""
    cancel_s: float = 2.0
    """How long a cancelled call may take to stop before its worker is killed."""
    idle_s: float | None = None
    """Stop the worker after so long without a question; None: keep it."""
    deaths: int = 3
    """So many deaths …"""
    window_s: float = 60.0
    """… within so long …"""
    rest_s: float = 30.0
    """… and nothing is started for so long."""


DEFAULT_LIMITS = HostLimits()


class WorkerHost:
    """One model in a process of its own. The process starts when it is first asked, and again after a death."""

    def __init__(
        self,
        load: Load | None,
        *,
        log: Path | None = None,
        limits: HostLimits = DEFAULT_LIMITS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`load` is what every new worker is asked first; None: nothing. Its standard error goes to `log`."""
        self._load = load
        self._log = log
        self._limits = limits
        self._now = now
        self._turn = asyncio.Lock()
        self._worker: WorkerProcess | None = None
        self._last_call = 0
        self._deaths: deque[float] = deque(maxlen=limits.deaths)
        self._rests_until = 0.0
        self._idle: asyncio.TimerHandle | None = None
        self._stopping: asyncio.Task[None] | None = None
        self.loaded: Loaded | None = None
        """What the worker said when it loaded; None while there is none."""

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None while there is none."""
        return self._worker.pid if self._worker else None

    async def call(self, ask: AnyAsk, *, on_text: Callable[[str], None] = lambda _text: None) -> Final:
        """Ask when it is our turn. Cancelling this stops the work.

        Raises what the engine raised (Invalid, StepFailure, …), or Unavailable when the worker died, hung or
        is resting.
        """
        async with self._turn:
            self._keep()
            try:
                worker = await self._ready()
                return await self._exchange(worker, ask, self._limits.answer_s, on_text)
            finally:
                self._release_when_idle()

    async def stop(self) -> None:
        """End the worker, whatever it is doing. Safe to call twice; the next call starts a new one."""
        self._keep()
        if (worker := self._take_worker()) is not None:
            await worker.stop(self._limits.cancel_s)
        if self._stopping is not None:
            await self._stopping

    async def _ready(self) -> WorkerProcess:
        """A live worker with its model loaded."""
        if self._worker is not None:
            if self._worker.is_alive:
                return self._worker
            self._bury()
        self._refuse_while_resting()
        worker = self._worker = await WorkerProcess.spawn(self._log)
        try:
            answer = await self._exchange(worker, self._load or Ping(), self._limits.load_s, lambda _text: None)
        except BaseException:  # a worker without its model is of no use, also when whoever asked first went away
            await self._end(worker)
            raise
        self.loaded = answer if isinstance(answer, Loaded) else None
        return worker

    async def _exchange(
        self, worker: WorkerProcess, ask: AnyAsk, deadline_s: float, on_text: Callable[[str], None]
    ) -> Final:
        self._last_call += 1
        answer = worker.ask(self._last_call, ask, on_text)
        try:
            done, _ = await asyncio.wait({answer}, timeout=deadline_s)
        except asyncio.CancelledError:
            await self._cancel(worker, answer)
            raise
        if not done:
            raise await self._hung(worker, deadline_s)
        try:
            final = answer.result()
        except Unavailable:
            self._bury()
            raise
        if isinstance(final, Failed):
            raise to_error(final)
        return final

    async def _cancel(self, worker: WorkerProcess, answer: asyncio.Future[Final]) -> None:
        """Ask the worker to stop; kill it when it does not, or when we are cancelled once more."""
        worker.tell(Call(0, Cancel(call=self._last_call)))
        try:
            done, _ = await asyncio.wait({answer}, timeout=self._limits.cancel_s)
        except asyncio.CancelledError:
            done = set()
        if not done:
            await self._end(worker)
        elif answer.exception() is not None:  # it died meanwhile; reading the exception marks it as seen
            self._bury()

    async def _hung(self, worker: WorkerProcess, deadline_s: float) -> Unavailable:
        await self._end(worker)
        self._count_death()
        return Unavailable(
            "model.hung",
            f"the model gave no answer within {deadline_s:g} s; its worker was killed and the next call starts a new "
            "one. Shorten the prompt or lower max_tokens if this machine is that slow",
        )

    async def _end(self, worker: WorkerProcess) -> None:
        self._worker = self.loaded = None  # first: whoever is cancelled here must not leave a dying one to the next
        await worker.kill()

    def _bury(self) -> None:
        """The worker is dead: note it, unless that was our own doing."""
        if (worker := self._take_worker()) is not None and not worker.was_killed:
            self._count_death()

    def _count_death(self) -> None:
        now = self._now()
        self._deaths.append(now)
        if len(self._deaths) == self._limits.deaths and now - self._deaths[0] <= self._limits.window_s:
            self._rests_until = now + self._limits.rest_s

    def _refuse_while_resting(self) -> None:
        rest_s = self._rests_until - self._now()
        if rest_s > 0:
            raise Unavailable(
                "model.crash_loop",
                f"the model worker died {self._limits.deaths} times within {self._limits.window_s:g} s; it is tried "
                f"again in {rest_s:.0f} s. Check the machine's memory, and the model with: af models verify",
            )

    def _keep(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _release_when_idle(self) -> None:
        if self._limits.idle_s is not None and self._worker is not None:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._limits.idle_s, self._stop_if_idle)

    def _stop_if_idle(self) -> None:
        if not self._turn.locked() and (worker := self._take_worker()) is not None:
            self._stopping = asyncio.create_task(worker.stop(self._limits.cancel_s))

    def _take_worker(self) -> WorkerProcess | None:
        worker, self._worker, self.loaded = self._worker, None, None
        return worker
