"""What panels are told when they ask, and when they last asked."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from runtime.errors import AgentFlowError
from tui import shapes
from tui.client import Client

PAUSE_US = {"agents": 1_000_000, "waiting": 2_000_000, "calls": 2_000_000, "costs": 5_000_000, "memory": 10_000_000}
"""How long an answer is good for."""


class Polled:
    """The newest answers."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._asked_us: dict[str, int] = {}
        self._versions: dict[str, int] = {}
        self._under_way: set[str] = set()
        self.agents = shapes.Agents()
        self.calls: list[shapes.Call] = []
        self.costs = shapes.Costs()
        self.waits = shapes.Waits()
        self.collections: list[shapes.CollectionLine] = []
        self.recall: shapes.Recall | None = None
        self.recall_problem = ""

    def version(self, name: str) -> int:
        """Grows with every answer."""
        return self._versions.get(name, 0)

    def forget(self, name: str = "") -> None:
        """Ask anew at once; empty: everything."""
        if name:
            self._asked_us.pop(name, None)
        else:
            self._asked_us.clear()

    def due(self, name: str, now_us: int) -> bool:
        """Whether a panel should ask now; whoever is told so asks."""
        if name not in PAUSE_US or name in self._under_way:
            return False
        if now_us - self._asked_us.get(name, 0) < PAUSE_US[name]:
            return False
        self._asked_us[name] = now_us
        return True

    async def ask(self, name: str, *, run: str = "") -> None:
        """Ask for one panel; while the server is away its last answer stays."""
        asks: dict[str, tuple[str, Callable[[], Awaitable[Any]]]] = {
            "agents": ("agents", self._client.agents),
            "calls": ("calls", lambda: self._client.calls(run)),
            "costs": ("costs", self._client.costs),
            "waiting": ("waits", self._client.waits),
            "memory": ("collections", self._client.collections),
        }
        field, ask = asks[name]
        self._under_way.add(name)
        try:
            found = await ask()
        except (TimeoutError, AgentFlowError, msgspec.MsgspecError):
            return
        finally:
            self._under_way.discard(name)
        if found != getattr(self, field):
            setattr(self, field, found)
            self._versions[name] = self.version(name) + 1

    async def ask_memory(self, collection: str, text: str) -> None:
        """Search a collection."""
        self.recall, self.recall_problem = None, "Searching …"
        self._versions["memory"] = self.version("memory") + 1
        try:
            self.recall = await self._client.recall(collection, text)
            self.recall_problem = ""
        except AgentFlowError as error:
            self.recall_problem = error.message
        self._versions["memory"] = self.version("memory") + 1
