"""What one program may do, in full: the answer of the profile compiler and the order to a sandbox driver.

A profile is canonical: equal permissions give equal bytes, and `profile_id` is their SHA-256. Whatever it does not
name is denied, and a driver that cannot hold all of `required(profile)` may not run it.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec

from runtime.domain.canonical import Json

Isolation = Literal["process", "namespace", "userspace_kernel", "wasm"]
"""What stands between the program and the host, weakest first; `wasm` takes only what was built for it."""

Runtime = Literal["python", "javascript", "bash", "wasm", "argv", "inside"]
"""What the program is written for; `inside`: nothing is started, the appliance's own code does the work."""

Guarantee = Literal[
    "net_deny",
    "fs_deny",
    "mem_total",
    "cpu_total",
    "wall",
    "pids",
    "disk",
    "no_host_pid",
    "no_daemon",
    "output_cap",
]
"""What a driver can promise of a program: no network of any family; no file but the given ones; memory, CPU time and
processes of all its children together; the end by a time; a bound on what it writes; no sight of and no signal to
processes of the host; nothing left behind; a bound on its output."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What is to run."""

    runtime: Runtime
    argv: tuple[str, ...] = ()
    sha256: str = ""
    env: Mapping[str, str] = {}


INSIDE = Program(runtime="inside")
"""Of tools that start nothing."""


class ExecProfile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that one program is given. What is at its default has no part in the hash, so that a field that is
    added later leaves the hashes of the journals as they are."""

    profile_id: str = ""
    """`sha256:…` of the canonical JSON of the other fields."""
    tool: str
    tenant: str
    policy_version: str
    """Hash of the policy that it was compiled from."""
    isolation_min: Isolation = "process"
    runtime: Runtime
    argv: tuple[str, ...] = ()
    """The program and its arguments, where the runtime is `argv`; the module's path where it is `wasm`."""
    entry_sha256: str = ""
    """Of the code that runs, so that the record of a call says which."""
    network: Literal["deny_all", "egress_door"] = "deny_all"
    egress_allow: tuple[str, ...] = ()
    """`host:port` that the door may send to on its behalf."""
    filesystem: Literal["none", "read_only", "scratch"] = "none"
    ro_paths: tuple[str, ...] = ()
    """Absolute, resolved; never within the appliance's own data."""
    rw_paths: tuple[str, ...] = ()
    """The same, to be written: of tools that the appliance itself carries out, and of programs that last."""
    scratch_bytes: int = 0
    """Size of its own empty folder, gone when it ends."""
    env: dict[str, str] = {}
    secrets: tuple[str, ...] = ()
    """Names; the values are handed over on a file descriptor."""
    memory_bytes: int = 256 * 2**20
    cpu_ms: int = 5_000
    cpu_share: float = 1.0
    """Cores, of all its processes together."""
    timeout_ms: int = 10_000
    pids_max: int = 32
    allows_subprocess: bool = False
    stdin_max_bytes: int = 2**20
    stdout_max_bytes: int = 2**20
    stderr_max_bytes: int = 2**16
    nofile: int = 256
    is_lasting: bool = False
    """Whether it answers on its streams until it is ended, which `timeout_ms` does at the latest; who reads what it
    prints bounds that."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a program ended."""

    exit_code: int
    """Negative: the signal that ended it."""
    stdout: bytes
    stderr: bytes
    is_truncated: bool = False
    """Whether it printed more than it may; it was ended then."""
    is_timed_out: bool = False
    killed_for: str = ""
    """The limit that ended it, such as `memory`, `cpu`, `output`; empty: it ended by itself."""
    wall_ms: int = 0
    cpu_ms: int = 0
    memory_bytes: int = 0
    """The most it held at once."""
    driver: str = ""
    profile_id: str = ""


class Used(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the programs of one call took of the machine; 0: little, or the sandbox does not count it."""

    cpu_ms: int = 0
    memory_bytes: int = 0
    """The most that one of them held at once."""
    output_bytes: int = 0
    """What they printed, of results and of errors."""

    def plus(self, outcome: Outcome) -> "Used":
        """And one program more."""
        return Used(
            self.cpu_ms + outcome.cpu_ms,
            max(self.memory_bytes, outcome.memory_bytes),
            self.output_bytes + len(outcome.stdout) + len(outcome.stderr),
        )


Answer = Callable[[bytes], Awaitable[bytes]]
"""What answers at a program's door: a request, one line without its end → the answer, the same. Raises nothing."""


class DriverReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver found out about itself on this machine, by trying."""

    driver: str
    isolation: Isolation
    is_usable: bool
    guarantees: tuple[Guarantee, ...] = ()
    """Those that its canaries could not break; some hold only for profiles without sub-processes."""
    reason: str = ""
    """Why it cannot be used, and what to do about it; empty when it can."""
    facts: dict[str, Json] = {}
    """Versions and paths, for the operator."""
