"""`af bench estimate`: how far off the estimate of a run is, over the number of runs that it was learned from.

Real questions go through a template with the models of this machine. What each prompt holds is counted before its
run; afterwards the forecasts of the later runs are made again from the first 0, 1, 2, 5, … runs, and held against
what those runs took. The runs that are forecast are the same for each point of the curve, and none is learned from.
"""

import asyncio
import csv
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec.structs import replace

from appliance.bench.engine import Goal, Report, Result
from appliance.config.settings import Settings
from appliance.wiring import Appliance
from runtime.costs.calibration import Calibration, Lesson, lesson_of
from runtime.costs.preflight import Ask, preflight
from runtime.costs.structure import Pattern, patterns_of
from runtime.domain.canonical import Json, parse
from runtime.domain.event import Usage
from runtime.domain.workflow import Workflow
from runtime.errors import Invalid, NotFound

PROMISED_AFTER = 50
MOST_ERROR_RATIO = 0.05
POINTS = (0, 1, 2, 5, 10, 20, PROMISED_AFTER, 100, 200)
PRICES: dict[str, dict[str, object]] = {"local/*": {"input_per_1k": "0.0005", "output_per_1k": "0.0015"}}
"""So that there is money to estimate."""
AT_ONCE = 2
REPORT_EVERY = 25


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One run: what was known before it, and what it took."""

    asks: tuple[Ask, ...]
    lesson: Lesson

    @property
    def usage(self) -> Usage:
        """What it took."""
        return self.lesson.usage


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """One point: how far off forecasts are that were learned from so many runs; ratios of what the run took."""

    runs: int
    tokens_median_ratio: float
    tokens_p90_ratio: float
    usd_median_ratio: float
    within_p95_ratio: float
    """Share of the runs that took no more tokens than `p95` said."""


def bench(
    *, settings: Settings, workflow: str, questions: Path, runs: int, report: Report
) -> tuple[Result, list[Curve]]:
    """Run the questions, some seconds each, and draw the curve. Raises NotFound, Invalid and what runs raise."""
    asked = read_questions(questions, runs)
    cases, structure, took_ms = asyncio.run(_all_runs(settings, workflow, asked, report))
    points = curve(cases, structure)
    last = next((point for point in points if point.runs == PROMISED_AFTER), points[-1])
    goals = [
        Goal(
            name=f"median error of the tokens after {last.runs} runs, %",
            value=100 * last.tokens_median_ratio,
            limit=100 * MOST_ERROR_RATIO,
        )
    ]
    held_out = len(cases) - points[-1].runs
    notes = [
        f"{len(cases)} runs of {workflow!r}; each point forecasts the same last {held_out}",
        f"{sum(len(case.lesson.visits) > 2 for case in cases)} runs went past two agents, the others to a person",
        f"counting the prompts of a run before it: {took_ms:.1f} ms at the median",
    ]
    return Result(rows={str(point.runs): _row(point) for point in points}, goals=goals, notes=notes), points


def curve(cases: Sequence[Case], structure: Sequence[Pattern]) -> list[Curve]:
    """The error over the number of runs learned from, up to half of all."""
    counts = [count for count in POINTS if count <= len(cases) // 2]
    held_out = cases[counts[-1] :]
    return [_point(cases[:count], held_out, structure) for count in counts]


def read_questions(file: Path, wanted: int) -> list[Json]:
    """So many inputs of a file: a CSV with a column `text`, or lines of JSON; in an order that the texts decide."""
    if not file.is_file():
        raise NotFound("bench.no_questions", f"there is no file {str(file)!r}; name one with --questions")
    if file.suffix == ".csv":
        with file.open(encoding="utf-8-sig", newline="") as lines:
            texts = {row.get("text") or "" for row in csv.DictReader(lines)}
        found: list[Json] = [{"message": text} for text in sorted(texts - {""}, key=_shuffled)]
    else:
        found = [parse(line) for line in sorted(set(file.read_text("utf-8").splitlines()) - {""}, key=_shuffled)]
    if len(found) < wanted:
        raise Invalid("bench.few_questions", f"{file} holds {len(found)} questions; {wanted} are needed, see --runs")
    return found[:wanted]


def drawing(points: Sequence[Curve]) -> str:
    """The curve as an SVG picture: median and 90th percentile over the number of runs, and the promise."""
    width, height, left, bottom = 640, 360, 60, 40
    top = max(2 * MOST_ERROR_RATIO, *(point.tokens_p90_ratio for point in points))

    def place(index: int, ratio: float) -> str:
        x = left + index * (width - left - 20) / max(1, len(points) - 1)
        return f"{x:.1f},{height - bottom - ratio / top * (height - bottom - 20):.1f}"

    def line(ratios: Sequence[float], style: str) -> str:
        return f'<polyline fill="none" {style} points="{" ".join(map(place, range(len(ratios)), ratios))}"/>'

    def text(at: str, words: str, anchor: str = "middle") -> str:
        x, y = at.split(",")
        return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{words}</text>'

    ticks = [text(place(index, -0.06 * top), str(point.runs)) for index, point in enumerate(points)]
    marks = [
        text(f"{left - 8},{place(0, top * part / 4).split(',')[1]}", f"{top * part / 4:.1%}", "end")
        for part in range(5)
    ]
    lines = [
        line([point.tokens_p90_ratio for point in points], 'stroke="#999"'),
        line([point.tokens_median_ratio for point in points], 'stroke="#06c" stroke-width="2"'),
        line([MOST_ERROR_RATIO] * len(points), 'stroke="#c00" stroke-dasharray="4"'),
    ]
    said = text(f"{width / 2},14", "error of the tokens: median (blue), 90th percentile (grey), promise (red)")
    below = text(f"{width / 2},{height - 4}", "runs learned from")
    body = "\n".join([*lines, *ticks, *marks, said, below])
    style = 'font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {style}>\n{body}\n</svg>\n'


async def _all_runs(
    settings: Settings, name: str, asked: Sequence[Json], report: Report
) -> tuple[list[Case], list[Pattern], float]:
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=_made(settings.data / "bench")))
    models = replace(settings.models, folder=str(settings.models_folder))
    own = replace(
        settings, data=folder, socket=folder / "af.sock", models=models, prices=PRICES, budgets=(), durability="normal"
    )
    appliance = Appliance(own, what="af bench estimate", progress=lambda what, done, total: None)
    try:
        await appliance.start()
        workflow = await appliance.workflows.find(name, allow_paths=True)
        report(f"the first of {len(asked)} runs, which makes the agents ready")
        first, *others = asked
        taken = [await _run(appliance, workflow, first)]
        places = asyncio.Semaphore(AT_ONCE)

        async def one(given: Json) -> tuple[Case, float]:
            async with places:
                return await _run(appliance, workflow, given)

        for start in range(0, len(others), REPORT_EVERY):
            taken += await asyncio.gather(*map(one, others[start : start + REPORT_EVERY]))
            report(f"{len(taken)} of {len(asked)} runs")
        return [case for case, _ in taken], patterns_of(workflow), statistics.median(ms for _, ms in taken)
    finally:
        await appliance.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def _run(appliance: Appliance, workflow: Workflow, given: Json) -> tuple[Case, float]:
    began = time.perf_counter()
    asks = await appliance.preflights.asks(workflow, given)
    counted_ms = (time.perf_counter() - began) * 1_000
    run = await appliance.engine.submit(workflow, given, actor="bench")
    lesson = lesson_of(await appliance.engine.wait(run))
    assert lesson is not None, "a run that has settled teaches something"
    return Case(asks=tuple(asks), lesson=lesson), counted_ms


def _point(learned: Sequence[Case], held_out: Sequence[Case], structure: Sequence[Pattern]) -> Curve:
    known = Calibration([case.lesson for case in reversed(learned)], held_out[0].lesson.definition)
    tokens, money, within = [], [], 0
    for case in held_out:
        forecast = preflight(case.asks, structure, known)
        took = case.usage.input_tokens + case.usage.output_tokens
        tokens.append(abs(forecast.tokens.p50 - took) / max(1, took))
        money.append(abs(forecast.usd_micros.p50 - case.usage.cost_usd_micros) / max(1, case.usage.cost_usd_micros))
        within += took <= forecast.tokens.p95
    return Curve(
        runs=len(learned),
        tokens_median_ratio=statistics.median(tokens),
        tokens_p90_ratio=sorted(tokens)[int(0.9 * len(tokens))],
        usd_median_ratio=statistics.median(money),
        within_p95_ratio=within / len(held_out),
    )


def _row(point: Curve) -> dict[str, float]:
    return {
        "tokens, median error %": 100 * point.tokens_median_ratio,
        "tokens, p90 error %": 100 * point.tokens_p90_ratio,
        "money, median error %": 100 * point.usd_median_ratio,
        "runs within p95 %": 100 * point.within_p95_ratio,
    }


def _shuffled(text: str) -> bytes:
    return sha256(text.encode()).digest()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
