"""One call, in the process that was forked for it: confine the process, then run the guest. Never returns.

Whatever a guest does, it reaches only what WASI was given here; the confinement is for the day when wasmtime fails.
"""

import _thread
import ctypes
import os
import resource
import struct
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import wasmtime
from wasmtime import _ffi as ffi
from wasmtime import component
from wasmtime._extern import wrap_extern

from runtime.sandbox import kernel, landlock, seccomp
from runtime.sandbox.wasm import engine as engines
from runtime.sandbox.wasm.wire import STACK_POINTER, Order

SLACK_BYTES: Final = 96 * 2**20
"""What the process itself may take beyond the guest's memory: thread stacks, copies of what is printed."""
TICK_S: Final = 0.005
FAILED: Final = 250
"""Status of the process where the guest could not be run."""
_ABORTED = -6
_STACK_BYTES: Final = 2**20
"""Of QuickJS's C code, in the guest's memory: more than the engine's own stack lasts for, which ends a call cleanly."""
_PR_SET_PDEATHSIG, _PR_SET_NAME, _SIGKILL = 1, 15, 9
_LIBC = ctypes.CDLL(None)
_BEYOND = tuple(each for each in seccomp.BEYOND_A_PROGRAM if each != "memfd_create")  # wasmtime's images of memories
_FILTER = seccomp.program((*seccomp.WAYS_AROUND, *seccomp.TRACING, *_BEYOND), families=(), allows_processes=False)


class End(msgspec.Struct, frozen=True, kw_only=True):
    """What the process tells of its guest."""

    exit_code: int = 0
    killed_for: str = ""
    fault: str = ""
    cpu_ms: int = 0
    memory_bytes: int = 0


class Means:
    """What every call needs and the host has ready before it forks: linking takes longer than a small guest runs."""

    def __init__(self) -> None:
        self.engine = engines.engine()
        self.modules = wasmtime.Linker(self.engine)
        self.modules.define_wasi()
        self.components = component.Linker(self.engine)
        self.components.add_wasip2()


def run(order: Order, loaded: engines.Loaded, means: Means, *, status: int, own: int) -> None:
    """Run the guest of `order` in this process, which is confined, and exit; `status` is told how it ended.

    `own`: what `confine` returned. Its streams are 1 and 2; all of its output is in them before anything is told.
    """
    end = End(fault="it ended in the middle")
    began = time.process_time()
    name(is_ahead=False)
    try:
        _limit(order, own)
        store = _store(order, means.engine)
        end = _ended(store, loaded, order, means=means, watch=_Watch(order, means.engine))
    except BaseException as error:
        end = failure(error)
    finally:
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu_ms = int((time.process_time() - began) * 1_000)
        end = msgspec.structs.replace(end, cpu_ms=cpu_ms, memory_bytes=used.ru_maxrss * 1_024)
        os.write(status, msgspec.json.encode(end))
        os._exit(0 if not end.fault else FAILED)


def name(*, is_ahead: bool) -> None:
    """Call this process what it is, for `ps`: one that waits for its call, or one that has it."""
    _LIBC.prctl(_PR_SET_NAME, b"af-wasm-waits" if is_ahead else b"af-wasm-guest", 0, 0, 0)


def failure(error: BaseException) -> End:
    """What is told of a process that could not run its guest."""
    return End(fault=f"{type(error).__name__}: {str(error)[:500]}")


def warm(means: Means, nothing: engines.Loaded, own: int) -> None:
    """Go the way of a call with a module of ours that asks for nothing, so that a call finds memory and threads ready.

    To be called once the process is confined: wasmtime starts its threads here.
    """
    order = Order(
        id=0, module="", kind="command", memory_bytes=2**20, cpu_ms=1, timeout_ms=1, stdout_max_bytes=0,
        stderr_max_bytes=0,
    )  # fmt: skip
    _data_bytes(own)
    _begun(_store(order, means.engine), nothing, order, means=means)()


