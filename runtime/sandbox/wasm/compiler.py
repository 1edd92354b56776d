"""Programs of their own that make machine code of modules, and the Python interpreter as a component.

A module is foreign bytes and compiling it is much work, so this process is bounded, opens no socket and starts nothing.
"""

import os
import resource
import sys
from collections.abc import Sequence
from typing import Final

from runtime.sandbox import kernel, seccomp

FAULT_STATUS: Final = 3
"""The bytes are no module, or one that is refused; the last line of stderr says why."""
_DATA_BYTES: Final = 4 * 2**30
_CPU_S: Final = 900


def compile_module(arguments: Sequence[str]) -> None:
    """Read a module from stdin, write machine code to the descriptor that is named, as the user that is named."""
    out, user = int(arguments[0]), int(arguments[1])
    from runtime.sandbox.wasm import engine  # wasmtime: 70 ms

    _bound(user)
    _confine()
    module = sys.stdin.buffer.read()
    try:
        code = engine.compiled(module)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        print(" ".join(lines)[:600] or type(error).__name__, file=sys.stderr)
        sys.exit(FAULT_STATUS)
    left = memoryview(code)
    while left:
        left = left[os.write(out, left) :]


def build_python(arguments: Sequence[str]) -> None:
    """Make the component that runs Python programs; arguments: folder of the guest's source, file to write."""
    folder, target = arguments
    from componentize_py import script  # type: ignore[import-untyped]  # 48 MB, and it has no types

    os.chdir(folder)
    sys.argv = ["componentize-py", "-d", "runner.wit", "-w", "runner", "componentize", "app", "-o", target]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    _confine()
    sys.exit(script())


def _bound(user: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_DATA, (_DATA_BYTES, _DATA_BYTES))
    if user >= 0:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)


def _confine() -> None:
    kernel.forbid_new_privileges()
    rules = (
        *seccomp.WAYS_AROUND,
        *seccomp.TRACING,
        *(each for each in seccomp.BEYOND_A_PROGRAM if each != "memfd_create"),
    )
    kernel.install_filter(seccomp.program(rules, families=(), allows_processes=False))
