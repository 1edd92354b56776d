"""The `wasm` sandbox: modules and components of WASI, JavaScript by QuickJS and Python by CPython, all in wasmtime.

A guest has no system calls: only what WASI is given here, which is its streams, clocks, random bytes, and the folders
of its profile to read. Each call is a process of its own, forked from a warm host process and confined.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path, PurePath

from runtime.domain.canonical import Json
from runtime.domain.exec_profile import DriverReport, ExecProfile, Guarantee, Isolation, Outcome, Runtime
from runtime.errors import Invalid, Unavailable
from runtime.policies.exec_profile import required
from runtime.ports import Progress
from runtime.sandbox.driver import NOTHING, Driver, Handed, Unusable, check_user
from runtime.sandbox.streams import outcome
from runtime.sandbox.wasm import canaries, runners
from runtime.sandbox.wasm.compiling import Compiling
from runtime.sandbox.wasm.link import Link
from runtime.sandbox.wasm.wire import Ended, Kind, Order

AT_ONCE = 16
"""Calls; more wait."""
MAGIC = b"\0asm"
_COMPONENT = b"\0asm\x0d\x00\x01\x00"
Compiled = Callable[[], Awaitable[Path]]
"""Where a module's machine code is, compiled now where it has to be."""
_PREPARE = "run `af wasm prepare` once"


