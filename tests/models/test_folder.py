"""The model folder: complete or not there, read-only, and every byte accounted for."""

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models import folder as models_folder
from models.folder import Manifest
from runtime.errors import Conflict, Invalid, NotFound, Unavailable


def put(folder: Path, name: str = "tiny", content: bytes = b"GGUF and so on") -> Manifest:
    """Install a model of one small file."""
    with models_folder.exclusive(folder), models_folder.staging(folder, name) as stage:
        (stage / "model.gguf").write_bytes(content)
        manifest = Manifest(
            name=name,
            kind="chat",
            licence="MIT",
            context_tokens=128,
            added_at=datetime(2026, 1, 2, tzinfo=UTC),
            files=(models_folder.measure(stage / "model.gguf"),),
        )
        models_folder.install(folder, stage, manifest)
    return manifest


def damage(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def test_a_model_comes_back_as_it_was_installed(tmp_path: Path) -> None:
    manifest = put(tmp_path)
    assert models_folder.verify(tmp_path, "tiny") == manifest
    assert models_folder.list_models(tmp_path) == [manifest]
    assert manifest.size_bytes == 14


def test_files_are_read_only(tmp_path: Path) -> None:
    """Nobody changes a model by accident, and a worker never needs to."""
    put(tmp_path)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "tiny").iterdir()}
    assert modes == {0o444}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"GGUF and so ox", "has sha256"),
        (b"GGUF", "has 4 bytes instead of 14"),
        (b"", "has 0 bytes instead of 14"),
    ],
)
def test_a_changed_file_is_found(tmp_path: Path, content: bytes, said: str) -> None:
    """Flipped bits in weights load and answer nonsense; only the hash finds them."""
    put(tmp_path)
    damage(tmp_path / "tiny" / "model.gguf", content)
    with pytest.raises(Invalid, match=said) as invalid:
        models_folder.verify(tmp_path, "tiny")
    assert invalid.value.code == "model.corrupt"
    assert invalid.value.exit_code == 2


def test_a_missing_file_is_found(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / "tiny" / "model.gguf").unlink()
    with pytest.raises(Invalid, match=r"model\.gguf can't be read"):
        models_folder.verify(tmp_path, "tiny")


@pytest.mark.parametrize("manifest", [b"", b"{}", b"not json", b'{"version": 2}', b"\xff\xfe"])
def test_an_unreadable_manifest_hides_no_other_model(tmp_path: Path, manifest: bytes) -> None:
    """One broken folder must not take the list of models down."""
    good = put(tmp_path, "good")
    put(tmp_path, "bad")
    damage(tmp_path / "bad" / "manifest.json", manifest)
    with pytest.raises(Invalid, match=r"model\.corrupt"):
        models_folder.find(tmp_path, "bad")
    assert models_folder.list_models(tmp_path) == [good]
    assert models_folder.model_names(tmp_path) == ["bad", "good"]
    assert models_folder.remove(tmp_path, "bad") is None
    assert models_folder.model_names(tmp_path) == ["good"]


def test_a_model_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="af models add FILE --name tiny"):
        models_folder.verify(tmp_path, "tiny")
    with pytest.raises(NotFound):
        models_folder.remove(tmp_path, "tiny")


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "UPPER", "x" * 65, "a b", "ä"])
def test_a_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match=r"model\.bad_name"):
        models_folder.remove(tmp_path, name)


def test_a_taken_name_is_a_conflict(tmp_path: Path) -> None:
    put(tmp_path)
    with pytest.raises(Conflict):
        models_folder.free_name(tmp_path, "tiny")


def test_an_interrupted_installation_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with models_folder.exclusive(tmp_path), models_folder.staging(tmp_path, "tiny") as stage:
            (stage / "model.gguf").write_bytes(b"half of it")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert models_folder.model_names(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_leftovers_of_a_killed_program_are_cleared_out(tmp_path: Path) -> None:
    (tmp_path / ".incoming-tiny").mkdir()
    (tmp_path / ".incoming-tiny" / "model.gguf").write_bytes(b"half of it")
    put(tmp_path, "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "other"]


def test_installing_again_replaces(tmp_path: Path) -> None:
    put(tmp_path, content=b"GGUF one")
    second = put(tmp_path, content=b"GGUF two")
    assert models_folder.verify(tmp_path, "tiny") == second


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="AGENTFLOW_MODELS"):
        put(tmp_path / "file" / "models")


def test_a_write_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    """A file-size limit stands in for a full disk: the write fails half-way."""
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from tests.models.test_folder import put\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "put(Path(sys.argv[1]), content=b'x' * 8192)\n"
    )
    failed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "model.folder_unwritable" in failed.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_two_programs_take_turns(tmp_path: Path) -> None:
    """The lock is held while inside, so a second program waits."""
    script = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with models_folder.exclusive(tmp_path):
        second = subprocess.run(
            [sys.executable, "-c", script, os.fspath(tmp_path / ".lock")], capture_output=True, text=True, check=False
        )
    assert "BlockingIOError" in second.stderr


@pytest.mark.parametrize(
    ("name", "told"),
    [("smollm2-135m-instruct", "af models fetch smollm2-135m-instruct"), ("mine", "af models add FILE --name mine")],
)
def test_a_model_that_is_not_here_comes_with_a_command_that_brings_it(tmp_path: Path, name: str, told: str) -> None:
    """Only those of the table can be fetched by name; for any other the command would end in an error."""
    with pytest.raises(NotFound) as caught:
        models_folder.find(tmp_path, name)
    assert told in caught.value.message
    assert ("models fetch" in caught.value.message) == (name != "mine")
