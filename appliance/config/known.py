"""Every setting there is: its name, what it may be, what it is when nobody says, and what it is for.

One table, so that the settings struct, `af config`, the environment and the manual never disagree.
"""

import json
import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Final, TypeAlias, get_args
from urllib.parse import urlsplit

import msgspec

from appliance.config.costs import budgets, prices
from appliance.config.mcp import mcp_servers
from models.routing import check_routes
from models.servers import ModelServer, check_servers
from redaction.persist import Written
from runtime.audit.levels import LEVELS
from runtime.domain.forward import is_broker
from runtime.domain.memory import REMOTE_BACKENDS
from runtime.domain.secret import is_reference
from runtime.domain.subject import checked_filter, checked_subject
from runtime.errors import Invalid
from runtime.policies.exec_profile import SANDBOXES
from runtime.policies.residency import CLOUD_PREFIX, UNKNOWN, is_zone, is_zone_pattern

Value: TypeAlias = (
    str
    | int
    | float
    | list[str]
    | dict[str, str]
    | dict[str, dict[str, object]]
    | dict[str, list[list[str]]]
    | list[dict[str, object]]
)

ENVIRONMENT_PREFIX: Final = "AGENTFLOW_"
SANDBOX_ORDER: Final = ["bubblewrap", "gvisor", "docker", "wasm", "process"]
FEATURES: Final = ("cloud", "kubernetes", "openbao", "slack", "web_search")
DESTINATION_KINDS: Final = ("model", "http", "search", "mail", "sql", "telemetry", "bus")

_STREAM = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Setting(msgspec.Struct, frozen=True):
    """One thing that an operator can set."""

    key: str
    """Dotted, as `config.yaml` nests it and `af config set` takes it."""
    parse: Callable[[object], Value]
    """Reads what a file, the environment or a flag holds. Raises ValueError with what it takes."""
    default: Value
    about: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return _VARIABLES.get(self.key) or ENVIRONMENT_PREFIX + self.key.replace(".", "_").upper()


def one_of(*choices: str) -> Callable[[object], str]:
    """A word out of a list."""

    def parse(value: object) -> str:
        if value not in choices:
            near = get_close_matches(str(value), choices, n=1)
            raise ValueError(f"one of {', '.join(choices)}{f' (did you mean {near[0]!r}?)' if near else ''}")
        return str(value)

    return parse


def text(value: object) -> str:
    """Any text; empty stands for the default."""
    if not isinstance(value, str):
        raise ValueError("a text")
    return value


def http_url(value: object) -> str:
    """The address of a server, without a path or a password."""
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        is_plain = bool(parts and parts.hostname and parts.port != 0 and not (parts.username or parts.query))
    except ValueError:
        is_plain, parts = False, None
    if not is_plain or parts is None or parts.scheme not in ("http", "https") or parts.path not in ("", "/"):
        raise ValueError("an address such as http://127.0.0.1:8200")
    return str(value)


def optional_url(value: object) -> str:
    """The same, or nothing."""
    return "" if value == "" else http_url(value)


def broker(value: object) -> str:
    """The address of a NATS broker, or nothing."""
    if value == "":
        return ""
    if not isinstance(value, str) or not is_broker(value):
        raise ValueError("an address such as nats://10.0.0.5:4222 or tls://broker.example:4222, without a password")
    return value


def filters(value: object) -> list[str]:
    """Filters of subjects."""
    found = names(value)
    try:
        return [checked_filter(each) for each in found]
    except Invalid:
        raise ValueError("filters of subjects such as runs.> or runs.support.*.step.failed") from None


def subject(value: object) -> str:
    """What a subject may begin with."""
    try:
        return checked_subject(text(value))
    except Invalid:
        raise ValueError("tokens with dots between them, such as site1.agentflow") from None


def stream(value: object) -> str:
    """The name of a stream."""
    if not isinstance(value, str) or not _STREAM.fullmatch(value):
        raise ValueError("a name such as AGENTFLOW, of letters, digits, - and _")
    return value


