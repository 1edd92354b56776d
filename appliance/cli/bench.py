"""`af bench`: measure this machine, and hold the figures against what is promised."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Command, Group
from appliance.cli.context import Af, pass_af
from appliance.cli.terminal import StatusLine, table

if TYPE_CHECKING:
    from appliance.bench.engine import Result

FOLDER = click.Path(file_okay=False, exists=True, path_type=Path)
COLUMNS = (
    ("seq_steps_s_best", "steps/s alone"),
    ("con_steps_s_best", "many at once"),
    ("seq_cpu_us_step", "CPU µs/step alone"),
    ("con_cpu_us_step", "many"),
    ("bytes_per_workflow", "bytes/run"),
)


@click.group(cls=Group, examples="af bench engine")
def bench() -> None:
    """Measure what the appliance costs on this machine, as ratios within one run."""


@bench.command(
    "engine",
    cls=Command,
    examples="""
        af bench engine
        af bench engine --peers bench/peers --venvs /srv/venvs --passes 3
        af bench engine --folder /dev/shm --json
    """,
)
@click.option("--passes", default=3, show_default=True, type=click.IntRange(1, 50), help="Turns that everybody takes.")
@click.option("--sequential", default=20, show_default=True, type=click.IntRange(1, 10_000), help="Runs one at a time.")
@click.option("--concurrent", default=50, show_default=True, type=click.IntRange(2, 1_000), help="Runs at once.")
@click.option("--folder", type=FOLDER, help="Where databases are made; default: the system's folder for such files.")
@click.option("--peers", type=FOLDER, help="Folder of peer scripts (bench_*.py), to be run in turn with the engine.")
@click.option("--venvs", type=FOLDER, help="One virtual environment per peer; default: venvs in the peers' folder.")
@pass_af
def engine(
    af: Af, passes: int, sequential: int, concurrent: int, folder: Path | None, peers: Path | None, venvs: Path | None
) -> None:
    """Run a durable ten-step workflow, without a model, against the bare database driver and against peers.

    Exits with 1 when a goal is missed.
    """
    from appliance.bench.engine import bench as measure

    with StatusLine(af.terminal) as line:
        result = measure(
            passes=passes,
            sequential=sequential,
            concurrent=concurrent,
            folder=folder,
            peers=peers,
            venvs=venvs,
            report=line.show,
        )
    _draw(af, result)
    goals = [{**msgspec.to_builtins(goal), "is_met": goal.is_met} for goal in result.goals]
    af.terminal.document({**msgspec.to_builtins(result), "goals": goals})
    if not all(goal.is_met for goal in result.goals):
        raise click.exceptions.Exit(1)


def _draw(af: Af, result: "Result") -> None:
    rows = [
        [name, *(f"{row[key]:,.0f}" if key in row else "–" for key, _ in COLUMNS)] for name, row in result.rows.items()
    ]
    af.terminal.say(table(["", *(title for _, title in COLUMNS)], rows, right=range(1, len(COLUMNS) + 1)))
    af.terminal.say()
    goals = [
        [
            "ok" if goal.is_met else "MISSED",
            goal.name,
            f"{goal.value:,.3g}",
            f"{'≥' if goal.at_least else '≤'} {goal.limit:g}",
        ]
        for goal in result.goals
    ]
    af.terminal.say(table(["", "goal", "measured", "promised"], goals, right=(2, 3)))
    for note in result.notes:
        af.terminal.note(f"note: {note}")