class Wasm(Driver):
    """Implements Sandbox."""

    id = "sandbox.wasm"
    isolation: Isolation = "wasm"
    runtimes = ("wasm", "javascript", "python")

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: where compiled modules are kept; None: in one of its own that goes with `stop`."""
        super().__init__()
        self._folder = folder
        self._is_lent = folder is not None
        self._compiling: Compiling | None = None
        self._link: Link | None = None
        self._starting = asyncio.Lock()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def make_ready(self, profile: ExecProfile, program: bytes = b"") -> None:
        """Compile the module, or the interpreter: seconds, once for a version. Raises Invalid for what is no module."""
        if profile.runtime == "wasm" and program:
            _check_module(program)
            await self._opened().compiled(program)
        elif profile.runtime == "javascript":
            await self._opened().compiled(runners.quickjs_key(), runners.quickjs)
        elif profile.runtime == "python":
            await _python(self._opened())

    async def run_text(self, text: str, *, stdin: bytes = b"") -> Outcome:
        """Run a module of ours, given as text, with the default limits: what a start takes that needs no interpreter.

        Raises as `run` does.
        """
        report = await self.probe()
        if not report.is_usable:
            raise Unavailable("sandbox.does_not_run", f"{self.id}: {report.reason}", retryable=False)
        return await self._text(_probe_profile(), text, stdin=stdin)

    def prepared(self) -> tuple[Runtime, ...]:
        """The interpreters whose machine code is there, so that no call waits for it; `prepare` makes all of them."""
        compiling = self._opened()
        keys: dict[Runtime, bytes] = {"javascript": runners.quickjs_key(), "python": runners.python_name().encode()}
        return tuple(runtime for runtime, key in keys.items() if compiling.is_compiled(key))

    async def ready(self, program: bytes) -> bool:
        """Compile a module before it is first called; whether there was anything to do. Raises Invalid for none."""
        compiling = self._opened()
        _check_module(program)
        if compiling.is_compiled(program):
            return False
        await compiling.compiled(program)
        return True

    async def prepare(self, progress: Progress) -> None:
        """Build and compile the interpreters: a minute of CPU, once for a version. Raises Unavailable."""
        compiling = self._opened()
        progress("wasm: QuickJS compiled", 0, 3)
        try:
            await compiling.compiled(runners.quickjs_key(), runners.quickjs)
        except FileNotFoundError as error:
            raise Unavailable("wasm.no_javascript", f"no JavaScript: {error}", retryable=False) from None
        progress("wasm: CPython built", 1, 3)
        if not runners.can_build_python():
            message = f"Python programs need the package {runners.COMPONENTIZE}, which is not installed"
            raise Unavailable("wasm.no_python", message, retryable=False)
        if not compiling.has_python():
            await compiling.build_python()
        progress("wasm: CPython compiled", 2, 3)
        await _python(compiling)
        progress("wasm: ready", 3, 3)

    async def stop(self) -> None:
        """End the host process and all that it runs. Safe to call twice."""
        link, self._link = self._link, None
        if link is not None:
            await link.stop()
        if not self._is_lent and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = self._compiling = self._report = None

    def _opened(self) -> Compiling:
        """The compiled modules. Raises Unavailable where their folder cannot be used."""
        if self._compiling is None:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="af-wasm-"))
            compiling = Compiling(self._folder)
            compiling.open()
            self._compiling = compiling
        return self._compiling

    def _lost(self, profile: ExecProfile, report: DriverReport) -> frozenset[Guarantee]:
        lost: set[Guarantee] = set()
        if profile.network != "deny_all":  # it has no way to hand any in
            lost.add("net_deny")
        if profile.filesystem == "scratch":  # a folder to write in would have no bound
            lost.add("disk")
        return frozenset(lost)

    def _unrunnable(self, profile: ExecProfile) -> str:
        """Why it cannot run this kind of program; empty: it can."""
        if profile.secrets:
            return "a guest has no descriptor on which secrets could be handed over"
        if profile.runtime == "wasm":
            return ""
        if profile.runtime == "javascript":
            return "" if runners.version(runners.QUICKJS) else f"the package {runners.QUICKJS} is not installed"
        if profile.runtime == "python":
            is_built = self._compiling is not None and self._compiling.has_python()
            return "" if is_built else f"its Python interpreter has not been built; {_PREPARE}"
        return f"it runs no {profile.runtime}"

    async def _examine(self, facts: dict[str, Json]) -> tuple[Guarantee, ...]:
        facts["wasmtime"] = runners.version("wasmtime")
        if find_spec("wasmtime") is None:
            raise Unusable("the package wasmtime is not installed")
        check_user()
        compiling = self._opened()
        held = await self._tried()
        javascript = runners.version(runners.QUICKJS)
        facts["javascript"] = f"QuickJS-NG {javascript}" if javascript else "not installed"
        facts["python"] = "CPython 3.14" if compiling.has_python() else f"not built: {_PREPARE}"
        return held

    async def _tried(self) -> tuple[Guarantee, ...]:
        """The guarantees that no canary broke."""

        async def tried(mode: bytes, **limits: int) -> Outcome:
            return await self._text(_probe_profile(**limits), canaries.TRIES, stdin=mode)

        got = (await tried(b"t")).exit_code
        if got < 0:
            raise Unavailable("sandbox.does_not_run", "a harmless module did not run", retryable=False)
        broken: set[Guarantee] = set()
        for bit, guarantees in _BROKEN.items():
            broken |= guarantees if got & bit else set()
        spawned = await self._text(_probe_profile(), canaries.THREADS, stdin=b"")
        if spawned.exit_code >= 0:
            broken |= {"pids", "no_daemon", "no_host_pid"}
        if not (await tried(b"l", timeout_ms=300, cpu_ms=60_000)).is_timed_out:
            broken.add("wall")
        if (await tried(b"l", timeout_ms=20_000, cpu_ms=100)).killed_for != "cpu":
            broken.add("cpu_total")
        loud = await tried(b"f")
        if not loud.is_truncated or len(loud.stdout) > 2**20:
            broken.add("output_cap")
        return tuple(sorted(required(_probe_profile()) - broken))

    async def _run(self, profile: ExecProfile, program: bytes, stdin: bytes = b"", handed: Handed = NOTHING) -> Outcome:
        compiling = self._opened()
        if profile.runtime == "wasm":
            kind = _check_module(program)
            return await self._called(profile, kind, partial(compiling.compiled, program), stdin=stdin)
        try:
            script = program.decode()
        except UnicodeDecodeError as error:
            raise Invalid("wasm.not_text", f"the program is no UTF-8 at byte {error.start:,}") from None
        if "\0" in script:
            raise Invalid("wasm.not_text", f"the program has a zero byte at character {script.index(chr(0)):,}")
        if profile.runtime == "javascript":
            quickjs = partial(compiling.compiled, runners.quickjs_key(), runners.quickjs)
            return await self._called(profile, "javascript", quickjs, stdin=stdin, script=script)
        return await self._called(profile, "python", partial(_python, compiling), stdin=stdin, script=script)

    async def _text(self, profile: ExecProfile, text: str, *, stdin: bytes) -> Outcome:
        compiled = partial(self._opened().compiled, text.encode())
        return await self._called(profile, "command", compiled, stdin=stdin)

    async def _called(
        self, profile: ExecProfile, kind: Kind, compiled: Compiled, *, stdin: bytes, script: str = ""
    ) -> Outcome:
        path = await compiled()
        began = time.monotonic()
        async with self._room:
            ended = await self._ended(profile, kind, path, stdin=stdin, script=script)
            if ended.is_load_fault:  # written by another wasmtime of this version, or cut off
                self._opened().drop(path)
                await (await self._linked()).forget(str(path))
                ended = await self._ended(profile, kind, await compiled(), stdin=stdin, script=script)
        if ended.fault:
            message = f"{self.id} could not run the program to its end: {ended.fault}"
            raise Unavailable("sandbox.driver_vanished", message)
        return outcome(
            self.id,
            profile,
            began=began,
            exit_code=ended.exit_code,
            stdout=ended.stdout,
            stderr=ended.stderr,
            killed_for=ended.killed_for,
            cpu_ms=ended.cpu_ms,
            memory_bytes=ended.memory_bytes,
        )

    async def _ended(self, profile: ExecProfile, kind: Kind, path: Path, *, stdin: bytes, script: str) -> Ended:
        link = await self._linked()
        order = Order(
            id=link.next_id(),
            module=str(path),
            kind=kind,
            program=script,
            argv=profile.argv,
            env={"LANG": "C.UTF-8", **profile.env},
            stdin=stdin,
            ro_paths=profile.ro_paths,
            memory_bytes=profile.memory_bytes,
            cpu_ms=profile.cpu_ms,
            timeout_ms=profile.timeout_ms,
            stdout_max_bytes=profile.stdout_max_bytes,
            stderr_max_bytes=profile.stderr_max_bytes,
        )
        return await link.ended(order)

    async def _linked(self) -> Link:
        """The host, started where there is none."""
        async with self._starting:
            if self._link is None or not self._link.is_open:
                self._link = await Link.started(await self._opened().compiled(canaries.NOTHING.encode()))
            return self._link


_BROKEN: dict[int, set[Guarantee]] = {
    canaries.FILE: {"fs_deny"},
    canaries.WRITTEN: {"disk"},
    canaries.SOCKET: {"net_deny"},
    canaries.MEMORY: {"mem_total"},
}


async def _python(compiling: Compiling) -> Path:
    return await compiling.compiled(runners.python_name().encode(), compiling.python.read_bytes)


def runtime_of(name: str) -> Runtime:
    """What a file is run as, by its name. Raises Invalid for another."""
    runtimes: dict[str, Runtime] = {".wasm": "wasm", ".js": "javascript", ".py": "python"}
    found = runtimes.get(PurePath(name).suffix.lower())
    if found is None:
        raise Invalid("wasm.unknown_kind", f"{name!r} is run by nothing here: a module ends in .wasm, .js or .py")
    return found


def _check_module(program: bytes) -> Kind:
    """How it is run. Raises Invalid for what is no module."""
    if program[: len(MAGIC)] != MAGIC:
        found = "an empty file" if not program else f"a file that begins with {program[:4]!r}"
        raise Invalid("wasm.not_a_module", f"it is no WebAssembly module but {found}; a module begins with {MAGIC!r}")
    return "component" if program[: len(_COMPONENT)] == _COMPONENT else "command"


def _probe_profile(*, timeout_ms: int = 20_000, cpu_ms: int = 10_000) -> ExecProfile:
    return ExecProfile(tool="probe", tenant="", policy_version="", runtime="wasm", timeout_ms=timeout_ms, cpu_ms=cpu_ms)
