"""`af bench`: what this machine and this build do, against what is promised."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.terminal import StatusLine, table
from appliance.cli.words import WORKFLOW

if TYPE_CHECKING:
    from appliance.bench.engine import Goal, Result


@click.group(cls=Group, examples="af bench engine")
def bench() -> None:
    """Measure this machine and this build."""


@bench.command(
    "engine",
    examples="""
        af bench engine
        af bench engine --peers DIR --venvs DIR
    """,
)
@click.option(
    "--passes",
    type=click.IntRange(1, 20),
    metavar="N",
    default=3,
    show_default=True,
    help="The median of so many counts.",
)
@click.option(
    "--sequential", type=click.IntRange(1), metavar="N", default=60, show_default=True, help="Runs one after another."
)
@click.option("--concurrent", type=click.IntRange(1), metavar="N", default=50, show_default=True, help="Runs at once.")
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Where to write; otherwise in the data folder.")
@click.option("--peers", type=click.Path(path_type=Path), help="Scripts that do the same with other engines.")
@click.option("--venvs", type=click.Path(path_type=Path), help="Their environments, one per peer.")
@pass_af
def bench_engine(
    af: Af,
    *,
    passes: int,
    sequential: int,
    concurrent: int,
    folder: Path | None,
    peers: Path | None,
    venvs: Path | None,
) -> int:
    """Measure a durable workflow of ten steps, against a bare database driver and peers, in turns.

    Exit code 1 when a promise is not kept. A busy machine moves rates, hardly the ratios.
    """
    from appliance.bench.engine import bench as measure

    place = folder or af.settings.data / "bench"
    place.mkdir(parents=True, exist_ok=True)
    with StatusLine(af.terminal) as line:

        def report(text: str) -> None:
            if af.terminal.shows_progress:
                line.show(f"▸ {text} …")
            else:
                af.terminal.note(text)

        found = measure(
            passes=passes,
            sequential=sequential,
            concurrent=concurrent,
            folder=place,
            peers=peers,
            venvs=venvs,
            report=report,
        )
    return _told(af, found)


@bench.command(
    "redaction",
    examples="""
        af bench redaction
        af bench redaction --payloads 200 --streams 1000 --no-names
    """,
)
@click.option(
    "--payloads",
    type=click.IntRange(1),
    metavar="N",
    default=1_000,
    show_default=True,
    help="Made-up payloads to redact.",
)
@click.option(
    "--streams",
    type=click.IntRange(1),
    metavar="N",
    default=10_000,
    show_default=True,
    help="Streamed answers, cut at random.",
)
@click.option("--no-names", "without_names", is_flag=True, help="Measure the pattern pass alone.")
@pass_af
def bench_redaction(af: Af, *, payloads: int, streams: int, without_names: bool) -> int:
    """Measure what redaction lets through, what it destroys and what it costs, on payloads made up from a seed.

    Exit code 1 when a promise is not kept.
    """
    from appliance.bench.redaction import bench as measure

    found = measure(streams=streams, payloads=payloads, with_names=not without_names, report=_progress(af))
    return _told(af, found)


@bench.command("gateway", examples="af bench gateway --json")
@click.option(
    "--calls", type=click.IntRange(10), metavar="N", default=600, show_default=True, help="Calls of each kind."
)
@pass_af
def bench_gateway(af: Af, *, calls: int) -> int:
    """Measure what the gateway adds to a call, and the event loop's lag with 32 clients at the local model.

    Exit code 1 when a promise is not kept.
    """
    from appliance.bench.gateway import bench as measure

    folder = af.settings.models_folder
    found = measure(calls=calls, models=folder, report=_progress(af))
    return _told(af, found)


@bench.command(
    "ticks",
    examples="""
        af bench ticks
        af bench ticks --peers DIR --venvs DIR
    """,
)
@click.option(
    "--rounds", type=click.IntRange(1, 100), metavar="N", default=7, show_default=True, help="The best of so many."
)
@click.option("--peers", type=click.Path(path_type=Path), help="Scripts that do the same with other engines.")
@click.option("--venvs", type=click.Path(path_type=Path), help="Their environments, one per peer.")
@pass_af
def bench_ticks(af: Af, *, rounds: int, peers: Path | None, venvs: Path | None) -> int:
    """Measure a tick of a behaviour tree of 31 nodes, against the same tree in plain Python and py_trees, in turns.

    Exit code 1 when a promise is not kept.
    """
    from appliance.bench.ticks import bench as measure

    found = measure(rounds=rounds, peers=peers, venvs=venvs, report=_progress(af))
    return _told(af, found)


@bench.command(
    "tui",
    examples="""
        af bench tui
        af bench tui --runs 10000 --rate 100 --seconds 60 --columns 200 --lines 60
    """,
)
@click.option("--runs", type=click.IntRange(1, 20_000), metavar="N", default=10_000, show_default=True, help="Listed.")
@click.option(
    "--rate", type=click.FloatRange(1, 1_000), metavar="N", default=100.0, show_default=True, help="Entries a second."
)
@click.option(
    "--seconds", type=click.FloatRange(5), metavar="N", default=20.0, show_default=True, help="How long to watch."
)
@click.option("--columns", type=click.IntRange(80), metavar="N", default=120, show_default=True)
@click.option("--lines", type=click.IntRange(24), metavar="N", default=36, show_default=True)
@pass_af
def bench_tui(af: Af, *, runs: int, rate: float, seconds: float, columns: int, lines: int) -> int:
    """Measure the dashboard: lag and CPU while entries come in.

    Exit code 1 when a promise is not kept.
    """
    from appliance.bench.tui import bench as measure

    found = measure(
        runs=runs,
        per_s=rate,
        seconds=seconds,
        size=(columns, lines),
        report=_progress(af),
    )
    return _told(af, found)


@bench.command(
    "estimate",
    examples="""
        af bench estimate --questions train.csv
        af bench estimate --questions train.csv --runs 1000 --plot curve.svg --json
    """,
)
@click.option("--workflow", type=WORKFLOW, default="support", show_default=True, help="What is run.")
@click.option(
    "--questions",
    type=click.Path(path_type=Path),
    required=True,
    help="Its inputs: a CSV with a column `text`, or lines of JSON.",
)
@click.option("--runs", type=click.IntRange(2), metavar="N", default=100, show_default=True, help="How many are run.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the curve into this .svg file.")
@pass_af
def bench_estimate(af: Af, *, workflow: str, questions: Path, runs: int, plot: Path | None) -> int:
    """Measure how far off the estimate of a run is, over the number of past runs that it was learned from.

    Runs real questions with the models of this machine, a second or two each, in a folder of its own. Exit code 1 when
    a promise is not kept.
    """
    from appliance.bench.estimate import bench as measure
    from appliance.bench.estimate import drawing

    if plot is not None and plot.suffix != ".svg":
        raise click.UsageError(f"--plot draws SVG; name a file that ends in .svg, not {plot.name!r}")
    found, points = measure(
        settings=af.settings,
        workflow=workflow,
        questions=questions,
        runs=runs,
        report=_progress(af),
    )
    if plot is not None:
        plot.write_text(drawing(points), "utf-8")
    return _told(af, found)


@bench.command(
    "determinism",
    examples="""
        af bench determinism
        af bench determinism --runs 100 --model smollm2-135m-instruct --json
    """,
)
@click.option(
    "--runs", type=click.IntRange(20), metavar="N", default=20, show_default=True, help="Runs alone, and in kills."
)
@click.option("--at-once", type=click.IntRange(2), metavar="N", default=50, show_default=True, help="Runs at once.")
@click.option("--model", metavar="MODEL", help="Makes the plans of `llm`; otherwise the local chat model.")
@pass_af
def bench_determinism(af: Af, *, runs: int, at_once: int, model: str | None) -> int:
    """Measure how often equal inputs come to equal decisions, for each kind of planner.

    Runs alone, at once, and in a process that is killed and taken up again; minutes with a local model. Exit code 1
    when a promise is not kept.
    """
    from appliance.bench.determinism import bench as measure
    from models.catalog import CHAT_MODEL

    place = af.settings.data / "bench"
    place.mkdir(parents=True, exist_ok=True)
    found = measure(
        runs=runs,
        at_once=at_once,
        model=model or CHAT_MODEL,
        folder=place,
        models=af.settings.models_folder,
        report=_progress(af),
    )
    return _told(af, found)


@bench.command("audit", examples="af bench audit --records 1000000")
@click.option(
    "--records", type=click.IntRange(1_000), metavar="N", default=100_000, show_default=True, help="How many to verify."
)
@pass_af
def bench_audit(af: Af, *, records: int) -> int:
    """Measure what a line of the audit log costs to write, and how long a log takes to verify, journal included.

    Exit code 1 when a promise is not kept.
    """
    from appliance.bench.audit import bench as measure

    place = af.settings.data / "bench"
    place.mkdir(parents=True, exist_ok=True)
    found = measure(records=records, folder=place, report=_progress(af))
    return _told(af, found)


@bench.command(
    "bus",
    short_help="Measure how long a message takes to a subscriber.",
    examples="""
        af bench bus
        af bench bus --rate 1000 --seconds 10 --json
    """,
)
@click.option(
    "--rate", type=click.IntRange(10, 100_000), metavar="N", default=1_000, show_default=True, help="Messages a second."
)
@click.option(
    "--seconds", type=click.FloatRange(1), metavar="N", default=3.0, show_default=True, help="Length of each pass."
)
@click.option(
    "--passes", type=click.IntRange(1, 20), metavar="N", default=5, show_default=True, help="The best of so many."
)
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Where to write; otherwise in the data folder.")
@pass_af
def bench_bus(af: Af, *, rate: int, seconds: float, passes: int, folder: Path | None) -> int:
    """Measure how long an entry takes from its append to a subscriber, durable in between, against the bare disk.

    Once with `durability: full` and once with `normal`. Exit code 1 when a promise is not kept. A busy machine or disk
    moves times, hardly the ratios.
    """
    from appliance.bench.bus import bench as measure

    place = folder or af.settings.data / "bench"
    place.mkdir(parents=True, exist_ok=True)
    found = measure(
        rate=rate,
        seconds=seconds,
        passes=passes,
        folder=place,
        report=_progress(af),
    )
    return _told(af, found)


@bench.command(
    "soak",
    examples="""
        af bench soak --minutes 1
        af bench soak --minutes 30 --json
    """,
)
@click.option(
    "--minutes", type=click.FloatRange(0.1, 10_080), metavar="N", default=1.0, show_default=True, help="For how long."
)
@click.option(
    "--at-once", type=click.IntRange(1, 1_000), metavar="N", default=50, show_default=True, help="Workflows at once."
)
@pass_af
def bench_soak(af: Af, *, minutes: float, at_once: int) -> int:
    """Run workflows at once for so long, then replay every journal: memory, open files, the event loop's lag.

    The models are scripted, the store and all else are real, in a folder of their own. Exit code 1 when a promise is
    not kept.
    """
    from appliance.bench.soak import bench as measure

    place = af.settings.data / "bench"
    place.mkdir(parents=True, exist_ok=True)
    found = measure(
        settings=af.settings,
        minutes=minutes,
        at_once=at_once,
        folder=place,
        report=_progress(af),
    )
    return _told(af, found)


@bench.command(
    "sandbox",
    examples="""
        af bench sandbox
        af bench sandbox --battery --json
    """,
)
@click.option(
    "--rounds", type=click.IntRange(1, 1_000), metavar="N", default=20, show_default=True, help="Starts of each."
)
@click.option("--battery", is_flag=True, help="Also try to get out of each, and count what does.")
@pass_af
def bench_sandbox(af: Af, *, rounds: int, battery: bool) -> int:
    """Measure what a start of a small program costs in each sandbox, in turns with a bare interpreter.

    With --battery it tries to get out of each sandbox in many ways; the programs are harmless where they are held.
    Exit code 1 when a promise is not kept.
    """
    from appliance.bench.sandbox import bench as measure
    from appliance.tools.sandboxes import sandboxes

    every = sandboxes(af.settings.sandbox, af.data_folder)
    with StatusLine(af.terminal) as line:
        found = measure(every=every, rounds=rounds, with_battery=battery, report=lambda text: line.show(f"▸ {text} …"))
    return _told(af, found)


def _progress(af: Af) -> Callable[[str], None]:
    return lambda text: af.terminal.note(f"▸ {text} …")


def _told(af: Af, found: "Result") -> int:
    """Print what was measured, and give the exit code: 1 when a promise is not kept."""
    _draw(af, found)
    af.terminal.document(found)
    return 0 if all(goal.is_met for goal in found.goals) else 1


def _draw(af: Af, found: "Result") -> None:
    names = list(found.rows)
    figures = list(dict.fromkeys(figure for row in found.rows.values() for figure in row))
    rows = [(figure, *(_number(found.rows[name].get(figure)) for name in names)) for figure in figures]
    af.terminal.say(table(("", *names), rows, right=range(1, len(names) + 1)))
    af.terminal.say()
    af.terminal.say(table(("PROMISE", "LIMIT", "MEASURED", ""), [_goal(goal) for goal in found.goals], right=(1, 2)))
    for note in found.notes:
        af.terminal.note(note)


def _goal(goal: "Goal") -> tuple[str, str, str, str]:
    sign = "≥" if goal.at_least else "≤"
    mark = click.style("✓", fg="green") if goal.is_met else click.style("✗", fg="red")
    return goal.name, f"{sign} {_number(goal.limit)}", _number(goal.value), mark


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
