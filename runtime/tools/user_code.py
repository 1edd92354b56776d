"""The program in which a project's own Python functions run: one call at a time, JSON lines in and out.

It is started as a script by its path, with Python's isolated mode, and imports nothing of ours: a project's
`models.py` never meets the appliance's. The first line names the folder and file; each further line is a call.
While a call runs, the function may ask for a tool: a line goes out, and the next line in is its answer.
"""

import contextlib
import functools
import importlib.util
import json
import os
import sys
import traceback
from typing import Any, TextIO


class Context:
    """What a function gets as its second argument."""

    def __init__(self, facts: dict[str, Any], wire: "Wire") -> None:
        self.run_id: str = facts["run_id"]
        self.step: str = facts["step"]
        self.attempt: int = facts["attempt"]
        self.idempotency_key: str = facts["idempotency_key"]
        self._secrets: dict[str, str] = facts.get("secrets", {})
        self._wire = wire

    def secret(self, name: str) -> str:
        """The value of a secret that the agent's `secrets` list grants; nothing that is returned may hold it."""
        if name not in self._secrets:
            error = RuntimeError(
                f"secret {name!r} is not granted; an agent takes config: secrets: [{name}], a tool takes permissions: "
                f"[secrets.use:{name}]"
            )
            error.code = "secret.not_granted"  # type: ignore[attr-defined]  # read back by _failure
            raise error
        return self._secrets[name]

    def tool(self, name: str, arguments: dict[str, Any]) -> Any:  # noqa: ANN401  # a tool answers any JSON value
        """Have the host run a tool that the agent's `tools:` list grants; returns the tool's answer."""
        self._wire.send({"tool": name, "arguments": arguments})
        answer = self._wire.receive()
        if "error" in answer:
            error = RuntimeError(answer["error"]["message"])
            error.code = answer["error"]["code"]  # type: ignore[attr-defined]  # read back by _failure
            raise error
        return answer["result"]


class Wire:
    """JSON lines to and from the host."""

    def __init__(self, source: TextIO, sink: TextIO) -> None:
        self._source = source
        self._sink = sink

    def send(self, message: dict[str, Any]) -> None:
        """Write one line."""
        self.write(json.dumps(message, ensure_ascii=True))

    def write(self, line: str) -> None:
        """Write one line of JSON."""
        self._sink.write(line + "\n")
        self._sink.flush()

    def receive(self) -> dict[str, Any]:
        """Read one line; the end of the input ends the program."""
        line = self._source.readline()
        if not line:
            sys.exit(0)
        message: dict[str, Any] = json.loads(line)
        return message


def main() -> None:
    """Load the project's module, then serve calls until the host closes the pipe."""
    _die_with_parent()
    # prints of user code must not mix with the answers
    sink = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    wire = Wire(os.fdopen(os.dup(0), encoding="utf-8"), sink)
    place = wire.receive()
    try:
        _confine(bytes.fromhex(place["confinement"]))
        module = _load(place["folder"], place["file"], place.get("sdk", ""))
    except BaseException as error:  # whatever a module raises while it loads
        wire.send({"error": _failure(error, place["file"])})
        return
    wire.send({"ready": sorted(name for name, value in vars(module).items() if callable(value))})
    while True:
        call = wire.receive()
        try:
            wire.write(_answer(_called(getattr(module, call["function"]), call, wire), call["function"]))
        except SystemExit:
            raise
        except BaseException as error:  # the call failed; the worker goes on
            traceback.print_exc()
            wire.send({"error": _failure(error, place["file"])})


def _called(function: Any, call: dict[str, Any], wire: Wire) -> Any:  # noqa: ANN401  # any function, any answer
    """`f(input, ctx)` of an agent; `f(**input)` of a tool, with `ctx` where it takes one."""
    context = Context(call["context"], wire)
    if not call.get("by_name"):
        return function(call["input"], context)
    code = getattr(function, "__code__", None)
    takes = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code else ()
    hints, given = getattr(function, "__annotations__", {}), call["input"]
    if any(hints.get(name) not in _PLAIN for name in given):
        given = _values().arguments(function, given)
    return function(**given, **({"ctx": context} if "ctx" in takes else {}))


_PLAIN = ("int", "float", "str", "bool", "dict", "list", "None", int, float, str, bool, dict, list, None)
"""Hints of what JSON has itself."""


def _answer(result: Any, function: str) -> str:  # noqa: ANN401  # whatever a function returns
    """The line that says what a function returned; where JSON has no form for it, one that says so."""
    try:
        return json.dumps({"result": result}, ensure_ascii=True, allow_nan=False, default=_plain)
    except TypeError as error:
        reason = str(error)  # names types alone
    except ValueError:
        reason = "a number that is not finite, or a value that holds itself"
    except RecursionError:
        reason = "a value that nests too deep"
    message = f"{function}() answered what JSON cannot hold: {reason}"
    return json.dumps({"error": {"code": "custom.not_json", "message": message, "retryable": False}})


def _plain(value: Any) -> Any:  # noqa: ANN401  # any value
    return _values().plain(value)


@functools.cache
def _values() -> Any:  # noqa: ANN401  # a module
    """The program beside this one that knows dataclasses, which take a while to import, and Enums."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "user_values.py")
    spec = importlib.util.spec_from_file_location("agentflow_user_values", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Sdk:
    """Gives `import agentflow` to a project, in place of a package that is not there: the module of users, alone."""

    def __init__(self, path: str) -> None:
        self._path = path

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ANN401  # as importlib has it
        """The module, for its name and no other."""
        found = name == "agentflow" and os.path.exists(self._path)
        return importlib.util.spec_from_file_location(name, self._path) if found else None


def _confine(program: bytes) -> None:
    """Put on a seccomp program, for this process and all it starts; it cannot be taken off. Raises OSError."""
    if not program:
        return
    import ctypes  # nothing else here needs it

    class Filter(ctypes.Structure):
        """struct sock_fprog."""

        _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))

    pr_set_no_new_privs, pr_set_seccomp, seccomp_mode_filter, instruction_bytes = 38, 22, 2, 8
    libc = ctypes.CDLL(None, use_errno=True)
    held = Filter(len(program) // instruction_bytes, program)
    for call in (
        (pr_set_no_new_privs, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)),
        (pr_set_seccomp, ctypes.c_ulong(seccomp_mode_filter), ctypes.byref(held)),
    ):
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "the kernel takes no filter that keeps this off the network")


def _load(folder: str, file: str, sdk: str) -> Any:  # noqa: ANN401  # a module
    sys.path.insert(0, folder)
    sys.meta_path.append(_Sdk(sdk))
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location(
        "project_" + os.path.splitext(os.path.basename(file))[0], os.path.join(folder, file)
    )
    if spec is None or spec.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses and typing look for what a class's hints name
    spec.loader.exec_module(module)
    return module


def _failure(error: BaseException, file: str) -> dict[str, Any]:
    """The kind and place of an error, never its text: that may hold what the function was given."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(file)]
    place = f"{file}:{frames[-1].lineno}" if frames else file
    code = getattr(error, "code", None)
    if isinstance(code, str):  # raised on purpose, with a code and a text meant for operators
        return {"code": code, "message": str(error), "retryable": bool(getattr(error, "retryable", False))}
    return {"code": "custom.raised", "message": f"{place} raised {type(error).__name__}", "retryable": False}


def _die_with_parent() -> None:
    with contextlib.suppress(OSError, AttributeError):
        import ctypes  # only Linux has what this asks for

        pr_set_pdeathsig, sigkill = 1, 9
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, sigkill)


if __name__ == "__main__":
    main()
