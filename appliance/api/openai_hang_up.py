"""Work that nobody waits for any more is stopped."""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus
from typing import TypeVar

from litestar.constants import HTTP_DISCONNECT

from appliance.api.bodies import ApiRequest
from appliance.api.problems import HttpError

Result = TypeVar("Result")


async def unless_hung_up(request: ApiRequest, work: Awaitable[Result]) -> Result:
    """What `work` gives; it is cancelled when the client closes the connection, and HttpError is raised.

    The request's body has been read before. Nothing else may read the connection meanwhile.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        message = "the client closed the connection before the answer was there; its work was stopped"
        raise HttpError(HTTPStatus.BAD_REQUEST, "http.hung_up", message)
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.wait({working, leaving})


async def _hung_up(request: ApiRequest) -> None:
    while (await request.receive())["type"] != HTTP_DISCONNECT:
        pass
