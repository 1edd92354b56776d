"""Model servers of the site, as the settings name them. Shapes and rules, no behaviour."""

import re
from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from runtime.policies.residency import LOCAL, is_zone

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_TAKEN = frozenset({"local", "llama_cpp", "onnx", "scripted", "workflow"})


class ModelServer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server that speaks the OpenAI API: vLLM, llama-server, LM Studio, TGI."""

    name: str
    """The provider's name in definitions, such as `vllm`."""
    kind: Literal["openai_compatible"] = "openai_compatible"
    url: str
    """Up to and with `/v1`."""
    zone: str = "site"
    """`site`, or `cloud:REGION`, which the guard refuses."""
    models: tuple[str, ...]
    """What may be asked of it, by the server's own names; the first one is its default."""


def host_of(url: str) -> str:
    """The `name:port` of a checked server's URL."""
    address = urlsplit(url)
    host = f"[{address.hostname}]" if ":" in str(address.hostname) else address.hostname
    return f"{host}:{address.port or {'http': 80, 'https': 443}[address.scheme]}"


def check_servers(servers: Sequence[ModelServer]) -> None:
    """Raise ValueError, saying what is expected, for servers that cannot be told apart or called."""
    names = [server.name for server in servers]
    for server in servers:
        if not _NAME.fullmatch(server.name) or server.name in _TAKEN:
            raise ValueError(f"names such as 'vllm', in lower case and none of {', '.join(sorted(_TAKEN))}")
        if names.count(server.name) > 1:
            raise ValueError(f"one server of the name {server.name!r}")
        address = urlsplit(server.url)
        is_plain = not (address.query or address.username or address.port == 0)
        if address.scheme not in ("http", "https") or not address.hostname or not is_plain:
            raise ValueError("a url such as http://127.0.0.1:8000/v1, without a password in it")
        if server.zone == LOCAL or not is_zone(server.zone):
            raise ValueError("zone: site, or cloud:REGION")
        if not all(server.models):
            raise ValueError("names in models")
        if not server.models:
            raise ValueError("at least one name in models")
