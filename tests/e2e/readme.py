"""What the README shows, taken apart."""

import re
import shlex
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[str]:
    """The README's blocks of one kind, in order."""
    return [text for found, text in BLOCK.findall(README) if found == kind]


def commands(program: str) -> list[list[str]]:
    """What the README's shell blocks give to a program, as words."""
    lines = [shlex.split(line, comments=True) for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line and line[0] == program]


def plain(line: str) -> str:
    """A line without what differs from run to run: ids, durations and machine-dependent digits."""
    return re.sub(r"r-[0-9a-z]{26}|\d+ min \d\d s\b|[\d.,]+ (?:s|ms)\b", "*", line).rstrip()
