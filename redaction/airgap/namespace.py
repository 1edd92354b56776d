"""A network of its own: namespaces with nothing in them but loopback, and no rights to leave them again."""

import errno
import os
import sys
from contextlib import suppress
from typing import NamedTuple

from redaction.airgap.facts import facts_of
from runtime.sandbox import kernel

CAP_SYS_ADMIN = 1 << 21
_KEPT = (0, 1, 3, 4, 5, 6, 7, 10, 14, 23, 24, 31)
# chown, dac_override, fowner, fsetid, kill, setgid, setuid, net_bind_service, ipc_lock, sys_nice, sys_resource,
# setfcap: what a service run by root does with files, its own processes and sandboxes. Gone are sys_admin (setns,
# mount), net_admin, net_raw, sys_ptrace, sys_module, bpf and the rest: the ways back to the network outside.
KEPT_CAPABILITIES = sum(1 << number for number in _KEPT)


class Entered(NamedTuple):
    """What namespaces this process is in now."""

    how: str
    """For a person."""
    has_own_mounts: bool
    """Whether what is mounted here is seen nowhere else."""


def enter_namespaces() -> Entered:
    """Move into a network and a mount namespace of our own.

    As root directly, as a plain user through a user namespace in which the user is still who they are. A network
    that has no way out already, given by a service manager or a container, is kept: what is started beside us is
    reached there. Raises OSError when the kernel does not allow it; then nothing has changed.
    """
    if facts_of().is_isolated:
        mounts = _reason_against(kernel.CLONE_NEWNS)
        if mounts == 0:
            _enter(kernel.CLONE_NEWNS)
        with suppress(OSError):  # not ours to switch on
            kernel.bring_loopback_up()
        how = "the empty network namespace that it was started in" + (", with its mounts" if mounts else "")
        return Entered(how, has_own_mounts=mounts == 0)
    refusal = _reason_against(kernel.CLONE_NEWNET | kernel.CLONE_NEWNS)
    if refusal:
        raise OSError(refusal, f"the kernel allows no network namespace here ({os.strerror(refusal)})")
    _enter(kernel.CLONE_NEWNET | kernel.CLONE_NEWNS)
    return Entered("own network namespace, loopback only", has_own_mounts=True)


def give_up_rights() -> None:
    """Keep what a service needs for files and its own processes, and no right that leads out of the namespaces."""
    kernel.keep_capabilities(KEPT_CAPABILITIES if os.geteuid() == 0 else 0)
    kernel.forbid_new_privileges()


def _reason_against(flags: int) -> int:
    """The error number with which `_enter` would end; 0 when it works. Tried in a child, since it can't be undone:
    some kernels grant a user namespace and then no rights in it."""
    child = os.fork()
    if child == 0:
        try:
            _enter(flags)
        except OSError as error:
            os._exit(error.errno or errno.EPERM)
        finally:  # whatever else happens, a second copy of the program must not go on
            os._exit(0 if sys.exc_info()[0] is None else errno.EPERM)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _enter(flags: int) -> None:
    """Unshare, through a user namespace where that is needed."""
    if kernel.effective_capabilities() & CAP_SYS_ADMIN:
        kernel.unshare(flags)
    else:
        user, group = os.geteuid(), os.getegid()
        kernel.unshare(flags | kernel.CLONE_NEWUSER)
        _map(user, group)
    if flags & kernel.CLONE_NEWNS:
        # what is mounted outside later is seen here; what is mounted here is not seen outside
        kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_SLAVE)
    if flags & kernel.CLONE_NEWNET:
        kernel.bring_loopback_up()
        if not facts_of().is_isolated:
            raise OSError(errno.EPERM, "the new network namespace has a way out")


def _map(user: int, group: int) -> None:
    """Be the same user and group inside as outside."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
