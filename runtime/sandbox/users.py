"""Spare users: whom a program is run as where the appliance is root, another one for every call that runs.

Numbers that belong to nobody, so that a program finds no file that is its own and no process that it may signal.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from runtime.errors import Refused
from runtime.sandbox import kernel

FIRST = 62_000
HOW_MANY = 1_000
"""So many calls at once have a user each."""
AHEAD = FIRST + HOW_MANY
"""The first of as many more, for processes that are forked ahead of their calls by somebody else."""
_CAP_SETGID, _CAP_SETUID = 1 << 6, 1 << 7
_NUMBERS = itertools.count(os.getpid() * 37)
_TAKEN: set[int] = set()


def can_switch() -> bool:
    """Whether this process may become a spare user: root, with the right to, and the number exists here."""
    wanted = _CAP_SETUID | _CAP_SETGID
    if os.geteuid() != 0 or kernel.effective_capabilities() & wanted != wanted:
        return False
    with open("/proc/self/uid_map", encoding="ascii") as maps:
        ranges = [tuple(map(int, line.split())) for line in maps]
    return any(start <= FIRST and AHEAD + HOW_MANY <= start + count for start, _, count in ranges)


def is_host_root() -> bool:
    """Whether files of the host's root would be a program's own if it were run as we are."""
    if os.geteuid() != 0:
        return False
    with open("/proc/self/uid_map", encoding="ascii") as maps:
        return any(line.split()[1] == "0" and line.split()[0] == "0" for line in maps)


@contextmanager
def of_folders(folders: Sequence[str]) -> Iterator[int | None]:
    """Whom a program is run as that writes into these folders: where we are root, their owner; see `spare`.

    Raises Refused where that is root, or more than one.
    """
    if not folders or not can_switch():
        with spare() as user:
            yield user
        return
    owners = {folder: os.stat(folder).st_uid for folder in folders}
    if 0 in owners.values() or len(set(owners.values())) > 1:
        told = ", ".join(f"{folder} of user {owner}" for folder, owner in owners.items())
        raise Refused(
            "sandbox.whose_folder",
            f"where the appliance is root, a program is run as the owner of the folders that it writes, one user that "
            f"is not root; found {told}. Give them away, as with chown {FIRST}:{FIRST}, or run the appliance as a "
            "plain user",
        )
    yield owners[folders[0]]


@contextmanager
def spare() -> Iterator[int | None]:
    """A user that no other call of this process has meanwhile; None where we are no root and stay who we are."""
    if not can_switch():
        yield None
        return
    free = next((number for _ in range(HOW_MANY) if (number := FIRST + next(_NUMBERS) % HOW_MANY) not in _TAKEN), FIRST)
    _TAKEN.add(free)
    try:
        yield free
    finally:
        _TAKEN.discard(free)
