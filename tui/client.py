"""The one client of the API: every request that a screen makes, and the shape of its answer.

Opens nothing itself: it is given how to call and how to follow, so that screens, tests and measurements differ in
nothing else.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.journal import Entry
from tui import shapes
from tui.journal import entry_of
from tui.supposing import Comparison

Shape = TypeVar("Shape")

Ask = Callable[[str, str, Json], Awaitable[bytes]]
"""(method, target, body) → the body of the answer. Raises AgentFlowError for every other answer."""
Follow = Callable[[str, int | None], AsyncIterator[tuple[int, str, bytes]]]
"""(target, number of the last event seen) → (number, type, data) of each event; a comment is (-1, "", its text)."""

PAGE = 1_000
KINDS = "&kind=run&kind=imported&kind=what_if"


class Client:
    """An appliance, as the screens see it."""

    def __init__(self, ask: Ask, follow: Follow, *, name: str = "", actor: str = "", role: str = "") -> None:
        """`actor`, `role`: who does tasks for people, where the server takes that from here."""
        self._ask = ask
        self._follow = follow
        self._by: dict[str, Json] = {key: said for key, said in (("actor", actor), ("role", role)) if said}
        self.name = name
        """How to call the server in a message."""

    async def runs(self, at: str = "") -> shapes.RunPage:
        """The newest runs, or the page at a path that an earlier one gave."""
        return await self._read(at or f"/v1/runs?limit={PAGE}{KINDS}", shapes.RunPage)

    async def run(self, run: str) -> shapes.RunDocument:
        """One run."""
        return await self._read(f"/v1/runs/{quote(run, safe='')}", shapes.RunDocument)

    async def awaiting(self, run: str, signal: str) -> shapes.RunDocument:
        """The run that waits for a signal: this one, or one that a step of it has, however deep."""
        found = await self.run(run)
        while within := found.within(signal or next(iter(found.awaiting), "")):
            found = await self.run(within)
        return found

    def events(self, after: int | None) -> AsyncIterator[tuple[int, str, bytes]]:
        """Entries of all runs, brief, behind a place; None: what comes from now on."""
        return self._follow("/v1/events?brief=true", after)

    async def journal(self, run: str, after: int = 0) -> AsyncIterator[Entry]:
        """The entries of one run behind a number, then live; ends behind the last one."""
        async for number, _, data in self._follow(f"/v1/runs/{quote(run, safe='')}/events", after or None):
            if number > 0:
                yield entry_of(data)

    async def agents(self) -> shapes.Agents:
        """Agents and model servers."""
        return await self._read("/v1/panels/agents", shapes.Agents)

    async def plan(self, definition: str) -> shapes.PlanShape:
        """A definition's plan."""
        return await self._read(f"/v1/panels/plan/{quote(definition, safe='')}", shapes.PlanShape)

    async def collections(self) -> list[shapes.CollectionLine]:
        """The collections of long-term memory."""
        return (await self._read("/v1/panels/memory", shapes.Collections)).collections

    async def recall(self, collection: str, text: str) -> shapes.Recall:
        """What a question finds."""
        query = urlencode({"collection": collection, "text": text, "limit": 20})
        return await self._read(f"/v1/panels/memory/search?{query}", shapes.Recall)

    async def calls(self, run: str = "") -> list[shapes.Call]:
        """Calls, newest first; of one run, or of all."""
        return (await self._read(f"/v1/panels/calls?{urlencode({'run': run} if run else {})}", shapes.Calls)).calls

    async def costs(self) -> shapes.Costs:
        """Spending of a day."""
        return await self._read("/v1/panels/costs?since=24h", shapes.Costs)

    async def waits(self) -> shapes.Waits:
        """What waits for a person."""
        return await self._read("/v1/panels/waiting", shapes.Waits)

    async def why(self, run: str) -> shapes.Why:
        """Why a run failed."""
        return await self._read(f"/v1/runs/{quote(run, safe='')}/why", shapes.Why)

    async def compare(self, left: str, right: str) -> Comparison:
        """Two runs beside each other."""
        target = f"/v1/runs/{quote(left, safe='')}/compare?{urlencode({'other': right})}"
        return await self._read(target, Comparison)

    async def what_if(self, run: str, supposed: Json) -> shapes.RunDocument:
        """Run a run again with something changed; durable when this returns. Raises Invalid for what cannot be."""
        target = f"/v1/runs/{quote(run, safe='')}/what-if"
        return _shaped(await self._ask("POST", target, supposed), shapes.RunDocument)

    async def glances(self, runs: Sequence[str]) -> list[shapes.Glance]:
        """What so many runs do, or failed with."""
        query = urlencode([("run", run) for run in runs])
        return (await self._read(f"/v1/panels/runs?{query}", shapes.Glances)).runs

    async def workflows(self) -> list[str]:
        """Names of workflows that can be asked for."""
        return [line.name for line in (await self._read("/v1/workflows", shapes.Workflows)).workflows]

    async def remembers(self, workflow: str) -> bool:
        """Whether a workflow remembers what is said in a session."""
        return (await self._read(f"/v1/workflows/{quote(workflow, safe='')}", shapes.WorkflowShown)).remembers

    async def dead_letters(self) -> list[shapes.Letter]:
        """Messages of the bus that were not taken."""
        return (await self._read("/v1/bus/dead", shapes.Letters)).letters

    async def retry(self, letters: Sequence[int]) -> None:
        """Have dead letters delivered once more. Raises NotFound for one that is gone."""
        ids: list[Json] = [*letters]
        await self._ask("POST", "/v1/bus/dead/retry", {"ids": ids})

    async def start(self, workflow: str, given: Json) -> shapes.RunDocument:
        """Ask for a run; durable when this returns."""
        body: Json = {"workflow": workflow, "input": given}
        return _shaped(await self._ask("POST", "/v1/runs", body), shapes.RunDocument)

    async def signal(self, run: str, name: str, payload: Json) -> None:
        """Answer a run that waits. Raises Conflict when it does not."""
        await self._ask("POST", f"/v1/runs/{quote(run, safe='')}/signal", {"name": name, "payload": payload})

    async def task(self, task: str) -> shapes.HumanTask:
        """A task for people."""
        return await self._read(f"/v1/human-tasks/{quote(task, safe='')}", shapes.HumanTask)

    async def move_task(self, task: str, way: str) -> None:
        """`claim` or `return` a task. Raises Refused without the role, Conflict where it is somebody else's."""
        await self._ask("POST", f"/v1/human-tasks/{quote(task, safe='')}/{way}", {**self._by})

    async def complete_task(self, task: str, answer: Json) -> None:
        """Answer a task. Raises as `move_task`, and Invalid for an answer that it does not take."""
        await self._ask("POST", f"/v1/human-tasks/{quote(task, safe='')}/complete", {"answer": answer, **self._by})

    async def cancel(self, run: str, reason: str) -> None:
        """Stop a run. Raises Conflict when it has ended."""
        await self._ask("POST", f"/v1/runs/{quote(run, safe='')}/cancel", {"reason": reason})

    async def _read(self, target: str, shape: type[Shape]) -> Shape:
        return _shaped(await self._ask("GET", target, None), shape)


def _shaped(body: bytes, shape: type[Shape]) -> Shape:
    return msgspec.json.decode(body, type=shape)
