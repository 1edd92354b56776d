"""The records of `logs/af.log` and of the files that it was turned over to, oldest first; which of them are wanted."""

import json
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import msgspec

from appliance.cli.logbook import FILES_KEPT
from appliance.cli.units import clock_time, local_time, microseconds

POLL_S = 0.25
_HEAD = ("at", "level", "logger", "pid", "message", "traceback")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; what is empty leaves all in."""

    run: str = ""
    agent: str = ""
    level: str = ""
    """The least."""
    since: str = ""
    """RFC 3339; times of the log compare as texts."""

    def takes(self, record: dict[str, Any]) -> bool:
        """Whether a record is wanted."""
        text = f"{record.get('message', '')}"
        return (
            _number(str(record.get("level", ""))) >= _number(self.level or "debug")
            and str(record.get("at", "")) >= self.since
            and (not self.run or str(record.get("run", "")).endswith(self.run) or self.run in text)
            and (not self.agent or record.get("agent") == self.agent or _names_agent(text, self.agent))
        )


def opened(file: Path) -> TextIO | None:
    """The log as it is written now; None where there is none yet."""
    try:
        return file.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def records_in(file: Path, now: TextIO | None) -> Iterator[dict[str, Any]]:
    """Every record that is kept, oldest first; lines that are none are left out. `now`: the log, opened before."""
    for number in range(FILES_KEPT, 0, -1):
        turned = opened(file.with_name(f"{file.name}.{number}"))
        if turned is None:
            continue
        with turned:
            if now is None or not os.path.sameopenfile(turned.fileno(), now.fileno()):  # turned over meanwhile
                yield from _records(turned)
    if now is not None:
        yield from _records(now)


def records_to_come(file: Path, now: TextIO | None) -> Iterator[dict[str, Any]]:
    """Records behind those that were read of `now`, also in the file that takes its place; never ends."""
    stream = now
    try:
        while True:
            if stream is not None:
                yield from _records(stream)
            # the file is turned over once it is large, or comes to be
            if file.exists() and (stream is None or _inode(file) != os.fstat(stream.fileno()).st_ino):
                if stream is not None:
                    yield from _records(stream)
                    stream.close()
                stream = opened(file)
                continue
            time.sleep(POLL_S)
    finally:
        if stream is not None:
            stream.close()


def line_of(record: dict[str, Any]) -> str:
    """A record for a person: `2026-01-31 14:03:12.345 warning appliance.threats  unusual …`, then what else it says."""
    at = _local(str(record.get("at", "")))
    others = {name: value for name, value in record.items() if name not in _HEAD}
    more = " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in others.items())
    head = f"{at} {record.get('level', ''):<7} {record.get('logger', '')}  {record.get('message', '')}"
    return f"{head}{f'  {more}' if more else ''}"


def _local(at: str) -> str:
    """When it was in this machine's time zone, as everything else that a person is shown; the log itself has UTC."""
    try:
        at_us = microseconds(at)
    except ValueError:
        return at
    return f"{local_time(at_us)[:10]} {clock_time(at_us)}"


def _records(stream: TextIO) -> Iterator[dict[str, Any]]:
    while line := stream.readline():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def _number(level: str) -> int:
    return logging.getLevelNamesMapping().get(level.upper(), logging.INFO)


def _names_agent(text: str, agent: str) -> bool:
    return re.search(rf"\bagent ['\"]?{re.escape(agent)}\b", text) is not None


def _inode(file: Path) -> int:
    return file.stat().st_ino
