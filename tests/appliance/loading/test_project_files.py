"""Files that a definition names: inside its folder, hashed, and never run while loading."""

import os
from pathlib import Path

import pytest

from appliance.loader import check, load
from appliance.loading import files
from runtime.domain.workflow import Workflow

CUSTOM = "name: x\nagents:\n  a: {type: custom, handler: 'actions.py:act'}\n"
ARTICLES = "name: x\nagents:\n  a: {type: rag, memory: {long_term: {folder: articles}}}\n"
EXAMPLES = "name: x\nagents:\n  a: {type: ml_model, model: {kind: classifier, examples: examples.csv}}\n"
ACTIONS = "def act(task, ctx):\n    return task\n"


def write(folder: Path, contents: dict[str, str]) -> Path:
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def loaded(folder: Path, contents: dict[str, str]) -> Workflow:
    return load(write(folder, contents))


def codes(folder: Path) -> list[str]:
    return [each.code for each in check(folder).problems]


def test_named_files_are_part_of_the_definition(tmp_path: Path) -> None:
    """A run is pinned to them as to the YAML itself."""
    workflow = loaded(tmp_path, {"workflow.yaml": CUSTOM, "actions.py": ACTIONS, "other.py": "x = 1\n"})
    assert ["actions.py"] == list(workflow.files)
    changed = loaded(tmp_path, {"actions.py": ACTIONS + "# a comment\n"})
    assert workflow.hash != changed.hash


def test_files_that_a_function_reads_come_along(tmp_path: Path) -> None:
    """Of an agent and of a tool alike; a name that is not there is found at load time, with its place."""
    tool = "tool_registry: {tools: {t: {type: function, handler: 'actions.py:total', files: [rates]}}}\n"
    contents = {
        "workflow.yaml": CUSTOM.replace("}", ", files: [prices.json]}") + tool,
        "actions.py": f"{ACTIONS}\n@tool(files=['tax.csv'])\ndef taxed(a: int): ...\ndef total(a: int): ...\n",
        "prices.json": "{}",
        "rates/a.json": "{}",
        "tax.csv": "",
    }
    assert ["actions.py", "prices.json", "rates/a.json"] == list(loaded(tmp_path, contents).files)
    document = contents["workflow.yaml"].replace("total', files: [rates]", "taxed'")
    assert ["actions.py", "prices.json", "tax.csv"] == list(loaded(tmp_path, {"workflow.yaml": document}).files)
    write(tmp_path, contents)
    (tmp_path / "prices.json").unlink()
    (tmp_path / "rates" / "a.json").unlink()
    (tmp_path / "rates").rmdir()
    problems = check(tmp_path).problems
    assert {("file.not_found", "agents.a.files"), ("file.not_found", "tool_registry.tools.t.files.0")} == {
        (problem.code, problem.path) for problem in problems
    }


def test_modules_of_the_project_that_a_handler_imports_come_along(tmp_path: Path) -> None:
    """Without them a stored definition would not run from its own copies."""
    contents = {
        "workflow.yaml": CUSTOM,
        "actions.py": "import json\nimport wording\nfrom rules import limits\n\ndef act(task, ctx):\n    return task\n",
        "wording.py": "def greet():\n    import tone\n",
        "tone.py": "POLITE = 1\n",
        "rules/__init__.py": "",
        "rules/limits.py": "MAX = 3\n",
        "unused.py": "",
    }
    expected = ["actions.py", "rules/__init__.py", "rules/limits.py", "tone.py", "wording.py"]
    assert expected == list(loaded(tmp_path, contents).files)


def test_modules_that_import_each_other_are_read_once(tmp_path: Path) -> None:
    """A circle of imports is legal Python."""
    contents = {
        "workflow.yaml": CUSTOM,
        "actions.py": "import b\n" + ACTIONS,
        "b.py": "import actions\nimport b\n",
    }
    assert ["actions.py", "b.py"] == list(loaded(tmp_path, contents).files)


@pytest.mark.parametrize(
    "module",
    [
        "async def act(task, ctx): ...\n",
        "from rules import act\n",
        "from rules import *\n",
        "act = make('x')\n",
        "if True:\n    def act(task, ctx): ...\n",
        "try:\n    from fast import act\nexcept ImportError:\n    from slow import act\n",
    ],
)
def test_a_handler_may_be_bound_in_any_way(tmp_path: Path, module: str) -> None:
    """The check reads names; it must not refuse what Python would find."""
    assert [] == codes(write(tmp_path, {"workflow.yaml": CUSTOM, "actions.py": module}))


