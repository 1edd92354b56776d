"""A run for every line of a file: answers in the order of the lines, and never a line twice.

Each line's run is bound to a key made of the definition's hash, the file's hash, the number of the batch and the
number of the line. So the journal itself says which lines have been run, whatever happened to this process.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from appliance.cli.hosts import Runs, open_runs
from appliance.cli.progress import RunProgress
from appliance.runs.views import ErrorView
from runtime.domain.canonical import Json, parse
from runtime.domain.ids import RunId
from runtime.domain.problem import Problem
from runtime.domain.units import span
from runtime.errors import Invalid, InvalidDefinition, NotFound, Unavailable

if TYPE_CHECKING:
    from appliance.cli.context import Af
    from appliance.cli.hosts import Target

MAX_LINE_BYTES = 10 * 1_048_576
MAX_PROBLEMS = 20
AHEAD = 16
"""Finished runs per concurrent one that wait for an earlier line's answer to be written first."""
TOLD_EVERY_S = 10.0
DRAWN_EVERY_S = 0.1
RECENT = 200
"""Answers that the speed shown is measured over."""
PROBED = 512


class Batch(msgspec.Struct, frozen=True):
    """What to run."""

    workflow: str
    file: Path
    concurrency: int
    is_resumed: bool = False


class Line(msgspec.Struct, frozen=True):
    """One line of the file."""

    number: int
    given: Json


class Answer(msgspec.Struct, frozen=True):
    """One line out."""

    input: Json
    run_id: RunId | None
    """None: the workflow does not take this input, and nothing was run."""
    status: str
    """The run's, or `invalid`."""
    output: Json
    error: ErrorView | msgspec.UnsetType = msgspec.UNSET


async def run_batch(af: "Af", batch: Batch) -> int:
    """Run every line; write one answer a line. Returns 1 when a run failed.

    Raises InvalidDefinition, naming every line that is not JSON, before anything is run.
    """
    total, digest = await asyncio.to_thread(_look_over, batch.file)
    progress = RunProgress(af.terminal)
    try:
        async with open_runs(
            af.settings, "af run --inputs", known=af.known, progress=progress.work, recover=batch.is_resumed
        ) as runs:
            target = await runs.target(batch.workflow)
            stem = f"batch/{_short(target.definition)}/{digest[:32]}"
            keys = await _keys(af, runs, batch, stem=stem, total=total)
            af.parting = "every line that was begun is kept; go on with the same command and --resume"
            return await _work(af, runs, batch, target, keys, total, progress)
    finally:
        progress.clear()


async def _work(
    af: "Af", runs: Runs, batch: Batch, target: "Target", keys: str, total: int, progress: RunProgress
) -> int:
    counts: Counter[str] = Counter()
    meter = _Meter(af, progress, total)
    async with aclosing(_answers(runs, batch, target, keys)) as answers:
        async for answer in answers:
            af.terminal.line(answer)
            counts[answer.status] += 1
            meter.show(counts.total())
    progress.clear()
    meter.sum_up(counts)
    return 1 if counts.keys() & {"failed", "cancelled", "invalid"} else 0


async def _answers(runs: Runs, batch: Batch, target: "Target", keys: str) -> AsyncGenerator[Answer, None]:
    """The answers in the order of the lines, `concurrency` runs at a time."""
    places = asyncio.Semaphore(batch.concurrency)
    begun: deque[asyncio.Task[Answer]] = deque()
    try:
        for line in _lines(batch.file):
            await places.acquire()
            task = asyncio.create_task(_answer(runs, target, line, f"{keys}/{line.number}"))
            task.add_done_callback(lambda _: places.release())
            begun.append(task)
            while begun and (begun[0].done() or len(begun) > batch.concurrency * AHEAD):
                yield await begun.popleft()
        while begun:
            yield await begun.popleft()
    finally:
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)


async def _answer(runs: Runs, target: "Target", line: Line, key: str) -> Answer:
    try:
        run = await runs.submit(target, line.given, key=key)
    except (NotFound, InvalidDefinition):
        raise
    except Invalid as error:
        return Answer(line.given, None, "invalid", None, ErrorView(error.code, error.message, error.retryable))
    view = await runs.view(await runs.settled(run))
    return Answer(line.given, run, view.status, view.output, view.error)


