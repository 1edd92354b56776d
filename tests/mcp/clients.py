"""The official client in front of a server of the test's own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.appliance.api.serving import Served

MODERN, LEGACY = "2026-07-28", "legacy"
BOUND_S = 60.0
"""What a test may take with one client, on a machine that is busy with other things."""


@asynccontextmanager
async def client_of(served: Served, *, mode: str = MODERN, key: str = "") -> AsyncIterator[Client]:
    """A client with the first key, or with another one."""
    authorization = f"Bearer {key}" if key else served.client.headers["authorization"]
    async with (
        asyncio.timeout(BOUND_S),
        httpx2.AsyncClient(headers={"authorization": authorization}, timeout=30) as http,
        Client(streamable_http_client(f"{served.address.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client
