"""How a program is put to its interpreter, and what its end is read from. Starts nothing."""

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
    """What a program ended with, by the status that passes it on: above 128 it is a signal, which is negative here."""
    return 128 - code if code > 128 else code


def last_words(stderr: bytes | bytearray, *, otherwise: str = "", begin: Sequence[str] = ("",)) -> str:
    """The last line that begins with one of `begin`, cut to what a message holds."""
    lines = [line for line in stderr.decode("utf-8", "replace").strip().splitlines() if line.startswith(tuple(begin))]
    return (lines[-1] if lines else otherwise)[:300]
