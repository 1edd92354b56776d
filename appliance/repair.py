"""What a process that was killed left lying about in the data folder, and mending it at the next start.

Only what nothing can need is removed: drafts, whose place was never taken. The lock of the data folder is held, and
what other commands write without it is left alone while it is young.
"""

import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from models.folder import exclusive, unfinished
from runtime.errors import AgentFlowError
from runtime.store import driver

YOUNG_S = 600
"""A draft of a small file that is younger may be somebody's who is at work."""
DATABASE_DRAFTS = ("*.db.encrypting", "*.rehearsal", "*.db.partial")
SMALL_DRAFTS = (".keys.json-*", ".telemetry.json-*", ".config-*", "secrets/.*.json-*", "auth/*.new", "*.key.new")
FOLDER_DRAFTS = ("definitions/.draft-*", "workflows/.draft-*")

log = logging.getLogger(__name__)


class Mended(msgspec.Struct, frozen=True):
    """One thing that was put in order."""

    what: str
    path: Path


def mend(data: Path, models: Path, *, now_us: int) -> Sequence[Mended]:
    """Put the data folder in order; what was done, which is logged too. Whoever calls holds its lock."""
    done = [*_databases(data), *_small_files(data, now_us), *_folders(data), *_models(models)]
    for each in done:
        log.warning("%s: %s", each.what, each.path)
    return done


def _databases(data: Path) -> Iterator[Mended]:
    for pattern in DATABASE_DRAFTS:
        for path in sorted(data.glob(pattern)):
            driver.remove(path)
            yield Mended("removed a copy of a database that was never finished", path)


def _small_files(data: Path, now_us: int) -> Iterator[Mended]:
    for pattern in SMALL_DRAFTS:
        for path in sorted(data.glob(pattern)):
            if path.is_file() and path.stat().st_mtime < now_us / 1e6 - YOUNG_S:
                path.unlink()
                yield Mended("removed a draft of a file that was never finished", path)


def _folders(data: Path) -> Iterator[Mended]:
    for pattern in FOLDER_DRAFTS:
        for path in sorted(data.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
                yield Mended("removed files of a definition that were never all laid out", path)


def _models(folder: Path) -> Iterator[Mended]:
    """Models that were cut off while they came or went; one that was to be replaced comes back."""
    found = unfinished(folder)
    if not found:
        return
    try:
        with exclusive(folder, is_patient=False):  # it does what is said below
            pass
    except AgentFlowError:
        return  # somebody is at work on them, or the folder takes no writes
    for path, back in found:
        what = f"put back model {back!r}, whose replacement never came" if back else "removed an unfinished model"
        yield Mended(what, path)
