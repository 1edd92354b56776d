"""What is known of all runs: listed once, then changed entry by entry. Pure; nothing here waits or draws.

Ten thousand runs are held; a list of them is filtered when it is asked for, and kept until something changes.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from runtime.domain.units import USD_MICROS
from tui.shapes import Glance, RunLine, Told
from tui.words import micros

Filter = Literal["all", "open", "waiting", "failed", "succeeded", "what-if"]
FILTERS: tuple[Filter, ...] = ("all", "open", "waiting", "failed", "succeeded", "what-if")
"""What-ifs have not happened: they are listed by themselves, and counted nowhere."""
_TAKES: dict[str, frozenset[str]] = {
    "open": frozenset({"new", "running", "waiting"}),
    "waiting": frozenset({"waiting"}),
    "failed": frozenset({"failed", "cancelled"}),
    "succeeded": frozenset({"succeeded"}),
}
RATE_S = 10
NEWEST = 300
"""Entries of all runs that are remembered as they came."""


class Run(msgspec.Struct):
    """One run; changed in place."""

    run: str
    workflow: str
    definition: str
    status: str
    created_us: int
    updated_us: int
    entries: int
    doing: str = ""
    """The step that runs or waits, or failed; empty where nothing of it was heard since the screens were opened."""
    error: str = ""
    """Code of what it failed with."""
    tokens: int = 0
    cost_usd: float = 0.0
    is_what_if: bool = False


class Board:
    """All runs, newest first."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._listed: dict[tuple[Filter, str], list[Run]] = {}
        self._order: list[Run] | None = None
        self.what_ifs = 0
        self.counts: dict[str, int] = {}
        """Runs by status."""
        self.newest: deque[Told] = deque(maxlen=NEWEST)
        self._heard: deque[tuple[int, int]] = deque()
        self.version = 0
        """Grows with every change."""

    def __len__(self) -> int:
        return len(self._runs)

    def run(self, run: str) -> Run | None:
        """One run, where it is known."""
        return self._runs.get(run)

    def load(self, lines: Iterable[RunLine]) -> None:
        """Take in a page of the list; what an entry has told since stands above it."""
        for line in lines:
            known = self._runs.get(line.run_id)
            if known is None:
                self._add(
                    Run(
                        run=line.run_id,
                        workflow=line.workflow,
                        definition=line.definition_hash,
                        status=line.status,
                        created_us=micros(line.created_at),
                        updated_us=micros(line.updated_at),
                        entries=line.entries,
                        is_what_if=line.kind == "what_if",
                    )
                )
            elif line.entries > known.entries:
                self._set_status(known, line.status)
                known.updated_us, known.entries = micros(line.updated_at), line.entries
        self._changed()

    def take(self, told: Told) -> None:
        """Take in an entry; one that the list has told of already changes nothing."""
        at_us = micros(told.at)
        self.newest.append(told)
        self._count(at_us)
        known = self._runs.get(told.run)
        if known is None:
            is_what_if = "what_if" in told.data
            known = Run(told.run, "", "", "running", at_us, at_us, 0, is_what_if=is_what_if)
            self._add(known)
        if told.seq > known.entries:
            known.entries, known.updated_us = told.seq, at_us
            _CHANGES.get(told.type, _nothing)(self, known, told.data)
        self._changed()

    def glanced(self, found: Glance) -> None:
        """Take in what a run does, as somebody has looked it up; what its entries told meanwhile stands above it."""
        run = self._runs.get(found.run_id)
        if run is not None and not run.doing:
            run.doing, run.error = found.doing, found.error
            run.tokens, run.cost_usd = max(run.tokens, found.tokens), max(run.cost_usd, found.cost_usd)
            self._changed()

    def forget(self) -> None:
        """Begin anew: the server's data are others."""
        self._runs.clear()
        self.what_ifs = 0
        self.counts.clear()
        self.newest.clear()
        self._heard.clear()
        self._order = None
        self._changed()

    def listed(self, chosen: Filter = "all", search: str = "") -> list[Run]:
        """Runs that a filter and a search take, newest first; every word must be in id, workflow, state or error."""
        key = (chosen, search.casefold().strip())
        if key == ("all", "") and not self.what_ifs:
            return self._sorted()
        if key not in self._listed:
            self._listed[key] = [run for run in self._sorted() if _takes(run, *key)]
        return self._listed[key]

    def rate(self, now_us: int) -> float:
        """Entries a second, over the last ten seconds."""
        return sum(number for second, number in self._heard if second > now_us // 1_000_000 - RATE_S) / RATE_S

    def _sorted(self) -> list[Run]:
        if self._order is None:
            self._order = sorted(self._runs.values(), key=lambda run: (-run.created_us, run.run))
        return self._order

    def _add(self, run: Run) -> None:
        self._runs[run.run] = run
        self.what_ifs += run.is_what_if
        self._counted(run, 1)
        if self._order and run.created_us >= self._order[0].created_us:
            self._order = [run, *self._order]  # whoever draws the list that was has it still
        else:
            self._order = None

    def _set_status(self, run: Run, status: str) -> None:
        if status != run.status:
            self._counted(run, -1)
            run.status = status
            self._counted(run, 1)

    def _counted(self, run: Run, by: int) -> None:
        if not run.is_what_if:
            self.counts[run.status] = self.counts.get(run.status, 0) + by

    def _changed(self) -> None:
        self.version += 1
        self._listed.clear()

    def _count(self, at_us: int) -> None:
        second = at_us // 1_000_000
        if self._heard and self._heard[-1][0] == second:
            self._heard[-1] = (second, self._heard[-1][1] + 1)
        else:
            self._heard.append((second, 1))
        while len(self._heard) > RATE_S + 1:
            self._heard.popleft()

    def started(self, run: Run, data: dict[str, Any]) -> None:
        """`run.started`."""
        run.workflow, run.definition = data.get("workflow", ""), data.get("definition", "")
        self._set_status(run, "running")

    def scheduled(self, run: Run, data: dict[str, Any]) -> None:
        """`step.scheduled`."""
        run.doing = data.get("step", "")
        self._set_status(run, "running")

    def awaited(self, run: Run, data: dict[str, Any]) -> None:
        """`signal.awaited`."""
        run.doing = f"{data.get('step', '')}: {data.get('signal', '')}"
        self._set_status(run, "waiting")

    def waited_within(self, run: Run, data: dict[str, Any]) -> None:
        """`subrun.waiting`."""
        waits = data.get("waits") or []
        signals = dict.fromkeys(signal for wait in waits for signal in wait.get("signals", []))
        if waits:
            run.doing = f"{data.get('step', '')}: {', '.join(signals)}"
        self._set_status(run, "waiting" if waits else "running")

    def answered(self, run: Run, data: dict[str, Any]) -> None:
        """`step.succeeded`, `step.failed`."""
        usage = data.get("usage") or {}
        run.tokens += usage.get("input_tokens", 0) + usage.get("output_tokens", 0)
        run.cost_usd += usage.get("cost_usd_micros", 0) / USD_MICROS
        if "error" in data:
            run.doing = data.get("step", "")

    def finished(self, run: Run, data: dict[str, Any]) -> None:
        """`run.finished`."""
        run.error = (data.get("error") or {}).get("code", "")
        if data.get("status") == "succeeded":
            run.doing = data.get("state", "")
        self._set_status(run, data.get("status", "succeeded"))


def _nothing(board: Board, run: Run, data: dict[str, Any]) -> None:
    """Entries that change nothing that a list shows."""


_CHANGES = {
    "run.started": Board.started,
    "step.scheduled": Board.scheduled,
    "signal.awaited": Board.awaited,
    "subrun.waiting": Board.waited_within,
    "step.succeeded": Board.answered,
    "step.failed": Board.answered,
    "run.finished": Board.finished,
}


def _takes(run: Run, chosen: Filter, search: str) -> bool:
    if run.is_what_if != (chosen == "what-if"):
        return False
    if chosen in _TAKES and run.status not in _TAKES[chosen]:
        return False
    if not search:
        return True
    said = f"{run.run} {run.workflow} {run.status} {run.error} {run.doing}".casefold()
    return all(word in said for word in search.split())
