"""The interpreters that run JavaScript and Python inside WebAssembly: where they are, and how the second is built."""

from functools import lru_cache
from hashlib import sha256
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

QUICKJS = "qjs-wasi-reactor.wasm"
"""The distribution that holds QuickJS-NG as a module of preview 1."""
COMPONENTIZE = "componentize-py"
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
    """The JavaScript interpreter as a module. Raises FileNotFoundError where it is not installed."""
    if version(QUICKJS):
        for each in metadata.files(QUICKJS) or ():
            if each.name == "qjs-wasi-reactor.wasm":
                return Path(str(each.locate())).read_bytes()
    raise FileNotFoundError(f"the package {QUICKJS} is not installed")


def can_build_python() -> bool:
    """Whether what builds the Python interpreter is installed."""
    return find_spec("componentize_py") is not None


def python_source() -> bytes:
    """The guest that is built into the interpreter."""
    return Path(__file__).with_name("python_guest.py").read_bytes()


def quickjs_key() -> bytes:
    """What stands for the JavaScript interpreter."""
    return f"{QUICKJS} {version(QUICKJS)}".encode()


@lru_cache(maxsize=1)
def python_name() -> str:
    """File name of the interpreter: another one for every guest and builder."""
    digest = sha256(b"\0".join((python_source(), WIT.encode(), version(COMPONENTIZE).encode()))).hexdigest()
    return f"python-{digest[:32]}.wasm"
