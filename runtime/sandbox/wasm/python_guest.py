"""The guest that runs Python programs inside WebAssembly. It is built into a component, and never imported here.

What it imports is in the component, already loaded; nothing else of the standard library can be had by a program.
"""

import contextlib
import importlib
import io
import os
import sys
import traceback

INSIDE = """
    abc argparse array ast base64 binascii bisect calendar cmath codecs collections.abc contextlib contextvars copy csv
    dataclasses datetime decimal difflib email.utils enum errno fnmatch fractions functools gc glob gzip hashlib heapq
    hmac html html.parser inspect io ipaddress itertools json keyword locale logging math numbers operator os.path
    pathlib pprint queue random re secrets shlex shutil signal socket stat statistics string struct tempfile textwrap
    threading time timeit traceback types typing unicodedata urllib.parse uuid warnings weakref
    xml.etree.ElementTree zipfile zlib zoneinfo _strptime
"""
for _name in INSIDE.split():
    importlib.import_module(_name)

_FILE = "/program"


class WitWorld:
    """What the host calls."""

    def run(self, source: str, argv: list[str], env: list[tuple[str, str]]) -> int:
        """Run a program as a script; its exit code."""
        _renew(argv, dict(env))
        code = 0
        try:
            exec(compile(source, _FILE, "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
        except SystemExit as end:
            code = _code(end.code)
        except BaseException:
            _tell_error()
            code = 1
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # the program has closed it
                stream.flush()
        return code & 0xFF


def _renew(argv: list[str], env: dict[str, str]) -> None:
    """What was as it is now when the component was built: the streams, the environment, and what is random."""
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    sys.stdout = _text(1, errors="strict")
    sys.stderr = _text(2, errors="backslashreplace")
    sys.argv = [_FILE, *argv]
    os.environ.clear()
    os.environ.update(env)
    importlib.import_module("random").seed()


def _text(descriptor: int, *, errors: str) -> io.TextIOWrapper:
    """A stream whose buffer writes again what was written in part; the host takes little at once."""
    raw = io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False))
    return io.TextIOWrapper(raw, encoding="utf-8", errors=errors, write_through=descriptor == 2)


def _code(given: object) -> int:
    if given is None or isinstance(given, int):
        return int(given or 0)
    print(given, file=sys.stderr)
    return 1


def _tell_error() -> None:
    kind, error, trace = sys.exc_info()
    shown = trace.tb_next if trace else None  # from the program on
    try:
        traceback.print_exception(kind, error, shown)
    except BaseException:
        os.write(2, f"{getattr(kind, '__name__', 'error')}\n".encode())
