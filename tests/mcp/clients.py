"""The official client in front of a server of the test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.appliance.api.serving import Served

MODERN, LEGACY = "2026-07-28", "legacy"


@asynccontextmanager
async def client_of(served: Served, *, mode: str = MODERN, key: str = "") -> AsyncIterator[Client]:
    """A client with the first key, or with another one."""
    authorization = f"Bearer {key}" if key else served.client.headers["authorization"]
    async with (
        httpx2.AsyncClient(headers={"authorization": authorization}, timeout=30) as http,
        Client(streamable_http_client(f"{served.address.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client
