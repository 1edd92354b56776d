"""`af config` shows where a value comes from, and changes the file alone."""

from pathlib import Path

import pytest

from appliance.cli import checks
from appliance.config.settings import load_settings
from tests.appliance.cli.conftest import Af


def test_the_list_says_what_gave_each_value(af: Af, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that somebody exported is found at once."""
    af("config", "set", "durability", "normal")
    monkeypatch.setenv("AGENTFLOW_LISTEN", "127.0.0.1:9000")
    said = af("config", "list", "--json").document
    assert [("normal", "config.yaml"), ("127.0.0.1:9000", "AGENTFLOW_LISTEN"), ("restricted", "default")] == [
        (said[key]["value"], said[key]["source"])  # type: ignore[index]
        for key in ("durability", "listen", "mode")
    ]
    assert max(len(line) for line in af("config", "list").out.splitlines() if "file:" not in line) <= 80


def test_a_value_is_set_read_and_unset(af: Af, data_folder: Path) -> None:
    """With a word about whoever reads it later."""
    assert "next start" in af("config", "set", "mode", "connected").err
    assert "connected\n" == af("config", "get", "mode").out
    assert "mode: connected\n" == (data_folder / "config.yaml").read_text()
    af("config", "unset", "mode")
    assert "restricted\n" == af("config", "get", "mode").out


def test_a_variable_that_still_decides_is_pointed_out(af: Af, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the change seems to have had no effect."""
    monkeypatch.setenv("AGENTFLOW_MODE", "restricted")
    assert "AGENTFLOW_MODE is set and still decides" in af("config", "set", "mode", "connected").err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("set", "moed", "connected"), "did you mean 'mode'?"),
        (("set", "mode", "conected"), "did you mean 'connected'?"),
        (("get", "models.aliass"), "did you mean 'models.aliases'?"),
    ],
)
def test_a_mistake_is_named_and_changes_nothing(
    af: Af, data_folder: Path, arguments: tuple[str, ...], words: str
) -> None:
    """With the nearest word."""
    said = af("config", *arguments)
    assert (2, True) == (said.code, words in said.err)
    assert not (data_folder / "config.yaml").exists()


def test_a_broken_file_stops_commands_that_need_it_alone(af: Af, data_folder: Path) -> None:
    """Help, versions and mending it must go on."""
    data_folder.mkdir()
    (data_folder / "config.yaml").write_text("mode: wrong\n")
    assert [2, 2] == [af("doctor").code, af("runs", "list").code]
    assert [0, 0, 0] == [af("--help").code, af("version").code, af("config", "set", "mode", "connected").code]
    assert 0 == af("runs", "list").code


async def test_doctor_leaves_nothing_when_it_is_killed(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it measures the disk its file has no name."""
    seen: list[list[Path]] = []

    def look(_: int) -> float:
        seen.append(list(data_folder.iterdir()))
        return 1.0

    monkeypatch.setattr("appliance.cli.checks._sync_ms", look)
    await checks.data_folder(load_settings(data_folder, {}))
    assert [[]] == seen
