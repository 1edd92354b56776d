"""A data folder as a command finds it: nobody has it, and it is opened here, or a server has it, and is asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import msgspec

from appliance.cli.context import Af

if TYPE_CHECKING:
    from appliance.wiring import Appliance
    from redaction.doors.local import LocalDoor
    from runtime.domain.canonical import Json

Shape = TypeVar("Shape")


class Served:
    """The server that has the data folder."""

    def __init__(self, door: "LocalDoor") -> None:
        self._door = door

    async def call(self, method: str, target: str, body: "Json" = None) -> bytes:
        """One request."""
        return (await asyncio.to_thread(self._door.call, method, target, body)).body

    async def ask(self, shape: type[Shape], method: str, target: str, body: "Json" = None) -> Shape:
        """The same, with the answer read."""
        return msgspec.json.decode(await self.call(method, target, body), type=shape)


@asynccontextmanager
async def opened(af: Af, what: str) -> "AsyncIterator[Appliance | Served]":
    """The data folder, or the server that has it. Raises Unavailable where another process has it."""
    from appliance.wiring import Appliance
    from redaction.doors.local import LocalDoor
    from runtime.errors import Unavailable

    appliance = Appliance(msgspec.structs.replace(af.settings, drain_s=0.0), what=what, known=af.known)
    try:
        await appliance.start(recover=False)
    except Unavailable as error:
        if error.code != "data.locked" or not af.settings.socket.exists():
            raise
        yield Served(LocalDoor(af.settings.socket))
        return
    try:
        yield appliance
    finally:
        await appliance.stop()
