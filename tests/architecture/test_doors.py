"""Every library has one door: swapping, auditing or removing it touches one place."""

import sys
import tomllib
from pathlib import Path

from tests.architecture.source import FIRST_PARTY, ROOT, imported, is_inside, shipped_files

DOORS = tomllib.loads((ROOT / "tests/architecture/doors.toml").read_text())
LIBRARIES: dict[str, list[str]] = DOORS["libraries"]
STANDARD: dict[str, list[str]] = DOORS["standard"]


def test_each_library_is_imported_through_its_door_only() -> None:
    """A second importer makes a library impossible to swap, and a way out impossible to guard."""
    strays = []
    for path in shipped_files():
        for module, line in imported(path):
            library = module.partition(".")[0]
            if library in FIRST_PARTY or library in sys.stdlib_module_names or _is_beside(path, library):
                continue
            if library not in LIBRARIES:
                strays.append(f"{path}:{line} imports {library!r}, which tests/architecture/doors.toml does not list")
            elif not is_inside(path, LIBRARIES[library]):
                strays.append(f"{path}:{line} imports {library!r}; its door is {' or '.join(LIBRARIES[library])}")
    assert strays == []


def _is_beside(path: Path, module: str) -> bool:
    """Whether it is a template's own module: a project's functions import each other from their folder."""
    return is_inside(path, ["appliance/templates"]) and (ROOT / path.parent / f"{module}.py").is_file()


def test_the_standard_library_leads_out_through_the_doors_only() -> None:
    """`smtplib` or `socket` send as well as any client library does."""
    strays = [
        f"{path}:{line} imports {module!r}; allowed in {places or 'no place'}"
        for path in shipped_files()
        for module, line in imported(path)
        for way_out, places in STANDARD.items()
        if (module == way_out or module.startswith(f"{way_out}.")) and not is_inside(path, places)
    ]
    assert sorted(set(strays)) == []


def test_every_door_is_used() -> None:
    """A door that nobody goes through is an exception waiting for its reason; the table only shrinks."""
    used = [
        f"{name}: {place}"
        for path in shipped_files()
        for module, _ in imported(path)
        for name, places in {**LIBRARIES, **STANDARD}.items()
        if module == name or module.startswith(f"{name}.")
        for place in places
        if is_inside(path, [place])
    ]
    listed = {f"{name}: {place}" for name, places in {**LIBRARIES, **STANDARD}.items() for place in places}
    assert set() == listed - set(used)
