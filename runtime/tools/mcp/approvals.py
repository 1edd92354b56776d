"""Which tools of which servers a person has approved, in one file of the data folder.

The file holds what each tool said of itself when it was approved, so that a change can be shown, and so that the
tools are known without asking their servers. It is read again when it has changed: `af mcp approve` may run beside a
server.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from runtime.domain.mcp import Approval
from runtime.errors import Corrupt, Unusable

FILE = "mcp/approved.json"

_Kept = dict[str, dict[str, Approval]]
_decoder = msgspec.json.Decoder(_Kept)


class Approvals:
    """The approvals of one data folder."""

    def __init__(self, data: Path) -> None:
        self._path = data / FILE
        self._stamp: tuple[int, int] = (0, 0)
        self._kept: _Kept = {}

    def of(self, server: str) -> Mapping[str, Approval]:
        """Tool → approval. Raises Corrupt and Unusable."""
        self._read()
        return self._kept.get(server, {})

    def put(self, server: str, approvals: Mapping[str, Approval]) -> None:
        """Keep approvals beside those there are; durable when this returns. Raises as `of` does."""
        self._read()
        kept = {**self._kept, server: {**self._kept.get(server, {}), **approvals}}
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self._path.with_suffix(".new")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(kept)))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            raise Unusable("mcp.no_access", f"{self._path} cannot be written: {error.strerror}") from None
        self._kept, self._stamp = kept, (0, 0)

    def drop(self, server: str, tool: str) -> bool:
        """Take an approval back; whether there was one."""
        self._read()
        if tool not in self._kept.get(server, {}):
            return False
        left = {name: each for name, each in self._kept[server].items() if name != tool}
        self._kept = {**self._kept, server: {}}
        self.put(server, left)
        return True

    def _read(self) -> None:
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                self._kept, self._stamp = _decoder.decode(self._path.read_bytes()), stamp
        except FileNotFoundError:
            self._kept, self._stamp = {}, (0, 0)
        except OSError as error:
            raise Unusable("mcp.no_access", f"{self._path} cannot be read: {error.strerror}") from None
        except msgspec.MsgspecError as error:
            raise Corrupt(
                "mcp.approvals_unreadable",
                f"{self._path} is no list of approvals: {error}; restore it, or delete it and approve the tools again",
            ) from None
