"""The host process: holds the compiled modules and forks for each call. It never runs a guest itself.

It has one thread, so that a fork copies all there is. It ends its children at their limits, and when whoever started
it is gone; when it is gone, the kernel ends them.
"""

import gc
import os
import resource
import select
import signal
import time
from contextlib import suppress
from typing import Final

import msgspec
import wasmtime

from runtime.sandbox.wasm import engine as engines
from runtime.sandbox.wasm import guest
from runtime.sandbox.wasm.wire import Cancel, Ended, Forget, Frames, Order, framed

GRACE_S: Final = 0.25
"""How much later than the guest's own watch the process is killed: it may sit in a call of the host."""
KEPT_MODULES: Final = 64
_BLOCK: Final = 65_536
_ASKED = msgspec.msgpack.Decoder(Order | Cancel | Forget)
_TOLD = msgspec.json.Decoder(guest.End)


def main() -> None:
    """Serve calls on the first two streams until the first is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Host(guest.Means()).serve()


class _Child:
    """One call that runs."""

    def __init__(self, order: Order, pid: int, sources: dict[int, bytearray], limits: dict[int, int]) -> None:
        self.order = order
        self.pid = pid
        self.ends = os.pidfd_open(pid)
        self.sources = sources
        """Descriptor → what came from it: stdout, stderr, status, in this order."""
        self.limits = limits
        self.until = time.monotonic() + order.timeout_ms / 1_000 + GRACE_S
        self.killed_for = ""
        self.is_gone = False

    def kill(self, reason: str) -> None:
        """End it; the first reason stays."""
        self.killed_for = self.killed_for or reason
        if not self.is_gone:
            os.kill(self.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own

    def take(self, descriptor: int) -> bool:
        """Read what there is, if there is anything; False at the end."""
        try:
            block = os.read(descriptor, _BLOCK)
        except BlockingIOError:  # it was said of another one's descriptor of this number, which is closed by now
            return True
        held, most = self.sources[descriptor], self.limits[descriptor]
        held += block
        if len(held) > most:
            del held[most:]
            self.kill("output")
        return bool(block)

    def take_rest(self) -> None:
        """Read what it left behind; it has ended, and been reaped."""
        self.is_gone = True
        for descriptor in self.sources:
            while self.take(descriptor):
                pass

    def outcome(self, status: int, usage: resource.struct_rusage) -> Ended:
        """What is told of it."""
        stdout, stderr, told = self.sources.values()
        end = guest.End(fault="it ended in the middle")
        with suppress(msgspec.DecodeError):
            end = _TOLD.decode(bytes(told))
        code = os.waitstatus_to_exitcode(status)
        killed_for = self.killed_for or end.killed_for or ("cpu" if code == -signal.SIGXCPU else "")
        fault = "" if killed_for else end.fault
        if fault and code < 0:
            fault = f"its process was ended by signal {-code}"
        return Ended(
            id=self.order.id,
            exit_code=-signal.SIGKILL if self.killed_for else end.exit_code,
            stdout=bytes(stdout),
            stderr=bytes(stderr),
            killed_for=killed_for,
            fault=fault,
            cpu_ms=int((usage.ru_utime + usage.ru_stime) * 1_000),
            memory_bytes=usage.ru_maxrss * 1_024,
        )


class _Host:
    """The one loop, and what it holds."""

    def __init__(self, means: guest.Means) -> None:
        self._means = means
        self._modules: dict[str, engines.Loaded] = {}
        self._children: dict[int, _Child] = {}
        """By the descriptor that says when each ends."""
        self._poller = select.poll()
        self._frames = Frames()

    def serve(self) -> None:
        """Until nobody can ask any more."""
        self._poller.register(0, select.POLLIN)
        gc.freeze()
        while True:
            for descriptor, _ in self._poller.poll(self._wait_ms()):
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
                if child.until <= now and not child.killed_for:
                    child.kill("time")

    def _wait_ms(self) -> int | None:
        waiting = [child.until for child in self._children.values() if not child.killed_for]
        return max(int((min(waiting) - time.monotonic()) * 1_000) + 1, 0) if waiting else None

    def _asked(self, message: Order | Cancel | Forget) -> None:
        match message:
            case Order():
                self._begin(message)
            case Cancel():
                for child in self._children.values():
                    if child.order.id == message.id:
                        child.kill("cancelled")
            case Forget():
                self._modules.pop(message.module, None)

    def _begin(self, order: Order) -> None:
        try:
            loaded = self._module(order)
        except (wasmtime.WasmtimeError, OSError) as error:
            fault = f"{type(error).__name__}: {str(error)[:500]}"
            return _tell(Ended(id=order.id, fault=fault, is_load_fault=True))
        pipes = [os.pipe() for _ in range(3)]
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            for descriptor in (each for pair in pipes for each in pair):
                os.close(descriptor)
            return _tell(Ended(id=order.id, fault=f"no new process: {error}"))
        if pid == 0:
            self._become(order, loaded, pipes, parent)
        for _, theirs in pipes:
            os.close(theirs)
        ours = [each for each, _ in pipes]
        for descriptor in ours:
            os.set_blocking(descriptor, False)
        limits = dict(zip(ours, (order.stdout_max_bytes, order.stderr_max_bytes, _BLOCK), strict=True))
        child = _Child(order, pid, {each: bytearray() for each in ours}, limits)
        for descriptor in (child.ends, *ours):
            self._poller.register(descriptor, select.POLLIN)
        self._children[child.ends] = child

    def _become(self, order: Order, loaded: engines.Loaded, pipes: list[tuple[int, int]], parent: int) -> None:
        """In the forked process: its own streams, nothing of other calls, and the guest."""
        try:
            for child in self._children.values():
                for descriptor in (child.ends, *child.sources):
                    with suppress(OSError):  # it is at its end
                        os.close(descriptor)
            (ours_out, out), (ours_err, err), (ours_status, status) = pipes
            for ours in (ours_out, ours_err, ours_status):
                os.close(ours)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.dup2(out, 1)
            os.dup2(err, 2)
            for descriptor in (nothing, out, err):
                os.close(descriptor)
            guest.run(order, loaded, self._means, status=status, parent=parent)
        finally:
            os._exit(guest.FAILED)

    def _module(self, order: Order) -> engines.Loaded:
        found = self._modules.pop(order.module, None)
        if found is None:
            is_component = order.kind in ("component", "python")
            found = engines.loaded(self._means.engine, order.module, is_component=is_component)
            while len(self._modules) >= KEPT_MODULES:
                del self._modules[next(iter(self._modules))]
        self._modules[order.module] = found
        return found

    def _read(self, descriptor: int) -> None:
        for child in self._children.values():
            if descriptor in child.sources and not child.take(descriptor):
                self._poller.unregister(descriptor)

    def _reap(self, ends: int) -> None:
        child = self._children[ends]
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid == 0:  # it was said of one before, as above
            return
        del self._children[ends]
        child.take_rest()
        for descriptor in child.sources:
            with suppress(KeyError):  # it was at its end
                self._poller.unregister(descriptor)
            os.close(descriptor)
        self._poller.unregister(ends)
        os.close(ends)
        _tell(child.outcome(status, usage))

    def _end_all(self) -> None:
        for child in self._children.values():
            child.kill("cancelled")
        for child in self._children.values():
            os.waitpid(child.pid, 0)


def _tell(ended: Ended) -> None:
    left = memoryview(framed(ended))
    while left:
        left = left[os.write(1, left) :]
