"""`af build`: a project in one file, carried elsewhere."""

import json
import os
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af

WORKFLOW = """\
name: desk
agents:
  say: {type: custom, handler: "say.py:say"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "notes").mkdir(parents=True)
    (folder / "workflow.yaml").write_text(WORKFLOW)
    (folder / "say.py").write_text("def say(task, ctx):\n    return {'said': 'one'}\n")
    (folder / "notes" / "why.md").write_text("Because.")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("secret")
    return folder


@pytest.fixture
def built(af: Af, project: Path, tmp_path: Path) -> Path:
    target = tmp_path / "desk.zip"
    assert 0 == af("build", project, "--out", target).code
    return target


def changed(built: Path, path: str, content: bytes) -> Path:
    """The same with one file in the place of another."""
    with zipfile.ZipFile(built) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    target = built.with_name("changed.zip")
    with zipfile.ZipFile(target, "w") as archive:
        for name, each in (contents | {path: content}).items():
            archive.writestr(name, each)
    return target


def relabelled(built: Path, **changes: object) -> Path:
    """The same with another manifest."""
    with zipfile.ZipFile(built) as archive:
        manifest = json.loads(archive.read("agentflow.json"))
    return changed(built, "agentflow.json", json.dumps(manifest | changes).encode())


def test_a_project_is_carried_and_deployed(af: Af, project: Path, built: Path) -> None:
    document = af("build", project, "--out", built, "--json").document
    deployed = af("deploy", built, "--note", "by stick", "--json").document
    assert document["definition_hash"] == deployed["definition_hash"]
    assert {"said": "one"} == af("run", "desk", "--input", "{}", "--json").document["output"]
    assert True is af("deploy", project, "--json").document["is_same"]


def test_it_holds_the_whole_project_and_nothing_hidden(built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        assert ["agentflow.json", "notes/why.md", "say.py", "workflow.yaml"] == archive.namelist()


def test_equal_projects_give_equal_files(af: Af, project: Path, built: Path, tmp_path: Path) -> None:
    """Whoever is handed two can see that they are one."""
    for path in project.rglob("*"):
        os.utime(path, (0, 0))
    (project / "say.py").chmod(0o755)
    again = tmp_path / "again.zip"
    af("build", project, "--out", again)
    assert built.read_bytes() == again.read_bytes()


def test_what_was_changed_on_the_way_is_refused(af: Af, built: Path) -> None:
    found = af("deploy", changed(built, "say.py", b"import os\n"))
    assert (True, True) == (found.code != 0, "bundle.damaged" in found.err and "'say.py'" in found.err)
    assert 2 == af("run", "desk", "--input", "{}").code


def test_a_project_begins_with_a_built_one(af: Af, project: Path, built: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    assert 0 == af("init", own, "--template", built).code
    assert (project / "say.py").read_text() == (own / "say.py").read_text()
    assert 0 == af("run", own, "--input", "{}").code
    assert 1 == af("init", own, "--template", built).code
    absent = af("init", tmp_path / "more", "--template", tmp_path / "none.zip")
    assert (2, True) == (absent.code, "none.zip" in absent.err), absent.err


def test_what_is_added_on_the_way_is_not_unpacked(af: Af, built: Path) -> None:
    assert 0 == af("deploy", changed(built, "sitecustomize.py", b"raise SystemExit(7)")).code
    assert 0 == af("run", "desk", "--input", "{}").code


@pytest.mark.parametrize(
    ("path", "code"),
    [("../evil.py", "bundle.outside"), ("/tmp/evil.py", "bundle.outside"), ("gone.py", "bundle.damaged")],
)
def test_a_manifest_that_lies_is_refused(af: Af, built: Path, path: str, code: str) -> None:
    with zipfile.ZipFile(built) as archive:
        files = json.loads(archive.read("agentflow.json"))["files"]
    found = af("deploy", relabelled(built, files=files | {path: "0" * 64}))
    assert (True, True) == (found.code != 0, code in found.err)


def test_what_is_no_bundle_is_told(af: Af, built: Path, tmp_path: Path) -> None:
    other = tmp_path / "x.zip"
    other.write_bytes(b"PK nothing")
    found = af("deploy", other)
    assert (2, True) == (found.code, "bundle.unreadable" in found.err)
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("readme.txt", "x")
    found = af("deploy", other)
    assert (2, True) == (found.code, "no agentflow.json" in found.err)
    found = af("deploy", relabelled(built, v=2))
    assert (2, True) == (found.code, "bundle.version" in found.err)


def test_another_definition_than_was_built_is_refused(af: Af, built: Path) -> None:
    found = af("deploy", relabelled(built, definition="sha256:" + "0" * 64))
    assert (True, True) == (found.code != 0, "bundle.differs" in found.err)


def test_earlier_bundles_and_pipes_are_left_out(af: Af, project: Path, built: Path) -> None:
    """`af build .` writes into the project that it reads; and a pipe would be read for ever."""
    (project / "desk-1.zip").write_bytes(built.read_bytes())
    os.mkfifo(project / "pipe")
    own = project / "own.zip"
    assert (0, 0) == (af("build", project, "--out", own).code, af("build", project, "--out", own).code)
    assert built.read_bytes() == own.read_bytes()


def test_what_the_definition_names_is_in_it_whatever_its_name(af: Af, project: Path, built: Path) -> None:
    """Editors leave such files behind; in a folder of articles they are part of the definition."""
    (project / "workflow.yaml").write_text(
        "name: desk\nagents:\n  find: {type: rag, memory: {long_term: {folder: notes}}}\n"
    )
    (project / "notes" / "draft.part").write_text("Because.")
    af("build", project, "--out", built)
    found = af("deploy", built)
    assert 0 == found.code, found.err


def lied(built: Path, **files: bytes) -> Path:
    """With more files, which the manifest names."""
    with zipfile.ZipFile(built) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(contents["agentflow.json"])
    manifest["files"] |= {path: sha256(content).hexdigest() for path, content in files.items()}
    with zipfile.ZipFile(built, "w") as archive:
        for name, each in (contents | files | {"agentflow.json": json.dumps(manifest).encode()}).items():
            archive.writestr(name, each)
    return built


@pytest.mark.parametrize("files", [{"a": b"x", "a/b": b"y"}, {"a/b": b"y", "a": b"x"}, {"a/": b"x"}, {"a//b": b"x"}])
def test_a_file_that_is_a_folder_too_is_refused(af: Af, built: Path, tmp_path: Path, files: dict[str, bytes]) -> None:
    """Before anything is written: the same folder can be named again."""
    found = af("init", tmp_path / "own", "--template", lied(built, **files))
    assert (2, True, False) == (found.code, "bundle.unreadable" in found.err, (tmp_path / "own").exists()), found.err


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(af: Af, built: Path, compression: int) -> None:
    """They unpack without a bound, however large a file says that it is."""
    with zipfile.ZipFile(built, "w", compression) as archive:
        archive.writestr("agentflow.json", "{}")
    found = af("deploy", built)
    assert (2, True) == (found.code, "bundle.unreadable" in found.err), found.err


def test_a_damaged_or_endless_manifest_is_refused(af: Af, built: Path) -> None:
    content = bytearray(built.read_bytes())
    content[44:60] = b"\xff" * 16
    built.write_bytes(content)
    damaged = af("deploy", built)
    assert (2, True) == (damaged.code, "bundle.unreadable" in damaged.err), damaged.err
    with zipfile.ZipFile(built, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("agentflow.json", b"{}" + b" " * 11_000_000)
    endless = af("deploy", built)
    assert (2, True) == (endless.code, "longer than 10 MB" in endless.err), endless.err


def test_names_in_capitals_are_names_of_bundles_too(af: Af, built: Path, tmp_path: Path) -> None:
    """Disks that are carried about may give them so; and a folder is a project, whatever it is called."""
    shouted = built.rename(built.with_name("DESK.ZIP"))
    assert 0 == af("deploy", shouted).code
    folder = tmp_path / "own.zip"
    assert 0 == af("init", folder, "--template", shouted).code
    assert True is af("deploy", folder, "--json").document["is_same"]
