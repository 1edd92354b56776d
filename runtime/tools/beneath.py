"""Opening a path beneath a folder, by the kernel's own means, so that nothing leads out of it."""

import ctypes
import errno
import os
import platform
import stat

_OPENAT2 = 437
"""The same number on every architecture (Linux 5.6)."""
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_TRIES = 8
"""How often a path is tried again whose folders were moved while it was looked up."""


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_beneath(root: str, path: str, flags: int) -> int:
    """A descriptor of what lies at `path` within `root`. Raises OSError: EXDEV or ELOOP for what leads out of it."""
    if "\0" in path:
        raise OSError(errno.EINVAL, "a path has no NUL")
    held = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            return _openat2(held, path, flags)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
        return _walk(held, path, flags)
    finally:
        os.close(held)


def _openat2(folder: int, path: str, flags: int) -> int:
    if platform.system() != "Linux":
        raise OSError(errno.ENOSYS, "openat2")
    libc = ctypes.CDLL(None, use_errno=True)
    how = _How(flags | os.O_CLOEXEC, 0, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)
    for _ in range(_TRIES):
        found: int = libc.syscall(_OPENAT2, folder, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
        if found >= 0:
            return found
        number = ctypes.get_errno()
        if number != errno.EAGAIN:
            break
    raise OSError(number, os.strerror(number))


def _walk(folder: int, path: str, flags: int) -> int:
    """Where the kernel has no openat2: one folder after the other, none of which may be a link or `..`."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    held = os.dup(folder)
    try:
        for part in parts[:-1]:
            if stat.S_ISLNK(os.stat(part, dir_fd=held, follow_symlinks=False).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=held)
            os.close(held)
            held = deeper
        return os.open(parts[-1] if parts else ".", flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=held)
    finally:
        os.close(held)
