"""The secrets of a data folder: one file a tenant, every value in an envelope of its own.

A value is bound to its tenant, name and version, so that none can be put in another's place. What was encrypted with
an older key of the tenant is encrypted with the one in use when it is next read. Names, hosts and times are not secret.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

import msgspec
from msgspec.structs import replace

from runtime.domain.ids import TenantId
from runtime.domain.secret import check_name, check_value
from runtime.errors import Corrupt, NotFound
from runtime.store.envelope import key_id_of, seal, unseal
from runtime.store.failures import translate
from runtime.store.keyring import Keyring
from runtime.store.private_file import write_private

FOLDER = "secrets"
KEPT_VERSIONS = 10
_SUFFIX = ".json"


class SecretLine(msgspec.Struct, frozen=True, kw_only=True):
    """What may be told of a secret; never its value."""

    name: str
    version: int
    """The newest."""
    versions: tuple[int, ...]
    """Those that are kept, oldest first."""
    created_us: int
    changed_us: int
    hosts: tuple[str, ...]
    """Where it may be sent, as `name` or `name:port`; empty: to any host that may be reached."""


class _Version(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    at_us: int
    sealed: bytes


class _Secret(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    created_us: int
    versions: tuple[_Version, ...]
    hosts: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    v: int = 1
    secrets: dict[str, _Secret] = {}


class SecretStore:
    """Reads and changes the files. Used by one thread at a time; processes are kept apart by locks on files."""

    def __init__(self, folder: Path, keyring: Keyring, now_us: Callable[[], int]) -> None:
        """`folder`: the data folder."""
        self._folder = folder / FOLDER
        self._keyring = keyring
        self._now_us = now_us

    def put(self, tenant: TenantId, name: str, value: str, *, hosts: Sequence[str] | None = None) -> int:
        """Keep a value as the newest version; return its number. Durable when this returns.

        `hosts`: where it may be sent; None: as before. Older versions than the last ten go. Raises Invalid, StoreFull
        and Unavailable.
        """
        check_name(name)
        check_value(name, value)
        with self._changing(tenant) as file:
            before = file.secrets.get(name) or _Secret(self._now_us(), ())
            number = before.versions[-1].version + 1 if before.versions else 1
            version = _Version(number, self._now_us(), self._sealed(tenant, name, number, value))
            after = replace(before, versions=(*before.versions, version)[-KEPT_VERSIONS:])
            after = after if hosts is None else replace(after, hosts=tuple(hosts))
            self._write(tenant, replace(file, secrets={**file.secrets, name: after}))
            return number

    def value(self, tenant: TenantId, name: str, version: int = 0) -> str:
        """A value; `version` 0: the newest. Raises NotFound, Corrupt and Unavailable."""
        secret = self._secret(tenant, name)
        for each in reversed(secret.versions):
            if version in (0, each.version):
                return self._opened(tenant, name, each)
        kept = ", ".join(str(each.version) for each in secret.versions)
        raise NotFound("secret.no_version", f"secret {name!r} has no version {version}; kept are {kept}")

    def hosts(self, tenant: TenantId, name: str) -> tuple[str, ...]:
        """Where a secret may be sent; empty: anywhere. Raises NotFound."""
        return self._secret(tenant, name).hosts

    def list(self, tenant: TenantId) -> Sequence[SecretLine]:
        """What there is, by name."""
        return [_line(name, secret) for name, secret in sorted(self._read(tenant).secrets.items())]

    def values(self, tenant: TenantId) -> Sequence[tuple[str, str]]:
        """Names with every value that is kept, older versions too: they may turn up as well."""
        return [
            (name, self._opened(tenant, name, version))
            for name, secret in self._read(tenant).secrets.items()
            for version in secret.versions
        ]

    def remove(self, tenant: TenantId, name: str) -> None:
        """Forget a secret and all its versions. Raises NotFound."""
        self._secret(tenant, name)
        with self._changing(tenant) as file:
            self._write(tenant, replace(file, secrets={key: each for key, each in file.secrets.items() if key != name}))

    def renew_key(self, tenant: TenantId) -> int:
        """Give a tenant a new key, encrypt every value with it and drop the older keys; return how many values."""
        self._keyring.renew(_purpose(tenant))
        with self._changing(tenant) as file:
            secrets = {name: self._resealed(tenant, name, secret) for name, secret in file.secrets.items()}
            self._write(tenant, replace(file, secrets=secrets))
        self._keyring.forget_older(_purpose(tenant))
        return sum(len(secret.versions) for secret in secrets.values())

    def tenants(self) -> Sequence[TenantId]:
        """Those who have secrets, by name."""
        return [TenantId(unquote(path.name.removesuffix(_SUFFIX))) for path in sorted(self._folder.glob(f"*{_SUFFIX}"))]

    def changed_ns(self, tenant: TenantId) -> int:
        """When a tenant's file was changed last; another number: read it again. 0: there is none."""
        try:
            return self._path(tenant).stat().st_mtime_ns
        except OSError:
            return 0

    def _secret(self, tenant: TenantId, name: str) -> _Secret:
        check_name(name)
        found = self._read(tenant).secrets.get(name)
        if found is None:
            raise NotFound(
                "secret.unknown", f"tenant {tenant!r} has no secret {name!r}; keep it with: af secrets set {name}"
            )
        return found

    def _sealed(self, tenant: TenantId, name: str, version: int, value: str) -> bytes:
        key = self._keyring.current(_purpose(tenant))
        return seal(key, value.encode("utf-8", "surrogatepass"), [tenant, name, str(version)])

    def _opened(self, tenant: TenantId, name: str, version: _Version) -> str:
        id = key_id_of(version.sealed)
        key = self._keyring.find(_purpose(tenant), id)
        value = unseal(key, version.sealed, [tenant, name, str(version.version)]).decode("utf-8", "surrogatepass")
        if id != self._keyring.current(_purpose(tenant)).id and os.access(self._folder, os.W_OK):
            with self._changing(tenant) as file:
                secret = file.secrets.get(name)
                if secret is not None and version in secret.versions:
                    fresh = replace(version, sealed=self._sealed(tenant, name, version.version, value))
                    versions = tuple(fresh if each == version else each for each in secret.versions)
                    secrets = {**file.secrets, name: replace(secret, versions=versions)}
                    self._write(tenant, replace(file, secrets=secrets))
        return value

    def _resealed(self, tenant: TenantId, name: str, secret: _Secret) -> _Secret:
        versions = []
        for each in secret.versions:
            key = self._keyring.find(_purpose(tenant), key_id_of(each.sealed))
            value = unseal(key, each.sealed, [tenant, name, str(each.version)]).decode("utf-8", "surrogatepass")
            versions.append(replace(each, sealed=self._sealed(tenant, name, each.version, value)))
        return replace(secret, versions=tuple(versions))

    def _read(self, tenant: TenantId) -> _File:
        path = self._path(tenant)
        try:
            return msgspec.json.decode(path.read_bytes(), type=_File)
        except FileNotFoundError:
            return _File()
        except OSError as error:
            raise translate(error, path) from None
        except msgspec.DecodeError:
            raise Corrupt("secret.damaged", f"{path} can't be read; restore it from a backup") from None

    @contextmanager
    def _changing(self, tenant: TenantId) -> Iterator[_File]:
        """The file as it is, with nobody else changing it."""
        path = self._path(tenant)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise translate(error, path) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield self._read(tenant)
        finally:
            os.close(descriptor)

    def _write(self, tenant: TenantId, file: _File) -> None:
        write_private(self._path(tenant), msgspec.json.encode(file))

    def _path(self, tenant: TenantId) -> Path:
        return self._folder / f"{quote(tenant, safe='')}{_SUFFIX}"


def _purpose(tenant: TenantId) -> str:
    return f"tenant/{tenant}"


def _line(name: str, secret: _Secret) -> SecretLine:
    newest = secret.versions[-1]
    return SecretLine(
        name=name,
        version=newest.version,
        versions=tuple(each.version for each in secret.versions),
        created_us=secret.created_us,
        changed_us=newest.at_us,
        hosts=secret.hosts,
    )
