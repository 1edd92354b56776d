"""Servers of tools over the Model Context Protocol, as an operator declares them and as they describe themselves."""

from typing import Literal

import msgspec

from runtime.domain.canonical import Json

Grant = Literal["read", "write", "destroy"]
"""What the tools of a server may do, in this order; what a tool says of itself only decides which it needs."""

ServerIsolation = Literal["process", "namespace", "userspace_kernel"]

GRANTS: tuple[Grant, ...] = ("read", "write", "destroy")


class McpServer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One server, as the settings declare it. It gets what stands here, whatever it says of itself."""

    name: str
    command: tuple[str, ...] = ()
    """The program and its arguments, for a server on stdin and stdout; it runs in a sandbox, without a network."""
    env: dict[str, str] = {}
    """Variables of the program, beside a bare PATH; nothing of the appliance's own environment."""
    reads: tuple[str, ...] = ()
    """Folders that the program may read, beside the system's libraries and those that hold its own files."""
    writes: tuple[str, ...] = ()
    """Folders that it may read and write."""
    isolation: ServerIsolation = "namespace"
    """What stands between the program and this machine at least."""
    memory_bytes: int = 2 * 2**30
    """Of all its processes. Where nobody can count it, of addresses: an engine such as Node's reserves 2 GiB."""
    scratch_bytes: int = 64 * 2**20
    """Of its own empty folder, and of the largest file that it may write."""
    cores: float = 1.0
    """Of all its processes."""
    tasks: int = 64
    """Threads and processes at once."""
    starts_programs: bool = False
    """Whether it may start other programs."""
    lives_s: float = 86_400.0
    """How long it runs at most; the next call starts it again."""
    url: str = ""
    """Of a server over streamable HTTP, in place of `command`."""
    headers: dict[str, str] = {}
    """Sent with every request; a value may be `secret://NAME`."""
    tools: tuple[str, ...] = ("*",)
    """Patterns of the tools that may be used at all."""
    grants: tuple[Grant, ...] = ("read",)
    """What its tools may do."""
    timeout_s: float = 60.0
    """Of one call."""
    start_s: float = 20.0
    """Time to start and to say what it has."""
    max_reply_bytes: int = 4 * 2**20
    """Of one answer; of all that it sends between two questions, twice as much."""
    relist_s: float = 30.0
    """How long its list of tools is taken to be the present one."""
    fill_forms: bool = False
    """Whether a form that it wants filled in is answered with the form's own defaults; otherwise it cannot ask."""


class Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as its server describes it: foreign text, all of it."""

    name: str
    title: str = ""
    description: str = ""
    input_schema: dict[str, Json]
    output_schema: dict[str, Json] | None = None
    annotations: dict[str, Json] = {}


class Approval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's word that a tool may be used as it was described then."""

    tool: str
    digest: str
    """Of the descriptor."""
    at: str
    by: str
    descriptor: Descriptor
    """As it was, to compare with what it is."""
