"""What the driver and its host process say to each other: length-prefixed MessagePack over two pipes."""

import struct
from collections.abc import Iterator
from typing import Literal

import msgspec

Kind = Literal["command", "component", "javascript", "python"]
"""How a compiled module is run: `_start` of preview 1, `wasi:cli/run` of preview 2, or a script in an interpreter."""

LONGEST_BYTES = 256 * 2**20
"""Of one message; what a call may print is bounded far below."""
_LENGTH = struct.Struct("!I")
STACK_POINTER = "__stack_pointer"
"""The export of the JavaScript interpreter that says where the stack of its C code is: the first global, as linkers of
LLVM have it. The 64 KiB that it comes with are overrun by 200 calls deep, and nothing but other data lies behind."""


class Order(msgspec.Struct, frozen=True, kw_only=True, tag="order"):
    """One call."""

    id: int
    module: str
    """Path of the compiled module."""
    kind: Kind
    program: str = ""
    """The script, for an interpreter."""
    argv: tuple[str, ...] = ()
    env: dict[str, str] = {}
    stdin: bytes = b""
    ro_paths: tuple[str, ...] = ()
    memory_bytes: int
    cpu_ms: int
    timeout_ms: int
    stdout_max_bytes: int
    stderr_max_bytes: int


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """End the call; its `Ended` follows all the same."""

    id: int


class Forget(msgspec.Struct, frozen=True, tag="forget"):
    """Let go of a compiled module, for its file has been written anew."""

    module: str


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    """How a call ended. No code of it runs any more: its process has ended, or was killed after it said so itself; the
    kernel may still be freeing its memory."""

    id: int
    exit_code: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    killed_for: str = ""
    fault: str = ""
    """What the host could not do; the program has not run to its end then."""
    is_load_fault: bool = False
    """Whether it was the compiled module that could not be loaded."""
    cpu_ms: int = 0
    memory_bytes: int = 0


class Frames:
    """Takes bytes as they come and gives whole messages."""

    def __init__(self) -> None:
        self._held = bytearray()

    def fed(self, more: bytes) -> Iterator[bytes]:
        """The messages that are whole by now. Raises ValueError for one that is too long."""
        self._held += more
        while len(self._held) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._held)
            if length > LONGEST_BYTES:
                raise ValueError(f"a message of {length} bytes")
            if len(self._held) < _LENGTH.size + length:
                return
            yield bytes(self._held[_LENGTH.size : _LENGTH.size + length])
            del self._held[: _LENGTH.size + length]


def framed(message: Order | Cancel | Forget | Ended) -> bytes:
    """A message as it goes over a pipe."""
    content = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(content)) + content
