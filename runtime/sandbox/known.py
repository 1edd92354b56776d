"""What canaries found out, kept for as long as this boot, this kernel and the programs involved stay what they are.

Trying takes seconds, and a command that calls one tool should not try all over again. Failures are never kept.
"""

import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from runtime.domain.canonical import digest


class Known:
    """A file of outcomes; without one nothing is kept."""

    def __init__(self, file: Path | None = None, *, tries_anew: bool = False) -> None:
        """`tries_anew`: believe nothing that is kept, and keep what is found."""
        self._file = file
        self._tries_anew = tries_anew

    async def outcome(
        self, what: str, programs: Sequence[str], find: Callable[[], Awaitable[Sequence[str]]]
    ) -> tuple[str, ...]:
        """What is known of `what` with these programs, or what `find` finds. Raises what `find` raises."""
        key = digest([what, *_circumstances(), *map(_identity, programs)])
        kept = {} if self._tries_anew else self._kept()
        if key in kept:
            return tuple(kept[key])
        found = tuple(sorted(await find()))
        self._keep({**self._kept(), key: list(found)})
        return found

    def _kept(self) -> dict[str, list[str]]:
        if self._file is None:
            return {}
        try:
            kept = json.loads(self._file.read_bytes())
        except (OSError, ValueError):  # there is none yet, or it is damaged: then it is found out again
            return {}
        whole = isinstance(kept, dict) and all(isinstance(each, list) for each in kept.values())
        return kept if whole else {}

    def _keep(self, outcomes: dict[str, list[str]]) -> None:
        if self._file is None or not self._file.parent.parent.is_dir():
            return
        with contextlib.suppress(OSError):  # a folder that is only read: then it is found out each time
            self._file.parent.mkdir(mode=0o700, exist_ok=True)
            new = self._file.with_name(f"{self._file.name}.{os.getpid()}")
            new.touch(mode=0o600)
            new.write_text(json.dumps(dict(list(outcomes.items())[-64:])))
            new.replace(self._file)


def _circumstances() -> list[str]:
    boot = Path("/proc/sys/kernel/random/boot_id")
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return [
        boot.read_text().strip() if boot.exists() else "",
        " ".join(os.uname()),
        f"{os.geteuid()} {os.getegid()}",
        *map(_identity, map(str, sources)),
    ]


def _identity(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return f"{path} is not there"
    return f"{path} {found.st_ino} {found.st_size} {found.st_mtime_ns}"
