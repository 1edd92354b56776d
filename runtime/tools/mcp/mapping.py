"""What a server says of its tools, in our words: descriptors out of its JSON, specs out of descriptors. Pure.

Nothing here makes a tool more trusted than the settings do: what a server says of itself only raises what its tool
needs, and a tool that says nothing needs everything.
"""

import re
from collections.abc import Sequence, Set
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

import msgspec

from runtime.domain.canonical import Json, digest, encode
from runtime.domain.mcp import GRANTS, Descriptor, Grant, McpServer
from runtime.domain.schema import Schema
from runtime.domain.tool import SecurityLevel, ToolSpec
from runtime.errors import AgentFlowError, Invalid, NotFound

MAX_DESCRIPTOR_BYTES = 64 * 1024
MAX_TOOLS = 500
NAME = re.compile(r"[A-Za-z0-9_./-]{1,128}")

_LEVELS: dict[Grant, SecurityLevel] = {"read": "low", "write": "medium", "destroy": "high"}


class Problem(msgspec.Struct, frozen=True):
    """A tool that is not offered, and why."""

    tool: str
    code: str
    message: str


class Listing(msgspec.Struct, frozen=True):
    """What a server says that it has."""

    tools: tuple[Descriptor, ...]
    problems: tuple[Problem, ...]


def descriptor_of(said: Json) -> Descriptor:
    """A descriptor out of an entry of `tools/list`. Raises Invalid for one that no call could be made by."""
    if not isinstance(said, dict) or not isinstance(said.get("name"), str):
        raise Invalid("mcp.bad_tool", "an entry of its list of tools has no name")
    name = str(said["name"])
    if not NAME.fullmatch(name):
        raise Invalid("mcp.bad_tool", f"a tool is called {name[:60]!r}; a name has 1 to 128 letters, digits, _ . / -")
    found = Descriptor(
        name=name,
        title=_text(said.get("title")),
        description=_text(said.get("description")),
        input_schema=_schema(said.get("inputSchema"), f"the inputSchema of tool {name!r}"),
        output_schema=None
        if said.get("outputSchema") is None
        else _schema(said["outputSchema"], f"the outputSchema of tool {name!r}"),
        annotations=_mapping(said.get("annotations")),
    )
    if len(digest_source(found)) > MAX_DESCRIPTOR_BYTES:
        raise Invalid("mcp.bad_tool", f"tool {name!r} describes itself with more than {MAX_DESCRIPTOR_BYTES:,} bytes")
    return found


def listing_of(said: Sequence[Json], taken: Set[str]) -> Listing:
    """What can be made of a list of tools: one that is wrong must not take the others with it.

    `taken`: the names that the protocol's own rules leave in.
    """
    tools: dict[str, Descriptor] = {}
    problems = []
    for entry in said[:MAX_TOOLS]:
        name = str(entry.get("name"))[:100] if isinstance(entry, dict) else "?"
        try:
            found = descriptor_of(entry)
            if found.name not in taken:
                raise Invalid(
                    "mcp.bad_tool", f"tool {found.name!r} breaks a rule of the protocol, such as on x-mcp-header"
                )
            if found.name in tools:
                raise Invalid("mcp.bad_tool", f"two tools are called {found.name!r}; the first counts")
            tools[found.name] = found
        except Invalid as error:
            problems.append(Problem(name, error.code, error.message))
    if len(said) > MAX_TOOLS:
        problems.append(Problem("", "mcp.bad_tool", f"it lists more than {MAX_TOOLS} tools; the rest is left out"))
    return Listing(tuple(tools.values()), tuple(problems))


def tool_of(listing: Listing, server: str, tool: str) -> Descriptor:
    """A tool by name. Raises NotFound; Invalid where it is not usable, saying why."""
    for each in listing.tools:
        if each.name == tool:
            return each
    for problem in listing.problems:
        if problem.tool == tool:
            raise Invalid(problem.code, f"MCP server {server!r}: {problem.message}")
    names = ", ".join(each.name for each in listing.tools[:20])
    raise NotFound("mcp.unknown_tool", f"MCP server {server!r} has no tool {tool!r}; it has: {names or 'none'}")


