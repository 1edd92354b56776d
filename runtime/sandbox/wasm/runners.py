"""The interpreters that run JavaScript and Python inside WebAssembly: where they are, and how the second is built."""

from functools import lru_cache
from hashlib import sha256
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from runtime.sandbox.wasm.wire import STACK_POINTER

QUICKJS = "qjs-wasi-reactor.wasm"
"""The distribution that holds QuickJS-NG as a module of preview 1."""
COMPONENTIZE = "componentize-py"
_EXPORTS, _GLOBAL = 7, 3
WIT = """\
package agentflow:runner;
world runner {
  export run: func(source: string, argv: list<string>, env: list<tuple<string, string>>) -> u32;
}
"""


@lru_cache(maxsize=8)
def version(distribution: str) -> str:
    """Of what is installed; empty where it is not."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def quickjs() -> bytes:
    """The JavaScript interpreter as a module, which says where its stack is.

    Raises FileNotFoundError where it is not installed.
    """
    if version(QUICKJS):
        for each in metadata.files(QUICKJS) or ():
            if each.name == "qjs-wasi-reactor.wasm":
                return _with_stack_pointer(Path(str(each.locate())).read_bytes())
    raise FileNotFoundError(f"the package {QUICKJS} is not installed")


def can_build_python() -> bool:
    """Whether what builds the Python interpreter is installed."""
    return find_spec("componentize_py") is not None


def python_source() -> bytes:
    """The guest that is built into the interpreter."""
    return Path(__file__).with_name("python_guest.py").read_bytes()


def quickjs_key() -> bytes:
    """What stands for the JavaScript interpreter."""
    return f"{QUICKJS} {version(QUICKJS)} {STACK_POINTER}".encode()


@lru_cache(maxsize=1)
def python_name() -> str:
    """File name of the interpreter: another one for every guest and builder."""
    digest = sha256(b"\0".join((python_source(), WIT.encode(), version(COMPONENTIZE).encode()))).hexdigest()
    return f"python-{digest[:32]}.wasm"


def _with_stack_pointer(module: bytes) -> bytes:
    """The module with one more export: its first global."""
    place, made, name = 8, bytearray(module[:8]), STACK_POINTER.encode()
    while place < len(module):
        kind = module[place]
        size, begin = _number(module, place + 1)
        content = module[begin : begin + size]
        place = begin + size
        if kind == _EXPORTS:
            count, first = _number(content, 0)
            content = _encoded(count + 1) + content[first:] + _encoded(len(name)) + name + bytes([_GLOBAL, 0])
        made += bytes([kind]) + _encoded(len(content)) + content
    return bytes(made)


def _number(content: bytes, place: int) -> tuple[int, int]:
    """A number as WebAssembly writes it (LEB128, without a sign), and where it ends."""
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _encoded(value: int) -> bytes:
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])
