"""The connection to the server: lists the runs once, follows their entries, and comes back when the server does."""

import asyncio
from collections.abc import Callable

import msgspec

from runtime.errors import AgentFlowError, Corrupt
from tui.board import Board
from tui.client import Client
from tui.journal import RunLog
from tui.shapes import Told

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
MOST_RUNS = 20_000
"""Runs that are listed, the newest."""

_told = msgspec.json.Decoder(Told)


class Link:
    """Keeps a board up to date for as long as `run` runs."""

    def __init__(self, client: Client, board: Board, *, now_us: Callable[[], int]) -> None:
        self._client = client
        self._board = board
        self._now_us = now_us
        self.place: int | None = None
        """The last entry that was taken in, by its place among all; None: none yet."""
        self._retry = asyncio.Event()
        self.is_live = False
        self.has_listed = False
        self.problem = ""
        """Why there is no connection; empty: there is one, or the first try is under way."""
        self.heard_us = 0
        """When the server was last heard."""
        self.next_us = 0
        """When the next try is due."""
        self.back_us = 0
        """When the connection was found again; 0: it was never lost."""

    @property
    def cut_off(self) -> str:
        """Why nothing new comes in; empty: it does, or the first try is under way."""
        return "" if self.is_live else self.problem

    def retry(self) -> None:
        """Try again now."""
        self._retry.set()

    async def run(self) -> None:
        """Never ends by itself."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._follow()
                self.problem = "the server stopped"
            except AgentFlowError as error:
                self.problem = error.message
            except msgspec.MsgspecError as error:
                self.problem = f"the server answers in another way than this program expects: {error}"
            if self.is_live:
                pause_s = FIRST_PAUSE_S
            self.is_live = False
            self.next_us = self._now_us() + int(pause_s * 1_000_000)
            self._retry.clear()
            try:
                await asyncio.wait_for(self._retry.wait(), pause_s)
            except TimeoutError:
                pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)

    async def _follow(self) -> None:
        async for number, _, data in self._client.events(self.place):
            self.heard_us = self._now_us()
            if number >= 0:
                self._board.take(_told.decode(data))
                self.place = number
            elif not self.is_live and data.startswith(b"from "):
                await self._begin(data)
                self.back_us = self._now_us() if self.problem else 0
                self.is_live, self.problem = True, ""

    async def _begin(self, said: bytes) -> None:
        """The stream has begun; `said`: from which place of how many."""
        place, head = (int(number) for number in said.removeprefix(b"from ").split(b" of "))
        if place > head:  # another data folder than before: what is known is of no use
            self._board.forget()
            self.place, self.has_listed = head, False
        elif self.place is None:
            self.place = place
        if not self.has_listed:
            await self._list()

    async def _list(self) -> None:
        page = await self._client.runs()
        self._board.load(page.runs)
        while page.next and len(self._board) < MOST_RUNS:
            page = await self._client.runs(page.next)
            self._board.load(page.runs)
        self.has_listed = True


class Watch:
    """Follows the journal of the one run that is looked at."""

    def __init__(self, client: Client, run: str) -> None:
        self._client = client
        self.log = RunLog(run)
        self.version = 0
        self.problem = ""
        self.is_whole = False
        """Whether everything until the end of the run is here."""

    async def run(self) -> None:
        """Ends behind the run's last entry, or at damage."""
        pause_s = FIRST_PAUSE_S
        while not self.log.state.is_final:
            try:
                async for entry in self._client.journal(self.log.run, self.log.state.seq):
                    self.log.take(entry)
                    self.version += 1
                    self.problem, pause_s = "", FIRST_PAUSE_S
            except Corrupt as error:
                self.problem = error.message
                return
            except (AgentFlowError, msgspec.MsgspecError) as error:
                self.problem = str(error)
            if not self.log.state.is_final:
                await asyncio.sleep(pause_s)
                pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
        self.is_whole = True
        self.version += 1