def secret(value: object) -> str:
    """A reference to a secret, or nothing."""
    if value != "" and not (isinstance(value, str) and is_reference(value)):
        raise ValueError("a reference such as secret://collector; the key itself stands in no setting")
    return str(value)


def address(value: object) -> str:
    """`HOST:PORT`; an IPv6 host stands in brackets; port 0 takes a free one."""
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ValueError("HOST:PORT such as 127.0.0.1:8700")
    return f"{host}:{port}"


def seconds(value: object) -> float:
    """A number of seconds, 0 to an hour."""
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else -1.0
    except ValueError:
        number = -1.0
    if not 0 <= number <= 3_600:
        raise ValueError("a number of seconds from 0 to 3600")
    return number


def count(value: object) -> int:
    """A whole number, 1 to 256."""
    is_whole = (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, str) and value.isascii() and value.isdigit()
    )
    if not is_whole or not 1 <= int(str(value)) <= 256:
        raise ValueError("a whole number from 1 to 256")
    return int(str(value))


def names(value: object) -> list[str]:
    """A list of names; the environment separates them by commas."""
    parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) for part in parts):
        raise ValueError("a list of names, or names separated by commas")
    return [part for part in parts if part]


def pairs(value: object, example: str = '{"openai/gpt-4": "local/smollm2-135m-instruct"}') -> dict[str, str]:
    """A mapping from name to name; the environment gives it as JSON."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(part, str) for pair in found.items() for part in pair):
        raise ValueError(f"a mapping from name to name, such as {example}")
    return dict(found)


def amount(least: int, most: int) -> Callable[[object], int]:
    """A whole number between two."""

    def parse(value: object) -> int:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        number = int(str(value)) if is_whole or (isinstance(value, str) and value.isascii() and value.isdigit()) else -1
        if not least <= number <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return number

    return parse


def on_or_off(value: object) -> str:
    """`on` or `off`; YAML also gives a truth value."""
    found = {True: "on", False: "off"}.get(value) if isinstance(value, bool) else value
    if found not in ("on", "off"):
        raise ValueError("on or off")
    return str(found)


def features(value: object) -> list[str]:
    """Names of features."""
    found = names(value)
    unknown = next((name for name in found if name not in FEATURES), None)
    if unknown is not None:
        raise ValueError(f"names of features: {', '.join(FEATURES)}")
    return found


def sandbox_names(value: object) -> list[str]:
    """Names of sandboxes, each once."""
    found = names(value)
    if not set(found) <= SANDBOXES.keys() or len(set(found)) < len(found):
        raise ValueError(f"names of sandboxes, each once: {', '.join(SANDBOXES)}")
    return found


def zones(value: object) -> list[str]:
    """Patterns of zones."""
    found = names(value)
    if not all(map(is_zone_pattern, found)):
        raise ValueError("zones such as local, site, cloud:eu or cloud:*")
    return found


def cloud_hosts(value: object) -> dict[str, str]:
    """Hosts with a zone beyond the site."""
    example = '{"api.example.com": "cloud:eu"}'
    found = pairs(value, example)
    if not all(is_zone(zone) and zone.startswith(CLOUD_PREFIX) and zone != UNKNOWN for zone in found.values()):
        raise ValueError(f"a mapping from host to zone, such as {example}")
    return found


def class_zones(value: object) -> dict[str, str]:
    """Classes of data with their zones."""
    found = pairs(value, '{"phi": "local, site"}')
    for listed in found.values():
        zones(listed)
    return found


_FOLDER = re.compile(r"(?!scratch$)[A-Za-z0-9_\-]{1,64}")
"""What a folder may be called; `scratch` is the empty one that a call may have."""


def folders(value: object) -> dict[str, str]:
    """Folders by name. Whether one is there is seen when it is used: it may be a disk that comes later."""
    example = '{"reports": "/srv/reports"}'
    found = pairs(value, example)
    if not all(_FOLDER.fullmatch(name) and re.fullmatch(r"/.*[^/]", path) for name, path in found.items()):
        raise ValueError(f"a mapping from names of letters, digits, _ and - to absolute paths, such as {example}")
    return found


def memory_backends(value: object) -> dict[str, str]:
    """Remote memories that the local one answers for."""
    example = '{"pinecone": "local"}'
    found = pairs(value, example)
    if not found.keys() <= set(REMOTE_BACKENDS) or not set(found.values()) <= {"local"}:
        raise ValueError(f"a mapping from {', '.join(REMOTE_BACKENDS)} to local, such as {example}")
    return found


def redactions(value: object) -> dict[str, str]:
    """Destinations with their redaction policies. A misspelt destination would leave what it means unredacted."""
    example = '{"cloud:*": "strict", "http/site": "none", "persist/log": "phi"}'
    found = pairs(value, example)
    if not all(map(_names_destinations, found)):
        raise ValueError(f"a mapping from ZONE, KIND/ZONE or persist/PLACE to a policy, such as {example}")
    return found


def _names_destinations(pattern: str) -> bool:
    kind, _, zone = pattern.rpartition("/")
    if kind == "persist":
        return zone in ("*", *get_args(Written))
    return kind in ("", "*", *DESTINATION_KINDS) and is_zone_pattern(zone)


def audit_levels(value: object) -> dict[str, str]:
    """Tenants and tools with the level that they are audited at."""
    example = '{"acme": "basic", "*/search": "none"}'
    found = pairs(value, example)
    if not all(level in LEVELS for level in found.values()):
        raise ValueError(f"a mapping to {', '.join(LEVELS)}, such as {example}")
    return found


def origin(value: object) -> str:
    """A name that a signed note may bear."""
    found = text(value)
    if any(char.isspace() or char == "+" for char in found) or found.endswith("/"):
        raise ValueError("a name such as example.com/agentflow, without spaces, + and a / at its end")
    return found


def servers(value: object) -> list[dict[str, object]]:
    """A list of model servers; the environment gives it as JSON."""
    try:
        found = msgspec.convert(json.loads(value) if isinstance(value, str) else value, list[ModelServer])
    except ValueError as error:
        raise ValueError(
            'a list of servers such as [{"name": "vllm", "url": "http://127.0.0.1:8000/v1", "models": ["llama3"]}] '
            f"({error})"
        ) from None
    check_servers(found)
    listed: list[dict[str, object]] = msgspec.to_builtins(found)
    return listed


def routes(value: object) -> dict[str, list[list[str]]]:
    """Names with the models that can answer, best first; the environment gives it as JSON."""
    example = '{"support": ["vllm/llama3", ["a/llama3", "b/llama3"], "local/smollm2-135m-instruct"]}'
    try:
        found = msgspec.convert(
            json.loads(value) if isinstance(value, str) else value, dict[str, str | list[str | list[str]]]
        )
    except ValueError as error:
        raise ValueError(f"a mapping from name to a list of PROVIDER/NAME such as {example} ({error})") from None
    listed = {
        name: [[group] if isinstance(group, str) else group for group in ([each] if isinstance(each, str) else each)]
        for name, each in found.items()
    }
    check_routes(listed)
    return listed


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        "mode",
        one_of("air_gapped", "restricted", "connected"),
        "restricted",
        "what may be reached: air_gapped nothing, restricted this machine and site_hosts, connected also the cloud",
    ),
    Setting(
        "airgap",
        one_of("required", "preferred"),
        "preferred",
        "with mode air_gapped: required starts only behind every wall, preferred warns where the kernel lacks one",
    ),
    Setting("site_hosts", names, [], "hosts of the own site that agents and models may reach"),
    Setting(
        "features",
        features,
        [],
        "what is off unless it is named: cloud (also takes mode: connected), kubernetes, openbao, slack, web_search",
    ),
    Setting("cloud_hosts", cloud_hosts, {}, "hosts beyond the site → their zone, such as cloud:eu"),
    Setting("residency", zones, [], "zones that may be reached, such as local, site, cloud:eu-*; empty: all"),
    Setting("folders", folders, {}, "name of a folder → its absolute path, for tools and tool_security"),
    Setting("data_classes", class_zones, {}, "class of data → zones it may reach, separated by commas"),
    Setting("redaction", redactions, {}, "zone or kind/zone → redaction policy: a preset, a file, or none"),
    Setting("names_workers", amount(1, 64), 1, "processes that look for names and places; 180 MB each"),
    Setting("egress.max_bytes", amount(1, 2**32), 16 * 2**20, "bytes of one payload that may leave"),
    Setting("egress.per_minute", amount(0, 10**9), 6_000, "payloads of a tenant to one host a minute; 0: any number"),
    Setting("audit.levels", audit_levels, {}, "tenant, tenant/tool, * or */tool → none, basic or full"),
    Setting("audit.key_file", text, "", "the key that signs the audit log; empty: auth/audit.key in the data folder"),
    Setting("audit.origin", origin, "", "what verifiers of the audit log call this appliance; empty: made of its key"),
    Setting("audit.checkpoint_s", seconds, 60.0, "how often the audit log is signed; 0: only at the start and end"),
    Setting(
        "audit.anchor", text, "", "file or folder that gets each signed checkpoint; uplink: the broker; empty: none"
    ),
    Setting("audit.anchor_s", amount(10, 86_400), 900, "how often the broker gets one, where audit.anchor is uplink"),
    Setting("minimise", on_or_off, "off", "on keeps people's data out of journal, memory and logs"),
    Setting("bus_days", amount(0, 36_500), 90, "days that published messages are kept once taken; 0: for good"),
    Setting("vault_days", amount(0, 36_500), 0, "days that the vault keeps values of ended runs; 0: until purged"),
    Setting("budgets", budgets, [], "how much may be spent by whom, in a run, an hour, a day or a month"),
    Setting("preflight", one_of("asked", "always"), "asked", "always keeps with every run what it is expected to take"),
    Setting(
        "unpriced",
        one_of("allow", "warn", "refuse"),
        "allow",
        "calls to a server's model whose price nobody has named: allow, warn in the log, or refuse",
    ),
    Setting("prices", prices, {}, "provider/model → its price, beside the table that comes with the program"),
    Setting("listen", address, "127.0.0.1:8700", "where `af serve` listens"),
    Setting("socket", text, "", "UNIX socket of `af serve`; empty: run/af.sock in the data folder"),
    Setting("drain_s", seconds, 30.0, "how long a stopping server waits for running steps"),
    Setting(
        "durability",
        one_of("full", "normal"),
        "full",
        "full survives a power cut; normal may lose the last moments before one, and is faster",
    ),
    Setting("memory.backends", memory_backends, {}, "memory backend of a definition → local, which answers for it"),
    Setting("models.folder", text, "", "where models lie; empty: models in the data folder"),
    Setting(
        "models.aliases",
        pairs,
        {},
        "provider/model of a definition → provider/model that answers in its place",
    ),
    Setting("models.backends", servers, [], "model servers: OpenAI API, Ollama, Anthropic"),
    Setting("models.routes", routes, {}, "name → the provider/model that can answer, best first; equals in a list"),
    Setting("models.check_s", seconds, 30.0, "how often a quiet model server is asked how it is; 0: never"),
    Setting("models.cache_ttl_s", seconds, 0.0, "how long answers at temperature 0 are kept; 0: not at all"),
    Setting("models.cache_mb", amount(1, 65_536), 64, "memory for kept answers, in MB"),
    Setting(
        "models.isolation",
        one_of("process", "thread"),
        "process",
        "process survives a crash of the model; thread saves memory and does not",
    ),
    Setting("models.threads", count, 1, "CPU threads of one answer"),
    Setting(
        "secrets.provider",
        one_of("file", "openbao"),
        "file",
        "where secrets are kept: file in the data folder, encrypted; openbao (or Vault) with features: openbao",
    ),
    Setting("secrets.url", http_url, "http://127.0.0.1:8200", "the OpenBao server"),
    Setting("secrets.mount", text, "secret", "where its KV engine, version 2, is mounted"),
    Setting("secrets.path", text, "agentflow", "below the mount; a secret is at PATH/TENANT/NAME"),
    Setting("secrets.token_file", text, "", "file with its token, mode 0600; read each time"),
    Setting("secrets.cache_s", seconds, 60.0, "how long a value that it gave is kept in memory"),
    Setting("mail.host", text, "", "server that tools hand mail in at; empty: those that name their own"),
    Setting("mail.port", amount(1, 65_535), 587, "its port"),
    Setting("mail.security", one_of("starttls", "tls", "none"), "starttls", "how the connection to it is encrypted"),
    Setting("mail.username", text, "", "login there; empty: without one"),
    Setting("mail.password", secret, "", "its password, as secret://NAME"),
    Setting("mail.sender", text, "", "address that mails come from"),
    Setting("mail.recipients", names, [], "addresses, or patterns of some, that tools may write to; empty: no bound"),
    Setting("mcp.tools", names, [], "patterns of tools that other programs may call, over MCP and HTTP; empty: none"),
    Setting("mcp.workflows", names, ["*"], "patterns of workflows that MCP clients may run; empty: none"),
    Setting(
        "sandbox.order", sandbox_names, SANDBOX_ORDER, "sandboxes that may run programs, in the order they are asked"
    ),
    Setting(
        "sandbox.docker_image", text, "", "image of this machine's engine for the sandbox docker; empty: it is left out"
    ),
    Setting("telemetry.otlp_url", optional_url, "", "collector of OpenTelemetry that gets traces (OTLP over HTTP)"),
    Setting("telemetry.key", secret, "", "its key, as secret://NAME"),
    Setting("uplink.url", broker, "", "NATS broker that gets what runs say: nats://HOST:PORT or tls://HOST:PORT"),
    Setting("uplink.subjects", filters, ["runs.>"], "which subjects of the bus it gets"),
    Setting("uplink.payloads", filters, [], "of which of them the payload goes along; otherwise who, what and when"),
    Setting("uplink.stream", stream, "AGENTFLOW", "the stream of JetStream that keeps them"),
    Setting("uplink.prefix", subject, "agentflow", "put before each subject; one of its own for each site"),
    Setting(
        "uplink.credentials",
        secret,
        "",
        "who this is to the broker, as secret://NAME: creds, password or token",
    ),
    Setting("uplink.credentials_file", text, "", "the same as a creds file, mode 0600"),
    Setting("uplink.ca_file", text, "", "PEM file with who may vouch for the broker; empty: the system's"),
    Setting("mcp.servers", mcp_servers, [], "servers of tools over MCP that may be used here, and what each is given"),
    Setting("log_level", one_of("debug", "info", "warning", "error"), "info", "least level kept in logs/af.log"),
)

_VARIABLES: Final = {"models.folder": "AGENTFLOW_MODELS"}

OTHER_VARIABLES: Final = (
    "AGENTFLOW_DATA",
    "AGENTFLOW_DB_KEY",
    "AGENTFLOW_DB_KEY_FILE",
    "AGENTFLOW_MASTER_KEY_FILE",
    "AGENTFLOW_MASTER_PASSPHRASE_FILE",
    "AGENTFLOW_SHARED",
)
"""Variables that are read elsewhere and are no settings."""


def setting(key: str) -> Setting | None:
    """The setting of that name."""
    return next((known for known in SETTINGS if known.key == key), None)


def nearest(key: str) -> str:
    """The known key that was probably meant; empty when none is near."""
    return next(iter(get_close_matches(key, [known.key for known in SETTINGS], n=1, cutoff=0.5)), "")
