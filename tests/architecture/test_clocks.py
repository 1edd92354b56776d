"""Time and chance come from the Clock; anything else makes replay diverge."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import is_inside, nodes, shipped_files

BANNED = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.time_ns",
    "uuid.uuid1",
    "uuid.uuid4",
    "os.urandom",
}
LAST = {name.rpartition(".")[2] for name in BANNED}
BANNED_MODULES = {"random"}
CLOCKS = ["runtime/engine/clock.py", "appliance/bench"]


def test_only_the_clock_reads_time_and_chance() -> None:
    """ruff says the same while typing; it exempts whole files of the store, this does not."""
    strays = [
        f"{path}:{line} uses {name}"
        for path in shipped_files()
        if not is_inside(path, CLOCKS)
        for name, line in _uses(path)
    ]
    assert strays == []


def _uses(path: Path) -> Iterator[tuple[str, int]]:
    for node in nodes(path):
        match node:
            case ast.Attribute(attr=last) if last in LAST and _ending(ast.unparse(node)) in BANNED:
                yield ast.unparse(node), node.lineno
            case ast.ImportFrom(module=str(module), names=names):
                if module in BANNED_MODULES:
                    yield module, node.lineno
                yield from (
                    (f"{module}.{alias.name}", node.lineno) for alias in names if f"{module}.{alias.name}" in BANNED
                )
            case ast.Import(names=names):
                yield from ((alias.name, node.lineno) for alias in names if alias.name in BANNED_MODULES)


def _ending(dotted: str) -> str:
    """The last two names, so that `datetime.datetime.now` is `datetime.now`."""
    return ".".join(dotted.split(".")[-2:])