def descriptor_digest(descriptor: Descriptor) -> str:
    """The hash that an approval is for: of everything that the server says of the tool."""
    return digest(_plain(descriptor))


def digest_source(descriptor: Descriptor) -> str:
    """What the hash is over, as text, to be measured. Raises Invalid for what no JSON is."""
    return encode(_plain(descriptor)).decode()


def needed(descriptor: Descriptor) -> Grant:
    """What a tool needs to be granted; one that does not say that it only reads may do anything."""
    hints = descriptor.annotations
    if hints.get("readOnlyHint") is True:
        return "read"
    return "write" if hints.get("destructiveHint") is False else "destroy"


def is_taken(server: McpServer, tool: str) -> bool:
    """Whether one of a server's patterns takes a tool."""
    return any(fnmatchcase(tool, pattern) for pattern in server.tools)


def sent(descriptor: Descriptor, arguments: dict[str, Json]) -> dict[str, Json]:
    """The arguments as they are sent: a null says nothing where the tool takes none, as models like to write it."""
    if not Schema(descriptor.input_schema).fault(arguments):
        return arguments
    required = descriptor.input_schema.get("required")
    needed_names = required if isinstance(required, list) else []
    return {name: value for name, value in arguments.items() if value is not None or name in needed_names}


def missing_grant(server: McpServer, descriptor: Descriptor) -> Grant | None:
    """What a tool needs and its server is not granted; None when it may be used."""
    need = needed(descriptor)
    return None if any(GRANTS.index(grant) >= GRANTS.index(need) for grant in server.grants) else need


def spec_of(server: McpServer, descriptor: Descriptor) -> ToolSpec:
    """The tool as the registry knows it: `SERVER.NAME`."""
    need = needed(descriptor)
    return ToolSpec(
        id=f"{server.name}.{descriptor.name}",
        kind="tool.mcp",
        version=descriptor_digest(descriptor)[-12:],
        description=descriptor.description,
        input_schema=descriptor.input_schema,
        output_schema=descriptor.output_schema,
        permissions=permissions_of(server, need),
        timeout_ms=round(server.timeout_s * 1_000),
        is_idempotent=descriptor.annotations.get("idempotentHint") is True and need != "destroy",
        security_level=_LEVELS[need],
        is_trusted=False,
        set_by=f"mcp.servers[{server.name}] of the settings",
        config={"server": server.name, "tool": descriptor.name},
    )


def permissions_of(server: McpServer, need: Grant) -> tuple[str, ...]:
    """What a call needs: the server's own reach, as it is declared, and what the tool does with it."""
    reach = (
        (f"network.http:{urlsplit(server.url).netloc}",)
        if server.url
        else (
            *(("process.spawn",) if server.starts_programs else ()),
            *(f"files.read:{folder}" for folder in (*server.reads, *server.writes)),
            *(f"files.write:{folder}" for folder in server.writes),
        )
    )
    return (*reach, f"mcp.{need}:{server.name}")


def _plain(descriptor: Descriptor) -> dict[str, Json]:
    plain: dict[str, Json] = msgspec.to_builtins(descriptor)
    return plain


def _schema(said: Json, what: str) -> dict[str, Json]:
    if not isinstance(said, dict):
        raise Invalid("mcp.bad_schema", f"{what} is no object")
    try:
        Schema(said)
    except AgentFlowError as error:
        raise Invalid("mcp.bad_schema", f"{what}: {error.message[:300]}") from None
    return said


def _text(said: Json) -> str:
    return said if isinstance(said, str) else ""


def _mapping(said: Json) -> dict[str, Json]:
    return said if isinstance(said, dict) else {}
