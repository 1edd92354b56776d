"""Makes machine code of modules, each once, in processes of their own."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from runtime.errors import Invalid, Unavailable
from runtime.sandbox import children, users
from runtime.sandbox.wasm import runners
from runtime.sandbox.wasm.cache import Cache
from runtime.sandbox.wasm.compiler import FAULT_STATUS
from runtime.sandbox.wasm.link import command, environment

CONFIGURATION = "1"
"""Of the engine; what another one compiled is compiled anew."""
KNOWN_MODULES = 32
MODULE_MAX_BYTES = 128 * 2**20
COMPILED_WITHIN_S = 1_200.0

Read = Callable[[], bytes]


class Compiling:
    """The compiled modules of one folder."""

    def __init__(self, folder: Path) -> None:
        self._cache = Cache(folder)
        self._running: dict[Path, asyncio.Lock] = {}
        self._places: dict[bytes, Path] = {}
        """Module → path: Python keeps the hash of bytes, so one that is called again is not read again."""

    def open(self) -> None:
        """See that the folder can be used. Raises Unavailable."""
        self._cache.open()

    def is_compiled(self, key: bytes) -> bool:
        """Whether it is there already."""
        return self._cache.holds(self._place(key))

    async def compiled(self, key: bytes, read: Read | None = None) -> Path:
        """Where its machine code is, compiled now where it is not yet. Raises Invalid for what is no module.

        `key`: the module itself, or what stands for it where `read` gives it.
        """
        path = self._place(key)
        async with self._running.setdefault(path, asyncio.Lock()):
            if not self._cache.holds(path):
                await self._compile(key if read is None else await asyncio.to_thread(read), path)
        return path

    def drop(self, path: Path) -> None:
        """Forget machine code that does not load."""
        self._cache.drop(path)

    @property
    def python(self) -> Path:
        """Where the Python interpreter is as a component, once it was built."""
        return self._cache.folder / runners.python_name()

    def has_python(self) -> bool:
        """Whether it was built."""
        return self._cache.holds(self.python)

    async def build_python(self) -> None:
        """Build it: half a minute of CPU. Raises Unavailable where that fails."""
        work = Path(tempfile.mkdtemp(prefix="python-", dir=self._cache.folder))
        try:
            (work / "app.py").write_bytes(runners.python_source())
            (work / "runner.wit").write_text(runners.WIT)
            made = work / "made.wasm"
            call = command("runtime.sandbox.wasm.compiler:build_python", [str(work), str(made)])
            code, said = await _finished(call, b"")
            if code != 0 or not made.exists():
                raise Unavailable(
                    "wasm.python_not_built", f"the Python interpreter could not be built: {said}", retryable=False
                )
            made.chmod(0o600)
            self._cache.keep(made, self.python)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _place(self, key: bytes) -> Path:
        known = self._places.pop(key, None)
        if known is None:
            known = self._cache.path(key, f"{runners.version('wasmtime')} {os.uname().machine} {CONFIGURATION}")
            while len(self._places) >= KNOWN_MODULES:
                del self._places[next(iter(self._places))]
        self._places[key] = known
        return known

    async def _compile(self, module: bytes, path: Path) -> None:
        if len(module) > MODULE_MAX_BYTES:
            raise Invalid(
                "wasm.too_large", f"a module of {len(module):,} bytes; up to {MODULE_MAX_BYTES:,} are compiled"
            )
        descriptor, name = tempfile.mkstemp(suffix=".part", dir=self._cache.folder)
        part = Path(name)
        try:
            with users.spare() as user:
                arguments = [str(descriptor), str(-1 if user is None else user)]
                call = command("runtime.sandbox.wasm.compiler:compile_module", arguments)
                code, said = await _finished(call, module, descriptor)
            if code == FAULT_STATUS:
                raise Invalid("wasm.not_a_module", f"wasmtime does not take it: {said}")
            if code != 0:
                raise Unavailable("wasm.not_compiled", f"compiling ended with {code}: {said or 'no reason'}")
            self._cache.keep(part, path)
        finally:
            os.close(descriptor)
            part.unlink(missing_ok=True)


async def _finished(call: list[str], given: bytes, *passed: int) -> tuple[int, str]:
    """Exit status and the last words of one of our programs. Raises Unavailable where it does not start or end."""
    try:
        process = await children.started(*call, pass_fds=passed, env=environment(), cwd="/")
    except OSError as error:
        raise Unavailable("sandbox.does_not_start", f"a program of ours does not start: {error}") from error
    try:
        _, errors = await asyncio.wait_for(process.communicate(given), COMPILED_WITHIN_S)
    except TimeoutError:
        message = f"compiling took over {COMPILED_WITHIN_S:g} s"
        raise Unavailable("wasm.not_compiled", message, retryable=False) from None
    finally:
        if process.returncode is None:
            children.kill(process)
            await process.wait()
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return process.returncode or 0, lines[-1][:600] if lines else ""
