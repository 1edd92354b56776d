"""`af dev`: check a project at every save, run the scenarios that a change touches, and serve it as it is now."""

from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.interrupts import ended_as_by_ctrl_c
from appliance.cli.scenarios import DEFAULT_JOBS, PROJECT
from appliance.cli.serve import run_server
from runtime.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from appliance.config.settings import Settings
    from appliance.wiring import Appliance

DRAIN_S = 2.0
"""What runs at the end has this long; it goes on at the next start else."""


@click.command(
    cls=Command,
    examples="""
        af dev
        af dev ./my-desk --test
        af dev ./my-desk --serve --listen 127.0.0.1:8700
    """,
)
@click.argument("project", default=".", type=PROJECT)
@click.option("--test", "runs_all", is_flag=True, help="Run all scenarios, now and at every change.")
@click.option("--serve", "serves", is_flag=True, help="Serve the HTTP API too; new runs use what was saved last.")
@click.option("--listen", metavar="HOST:PORT", help="With --serve: where to listen; port 0 takes a free one.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), metavar="N", default=DEFAULT_JOBS, show_default=True, help="Runs at once."
)
@pass_af
def dev(af: Af, project: Path, *, runs_all: bool, serves: bool, listen: str | None, jobs: int) -> None:
    """Watch the files of a project: check it at every save, and run the scenarios that the change touches.

    Scenarios run as with af test, in a data folder of their own that is removed at the end. With --serve the project
    can be run by its name over the API, in your data folder: new runs use the definition that was saved last, runs
    that have begun keep theirs. Ctrl-C ends it.
    """
    if listen is not None and not serves:
        raise click.UsageError("--listen goes with --serve")
    from appliance.loader import FILE

    if not project.exists() or (project.is_dir() and not (project / FILE).exists()):
        raise NotFound("dev.no_project", f"there is no {FILE} in {str(project)!r}; name a project's folder or its file")
    from appliance.own_folder import temporary_folder
    from appliance.scenarios.running import settings_for_tests, take_tools

    with (
        ended_as_by_ctrl_c(),
        temporary_folder("dev") as folder,
    ):
        take_tools(af.settings, folder)
        tests = settings_for_tests(af.settings, folder)
        af.is_rehearsal = not serves
        if serves:
            settings = msgspec.structs.replace(af.settings, drain_s=min(af.settings.drain_s, DRAIN_S))

            def watch(on: "Appliance") -> "Coroutine[object, object, None]":
                return _watch(af, project, tests, runs_all=runs_all, jobs=jobs, on=on)

            run_server(af, settings, what="af dev", listen=listen, beside=watch)
        else:
            with suppress(KeyboardInterrupt):  # there is no other way to end it
                af.run_sealed(_watch(af, project, tests, runs_all=runs_all, jobs=jobs))
            af.terminal.note("no longer watching")


async def _watch(
    af: Af, project: Path, tests: "Settings", *, runs_all: bool, jobs: int, on: "Appliance | None" = None
) -> None:
    """Watch until cancelled; `on`: an appliance that new runs are asked of."""
    import asyncio

    from appliance.cli.developing import Development, develop
    from appliance.watching import changes, look
    from runtime.domain.workflow import Workflow

    async def offer(workflow: Workflow) -> None:
        assert on is not None, "there is one where definitions are offered"
        await on.workflows.develop(workflow)

    development = Development(
        af, project, tests=tests, offer=offer if on is not None else None, jobs=jobs, runs_all=runs_all
    )
    before = look(development.folder)
    count = len(before)
    af.terminal.say(f"watching {development.folder}: {count} file{'' if count == 1 else 's'}; Ctrl-C ends")
    async with aclosing(changes(development.folder, before, asyncio.sleep)) as changing:
        await develop(development, changing)
