"""The sources of the house as syntax trees, read once for all guards."""

import ast
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("appliance", "models", "redaction", "runtime", "tui")
FIRST_PARTY = (*PACKAGES, "agentflow", "tests")

_HOLDS_STATEMENTS = (ast.stmt, ast.ExceptHandler, ast.match_case)


@cache
def shipped_files() -> tuple[Path, ...]:
    """Every Python file of what is installed, relative to the checkout."""
    found = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return tuple(sorted(path.relative_to(ROOT) for path in [*found, ROOT / "agentflow.py"] if path.exists()))


@cache
def all_files() -> tuple[Path, ...]:
    """Every Python file of the checkout, tests and packaging scripts included."""
    found = [path for folder in ("tests", "packaging") for path in (ROOT / folder).rglob("*.py")]
    return tuple(sorted([*shipped_files(), *(path.relative_to(ROOT) for path in found)]))


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file of the checkout."""
    with _undisturbed():
        return ast.parse((ROOT / path).read_bytes(), filename=str(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Every node of that tree; walking is what guards spend their time with."""
    with _undisturbed():
        return tuple(ast.walk(tree(path)))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of that tree, whatever it is inside of."""
    statements: list[ast.AST] = [tree(path)]
    while statements:
        inner = [each for each in ast.iter_child_nodes(statements.pop()) if isinstance(each, _HOLDS_STATEMENTS)]
        yield from (each for each in inner if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
        statements += inner


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Without garbage collection, which would look through all trees again and again.

    Python 3.11 counts the depth of all trees that are being made in one place: a collection that ends some object of
    another test, and prints what went wrong with it, makes a tree in the middle of ours.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@cache
def protocols() -> tuple[str, ...]:
    """The names of the ports, as `runtime/ports` defines them."""
    return tuple(
        node.name
        for path in shipped_files()
        if path.is_relative_to("runtime/ports")
        for node in tree(path).body
        if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases)
    )


@cache
def imported(path: Path) -> tuple[tuple[str, int], ...]:
    """Each module that `path` names in an import anywhere in the file, and the line; imports of strings included."""
    return tuple(_imported(path))


def forget() -> None:
    """Let go of the trees: they are millions of objects, in which the rest of a run would look for garbage."""
    for each in (tree, nodes, imported):
        each.cache_clear()


def _imported(path: Path) -> Iterator[tuple[str, int]]:
    for node in nodes(path):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, node.lineno) for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield module, node.lineno
                yield from ((f"{module}.{alias.name}", node.lineno) for alias in names)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__" | "find_spec")
                | ast.Attribute(attr="import_module" | "find_spec"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield module, node.lineno


def is_inside(path: Path, places: list[str]) -> bool:
    """Whether `path` is one of `places` or lies in one."""
    return any(path.is_relative_to(place) for place in places)
