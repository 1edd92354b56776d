"""The host process: holds the compiled modules and has a process of its own for each call. It runs no guest itself.

It has one thread, so that a fork copies all there is. Some processes are forked ahead of their calls; each takes one
call and ends with it. It ends its children at their limits, and when whoever started it is gone; when it is gone, the
kernel ends them.
"""

import gc
import itertools
import os
import resource
import select
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec
import wasmtime

from runtime.sandbox import users
from runtime.sandbox.wasm import engine as engines
from runtime.sandbox.wasm import guest
from runtime.sandbox.wasm.wire import Cancel, Ended, Forget, Frames, Order, framed

GRACE_S: Final = 0.25
"""How much later than the guest's own watch the process is killed: it may sit in a call of the host."""
KEPT_MODULES: Final = 64
PARKED: Final = 2
"""Processes that wait for a call; a fork and the first touch of its memory take longer than a small guest."""
_PARK_AFTER_MS: Final = 5
_PARK_DURING_MS: Final = 100
"""Of quiet, with no call running and with some: calls come first."""
_BLOCK: Final = 65_536
_ASKED = msgspec.msgpack.Decoder(Order | Cancel | Forget)
_ORDERED = msgspec.msgpack.Decoder(Order)
_TOLD = msgspec.json.Decoder(guest.End)


def main(arguments: Sequence[str]) -> None:
    """Serve calls on the first two streams until the first is closed; argument: the module that does nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    means = guest.Means()
    _Host(means, engines.loaded(means.engine, arguments[0], is_component=False)).serve()


class _Orders:
    """Where one that waits finds its call: a file in memory, and a pipe that says when it is there."""

    def __init__(self) -> None:
        self._held = os.memfd_create("order")
        self._waits, self._wakes = os.pipe()

    def put(self, order: Order) -> bool:
        """Hand a call over; False where nobody waits any more."""
        left = memoryview(msgspec.msgpack.encode(order))
        try:
            while left:
                left = left[os.write(self._held, left) :]
            os.write(self._wakes, b"o")
        except OSError:
            return False
        return True

    def take(self) -> Order:
        """In the process that waits: its one call."""
        os.close(self._wakes)
        if not os.read(self._waits, 1):  # nobody can ask any more
            os._exit(guest.FAILED)
        order = _ORDERED.decode(os.pread(self._held, os.fstat(self._held).st_size, 0))
        os.close(self._waits)
        os.close(self._held)
        return order

    def forget_reader(self) -> None:
        """In the host: the other process has that end."""
        os.close(self._waits)

    def close(self) -> None:
        """In the host, and in every process that is somebody else's."""
        os.close(self._held)
        os.close(self._wakes)


