"""The keys of built-in kinds of tools, what is wrong between them, what they make a tool need, and what it takes."""

from collections.abc import Mapping
from typing import cast

from msgspec.structs import replace

from appliance.loading.node import Node
from appliance.loading.place import Place
from appliance.loading.shapes import Shape, choice, list_of, mapping_of, matching, name, size, text, texts, whole
from runtime.domain.canonical import Json
from runtime.domain.secret import is_reference, references_in
from runtime.domain.sql import OPERATIONS, server_of
from runtime.domain.tool import ToolSpec
from runtime.errors import Invalid
from runtime.tools.context import host_of, place_of
from runtime.tools.places import in_braces, in_braces_names, is_sql_script, sqlite_path

_TEXT: Json = {"type": "string"}
_TEXTS: Json = {"type": ["string", "array"], "items": _TEXT}

_address = matching(r"https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?(/[^\s#]*)?", "an address such as http://host:port/path")
_host = matching(r"[A-Za-z0-9.\-]{1,253}|\[[0-9a-fA-F:.]+\]", "the name of a host, without its port")
_hosts = list_of(matching(r"[A-Za-z0-9.\-]{1,253}(:[0-9]{1,5})?", "host, or host:port"), what="a list of hosts")
_folder = matching(
    r"/.*[^/]|[A-Za-z0-9_\-]{1,64}", "the absolute path of a folder, or a name that 'folders' of the settings has"
)
_method = choice("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
_addressee = matching(r"[^\s@]{1,64}@[A-Za-z0-9.*\-]{1,190}", "an address or a pattern of some, such as *@bank.example")
_sender = matching(r"[^\s@<>]{1,64}@[A-Za-z0-9.\-]{1,190}", "a plain address such as desk@bank.example")


def _secret(node: Node, place: Place) -> Json:
    """A reference; a value in a definition would be kept, shown and exported with it."""
    found = text(node, place)
    if isinstance(found, str) and not is_reference(found):
        place.error("secret.reference", "expected secret://NAME: a definition holds no secret", node)
        return None
    return found


def _header(node: Node, place: Place) -> Json:
    found = text(node, place)
    try:
        references_in(str(found))
    except Invalid as error:
        place.error(error.code, error.message, node)
    if isinstance(found, str) and ("\n" in found or "\r" in found):
        place.error("value.form", "expected a header of one line", node)
    return found


HTTP: dict[str, Shape] = {
    "url": _address,
    "method": _method,
    "methods": list_of(_method, what="a list of methods", least=1),
    "allowed_hosts": _hosts,
    "headers": mapping_of(_header, what="a mapping from headers to texts", key=None),
    "max_reply": size,
}
SMTP: dict[str, Shape] = {
    "host": _host,
    "port": whole(1, 65_535),
    "security": choice("starttls", "tls", "none"),
    "username": text,
    "password": _secret,
    "from": _sender,
    "recipients": list_of(_addressee, what="a list of addresses or patterns", least=1),
}
DATABASE: dict[str, Shape] = {
    "connection": text,
    "password": _secret,
    "tls": choice("require", "none"),
    "allowed_operations": list_of(choice(*OPERATIONS), what="a list of operations", least=1),
    "query": text,
    "parameters": list_of(name, what="a list of names of arguments"),
    "max_rows": whole(1, 100_000),
    "max_reply": size,
}
FILE: dict[str, Shape] = {"folder": _folder, "access": choice("read", "read_write"), "max_size": size}
SEARCH: dict[str, Shape] = {"collection": text, "count": whole(1, 20)}
SLACK: dict[str, Shape] = {"token": _secret, "channels": texts, "url": _address}
KUBERNETES: dict[str, Shape] = {"server": _address, "token": _secret, "namespaces": texts, "allowed": texts}


def check_http(found: Mapping[str, Json], node: Node, place: Place) -> None:
    """One address of its own, or hosts that the address of each call must be of."""
    if ("url" in found) == ("allowed_hosts" in found):
        place.error(
            "key.conflict", "a tool of type http has 'url', or 'allowed_hosts' for addresses of each call", node
        )
    if "url" in found and "methods" in found:
        place.error("key.conflict", "'methods' goes with 'allowed_hosts'; a tool with 'url' has one 'method'", node)


def check_smtp(found: Mapping[str, Json], node: Node, place: Place) -> None:
    """A login is whole or not there."""
    if ("username" in found) != ("password" in found):
        place.error("key.missing", "a login takes 'username' and 'password'", node)


def check_database(found: Mapping[str, Json], node: Node, place: Place) -> None:
    """A connection that can be read, and parameters for a query that is there."""
    at = node.find(("connection",))[0]
    connection = found.get("connection")
    if isinstance(connection, str) and not connection.startswith("sqlite:"):
        try:
            server_of(connection)
        except Invalid as error:
            place.child("connection").error(error.code, error.message, at)
    elif isinstance(connection, str) and is_sql_script(connection):
        _check_script(sqlite_path(connection), found, at, place)
    elif isinstance(connection, str) and not sqlite_path(connection).startswith("/"):
        message = "expected sqlite:/absolute/path.db, or sqlite:rows.sql, a file of the project that fills a database"
        place.child("connection").error("sql.connection", message, at)
    if "parameters" in found and "query" not in found:
        place.error("key.missing", "'parameters' name the arguments of a 'query', and there is none", node)


def _check_script(name: str, found: Mapping[str, Json], at: Node, place: Place) -> None:
    """The file is part of the definition, and what it fills is gone after each call."""
    try:
        place.reading.files.keep(name)
    except Invalid as error:
        place.child("connection").error(error.code, error.message, at)
    if found.get("allowed_operations", ["select"]) != ["select"]:
        message = "a database that an SQL file fills is read, and gone after each call; name a database to change rows"
        place.child("allowed_operations").error("key.conflict", message, at)


def needs_http(config: Mapping[str, Json]) -> tuple[str, ...]:
    """The hosts that it sends to; one without a port is meant with 443."""
    if "url" in config:
        return (f"network.http:{host_of(in_braces(str(config['url']), 'x'))}",)
    hosts = cast("list[str]", config.get("allowed_hosts", []))
    return tuple(f"network.http:{host.lower() if ':' in host else f'{host.lower()}:443'}" for host in hosts)


def needs_smtp(config: Mapping[str, Json]) -> tuple[str, ...]:
    """Its server; none where the settings name it."""
    if "host" not in config:
        return ()
    return (f"network.smtp:{place_of(str(config['host']).strip('[]'), int(str(config.get('port', 587))))}",)


def needs_database(config: Mapping[str, Json]) -> tuple[str, ...]:
    """Its server, or its file."""
    connection = str(config.get("connection", ""))
    if is_sql_script(connection):
        return ()
    if connection.startswith("sqlite:"):
        return _needs_place(sqlite_path(connection), writing=config.get("allowed_operations", ["select"]) != ["select"])
    try:
        server = server_of(connection)
    except Invalid:
        return ()
    return (f"network.sql:{place_of(server.host, server.port)}",)


def needs_file(config: Mapping[str, Json]) -> tuple[str, ...]:
    """Its folder."""
    return _needs_place(str(config.get("folder", "")), writing=config.get("access") == "read_write")


def needs_slack(config: Mapping[str, Json]) -> tuple[str, ...]:
    """Slack's own host, unless another is named."""
    return (f"network.http:{host_of(str(config.get('url', 'https://slack.com/')))}",)


def check_kubernetes(found: Mapping[str, Json], node: Node, place: Place) -> None:
    """A cluster and the token for it; a definition may name neither yet, and is fine but for calls of the tool."""
    for key, other in (("server", "token"), ("token", "server")):
        if other in found and key not in found:
            place.error("key.missing", f"a tool of type kubernetes with {other!r} needs {key!r}", node)


def needs_kubernetes(config: Mapping[str, Json]) -> tuple[str, ...]:
    """The cluster's API, where it is named yet."""
    if "server" not in config:
        return ()
    return (f"network.http:{host_of(str(config['server']))}",)


def complete_http(spec: ToolSpec) -> ToolSpec:
    """A tool with an address of its own takes what stands in its braces, and whatever else the service does."""
    if "url" not in spec.config:
        properties: dict[str, Json] = {"url": _TEXT, "method": _TEXT, "body": {}}
        return _taking(spec, properties, ["url"])
    names = in_braces_names(str(spec.config["url"]))
    return _taking(spec, {each: {"type": ["string", "number", "boolean"]} for each in names}, list(names), is_open=True)


def complete_smtp(spec: ToolSpec) -> ToolSpec:
    """A mail's parts."""
    attachment: Json = {
        "type": "object",
        "properties": {"name": _TEXT, "content": _TEXT, "content_type": _TEXT},
        "required": ["name", "content"],
        "additionalProperties": False,
    }
    properties: dict[str, Json] = {
        **dict.fromkeys(("to", "cc", "bcc"), _TEXTS),
        **dict.fromkeys(("subject", "body", "html", "reply_to"), _TEXT),
        "attachments": {"type": "array", "items": attachment},
    }
    return _taking(spec, properties, ["to", "subject"])


def complete_database(spec: ToolSpec) -> ToolSpec:
    """The arguments of its query, or a query with each call."""
    names = cast("list[str]", spec.config.get("parameters", []))
    if "query" in spec.config:
        return _taking(spec, {each: {} for each in names}, list(names))
    return _taking(spec, {"query": _TEXT, "parameters": {"type": "array"}}, ["query"])


def complete_file(spec: ToolSpec) -> ToolSpec:
    """What is done with which file."""
    known: list[Json] = ["read", "list", "write"] if spec.config.get("access") == "read_write" else ["read", "list"]
    properties: dict[str, Json] = {"operation": {"enum": known}, "path": _TEXT}
    if "write" in known:
        properties |= {"content": _TEXT, "encoding": {"enum": ["base64"]}}
    return _taking(spec, properties, [])


def complete_notify(spec: ToolSpec) -> ToolSpec:
    """A title and a message."""
    return _taking(spec, {"title": _TEXT, "message": _TEXT}, ["message"])


def complete_search(spec: ToolSpec) -> ToolSpec:
    """A question."""
    return _taking(spec, {"query": _TEXT, "count": {"type": "integer", "minimum": 1, "maximum": 20}}, ["query"])


def complete_slack(spec: ToolSpec) -> ToolSpec:
    """A text, and a channel where there are several."""
    return _taking(spec, {"text": _TEXT, "channel": {"enum": spec.config.get("channels", [])}}, ["text"])


def complete_kubernetes(spec: ToolSpec) -> ToolSpec:
    """A verb, a kind of object, and which."""
    properties = {**dict.fromkeys(("verb", "resource", "name", "namespace"), _TEXT), "body": {"type": "object"}}
    return _taking(spec, cast("dict[str, Json]", properties), ["verb", "resource"])


def _taking(spec: ToolSpec, properties: Mapping[str, Json], required: list[str], *, is_open: bool = False) -> ToolSpec:
    """The tool with a schema of its arguments, unless its author has written one."""
    if spec.input_schema != ToolSpec(id="", kind="").input_schema:
        return spec
    schema: dict[str, Json] = {"type": "object", "properties": dict(properties), "additionalProperties": is_open}
    return replace(spec, input_schema={**schema, "required": cast("Json", required)} if required else schema)


def _needs_place(path: str, *, writing: bool) -> tuple[str, ...]:
    return (f"files.read:{path}", f"files.write:{path}") if writing else (f"files.read:{path}",)
