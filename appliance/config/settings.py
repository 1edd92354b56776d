"""What an operator has decided about this appliance, as one frozen value.

Sources, weakest first: defaults, `config.yaml` in the data folder, AGENTFLOW_* variables, command-line flags.
Never holds a secret: the database key and API keys stay where they are kept.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from appliance.config.costs import BudgetLine
from appliance.config.known import SANDBOX_ORDER, SETTINGS
from appliance.config.sources import resolve
from models.servers import ModelServer
from runtime.audit.levels import Level
from runtime.domain.mcp import McpServer

Mode = Literal["air_gapped", "restricted", "connected"]
AirGapWish = Literal["required", "preferred"]
Durability = Literal["full", "normal"]
Isolation = Literal["process", "thread"]


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How local models are run and names of other providers are answered."""

    folder: str = ""
    """Where models lie; empty: `models` in the data folder."""
    aliases: dict[str, str] = {}
    """`provider/model` of a definition → the `provider/model` that answers in its place."""
    backends: tuple[ModelServer, ...] = ()
    """Model servers."""
    routes: dict[str, tuple[tuple[str, ...], ...]] = {}
    """A name → the `provider/model`s that can answer for it, best first; equals in one group."""
    check_s: float = 30.0
    """How often a model server that nobody asked is asked how it is; 0: never."""
    cache_ttl_s: float = 0.0
    """How long answers at temperature 0 are kept; 0: not at all."""
    cache_mb: int = 64
    """Memory for them."""
    isolation: Isolation = "process"
    """Whether a model runs in a process of its own, or in a thread of this one."""
    threads: int = 1
    """CPU threads of one answer."""


class MemorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What answers for memories that are not here."""

    backends: dict[str, str] = {}
    """Backend of a definition → `local`."""


class EgressLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much may leave."""

    max_bytes: int = 16 * 2**20
    """Bytes of one payload."""
    per_minute: int = 6_000
    """Payloads of a tenant to one host; 0: any number."""


class SecretSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where secrets are kept."""

    provider: Literal["file", "openbao"] = "file"
    """`file`: encrypted in the data folder. `openbao`: an OpenBao or HashiCorp Vault server, KV version 2."""
    url: str = "http://127.0.0.1:8200"
    """Of that server."""
    mount: str = "secret"
    """Where its KV engine is mounted."""
    path: str = "agentflow"
    """Below the mount; a tenant's secrets are at PATH/TENANT/NAME."""
    token_file: str = ""
    """The file that holds its token, mode 0600; read each time."""
    cache_s: float = 60.0
    """How long a value that it gave is kept in memory."""


class MailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The site's mail server."""

    host: str = ""
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: str = ""
    """`secret://NAME`."""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    """Patterns of addresses that tools may write to, whatever they say themselves; empty: no bound."""


class McpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The Model Context Protocol."""

    workflows: tuple[str, ...] = ("*",)
    """Patterns of the workflows that are offered to its clients."""
    tools: tuple[str, ...] = ()
    """Patterns of the tools that are offered to them, and to whoever has an API key."""
    servers: tuple[McpServer, ...] = ()
    """Servers whose tools may be used here."""


class TelemetrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where traces go."""

    otlp_url: str = ""
    """A collector that takes OTLP over HTTP; empty: they stay here."""
    key: str = ""
    """Its key, as `secret://NAME`; sent as a bearer token."""


class UplinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where what runs say goes, beside this appliance."""

    url: str = ""
    """A NATS broker; empty: nowhere."""
    subjects: tuple[str, ...] = ("runs.>",)
    """Filters of what it gets."""
    payloads: tuple[str, ...] = ()
    """Filters of what goes with its payload."""
    stream: str = "AGENTFLOW"
    """The stream that keeps it."""
    prefix: str = "agentflow"
    """Put before each subject, with a dot between."""
    credentials: str = ""
    """Who this is to the broker, as `secret://NAME`."""
    credentials_file: str = ""
    """The same as a file."""
    ca_file: str = ""
    """Who may vouch for the broker; empty: the system's authorities."""


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the audit log is kept."""

    levels: dict[str, Level] = {}
    """`TENANT`, `TENANT/TOOL`, `*` or `*/TOOL` → how much is written down; empty: everything."""
    key_file: str = ""
    """The key that signs checkpoints; empty: `auth/audit.key` in the data folder."""
    origin: str = ""
    """What verifiers call this appliance; empty: a name made of the key."""
    checkpoint_s: float = 60.0
    """How often the ends of the chains are signed; 0: only when the appliance starts and stops."""
    anchor: str = ""
    """A file or folder outside the data folder that gets a copy of each checkpoint; `uplink`: the broker gets one every
    so often; empty: none."""
    anchor_s: int = 900
    """How often the broker gets one."""


class SandboxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What programs of tools are run in."""

    order: tuple[str, ...] = tuple(SANDBOX_ORDER)
    """The drivers that may run any, in the order in which they are asked."""
    docker_image: str = ""
    """The image that `docker` takes; empty: it is not used."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, checked."""

    data: Path
    """The data folder, absolute; everything that is written lies in it."""
    mode: Mode = "restricted"
    airgap: AirGapWish = "preferred"
    site_hosts: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    """What is off unless it is named here: `cloud`."""
    cloud_hosts: dict[str, str] = {}
    """Host, or host:port, beyond the site → its zone, `cloud:REGION`."""
    residency: tuple[str, ...] = ()
    """Zones that may be reached, as patterns; empty: all that `mode` allows."""
    folders: dict[str, str] = {}
    """Name → absolute path of a folder that tools may be granted by its name."""
    data_classes: dict[str, str] = {}
    """Class of data → the zones it may reach, separated by commas."""
    redaction: dict[str, str] = {}
    """Pattern of a destination → redaction policy: a preset, a file, or `none`."""
    names_workers: int = 1
    """Processes that look for names and places."""
    egress: EgressLimits = EgressLimits()
    audit: AuditSettings = AuditSettings()
    minimise: Literal["off", "on"] = "off"
    """Whether people's data are kept out of everything that is written here."""
    bus_days: int = 90
    vault_days: int = 0
    """How long the vault keeps the values of runs that have ended, in days; 0: until somebody purges them."""
    budgets: tuple[BudgetLine, ...] = ()
    """How much may be spent."""
    unpriced: Literal["allow", "warn", "refuse"] = "allow"
    """What becomes of a call to a model of a server whose price nobody has named, where no budget limits money."""
    preflight: Literal["asked", "always"] = "asked"
    """Whether every run is kept with what it is expected to take, or those whose caller asks."""
    prices: dict[str, dict[str, Any]] = {}
    """Provider/model → the line of its price, checked."""
    listen: str = "127.0.0.1:8700"
    socket: Path
    """The UNIX socket of `af serve`, absolute."""
    drain_s: float = 30.0
    durability: Durability = "full"
    memory: MemorySettings = MemorySettings()
    models: ModelSettings = ModelSettings()
    secrets: SecretSettings = SecretSettings()
    sandbox: SandboxSettings = SandboxSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    uplink: UplinkSettings = UplinkSettings()
    mail: MailSettings = MailSettings()
    mcp: McpSettings = McpSettings()
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def models_folder(self) -> Path:
        """Where models lie, absolute."""
        return self.data / Path(self.models.folder or "models").expanduser()

    @property
    def log_file(self) -> Path:
        """The log of this appliance: JSON lines."""
        return self.data / "logs" / "af.log"


def load_settings(data: Path | None, env: Mapping[str, str], *, flags: Mapping[str, object] | None = None) -> Settings:
    """The settings of a data folder; None: AGENTFLOW_DATA, else `agentflow` in the user's XDG data home.

    Reads `config.yaml` there when it exists and writes nothing. Raises Invalid for an unknown key, naming the
    nearest known one, and for a value that its setting does not take; Unavailable for a file that cannot be read.
    """
    folder = data_folder(data, env)
    groups = {known.key.partition(".")[0] for known in SETTINGS if "." in known.key}
    document: dict[str, object] = {"data": folder, **{group: {} for group in groups}}
    for key, resolved in resolve(folder, env, flags or {}).items():
        group, _, name = key.rpartition(".")
        holder = document[group] if group else document
        assert isinstance(holder, dict), "groups are mappings"
        holder[name] = resolved.value
    document["socket"] = folder / Path(str(document["socket"] or "run/af.sock")).expanduser()
    return msgspec.convert(document, Settings)


def data_folder(data: Path | None, env: Mapping[str, str]) -> Path:
    """The data folder that was named, else the one of AGENTFLOW_DATA, else the user's own; absolute."""
    named = data or env.get("AGENTFLOW_DATA")
    if named:
        return Path(named).expanduser().absolute()
    home = env.get("XDG_DATA_HOME") or "~/.local/share"
    return (Path(home).expanduser() / "agentflow").absolute()
