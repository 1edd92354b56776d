"""What has changed in a project's folder is told once, when it rests."""

from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from appliance.watching import changed, changes, look


def test_written_added_and_removed_files_are_changes() -> None:
    before = {"a": (1, 1), "b": (1, 1), "c": (1, 1)}
    assert ("b", "c", "d") == changed(before, {"a": (1, 1), "b": (2, 1), "d": (1, 1)})
    assert () == changed(before, dict(before))


def test_what_tools_leave_is_not_looked_at(tmp_path: Path) -> None:
    """Caches, editors' copies and version control change without the project changing."""
    for name in ("workflow.yaml", "sub/agents.py", ".git/index", "__pycache__/x.pyc", "a.py~", ".a.py.swp", "x.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert ["sub/agents.py", "workflow.yaml"] == sorted(look(tmp_path))


@pytest.mark.asyncio
async def test_a_save_in_several_steps_is_one_change(tmp_path: Path) -> None:
    """An editor empties a file, writes it, and puts another beside it; what is checked is how it rests."""

    def write(name: str, text: str) -> Callable[[], object]:
        return lambda: (tmp_path / name).write_text(text)

    nothing = lambda: None  # noqa: E731  # a step
    steps: Iterator[Callable[[], object]] = iter(
        [nothing, write("a", ""), write("a", "whole"), write("b", "x"), nothing, nothing, write("a", "longer"), nothing]
    )

    async def sleep(_: float) -> None:
        next(steps)()

    async with aclosing(changes(tmp_path, look(tmp_path), sleep)) as told:
        assert ("a", "b") == await anext(told)
        assert ("a",) == await anext(told)


@pytest.mark.asyncio
async def test_a_save_before_the_first_wait_is_told(tmp_path: Path) -> None:
    """The files were read in between, perhaps as they were before it."""
    before = look(tmp_path)
    (tmp_path / "a").write_text("saved meanwhile")

    async def sleep(_: float) -> None:
        pass

    async with aclosing(changes(tmp_path, before, sleep)) as told:
        assert ("a",) == await anext(told)