async def _keys(af: "Af", runs: Runs, batch: Batch, *, stem: str, total: int) -> str:
    """The stem of this batch's keys: the last one's when it is resumed, else a new one's."""
    number = 1
    while await _begun(runs, f"{stem}/{number}", total, is_enough=1):
        number += 1
    if number == 1:
        if batch.is_resumed:
            af.terminal.note("nothing to go on with: this file has not been run with this definition; starting")
        return f"{stem}/1"
    before = f"{stem}/{number - 1}"
    begun = await _begun(runs, before, total, is_enough=total)
    if batch.is_resumed:
        af.terminal.note(f"going on: {begun:,} of {total:,} lines were begun before")
        return before
    if begun < total:
        af.terminal.note(f"an earlier batch of this file stopped at {begun:,} of {total:,}; --resume goes on with it")
    return f"{stem}/{number}"


async def _begun(runs: Runs, keys: str, total: int, *, is_enough: int) -> int:
    """How many lines have a run, counted up to `is_enough`.

    Lines begin in order, at most 256 at once, so a batch whose first lines have none was never begun.
    """
    begun = 0
    for number in range(1, total + 1 if is_enough > 1 else min(total, PROBED) + 1):
        begun += await runs.begun(f"{keys}/{number}")
        if begun >= is_enough:
            break
    return begun


def _look_over(file: Path) -> tuple[int, str]:
    """Number of lines and hash of the file. Raises InvalidDefinition, with every line that is not JSON."""
    digest = sha256()
    problems: list[Problem] = []
    total = 0
    for number, content in _contents(file):
        digest.update(content)
        total += bool(content.strip())
        try:
            if content.strip():
                parse(content)
        except Invalid as error:
            problems.append(Problem(code=error.code, message=error.message, file=str(file), line=number))
            if len(problems) == MAX_PROBLEMS:
                break
    if problems:
        raise InvalidDefinition(str(file), problems)
    if not total:
        raise Invalid("inputs.empty", f"{file} holds no line of JSON; write one input a line")
    return total, digest.hexdigest()


def _lines(file: Path) -> Iterator[Line]:
    """The lines that hold something, numbered among themselves from 1."""
    filled = (content for _, content in _contents(file) if content.strip())
    return (Line(number, parse(content)) for number, content in enumerate(filled, start=1))


def _contents(file: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with file.open("rb") as lines:
            number = 0
            while content := lines.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(content) > MAX_LINE_BYTES:
                    raise Invalid("inputs.line_too_long", f"{file}:{number}: a line may have 10 MiB; this one has more")
                yield number, content
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound("file.missing", f"--inputs names {str(file)!r}, which does not exist") from None
    except OSError as error:
        raise Unavailable(
            "file.unreadable", f"--inputs names {str(file)!r}, which cannot be read: {error.strerror}", retryable=False
        ) from None


class _Meter:
    """How far a batch is, how fast, and how long it will take."""

    def __init__(self, af: "Af", progress: RunProgress, total: int) -> None:
        self._terminal = af.terminal
        self._progress = progress
        self._total = total
        self._began = monotonic()
        self._ends: deque[float] = deque([self._began], maxlen=RECENT)
        self._drawn = self._began

    def show(self, done: int) -> None:
        """One more answer."""
        now = monotonic()
        self._ends.append(now)
        if now - self._drawn < (DRAWN_EVERY_S if self._terminal.shows_progress else TOLD_EVERY_S):
            return
        self._drawn = now
        rate = (len(self._ends) - 1) / max(1e-3, now - self._ends[0])
        left = span((self._total - done) / rate * 1_000)
        text = f"{done:,} of {self._total:,}  {rate:.1f} runs/s  {left} left"
        if self._terminal.shows_progress:
            self._progress.line.show(text)
        else:
            self._terminal.note(text)

    def sum_up(self, counts: "Counter[str]") -> None:
        """The last line."""
        took_s = monotonic() - self._began
        outcome = ", ".join(f"{count:,} {status}" for status, count in counts.most_common())
        speed = f"{counts.total() / max(1e-3, took_s):.1f} runs/s"
        self._terminal.note(f"{counts.total():,} of {self._total:,} in {span(took_s * 1_000)}, {speed}: {outcome}")


def _short(definition: str) -> str:
    return definition.removeprefix("sha256:")[:32]
