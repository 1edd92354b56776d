"""What was found in texts that were looked at before: offsets under keyed hashes, never a text or a value."""

import hashlib
import secrets
import threading
from collections import OrderedDict

from redaction.findings import Finding

CACHED_SEGMENTS = 50_000


class Seen:
    """A bounded cache, shared by every redactor of one tenant. Safe to use from several threads."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._found: OrderedDict[bytes, tuple[Finding, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def key(self, text: str, around: str, *, has_names: bool) -> bytes:
        """Names one look at a text: what stands around it, and whether names were looked for, counts as well."""
        digest = hashlib.blake2b(key=self._key, digest_size=16)
        digest.update(f"{has_names} {len(around)}\0{around}\0".encode("utf-8", "surrogatepass"))
        digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.digest()

    def find(self, key: bytes) -> tuple[Finding, ...] | None:
        """What was found then; None when it was not looked at, or long ago."""
        with self._lock:
            found = self._found.get(key)
            if found is not None:
                self._found.move_to_end(key)
            return found

    def keep(self, key: bytes, found: tuple[Finding, ...]) -> None:
        """Remember a look."""
        with self._lock:
            self._found[key] = found
            if len(self._found) > CACHED_SEGMENTS:
                self._found.popitem(last=False)
