"""Which programs of sandboxes this very process has begun: others run tests, and appliances, on the same machine."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from runtime.sandbox import kernel

_SET_CHILD_SUBREAPER = 36


@contextlib.contextmanager
def adopted() -> Iterator[None]:
    """Be who orphans go to, so that a program whose parent was killed is still one of ours."""
    kernel.prctl(_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        kernel.prctl(_SET_CHILD_SUBREAPER, 0)


def programs() -> list[int]:
    """The processes below this one that are a program or hold one, and have not ended."""
    return [pid for pid in _below(os.getpid()) if _is_program(pid)]


def is_gone(pid: int) -> bool:
    """Whether it has ended; who ought to have noticed may be late."""
    return _state(pid)[0] in "ZX"


def _below(root: int) -> list[int]:
    parents = {int(each.name): _state(int(each.name)) for each in Path("/proc").glob("[0-9]*")}
    found, at = [root], 0
    while at < len(found):
        found += [pid for pid, (state, parent) in parents.items() if parent == found[at] and state not in "ZX"]
        at += 1
    return found[1:]


def _state(pid: int) -> tuple[str, int]:
    """Its state and its parent, as the kernel has them."""
    words = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return (words[0].decode(), int(words[1])) if words else ("X", 0)


def _is_program(pid: int) -> bool:
    words = _read(f"/proc/{pid}/cmdline")
    return b"/program" in words or b"agentflow-sandbox-" in words or _read(f"/proc/{pid}/comm") == b"af-program\n"


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:  # it has ended meanwhile
        return b""
