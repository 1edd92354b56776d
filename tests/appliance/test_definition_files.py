"""Runs go on with the files that they began with, whatever happens to the project and to the copies."""

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from appliance import loader
from appliance.definition_files import DefinitionFiles, remove_plain_copies
from runtime.domain.workflow import Workflow
from runtime.errors import Conflict, Corrupt, NotFound
from runtime.store.volatile import VolatileStore

YAML = """
name: notes
agents:
  first: {type: custom, handler: "code/steps.py:first"}
  find: {type: rag, memory: {long_term: {folder: articles}}}
"""
FILES = {
    "code/steps.py": "def first(given, ctx):\n    return given\n",
    "articles/a.md": "# Cards\nFreeze the card.\n",
    "articles/deep/b.md": "# Fees\nNone.\n",
    "articles/same.md": "# Fees\nNone.\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name, text in {"workflow.yaml": YAML, **FILES}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def store() -> VolatileStore:
    return VolatileStore()


@pytest.fixture
def files(store: VolatileStore, tmp_path: Path) -> DefinitionFiles:
    return DefinitionFiles(store, lambda: tmp_path / "definitions")


@pytest.fixture
async def kept(files: DefinitionFiles, project: Path) -> Workflow:
    workflow = loader.load(project)
    await files.keep(workflow, 1)
    return workflow


def texts(folder: str) -> dict[str, str]:
    found = [path for path in Path(folder).rglob("*") if not path.is_dir()]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


async def test_what_was_kept_is_laid_out(files: DefinitionFiles, kept: Workflow, tmp_path: Path) -> None:
    """Nobody but its owner may read it, and it appears whole."""
    folder = await files.lay_out(kept)
    assert texts(folder) == FILES
    assert [folder] == [str(path) for path in (tmp_path / "definitions").iterdir()]
    for path in [Path(folder), *Path(folder).rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o400)


async def test_a_project_that_changes_or_goes_changes_nothing(
    files: DefinitionFiles, kept: Workflow, project: Path
) -> None:
    """What a run began with is in the journal."""
    (project / "code/steps.py").write_text("def first(given, ctx):\n    return 'changed'\n")
    (project / "articles/a.md").unlink()
    assert texts(await files.lay_out(kept)) == FILES


async def test_a_file_that_changes_while_it_is_kept_is_noticed(
    files: DefinitionFiles, store: VolatileStore, project: Path
) -> None:
    """Its definition was read with other bytes; nothing of it is kept."""
    workflow = loader.load(project)
    (project / "articles/a.md").write_text("other")
    with pytest.raises(Conflict, match=r"definition\.file_changed.*'articles/a\.md'"):
        await files.keep(workflow, 1)
    assert [] == await store.definitions()


async def test_only_files_that_are_new_are_read(files: DefinitionFiles, kept: Workflow, project: Path) -> None:
    """An edit of one article out of thousands stores one article."""
    (project / "articles/a.md").write_text("# Cards\nBlock the card.\n")
    changed = loader.load(project)
    for name in FILES.keys() - {"articles/a.md"}:
        (project / name).unlink()
    await files.keep(changed, 2)
    assert texts(await files.lay_out(changed)) == {**FILES, "articles/a.md": "# Cards\nBlock the card.\n"}
    assert texts(await files.lay_out(kept)) == FILES


def _edit(folder: Path) -> None:
    (folder / "code/steps.py").chmod(0o600)
    (folder / "code/steps.py").write_text("import os\n")


def _link(folder: Path) -> None:
    file = folder / "code/steps.py"
    file.rename(folder.parent / "steps.py")
    file.symlink_to(folder.parent / "steps.py")


def _link_all(folder: Path) -> None:
    folder.rename(folder.parent / "moved")
    folder.symlink_to(folder.parent / "moved")


TAMPERINGS: dict[str, Callable[[Path], object]] = {
    "edited": _edit,
    "gone": lambda folder: (folder / "articles/a.md").unlink(),
    "beside": lambda folder: (folder / "code/json.py").write_text("import os\n"),
    "linked": _link,
    "linked as a whole": _link_all,
    "linked folder": lambda folder: (folder / "json").symlink_to(folder / "code"),
}


@pytest.mark.parametrize("tamper", TAMPERINGS.values(), ids=TAMPERINGS)
async def test_a_tampered_copy_is_noticed_and_replaced(
    files: DefinitionFiles, kept: Workflow, tamper: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    """A module that somebody put beside the handler would be imported before Python's own."""
    folder = await files.lay_out(kept)
    tamper(Path(folder))
    with caplog.at_level(logging.WARNING):
        assert folder == await files.lay_out(kept)
    assert texts(folder) == FILES
    assert not Path(folder).is_symlink()
    assert ["'notes'" in record.getMessage() for record in caplog.records] == [True]


async def test_a_good_copy_is_left_alone_and_a_missing_one_made_quietly(
    files: DefinitionFiles, kept: Workflow, caplog: pytest.LogCaptureFixture
) -> None:
    """Every `af run` begins with this."""
    folder = Path(await files.lay_out(kept))
    made = folder.stat().st_ino
    await files.lay_out(kept)
    assert made == folder.stat().st_ino
    folder.rename(folder.parent / "elsewhere")
    await files.lay_out(kept)
    assert texts(str(folder)) == FILES
    assert [] == caplog.records


async def test_a_leftover_of_a_killed_process_is_no_obstacle(files: DefinitionFiles, kept: Workflow) -> None:
    """It was killed half-way through."""
    folder = Path(await files.lay_out(kept))
    folder.rename(folder.parent / f".draft-{folder.name}")
    assert texts(await files.lay_out(kept)) == FILES
    assert [folder] == list(folder.parent.iterdir())


async def test_files_that_were_never_kept_are_named(store: VolatileStore, kept: Workflow, tmp_path: Path) -> None:
    """With what brings them back."""
    files = DefinitionFiles(VolatileStore(), lambda: tmp_path / "elsewhere")
    with pytest.raises(NotFound, match=r"definition\.files_missing.*'notes'.*once more"):
        await files.lay_out(kept)


async def test_no_file_is_laid_out_beyond_the_folder(files: DefinitionFiles, kept: Workflow, tmp_path: Path) -> None:
    """Whoever changed the journal must not write where they like."""
    (digest, *_) = kept.files.values()
    for path in ("../escaped", str(tmp_path / "escaped")):
        with pytest.raises(Corrupt, match=r"definition\.file_outside"):
            await files.lay_out(msgspec.structs.replace(kept, files={path: digest}))
    assert [] == [*tmp_path.rglob("escaped"), *(tmp_path / "definitions").iterdir()]


async def test_a_definition_without_files_has_no_folder(tmp_path: Path) -> None:
    """Neither one that must be made, nor the working directory."""
    (tmp_path / "plain.yaml").write_text("name: plain\nagents:\n  say: {type: llm, prompt: hi}\n")
    files = DefinitionFiles(VolatileStore(), lambda: pytest.fail("no folder is needed"))
    workflow = loader.load(tmp_path / "plain.yaml")
    await files.keep(workflow, 1)
    folder = Path(await files.lay_out(workflow))
    assert (True, False) == (folder.is_absolute(), folder.exists())


async def test_plain_copies_go_when_a_key_comes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever encrypts a data folder wants what lies beside the journal encrypted too."""
    for name in ("definitions/1", "cache/classifiers", "models"):
        (tmp_path / name).mkdir(parents=True)
    remove_plain_copies(tmp_path)
    assert ["models"] == [path.name for path in tmp_path.iterdir()]
    assert 2 == len(caplog.records)