class _Child:
    """One process, which waits for a call or carries it out."""

    def __init__(self, pid: int, sources: Sequence[int], orders: _Orders, *, user: int | None) -> None:
        self.pid = pid
        self.user = user
        self.ends = os.pidfd_open(pid)
        self.sources = {each: bytearray() for each in sources}
        """Descriptor → what came from it: stdout, stderr, status, in this order."""
        self.orders = orders
        self.id = 0
        """Of its call; 0: it waits for one."""
        self.limits: dict[int, int] = {}
        self.until = 0.0
        self.killed_for = ""
        self.is_gone = False
        self.is_told = False

    def begin(self, order: Order) -> None:
        """It has this call from now on."""
        self.id = order.id
        self.limits = dict(zip(self.sources, (order.stdout_max_bytes, order.stderr_max_bytes, _BLOCK), strict=True))
        self.until = time.monotonic() + order.timeout_ms / 1_000 + GRACE_S

    def kill(self, reason: str) -> None:
        """End it; the first reason stays."""
        self.killed_for = self.killed_for or reason
        if not self.is_gone:
            os.kill(self.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own

    def take(self, descriptor: int) -> bool | None:
        """Read what there is; None where there is nothing yet, False at the end."""
        try:
            block = os.read(descriptor, _BLOCK)
        except BlockingIOError:
            return None
        held, most = self.sources[descriptor], self.limits[descriptor]
        held += block
        if len(held) > most:
            del held[most:]
            self.kill("output")
        return bool(block)

    def has_said(self) -> bool:
        """Whether it told how its guest ended, which it does in one piece and as its last."""
        return bool([*self.sources.values()][2])

    def take_rest(self) -> None:
        """Read what it left behind; nothing comes any more, and where its process is not gone yet, no end does."""
        for descriptor in self.sources:
            while self.take(descriptor):
                pass

    def outcome(self, status: int | None, usage: resource.struct_rusage | None) -> Ended:
        """What is told of it; without a status, as it said itself."""
        stdout, stderr, told = self.sources.values()
        end = guest.End(fault="it ended in the middle")
        with suppress(msgspec.DecodeError):
            end = _TOLD.decode(bytes(told))
        code = 0 if status is None else os.waitstatus_to_exitcode(status)
        killed_for = self.killed_for or end.killed_for or ("cpu" if code == -signal.SIGXCPU else "")
        fault = "" if killed_for else end.fault
        if fault and code < 0:
            fault = f"its process was ended by signal {-code}"
        return Ended(
            id=self.id,
            exit_code=-signal.SIGKILL if self.killed_for else end.exit_code,
            stdout=bytes(stdout),
            stderr=bytes(stderr),
            killed_for=killed_for,
            fault=fault,
            cpu_ms=end.cpu_ms if usage is None else int((usage.ru_utime + usage.ru_stime) * 1_000),
            memory_bytes=end.memory_bytes if usage is None else usage.ru_maxrss * 1_024,
        )


class _Host:
    """The one loop, and what it holds."""

    def __init__(self, means: guest.Means, nothing: engines.Loaded) -> None:
        self._means = means
        self._nothing = nothing
        self._modules: dict[str, engines.Loaded] = {}
        self._children: dict[int, _Child] = {}
        """By the descriptor that says when each ends."""
        self._poller = select.poll()
        self._frames = Frames()
        self._ahead = PARKED
        self._is_root = users.can_switch()
        self._numbers = itertools.count(os.getpid() * 37)

    def serve(self) -> None:
        """Until nobody can ask any more."""
        self._poller.register(0, select.POLLIN)
        gc.freeze()
        while True:
            found = self._poller.poll(self._wait_ms())
            for descriptor, _ in found:
                if descriptor == 0:
                    block = os.read(0, _BLOCK)
                    if not block:
                        return self._end_all()
                    for frame in self._frames.fed(block):
                        self._asked(_ASKED.decode(frame))
                elif descriptor in self._children:
                    self._reap(descriptor)
                else:
                    self._read(descriptor)
            now = time.monotonic()
            for child in self._children.values():
                if child.id and child.until <= now and not child.killed_for:
                    child.kill("time")
            if not found and len(self._parked()) < self._ahead:
                with suppress(OSError):  # no new process now; there may be one when it is needed
                    self._forked(None)

    def _wait_ms(self) -> int | None:
        waiting = [child.until for child in self._children.values() if child.id and not child.killed_for]
        first = max(int((min(waiting) - time.monotonic()) * 1_000) + 1, 0) if waiting else None
        if len(self._parked()) < self._ahead:
            return _PARK_AFTER_MS if first is None else min(first, _PARK_DURING_MS)
        return first

    def _parked(self) -> list[_Child]:
        return [child for child in self._children.values() if not child.id and not child.killed_for]

    def _asked(self, message: Order | Cancel | Forget) -> None:
        match message:
            case Order():
                self._begin(message)
            case Cancel():
                for child in self._children.values():
                    if child.id == message.id:
                        child.kill("cancelled")
            case Forget():
                self._modules.pop(message.module, None)
                self._retire()

    def _begin(self, order: Order) -> None:
        try:
            self._load(order)
        except (wasmtime.WasmtimeError, OSError) as error:
            fault = f"{type(error).__name__}: {str(error)[:500]}"
            return _tell(Ended(id=order.id, fault=fault, is_load_fault=True))
        for child in () if order.ro_paths else self._parked():  # which can open no file any more
            if child.orders.put(order):
                return child.begin(order)
            child.kill("gone")
        try:
            self._forked(order).begin(order)
        except OSError as error:
            _tell(Ended(id=order.id, fault=f"no new process: {error}"))

    def _forked(self, order: Order | None) -> _Child:
        """A process for this call, or for one that is still to come. Raises OSError."""
        pipes = [os.pipe() for _ in range(3)]
        orders = _Orders()
        user = self._next_user()
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            for descriptor in (each for pair in pipes for each in pair):
                os.close(descriptor)
            orders.forget_reader()
            orders.close()
            raise
        if pid == 0:
            self._become(order, pipes, orders, user=user, parent=parent)
        orders.forget_reader()
        for _, descriptor in pipes:
            os.close(descriptor)
        for descriptor, _ in pipes:
            os.set_blocking(descriptor, False)
        child = _Child(pid, [each for each, _ in pipes], orders, user=user)
        for descriptor in (child.ends, *child.sources):
            self._poller.register(descriptor, select.POLLIN)
        self._children[child.ends] = child
        return child

    def _become(
        self,
        order: Order | None,
        pipes: list[tuple[int, int]],
        orders: _Orders,
        *,
        user: int | None,
        parent: int,
    ) -> None:
        """In the forked process: its own streams, nothing of other calls, and the guest."""
        try:
            if order is not None:
                guest.name(is_ahead=False)
                orders.close()
                orders.forget_reader()
            gc.disable()  # it would copy what it looks at
            for child in self._children.values():
                child.orders.close()
                for descriptor in (child.ends, *child.sources):
                    with suppress(OSError):  # it is at its end
                        os.close(descriptor)
            (ours_out, out), (ours_err, err), (ours_status, status) = pipes
            for descriptor in (ours_out, ours_err, ours_status):
                os.close(descriptor)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for descriptor, place in ((nothing, 0), (out, 1), (err, 2)):
                os.dup2(descriptor, place)
                os.close(descriptor)
            own = guest.confine(user, order.ro_paths if order else (), parent)
            if order is None:
                guest.warm(self._means, self._nothing, own)
                guest.name(is_ahead=True)
                order = orders.take()
            guest.run(order, self._modules[order.module], self._means, status=status, own=own)
        except BaseException as error:
            os.write(pipes[2][1], msgspec.json.encode(guest.failure(error)))
        finally:
            os._exit(guest.FAILED)

    def _next_user(self) -> int | None:
        """Whom the next process becomes, where we are root: somebody whom no other one of ours is."""
        if not self._is_root:
            return None
        taken = {child.user for child in self._children.values()}
        return next(user for number in self._numbers if (user := users.AHEAD + number % users.HOW_MANY) not in taken)

    def _load(self, order: Order) -> None:
        """See that its module is loaded; those who wait and do not have it are let go."""
        found = self._modules.pop(order.module, None)
        if found is None:
            is_component = order.kind in ("component", "python")
            found = engines.loaded(self._means.engine, order.module, is_component=is_component)
            while len(self._modules) >= KEPT_MODULES:
                del self._modules[next(iter(self._modules))]
            self._retire()
        self._modules[order.module] = found

    def _retire(self) -> None:
        for child in self._parked():
            child.kill("retired")

    def _read(self, descriptor: int) -> None:
        for child in self._children.values():
            if descriptor in child.sources:
                if not child.id or child.take(descriptor) is False:
                    self._poller.unregister(descriptor)
                if child.has_said() and not child.is_told:
                    child.take_rest()
                    self._tell_end(child, None, None)
                return

    def _tell_end(self, child: _Child, status: int | None, usage: resource.struct_rusage | None) -> None:
        """How its call ended. Where it said so itself it is killed before anybody hears of it: no code of it runs."""
        ended = child.outcome(status, usage)
        child.is_told = True
        child.kill("ended")
        _tell(ended)

    def _reap(self, ends: int) -> None:
        child = self._children[ends]
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid == 0:  # it was said of one before, as above
            return
        del self._children[ends]
        child.is_gone = True
        if not child.id and not child.killed_for:  # it could not be confined; a call will be told why
            self._ahead = 0
        if child.id and not child.is_told:
            child.take_rest()
            self._tell_end(child, status, usage)
        child.orders.close()
        for descriptor in child.sources:
            with suppress(KeyError):  # it was at its end
                self._poller.unregister(descriptor)
            os.close(descriptor)
        self._poller.unregister(ends)
        os.close(ends)

    def _end_all(self) -> None:
        for child in self._children.values():
            child.kill("cancelled")
        for child in self._children.values():
            os.waitpid(child.pid, 0)


def _tell(ended: Ended) -> None:
    left = memoryview(framed(ended))
    while left:
        left = left[os.write(1, left) :]
