"""What canaries found out is believed for as long as nothing has changed, and never where they failed."""

from pathlib import Path

import pytest

from runtime.errors import Unavailable
from runtime.sandbox.known import Known


class Finder:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self) -> tuple[str, ...]:
        self.asked += 1
        return ("wall", "disk")


async def test_it_is_found_out_again_when_a_program_changes(tmp_path: Path) -> None:
    program, find, file = tmp_path / "bwrap", Finder(), tmp_path / "run" / "sandboxes.json"
    program.write_text("1")
    assert [("disk", "wall")] * 2 == [await Known(file).outcome("s", [str(program)], find) for _ in range(2)]
    assert 1 == find.asked
    await Known(file).outcome("other", [str(program)], find)
    await Known(file, tries_anew=True).outcome("s", [str(program)], find)
    assert 3 == find.asked
    program.write_text("12")
    await Known(file).outcome("s", [str(program)], find)
    assert 4 == find.asked
    assert 0o600 == file.stat().st_mode & 0o777


async def test_damage_and_failures_are_not_believed(tmp_path: Path) -> None:
    file, find = tmp_path / "run" / "sandboxes.json", Finder()

    async def fail() -> tuple[str, ...]:
        raise Unavailable("sandbox.does_not_run", "no")

    with pytest.raises(Unavailable):
        await Known(file).outcome("s", [], fail)
    assert not file.exists()
    for content in ("{", "[]", '{"s": 1}'):
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        await Known(file).outcome("s", [], find)
    assert 3 == find.asked
    assert ("disk", "wall") == await Known().outcome("s", [], find)
    assert ("disk", "wall") == await Known(tmp_path / "no" / "such" / "file").outcome("s", [], find)
    assert not (tmp_path / "no").exists()