def confine(user: int | None, reads: Sequence[str], parent: int) -> int:
    """Take everything from this process, for good, but the files below `reads`; it ends with its parent.

    It must have one thread: what it starts is confined as well, what it has already is not. Returns the descriptor of
    what the kernel tells of this process's memory, which could not be opened any more.
    """
    own = os.open("/proc/self/status", os.O_RDONLY)
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    _LIBC.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)  # not before: who becomes another user loses it
    if os.getppid() != parent:
        os._exit(FAILED)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    kernel.forbid_new_privileges()
    if landlock.version():
        landlock.confine(reads=reads, writes=())
    kernel.install_filter(_FILTER)
    return own


class _Watch:
    """Moves the epoch, which ends the guest, when its time or its CPU time is over."""

    def __init__(self, order: Order, target: wasmtime.Engine) -> None:
        self._order = order
        self._target = target
        self.reason = ""

    def start(self) -> None:
        """To be called once the process is confined: the thread is, too, then."""
        _thread.start_new_thread(self._look, ())

    def _look(self) -> None:
        until = time.monotonic() + self._order.timeout_ms / 1_000
        cpu_until = time.process_time() + self._order.cpu_ms / 1_000
        while not self.reason:
            time.sleep(max(min(TICK_S, until - time.monotonic()), 0.0005))
            if time.process_time() >= cpu_until:
                self.reason = "cpu"
            elif time.monotonic() >= until:
                self.reason = "time"
        self._target.increment_epoch()


def _store(order: Order, target: wasmtime.Engine) -> wasmtime.Store:
    """A store with its limits and with what WASI may give; folders are opened as the spare user already."""
    given = wasmtime.WasiConfig()
    given.argv = [_called_as(order), *order.argv]
    given.env = list(order.env.items())
    _give_input(given, order.stdin)
    given.inherit_stdout()
    given.inherit_stderr()
    for path in order.ro_paths:
        given.preopen_dir(path, path, False)
    store = wasmtime.Store(target)
    store.set_epoch_deadline(1)
    store.set_limits(
        memory_size=order.memory_bytes,
        table_elements=engines.TABLE_ELEMENTS,
        memories=1 if order.kind in ("command", "javascript") else 8,
        tables=1_000,
        instances=1_000,
    )
    store.set_wasi(given)
    return store


def _give_input(given: wasmtime.WasiConfig, content: bytes) -> None:
    """Bytes as stdin; the library's own way, a file, starts threads that read it."""
    held = ffi.wasm_byte_vec_t()
    raw = (ctypes.c_ubyte * len(content)).from_buffer_copy(content)
    ffi.wasm_byte_vec_new(ctypes.byref(held), len(content), raw)
    ffi.wasi_config_set_stdin_bytes(given.ptr(), ctypes.byref(held))  # which takes it over


def _limit(order: Order, own: int) -> None:
    allowed = resource.getrlimit(resource.RLIMIT_DATA)[0]
    wanted = _data_bytes(own) + order.memory_bytes + SLACK_BYTES
    most = wanted if allowed == resource.RLIM_INFINITY else min(allowed, wanted)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    cpu_s = -(-order.cpu_ms // 1_000) + 2  # behind the watch, should it fail
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))


def _data_bytes(own: int) -> int:
    for line in os.pread(own, 8_192, 0).splitlines():
        if line.startswith(b"VmData:"):
            return int(line.split()[1]) * 1_024
    return 0


def _ended(store: wasmtime.Store, loaded: engines.Loaded, order: Order, *, means: Means, watch: _Watch) -> End:
    watch.start()
    try:
        code = _begun(store, loaded, order, means=means)()
    except wasmtime.ExitTrap as end:
        return End(exit_code=end.code)
    except wasmtime.Trap as trap:
        return _trapped(str(trap), trap.trap_code, watch)
    except wasmtime.WasmtimeError as error:
        return _trapped(str(error), None, watch)
    return End(exit_code=code)


def _trapped(message: str, code: wasmtime.TrapCode | None, watch: _Watch) -> End:
    """A guest that did not end by itself; the last line of what wasmtime says tells why."""
    if watch.reason:
        return End(exit_code=-_SIGKILL, killed_for=watch.reason)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    last = lines[-1] if lines else "no reason is known"
    if code is wasmtime.TrapCode.STACK_OVERFLOW or "call stack exhausted" in message:
        return End(exit_code=_ABORTED, killed_for="stack")
    if "exceeds memory limits" in message or "memory minimum size" in message:
        return End(exit_code=_ABORTED, killed_for="memory")
    os.write(2, f"wasm: {last[:500]}\n".encode())
    return End(exit_code=_ABORTED)


