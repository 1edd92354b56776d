"""Secrets in OpenBao, or HashiCorp Vault, which speaks the same protocol: KV version 2, read through the HTTP door.

Values are written with its own tools, `bao kv put`; here they are only read, and kept for a while in memory.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec

from appliance.config.settings import SecretSettings
from redaction.known import KnownSecrets
from runtime.domain.canonical import Json
from runtime.domain.egress import Sender
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.ids import TenantId
from runtime.domain.secret import Reference
from runtime.errors import Corrupt, NotFound, Refused, Unavailable
from runtime.ports import Clock, HttpAccess
from runtime.store.secrets import SecretLine

FIELD = "value"
"""Of a secret's fields the one that is meant when none is named."""
TIMEOUT_S = 10.0
_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")


class OpenBao:
    """One server's secrets, `MOUNT/PATH/TENANT/NAME`."""

    def __init__(self, settings: SecretSettings, http: HttpAccess, clock: Clock, known: KnownSecrets) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._known = known
        self._kept: dict[tuple[TenantId, Reference], tuple[int, str]] = {}
        """With the instant until which each counts."""

    async def value(self, tenant: TenantId, reference: Reference) -> str:
        """A field of a secret. Raises NotFound, Refused (no permission) and Unavailable."""
        until_us, value = self._kept.get((tenant, reference), (0, ""))
        if until_us > self._clock.now_us():
            return value
        version = f"?version={reference.version}" if reference.version else ""
        reply = await self._send("GET", f"data/{self._path(tenant, reference.name)}{version}", reference.name)
        fields = _at(_document(reply), "data", "data")
        field = reference.field or FIELD
        found = fields.get(field) if isinstance(fields, dict) else None
        if not isinstance(found, str) or not found:
            raise NotFound(
                "secret.no_field",
                f"{reference} has no text in its field {field!r}; put one there, or name another: secret://NAME#FIELD",
            )
        self._known.add(reference.name, found)
        self._kept[tenant, reference] = (self._clock.now_us() + int(self._settings.cache_s * 1e6), found)
        return found

    async def list(self, tenant: TenantId) -> Sequence[SecretLine]:
        """The tenant's secrets, by name; never values."""
        try:
            reply = await self._send("GET", f"metadata/{self._path(tenant)}?list=true", "")
        except NotFound:
            return []
        keys = _at(_document(reply), "data", "keys")
        names = [str(key) for key in keys if not str(key).endswith("/")] if isinstance(keys, list) else []
        lines = []
        for name in sorted(names):
            told = _at(_document(await self._send("GET", f"metadata/{self._path(tenant, name)}", name)), "data")
            lines.append(_line(name, told if isinstance(told, dict) else {}))
        return lines

    async def _send(self, method: str, place: str, name: str) -> HttpReply:
        settings = self._settings
        request = HttpRequest(
            method=method,
            url=f"{settings.url.rstrip('/')}/v1/{quote(settings.mount)}/{place}",
            headers={"x-vault-token": self._token(), "x-vault-request": "true"},
            credentials=("x-vault-token", "x-vault-request"),
            timeout_s=TIMEOUT_S,
        )
        reply = await self._http.send(request, sender=Sender(purpose="the secrets of the appliance"))
        match reply.status:
            case 200:
                return reply
            case 404:
                raise NotFound("secret.unknown", f"there is no secret {name!r} at {self._where(place)}")
            case 400 | 401 | 403:
                raise Refused(
                    "secret.denied",
                    f"{self._where(place)} was answered with status {reply.status}: the token in "
                    f"{settings.token_file} has ended, or its policy does not let it read there",
                )
            case status:
                is_sealed = " (it is sealed)" if status == 503 else ""
                raise Unavailable("secret.server", f"{self._where(place)} answered with status {status}{is_sealed}")

    def _token(self) -> str:
        """Read each time: whoever renews it replaces the file."""
        path = Path(self._settings.token_file).expanduser()
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode & 0o777
                token = file.read(8_192).decode("ascii", "replace").strip()
        except OSError as error:
            raise Unavailable(
                "secret.no_token",
                f"the token file {path} can't be read: {error.strerror}; secrets.token_file in the settings names it",
                retryable=False,
            ) from None
        if mode & 0o077:
            message = f"the token file {path} has mode {mode:04o}, so that others may read it: chmod 600 {path}"
            raise Unavailable("secret.unsafe_token", message, retryable=False)
        if not _TOKEN.fullmatch(token):
            raise Unavailable("secret.no_token", f"the token file {path} holds no token", retryable=False)
        self._known.add("openbao-token", token)
        return token

    def _path(self, tenant: TenantId, name: str = "") -> str:
        parts = [*self._settings.path.strip("/").split("/"), tenant, *([name] if name else [])]
        return "/".join(quote(part, safe="") for part in parts if part)

    def _where(self, place: str) -> str:
        return f"{self._settings.url.rstrip('/')}/v1/{self._settings.mount}/{place.partition('?')[0]}"


def _document(reply: HttpReply) -> Json:
    try:
        found: Json = msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        raise Corrupt("secret.server_reply", "the server of secrets answered with something that is no JSON") from None
    return found


def _at(document: Json, *path: str) -> Json:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _line(name: str, told: dict[str, Json]) -> SecretLine:
    versions = told.get("versions")
    kept = sorted(int(number) for number in versions if number.isdigit()) if isinstance(versions, dict) else []
    return SecretLine(
        name=name,
        version=kept[-1] if kept else 0,
        versions=tuple(kept),
        created_us=_instant_us(told.get("created_time")),
        changed_us=_instant_us(told.get("updated_time")),
        hosts=(),
    )


def _instant_us(text: Json) -> int:
    from datetime import datetime

    try:
        return int(datetime.fromisoformat(str(text)[:19] + "+00:00").timestamp()) * 1_000_000
    except ValueError:
        return 0
