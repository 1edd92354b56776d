"""How a program is put to its interpreter, and what its end is read from. Starts nothing."""

import signal
from collections.abc import Sequence

from runtime.domain.exec_profile import ExecProfile

ENV = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
"""What every program has, unless its profile says otherwise."""


def arguments(profile: ExecProfile, python: str) -> list[str]:
    """The command line of a program that lies at `/program`."""
    if profile.runtime == "python":
        return [python, "-I", "-S", "-B", "/program", *profile.argv]
    if profile.runtime == "bash":
        return ["/bin/bash", "--noprofile", "--norc", "/program", *profile.argv]
    return list(profile.argv)


def cpu_s(profile: ExecProfile) -> int:
    """Its CPU time in whole seconds, as the kernel's limit takes them: at least 1, rounded up."""
    return max(-(-profile.cpu_ms // 1_000), 1)


def exit_code(code: int) -> int:
    """What a program ended with, by the status that passes it on: there 128 and its number stand for a signal.

    Negative: the signal. No signal has a number over 64, so 193 to 255 are what a program said itself.
    """
    return 128 - code if 128 < code <= 128 + signal.NSIG - 1 else code


def last_words(stderr: bytes | bytearray, *, otherwise: str = "", begin: Sequence[str] = ("",)) -> str:
    """The last line that begins with one of `begin`, cut to what a message holds."""
    lines = [line for line in stderr.decode("utf-8", "replace").strip().splitlines() if line.startswith(tuple(begin))]
    return (lines[-1] if lines else otherwise)[:300]
