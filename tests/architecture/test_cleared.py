"""Leave to send comes from the guard: `Cleared` is proof only while nobody else can make one."""

import ast
from pathlib import Path

from tests.architecture.source import ROOT, nodes, shipped_files

GUARD = Path("redaction/guard.py")
DEFINITION = Path("runtime/domain/egress.py")


def test_only_the_guard_makes_cleared() -> None:
    """Every sender takes `Cleared`; a second maker would let unredacted bytes out and still type-check."""
    makers = [
        f"{path}: {ast.unparse(node)[:80]}"
        for path in shipped_files()
        if path not in (GUARD, DEFINITION) and b"leared" in (ROOT / path).read_bytes()
        for node in nodes(path)
        if _makes_cleared(node)
    ]
    assert makers == []


def _makes_cleared(node: ast.AST) -> bool:
    """Whether `node` calls, subclasses, converts into or copies the type."""
    match node:
        case ast.Call(func=function):
            called = ast.unparse(function)
            if called.split("[")[0].split(".")[-1] == "Cleared":
                return True
            rebuilds = called.split(".")[-1] in ("replace", "convert", "force_setattr", "decode", "cast", "Decoder")
            return rebuilds and "leared" in " ".join(ast.unparse(argument) for argument in _arguments(node))
        case ast.ClassDef(bases=bases):
            return any("Cleared" in ast.unparse(base) for base in bases)
        case _:
            return False


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]
