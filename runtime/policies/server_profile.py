"""What the program of a server of tools is given: the settings' words about it, as one profile. Pure.

A server says nothing of what it needs; what the settings do not name is denied.
"""

from collections.abc import Sequence

import msgspec

from runtime.domain.canonical import digest
from runtime.domain.exec_profile import ExecProfile
from runtime.domain.ids import TenantId
from runtime.domain.mcp import McpServer
from runtime.policies.exec_profile import profile_id

PATH = "/usr/local/bin:/usr/bin:/bin"
SCRATCH = "/tmp"  # as the program sees it, in a sandbox
OPEN_FILES = 512


def server_profile(
    server: McpServer, argv: Sequence[str], *, reads: Sequence[str], writes: Sequence[str], tenant: TenantId
) -> ExecProfile:
    """The profile of one server's program for one tenant.

    `argv` begins with the path of the program; `reads` and `writes`: what the settings name, and its own files.
    """
    timeout_ms = int(server.lives_s * 1_000)
    settings = {name: value for name, value in msgspec.to_builtins(server).items() if name not in ("env", "headers")}
    profile = ExecProfile(
        tool=f"mcp:{server.name}",
        tenant=tenant,
        policy_version=digest(settings),
        isolation_min=server.isolation,
        runtime="argv",
        argv=tuple(argv),
        filesystem="scratch",
        ro_paths=tuple(sorted(set(reads))),
        rw_paths=tuple(sorted(set(writes))),
        scratch_bytes=server.scratch_bytes,
        env={"PATH": PATH, "LANG": "C.UTF-8", "HOME": SCRATCH, "TMPDIR": SCRATCH, **server.env},
        memory_bytes=server.memory_bytes,
        cpu_ms=max(int(timeout_ms * server.cores), 1_000),
        cpu_share=server.cores,
        timeout_ms=timeout_ms,
        pids_max=server.tasks,
        allows_subprocess=server.starts_programs,
        nofile=OPEN_FILES,
        is_lasting=True,
    )
    return msgspec.structs.replace(profile, profile_id=profile_id(profile))