def test_a_handler_is_never_run_while_loading(tmp_path: Path) -> None:
    """Validating somebody's project must not execute it."""
    module = f"open({str(tmp_path / 'ran')!r}, 'w')\n{ACTIONS}"
    loaded(tmp_path, {"workflow.yaml": CUSTOM, "actions.py": module})
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("handler", "module", "code", "words"),
    [
        ("actions.py:acct", ACTIONS, "handler.no_function", "did you mean 'act'?"),
        ("actions.py", ACTIONS, "handler.no_function", "'actions.py' has no function"),
        ("actions.py:act", "def act(:\n", "handler.not_python", "actions.py:1 is not valid Python"),
        ("actions.py:act", "\0", "handler.not_python", "not valid Python"),
        ("actions.txt:act", ACTIONS, "handler.not_python", "file.py:function"),
        ("gone.py:act", ACTIONS, "file.not_found", "'gone.py' does not exist"),
        ("../actions.py:act", ACTIONS, "file.outside", "inside the definition's folder"),
        ("/etc/passwd.py:act", ACTIONS, "file.outside", "inside the definition's folder"),
    ],
)
def test_a_handler_that_is_not_there_is_found_at_load_time(
    tmp_path: Path, handler: str, module: str, code: str, words: str
) -> None:
    """Otherwise the first run finds it."""
    document = CUSTOM.replace("actions.py:act", handler)
    (problem,) = check(write(tmp_path, {"workflow.yaml": document, "actions.py": module})).problems
    assert (code, 3, "agents.a.handler") == (problem.code, problem.line, problem.path)
    assert words in problem.message


def test_a_folder_stands_for_every_file_in_it(tmp_path: Path) -> None:
    """In a fixed order; an editor's hidden files and compiled Python are not articles."""
    contents = {
        "workflow.yaml": ARTICLES,
        "articles/b.md": "b",
        "articles/a.md": "a",
        "articles/deep/c.md": "c",
        "articles/.a.md.swp": "x",
        "articles/.git/config": "x",
        "articles/__pycache__/x.pyc": "x",
    }
    workflow = loaded(tmp_path, contents)
    assert ["articles/a.md", "articles/b.md", "articles/deep/c.md"] == list(workflow.files)
    assert workflow.hash != loaded(tmp_path, {"articles/d.md": "d"}).hash


def test_a_missing_file_or_folder_is_an_error(tmp_path: Path) -> None:
    """With the key that names it."""
    assert ["file.not_found"] == codes(write(tmp_path, {"workflow.yaml": EXAMPLES}))
    assert ["file.not_found"] == codes(write(tmp_path, {"workflow.yaml": ARTICLES}))


def test_a_name_that_no_file_can_have_is_an_error(tmp_path: Path) -> None:
    """The operating system refuses to look such names up."""
    for name in ("x" * 300, "x\0y"):
        document = EXAMPLES.replace("examples.csv", f'"{name}"').replace("\0", "\\0")
        assert not check(write(tmp_path, {"workflow.yaml": document})).is_valid


@pytest.mark.parametrize("name", ["../secret.csv", "/etc/passwd", "a/../../secret.csv", "."])
def test_nothing_outside_the_folder_is_opened(tmp_path: Path, name: str) -> None:
    """A definition from a stranger must not read the operator's files into a hash, or copy them."""
    (tmp_path / "secret.csv").write_text("x")
    document = EXAMPLES.replace("examples.csv", name)
    assert ["file.outside"] == codes(write(tmp_path / "project", {"workflow.yaml": document}))


def test_links_may_not_lead_out(tmp_path: Path) -> None:
    """Neither a file that is a link, nor a folder, nor one inside a folder; links within the folder are fine."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "s.md").write_text("x")
    folder = write(tmp_path / "project", {"workflow.yaml": EXAMPLES, "real.csv": "text,label\n"})
    (folder / "examples.csv").symlink_to(tmp_path / "secret" / "s.md")
    assert ["file.outside"] == codes(folder)
    (folder / "examples.csv").unlink()
    (folder / "examples.csv").symlink_to(folder / "real.csv")
    assert [] == codes(folder)
    write(folder, {"workflow.yaml": ARTICLES, "articles/a.md": "a"})
    (folder / "articles" / "s.md").symlink_to(tmp_path / "secret" / "s.md")
    assert ["file.outside"] == codes(folder)
    (folder / "articles" / "s.md").unlink()
    (folder / "articles" / "a.md").unlink()
    (folder / "articles").rmdir()
    (folder / "articles").symlink_to(tmp_path / "secret")
    assert ["file.outside"] == codes(folder)


def test_a_circle_of_links_and_a_pipe_are_not_files(tmp_path: Path) -> None:
    """Opening either would hang or fail in the middle of loading."""
    folder = write(tmp_path, {"workflow.yaml": EXAMPLES})
    (folder / "examples.csv").symlink_to(folder / "examples.csv")
    assert ["file.not_found"] == codes(folder)
    (folder / "examples.csv").unlink()
    os.mkfifo(folder / "examples.csv")
    assert ["file.not_a_file"] == codes(folder)


def test_too_much_to_copy_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every definition keeps copies of its files; the limit is lowered here instead of writing 50 MB."""
    folder = write(tmp_path, {"workflow.yaml": ARTICLES, "articles/a.md": "a" * 600, "articles/b.md": "b" * 600})
    assert [] == codes(folder)
    monkeypatch.setattr(files, "MAX_TOTAL_BYTES", 1_000)
    assert ["file.too_much"] == codes(folder)
