"""Runs a piece of a test in a child process, because walls cannot be taken down again."""

import ctypes
import importlib
import os
import traceback
from collections.abc import Callable
from typing import TypeVar

import msgspec
import pytest

from redaction.airgap import namespace
from runtime.sandbox import landlock

NOBODY = 65_534
_PR_SET_DUMPABLE = 4

for codec in ("ascii", "idna"):  # imported now: a plain user may not be able to read the Python that root runs
    importlib.import_module(f"encodings.{codec}")

Answer = TypeVar("Answer")

USERS = ["root", "user"]
"""Who a test runs as; `as_user` skips what this process may not become."""


def behind(work: Callable[[], Answer], *, user: str = "") -> Answer:
    """What `work` returns in a child, as JSON would hold it; fails with the child's traceback when it raises."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _in_child(work, user, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        answer = told.read()
    os.waitpid(child, 0)
    assert answer, "the child ended without an answer"
    is_fine, value = msgspec.json.decode(answer)
    assert is_fine, value
    found: Answer = value  # tuples have become lists
    return found


def as_user(user: str) -> str:
    """The user, or a skip where this process can be no other one."""
    is_root = os.geteuid() == 0
    if user == "root" and not is_root:
        pytest.skip("needs root")
    return user if is_root else ""


def needs_namespaces(user: str = "") -> None:
    """Skip where the kernel gives no network namespace."""
    try:
        behind(namespace.enter_namespaces, user=user)
    except AssertionError as refused:
        pytest.skip(f"this machine gives no network namespace: {str(refused).strip().splitlines()[-1]}")


def needs_landlock(version: int = landlock.TCP_VERSION) -> None:
    """Skip where the kernel's Landlock is too old."""
    if landlock.version() < version:
        pytest.skip(f"this kernel has version {landlock.version()} of Landlock, and this needs {version}")


def error_of(call: Callable[[], object]) -> str:
    """The name of the error that a call ends with; empty when it works."""
    try:
        call()
    except OSError as error:
        return type(error).__name__ if error.errno is None else os.strerror(error.errno)
    return ""


def socket_error(family: int, kind: int = 1, protocol: int = 0) -> str:
    """Make a socket through the C library, where no hook of Python's sees it."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.socket(family, kind, protocol)
    if descriptor < 0:
        return os.strerror(ctypes.get_errno())
    os.close(descriptor)
    return ""


def _in_child(work: Callable[[], object], user: str, writing: int) -> None:
    try:
        _forget_descriptors(writing)
        if user == "user":
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            # a change of user makes a process undumpable, and its files in /proc root's; one started as the user is not
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
        answer: tuple[bool, object] = (True, work())
    except BaseException:  # the parent fails with it
        answer = (False, traceback.format_exc())
    os.write(writing, msgspec.json.encode(answer, enc_hook=str))
    os._exit(0)


def _forget_descriptors(writing: int) -> None:
    """Close what pytest and earlier tests hold open: the child stands for a process that has just started."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != writing:
            try:
                os.close(int(name))
            except OSError:
                continue
