"""`keys.json` of a data folder: the keys that data are encrypted with, each wrapped under the master key.

One key for the database files, one for each tenant's secrets. A key that is wrapped under an older master key is
wrapped under the one in use when it is next needed. The file says nothing without the master key.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec.structs import replace

from runtime.errors import Corrupt, Unavailable
from runtime.store.envelope import Cost, SealingKey, fresh_key, key_id_of, seal, unseal
from runtime.store.failures import translate
from runtime.store.key import Key, key_from
from runtime.store.master import FILE_VARIABLE, PASSPHRASE_VARIABLE, Master, master_in
from runtime.store.private_file import write_private

KEYRING_FILE = "keys.json"
DATABASE = "database"
_SALT_BYTES = 16


class _Wrapped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    purpose: str
    """`database`, or `tenant/NAME`."""
    id: str
    sealed: bytes


class _Ring(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    v: int = 1
    salt: bytes = b""
    """Of a passphrase."""
    cost: Cost = Cost()
    keys: tuple[_Wrapped, ...] = ()
    """In the order in which they were made; the last one of a purpose is in use."""


class Keyring:
    """The keys of one data folder. Used by one thread at a time; processes are kept apart by a lock on a file."""

    def __init__(self, folder: Path, master: Master) -> None:
        self._path = folder / KEYRING_FILE
        self._master = master
        self._masters: tuple[SealingKey, ...] = ()

    def current(self, purpose: str) -> SealingKey:
        """The key in use for something, made where there is none. Raises Unavailable (wrong master) and Corrupt."""
        found = [wrapped for wrapped in self._read().keys if wrapped.purpose == purpose]
        return self._unwrapped(found[-1]) if found else self._made(purpose, only_first=True)

    def find(self, purpose: str, id: str) -> SealingKey:
        """A key that was in use. Raises Corrupt where it is gone."""
        for wrapped in self._read().keys:
            if (wrapped.purpose, wrapped.id) == (purpose, id):
                return self._unwrapped(wrapped)
        raise Corrupt(
            "secret.key_gone",
            f"something is encrypted with key {id} of {purpose!r}, which is not in {self._path}; restore that file "
            "from a backup",
        )

    def renew(self, purpose: str) -> SealingKey:
        """Make a new key for something; older ones stay, for what was encrypted with them."""
        return self._made(purpose, only_first=False)

    def forget_older(self, purpose: str) -> int:
        """Drop the keys of a purpose that are no longer in use; return how many. Nothing may need them any more."""
        with self._changing() as ring:
            mine = [wrapped for wrapped in ring.keys if wrapped.purpose == purpose]
            self._write(replace(ring, keys=tuple(each for each in ring.keys if each not in mine[:-1])))
            return len(mine[:-1])

    def rewrap(self) -> int:
        """Wrap under the master key in use what is wrapped under an older one; return how many keys that were."""
        older = [wrapped for wrapped in self._read().keys if not self._is_current(wrapped)]
        for wrapped in older:
            self._unwrapped(wrapped)
        return len(older)

    def _made(self, purpose: str, *, only_first: bool) -> SealingKey:
        with self._changing() as ring:
            found = [wrapped for wrapped in ring.keys if wrapped.purpose == purpose]
            if found and only_first:  # another process was first
                return self._unwrapped(found[-1], may_rewrap=False)
            key = fresh_key()
            self._write(replace(ring, keys=(*ring.keys, self._wrapped(purpose, key, ring))))
            return key

    def _wrapped(self, purpose: str, key: SealingKey, ring: _Ring) -> _Wrapped:
        sealed = seal(self._opened(ring)[0], key.reveal(), ["key", purpose, key.id])
        return _Wrapped(purpose, key.id, sealed)

    def _unwrapped(self, wrapped: _Wrapped, *, may_rewrap: bool = True) -> SealingKey:
        masters = {key.id: key for key in self._opened(self._read())}
        master = masters.get(key_id_of(wrapped.sealed))
        if master is None:
            raise Unavailable(
                "secret.wrong_master",
                f"{self._path} was locked with master key {key_id_of(wrapped.sealed)}, and {self._master.where} gives "
                f"{', '.join(masters)}; put the right key back, or add it to the file as a second line",
                retryable=False,
            )
        key = SealingKey(unseal(master, wrapped.sealed, ["key", wrapped.purpose, wrapped.id]))
        if may_rewrap and not self._is_current(wrapped):
            self._rewrap(wrapped, key)
        return key

    def _rewrap(self, wrapped: _Wrapped, key: SealingKey) -> None:
        if not os.access(self._path.parent, os.W_OK):
            return
        with self._changing() as ring:
            fresh = self._wrapped(wrapped.purpose, key, ring)
            self._write(replace(ring, keys=tuple(fresh if each == wrapped else each for each in ring.keys)))

    def _is_current(self, wrapped: _Wrapped) -> bool:
        return key_id_of(wrapped.sealed) == self._opened(self._read())[0].id

    def _opened(self, ring: _Ring) -> tuple[SealingKey, ...]:
        if not self._masters:
            self._masters = self._master.keys(ring.salt, ring.cost, is_first=not ring.keys)
        return self._masters

    def _read(self) -> _Ring:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Ring)
        except FileNotFoundError:
            return _Ring()
        except OSError as error:
            raise translate(error, self._path) from None
        except msgspec.DecodeError:
            raise Corrupt("secret.damaged", f"{self._path} can't be read; restore it from a backup") from None

    @contextmanager
    def _changing(self) -> Iterator[_Ring]:
        """The file as it is, with nobody else changing it."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise translate(error, self._path) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            ring = self._read()
            yield ring if ring.salt else replace(ring, salt=secrets.token_bytes(_SALT_BYTES))
        finally:
            os.close(descriptor)

    def _write(self, ring: _Ring) -> None:
        write_private(self._path, msgspec.json.encode(ring))


def keyring_of(environment: Mapping[str, str], data: Path) -> Keyring | None:
    """The keyring of a data folder; None where the environment names no master key. Raises Invalid."""
    master = master_in(environment, data)
    return None if master is None else Keyring(data, master)


def database_key(
    environment: Mapping[str, str], data: Path, *, may_make: bool = False, keyring: Keyring | None = None
) -> Key | None:
    """The key of the database files: one of its own, else one that the master key locks; None: they are plain.

    `may_make`: make the latter where there is none yet; who only reads finds plain files then. `keyring`: that of the
    folder, where somebody has it. Raises as reading the keys does.
    """
    own = key_from(environment)
    ring = keyring or keyring_of(environment, data)
    if own is None and ring is None and _locks_databases(data / KEYRING_FILE):
        raise Unavailable(
            "secret.no_master",
            f"the files in {data} are encrypted under a master key, and none is named: set {FILE_VARIABLE} or "
            f"{PASSPHRASE_VARIABLE} to where it is",
            retryable=False,
        )
    if own is not None or ring is None or not (_locks_databases(data / KEYRING_FILE) or may_make):
        return own
    return Key(ring.current(DATABASE).reveal().hex())


def _locks_databases(path: Path) -> bool:
    try:
        return f'"{DATABASE}"' in path.read_text("utf-8", "replace")
    except OSError:
        return False
