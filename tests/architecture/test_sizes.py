"""Nothing grows past what one reader holds in mind."""

from tests.architecture.source import ROOT, all_files, functions

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
MAX_README_LINES = 20


def test_files_stay_readable() -> None:
    """A file has one subject; one of 500 lines has several."""
    sizes = {str(path): len((ROOT / path).read_text().splitlines()) for path in all_files()}
    assert {} == {path: lines for path, lines in sizes.items() if lines > MAX_FILE_LINES}


def test_functions_stay_readable() -> None:
    """A function that does not fit on a screen cannot be checked by reading."""
    long = [
        f"{path}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for path in all_files()
        for node in functions(path)
        if node.end_lineno is not None and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_every_top_level_folder_says_what_it_is() -> None:
    """The README says what lives there, what may never come in and who may import it, and stops."""
    folders = ["appliance", "models", "packaging", "redaction", "runtime", "tests", "tui"]
    lines = {folder: len((ROOT / folder / "README.md").read_text().splitlines()) for folder in folders}
    assert {} == {folder: count for folder, count in lines.items() if count > MAX_README_LINES}
