"""`python -m tests.mcp.serve_pack DATA`: an appliance whose `/mcp` has the pack too and asks for no key.

The suite's clients have none, so its listener lets everybody in as the UNIX socket does; the rest is what ships.
"""

import asyncio
import sys
from pathlib import Path
from unittest.mock import patch

from appliance import server
from appliance.api.gate import Entrance
from appliance.api.service import Service
from appliance.auth.callers import LOCAL_CALLER, host_names
from tests.appliance.api.serving import appliance_at
from tests.mcp.pack import extend


def _service(*arguments: object, **options: object) -> Service:
    made = Service(*arguments, **options)  # type: ignore[arg-type]  # passed on as they are
    made.mcp.extend = extend
    return made


def _entrance(**_: object) -> Entrance:
    return Entrance(caller=LOCAL_CALLER, host_names=host_names("127.0.0.1"))


async def main(data: Path) -> None:
    """Serve until killed; prints the URL."""
    with patch.object(server, "Service", _service), patch.object(server, "Entrance", _entrance):
        await server.serve(appliance_at(data), on_ready=lambda address: print(address.url, flush=True))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
