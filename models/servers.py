"""Model servers, as the settings name them. Shapes and rules, no behaviour."""

import re
from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from runtime.domain.secret import is_reference
from runtime.policies.residency import LOCAL, SITE, is_zone

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")
_TAKEN = frozenset({"local", "llama_cpp", "onnx", "scripted", "workflow"})


ServerKind = Literal["openai_compatible", "ollama", "openai", "anthropic"]
CLOUD_KINDS = ("openai", "anthropic")
"""Kinds that somebody else's computers speak, so that their zone is never a matter of course."""


class ModelServer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server that answers for models."""

    name: str
    """The provider's name in definitions, such as `vllm`."""
    kind: ServerKind = "openai_compatible"
    """`openai_compatible`: vLLM, TGI, llama-server, LM Studio."""
    url: str
    """Up to and with `/v1` where it speaks the OpenAI API; without a path for the others."""
    zone: str = "site"
    """`site`, or `cloud:REGION`, which the guard refuses unless the settings allow it."""
    models: tuple[str, ...]
    """What may be asked of it, by the server's own names; the first one is its default."""
    key_env: str = ""
    """The environment variable that holds its key."""
    key_file: str = ""
    """The file that holds its key."""
    key: str = ""
    """Which secret is its key, `secret://NAME`; the key itself stands in no setting."""
    timeout_s: float = 300.0
    """Bound on one answer."""
    at_once: int = 16
    """Questions that it is asked at the same time; the others wait for their turn."""
    cost: float = 0.0
    """What it costs, against others of which a route says that they are equal."""


def host_of(url: str) -> str:
    """The `name:port` of a checked server's URL."""
    address = urlsplit(url)
    host = f"[{address.hostname}]" if ":" in str(address.hostname) else address.hostname
    return f"{host}:{address.port or {'http': 80, 'https': 443}[address.scheme]}"


def is_loopback(url: str) -> bool:
    """Whether a checked server's URL names this machine."""
    return urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")


def check_servers(servers: Sequence[ModelServer]) -> None:
    """Raise ValueError, saying what is expected, for servers that cannot be told apart or called."""
    names = [server.name for server in servers]
    for server in servers:
        if not _NAME.fullmatch(server.name) or server.name in _TAKEN:
            raise ValueError(
                f"names such as 'vllm', in lower case and none of {', '.join(sorted(_TAKEN))}; found {server.name!r}"
            )
        if names.count(server.name) > 1:
            raise ValueError(f"one server of the name {server.name!r}")
        try:
            _check(server)
        except ValueError as expected:
            raise ValueError(f"{expected}; see server {server.name!r}") from None


def _check(server: ModelServer) -> None:
    _check_address(server)
    _check_key(server)
    if not all(server.models):
        raise ValueError("names in models")
    if not server.models:
        raise ValueError("at least one name in models")
    if not (0 < server.timeout_s <= 3_600 and 1 <= server.at_once <= 4_096 and 0 <= server.cost < 10**9):
        raise ValueError("timeout_s up to 3600, at_once from 1 to 4096, and a cost of 0 or more")


def _check_address(server: ModelServer) -> None:
    try:
        address = urlsplit(server.url)
        is_plain = not (address.query or address.username or address.port == 0)
    except ValueError:
        raise ValueError("a url such as http://127.0.0.1:8000/v1, with a port up to 65535") from None
    if address.scheme not in ("http", "https") or not address.hostname or not is_plain:
        raise ValueError("a url such as http://127.0.0.1:8000/v1, without a password in it")
    if server.zone == LOCAL or not is_zone(server.zone):
        raise ValueError("zone: site, or cloud:REGION")
    if server.kind in CLOUD_KINDS and server.zone == SITE and not is_loopback(server.url):
        raise ValueError(f"a zone, cloud:REGION, for kind {server.kind}; the site's own relay is openai_compatible")
    if server.kind == "ollama" and address.path not in ("", "/"):
        raise ValueError("a url without a path for kind ollama, such as http://127.0.0.1:11434")


def _check_key(server: ModelServer) -> None:
    if sum(map(bool, (server.key, server.key_env, server.key_file))) > 1:
        raise ValueError("one of key, key_env and key_file")
    if server.key and not is_reference(server.key):
        raise ValueError("a reference such as secret://vllm in key; the key itself stands in no setting")
    if server.key_env and not _VARIABLE.fullmatch(server.key_env):
        raise ValueError("the name of an environment variable in key_env; the key itself stands in no setting")
