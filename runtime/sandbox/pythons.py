"""The Python that programs of sandboxes run in."""

import os
import sys
from pathlib import Path


def readable() -> str:
    """One that every user can read, with its library: the appliance's own, or the system's; empty where none can be."""
    base = getattr(sys, "_base_executable", sys.executable)
    for path in (os.path.realpath(base), os.path.realpath("/usr/bin/python3")):
        if is_for_everyone(path):
            return path
    return ""


def is_for_everyone(path: str) -> bool:
    """Whether every user can read and run a program, as the folders on the way to it let them."""
    way = [path, *map(str, Path(path).parents)]
    return os.path.exists(path) and all(os.stat(each).st_mode & 0o005 == 0o005 for each in way)
