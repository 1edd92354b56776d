"""What a killed process leaves behind is put in order, and nothing else is touched."""

import fcntl
import logging
import os
from pathlib import Path

import pytest

from appliance.config.settings import load_settings
from appliance.repair import YOUNG_S, mend
from appliance.wiring import Appliance

NOW_US = 2_000_000_000 * 1_000_000
OLD_S = 2_000_000_000 - YOUNG_S - 1


def write(path: Path, *, at_s: int = OLD_S) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("half of it")
    os.utime(path, (at_s, at_s))
    return path


def test_drafts_go_and_everything_else_stays(tmp_path: Path) -> None:
    """Young drafts may be somebody's who is at work."""
    data, models = tmp_path / "data", tmp_path / "models"
    gone = [
        write(data / "journal.rehearsal"),
        write(data / "memory.db.encrypting"),
        write(data / ".keys.json-x1y2"),
        write(data / "secrets" / ".default.json-x1y2"),
        write(data / "auth" / "keys.new"),
        write(data / "definitions" / ".draft-abc" / "steps.py"),
        write(models / ".incoming-half" / "weights.gguf"),
    ]
    kept = [
        write(data / "journal.db"),
        write(data / "keys.json"),
        write(data / ".keys.json-young", at_s=2_000_000_000 - 5),
        write(data / "definitions" / "abc" / "steps.py"),
        write(data / "secrets" / "default.json"),
        write(models / "whole" / "weights.gguf"),
    ]
    done = mend(data, models, now_us=NOW_US)
    assert [] == [path for path in gone if path.exists()]
    assert [] == [path for path in kept if not path.exists()]
    assert len(gone) == len(done)
    assert [] == list(mend(data, models, now_us=NOW_US))


def test_a_model_whose_replacement_never_came_is_put_back(tmp_path: Path) -> None:
    """The process died between the two renames; the older model is whole."""
    models = tmp_path / "models"
    write(models / ".incoming-replaced-chat" / "weights.gguf")
    write(models / ".incoming-replaced-other" / "weights.gguf")
    write(models / "other" / "weights.gguf")
    done = mend(tmp_path / "data", models, now_us=NOW_US)
    assert (models / "chat" / "weights.gguf").exists()
    assert {"chat", "other", ".lock"} == {path.name for path in models.iterdir()}
    assert any("put back model 'chat'" in each.what for each in done)


def test_models_that_are_on_their_way_are_left_alone(tmp_path: Path) -> None:
    """A start waits for no download."""
    models = tmp_path / "models"
    coming = write(models / ".incoming-half" / "weights.gguf")
    with (models / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert [] == list(mend(tmp_path / "data", models, now_us=NOW_US))
    assert coming.exists()


async def test_a_start_mends_and_says_so(data_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An operator who wonders reads it in the log."""
    caplog.set_level(logging.WARNING)
    left = write(data_folder / "journal.rehearsal")
    appliance = Appliance(load_settings(data_folder, {}))
    await appliance.start()
    await appliance.stop()
    assert not left.exists()
    assert any("never finished" in record.message for record in caplog.records)