def _begun(store: wasmtime.Store, loaded: engines.Loaded, order: Order, *, means: Means) -> Callable[[], int]:
    """Instantiate; what calls the guest and answers with its exit code."""
    if isinstance(loaded, wasmtime.Module):
        instance = means.modules.instantiate(store, loaded)
        if order.kind == "javascript":
            return lambda: _run_script(store, instance, order)
        return lambda: _called(_export(store, instance, "_start"), store)
    made = means.components.instantiate(store, loaded)
    if order.kind == "python":
        function = made.get_func(store, "run")
        assert function is not None, "the runner has it"
        env = [tuple(each) for each in order.env.items()]
        return lambda: int(function(store, order.program, list(order.argv), env))
    return lambda: _run_command(store, made, loaded)


def _export(store: wasmtime.Store, instance: wasmtime.Instance, name: str) -> object:
    """One export by its name; the library's own mapping makes an object of each of them, which takes 10 ms here."""
    found, key = ffi.wasmtime_extern_t(), name.encode()
    raw = ctypes.create_string_buffer(key)
    there = ffi.wasmtime_instance_export_get(
        store._context(), ctypes.byref(instance._instance), raw, len(key), ctypes.byref(found)
    )
    if not there:
        raise wasmtime.WasmtimeError(f"the module exports no {name}")
    return wrap_extern(found)


def _called(function: object, store: wasmtime.Store) -> int:
    assert isinstance(function, wasmtime.Func), "the module was looked at before it was compiled"
    function(store)
    return 0


def _run_command(store: wasmtime.Store, made: component.Instance, loaded: component.Component) -> int:
    name = next((each for each in loaded.type.exports(store.engine) if each.startswith("wasi:cli/run@")), "")
    place = loaded.get_export_index(name) if name else None
    found = loaded.get_export_index("run", place) if place else None
    function = made.get_func(store, found) if found else None
    if function is None:
        raise wasmtime.WasmtimeError("the component has no wasi:cli/run to call")
    outcome = function(store)
    return 1 if getattr(outcome, "tag", "ok") == "err" else 0


def _run_script(store: wasmtime.Store, instance: wasmtime.Instance, order: Order) -> int:
    """QuickJS, by its exported functions: evaluate, then run what was put off until nothing is left."""
    memory = _export(store, instance, "memory")
    assert isinstance(memory, wasmtime.Memory), "the interpreter has one"
    functions: dict[str, object] = {}

    def call(name: str, *arguments: int) -> int:
        function = functions.get(name) or functions.setdefault(name, _export(store, instance, name))
        assert isinstance(function, wasmtime.Func), "the interpreter has it"
        return int(function(store, *arguments) or 0)

    def put(content: bytes) -> int:
        place = call("malloc", len(content))
        memory.write(store, content, place)
        return place

    call("_initialize")
    stack = _export(store, instance, STACK_POINTER)
    assert isinstance(stack, wasmtime.Global), "it was added"
    bottom = call("malloc", _STACK_BYTES)
    if not bottom:
        raise wasmtime.WasmtimeError("its stack exceeds memory limits")
    stack.set_value(store, (bottom + _STACK_BYTES) & ~15)
    words = [b"qjs", b"--std", b"-e", order.program.encode("utf-8", "replace"), *(each.encode() for each in order.argv)]
    places = [put(word + b"\0") for word in words]
    arguments = put(struct.pack(f"<{len(places) + 1}I", *places, 0))
    code = 1 if call("qjs_init_argv", len(places), arguments) else 0
    context = call("qjs_get_context")
    if context:
        code = 1 if call("js_std_loop", context) or code else 0
        flush = b"std.out.flush(); std.err.flush()"
        call("JS_Eval", context, put(flush + b"\0"), len(flush), put(b"<end>\0"), 0)
    return code


def _called_as(order: Order) -> str:
    return "/program" if order.kind in ("javascript", "python") else os.path.basename(order.module)
