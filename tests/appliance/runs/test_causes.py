"""Runs that were broken on purpose, each in its own way: `af runs why` names the first cause on one screen."""

import asyncio
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import msgspec
import pytest

from appliance.cli.root import af
from appliance.cli.terminal import width
from appliance.cli.why import why_report
from appliance.config.settings import load_settings
from appliance.runs.causes import WhyView, manual_of, why_view
from appliance.wiring import Appliance
from runtime.domain.ids import DefinitionHash, RunId
from runtime.domain.workflow import Workflow
from runtime.engine.clock import ManualClock, SystemClock
from tests.appliance.breaks import ACTIONS, BREAKS, Break

SCREEN_LINES, SCREEN_COLUMNS = 24, 80


class Desk:
    """An appliance in which one workflow breaks."""

    def __init__(self, folder: Path, broken: Break) -> None:
        self.folder = folder
        self.broken = broken
        self.clock = ManualClock() if broken.minutes else SystemClock()
        (folder / "actions.py").write_text(ACTIONS)
        (folder / "workflow.yaml").write_text(broken.definition)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Appliance]:
        """One process."""
        settings = load_settings(self.folder / "data", {})
        appliance = Appliance(msgspec.structs.replace(settings, durability="normal", drain_s=0.0))
        appliance.clock = self.clock  # type: ignore[assignment]  # another of its port
        await appliance.start()
        try:
            yield appliance
        finally:
            await appliance.stop()

    async def run(self, appliance: Appliance, given: dict[str, object]) -> RunId:
        """Ask for a run."""
        workflow = await appliance.workflows.find(str(self.folder), allow_paths=True)
        return await appliance.engine.submit(workflow, given, actor="me")  # type: ignore[arg-type]  # it is JSON


@pytest.mark.parametrize("name", BREAKS)
async def test_the_first_cause_is_named_on_one_screen(name: str, tmp_path: Path) -> None:
    """What an operator who sees the system for the first time has to find in seconds."""
    broken = BREAKS[name]
    view = await _broken(Desk(tmp_path, broken))
    assert view.first is not None
    assert (broken.code, broken.step, broken.kind) == (view.first.code, view.first.step, view.first.kind)
    assert broken.chain == tuple(link.code for link in view.chain)
    screen = click.unstyle(why_report(view))
    lines = screen.splitlines()
    assert len(lines) < SCREEN_LINES, screen
    assert max(map(len, lines)) <= SCREEN_COLUMNS, screen
    told = " ".join(screen.split())
    assert [] == [words for words in broken.tells if words not in told], screen
    assert broken.code in screen
    assert view.next, "there is always something to look at"
    for each in view.next:
        _parse(each.command)


async def test_long_names_and_wide_letters_fit_on_the_screen_too(tmp_path: Path) -> None:
    """A terminal wraps what is too long, and pushes the cause off its top."""
    view = await _broken(Desk(tmp_path, BREAKS["a replan"]))
    assert view.first is not None
    first = msgspec.structs.replace(view.first, message="日本語のとても長いメッセージ" * 40)
    screen = why_report(msgspec.structs.replace(view, workflow="w" * 64, first=first))
    assert [] == [line for line in screen.splitlines() if width(line) > SCREEN_COLUMNS]
    assert len(screen.splitlines()) < SCREEN_LINES
    assert view.run_id in screen.splitlines()[0]


async def test_the_same_again_is_counted_and_something_else_is_not(tmp_path: Path) -> None:
    """A signature leaves out what is of one run alone, and keeps the place and the definition."""
    desk = Desk(tmp_path, BREAKS["an expired human task"])
    async with desk.open() as appliance:
        first = await _ended(appliance, await desk.run(appliance, {"text": "bad"}))
        other = await _ended(appliance, await desk.run(appliance, {"text": "bad indeed", "approved": True}))
        again = await _ended(appliance, await desk.run(appliance, {"text": "bad"}))
        views = {run: await _why(appliance, run) for run in (first, other, again)}
    signatures = {run: view.signature.id for run, view in views.items() if view.signature}
    assert signatures[first] == signatures[again] != signatures[other]
    seen = views[again].signature
    assert seen is not None
    assert (1, 0, 2, [first]) == (seen.before, seen.since, seen.looked_at, seen.runs)
    seen = views[first].signature
    assert seen is not None
    assert (0, 1) == (seen.before, seen.since)


async def test_a_definition_that_was_changed_is_the_first_thing_to_look_at(tmp_path: Path) -> None:
    """It ran until somebody changed it."""
    desk = Desk(tmp_path, BREAKS["a time-out"])
    async with desk.open() as appliance:
        await _ended(appliance, await desk.run(appliance, {"text": "fine"}))
        changed = (tmp_path / "workflow.yaml").read_text().replace("timeout: 50ms", "timeout: 40ms")
        (tmp_path / "workflow.yaml").write_text(changed)
        view = await _why(appliance, await _ended(appliance, await desk.run(appliance, {"text": "bad"})))
    assert ["agent 'look' is different: timeout"] == view.changes or view.changes
    assert "the definition: " in why_report(view)


async def test_a_run_that_has_not_failed_says_so(tmp_path: Path) -> None:
    """And what it waits for."""
    desk = Desk(tmp_path, BREAKS["an expired human task"])
    (tmp_path / "workflow.yaml").write_text(desk.broken.definition.replace("timeout: 20ms, ", ""))
    async with desk.open() as appliance:
        run = await desk.run(appliance, {"text": "bad"})
        await appliance.engine.wait(run)
        view = await _why(appliance, run)
    assert ("waiting", None, "it waits for signal approved") == (view.status, view.first, view.meaning)
    assert f"af runs signal {run} approved" in why_report(view)


def test_what_the_manual_says_is_words_without_links() -> None:
    """A terminal follows none."""
    told = [text for code in ("template.failed", "file.not_found") for text in manual_of(code)]
    assert "see workflows.md" in told[1]
    assert [] == [text for text in told if "](" in text]


def _parse(command: str) -> None:
    """Raise click's UsageError for what cannot be typed like this."""
    found: click.Command = af
    ctx, words = click.Context(af), shlex.split(command)
    while isinstance(found, click.Group):
        _, chosen, words = found.resolve_command(ctx, words)
        assert chosen is not None, command
        found, ctx = chosen, click.Context(chosen, parent=ctx)
    found.make_context(found.name, words)


async def _broken(desk: Desk) -> WhyView:
    """Two runs that succeed, where there are such, and one that fails."""
    async with desk.open() as appliance:
        for _ in range(2 if desk.broken.good is not None else 0):
            state = await appliance.engine.wait(await desk.run(appliance, dict(desk.broken.good or {})))
            assert "succeeded" == state.status, state.error
        run = await desk.run(appliance, dict(desk.broken.bad))
        if not desk.broken.minutes:
            return await _why(appliance, await _ended(appliance, run))
    assert isinstance(desk.clock, ManualClock)
    desk.clock.advance(desk.broken.minutes * 60)
    async with desk.open() as appliance:
        return await _why(appliance, await _ended(appliance, run))


async def _ended(appliance: Appliance, run: RunId) -> RunId:
    await appliance.engine.ended(run)
    return run


async def _why(appliance: Appliance, run: RunId) -> WhyView:
    async def pinned(definition: DefinitionHash) -> Workflow | None:
        return await appliance.workflows.pinned(definition)

    async with asyncio.timeout(60):
        return await why_view(appliance.store, pinned, run)
