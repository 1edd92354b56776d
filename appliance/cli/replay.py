"""`af replay`: decide runs again from their journals, and name the first difference."""

from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.units import counted
from appliance.cli.words import RUN

if TYPE_CHECKING:
    from appliance.cli.journal import Store
    from appliance.workflows import WorkflowCatalogue
    from runtime.domain.ids import DefinitionHash, RunId
    from runtime.ports import Planner


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What replaying one run showed."""

    run_id: str
    is_equal: bool
    workflow: str = ""
    status: str = ""
    decisions: int = 0
    """Events that were decided on again."""
    entries: int = 0
    decision_digest: str = ""
    """SHA-256 over every command that the journal holds, in order."""
    divergence: str | None = None


@click.command(
    cls=Command,
    examples="""
        af replay last --check
        af replay last --from 7
        af replay --all --check
        af replay last --check --json | jq .decision_digest
    """,
)
@click.argument("run", type=RUN, required=False)
@click.option("--check", is_flag=True, help="Compare with what was recorded; this is what it does anyway.")
@click.option("--from", "from_seq", type=click.IntRange(1), metavar="SEQ", help="Begin at this entry, not the first.")
@click.option("--all", "is_all", is_flag=True, help="Every run in the data folder.")
@pass_af
def replay(af: Af, run: str | None, *, check: bool, from_seq: int | None, is_all: bool) -> int:
    """Decide RUN again from its journal. Nothing is run: recorded results are fed to the planner.

    Exit code 1, and the first difference, when a decision comes out otherwise than it was recorded.
    """
    if (run is None) is not is_all:
        raise click.UsageError("name one RUN, or say --all")
    if is_all and from_seq is not None:
        raise click.UsageError("--from goes with one RUN")
    return af.run(_replay(af, run, from_seq or 1))


async def _replay(af: Af, name: str | None, from_seq: int) -> int:
    from appliance.cli.journal import find_run, open_journal, reading_catalogue

    async with open_journal(af.settings) as store:
        judge = _Judge(store, reading_catalogue(store, af.settings.data))
        if name is None:
            return await _replay_all(af, store, judge)
        verdict = await judge.verdict(await find_run(store, name), from_seq=from_seq)
    _draw(af, verdict)
    af.terminal.document(verdict)
    return 0 if verdict.is_equal else 1


async def _replay_all(af: Af, store: "Store", judge: "_Judge") -> int:
    from appliance.cli.journal import run_ids
    from appliance.cli.terminal import StatusLine

    different: list[Verdict] = []
    runs = decisions = 0
    with StatusLine(af.terminal) as line:
        async for run in run_ids(store):
            verdict = await judge.safe_verdict(run)
            runs, decisions = runs + 1, decisions + verdict.decisions
            line.show(f"{runs:,} runs replayed")
            if not verdict.is_equal:
                different.append(verdict)
                line.clear()
                _draw(af, verdict)
    outcome = click.style(f"{len(different):,} differ", fg="red") if different else click.style("all equal", fg="green")
    af.terminal.say(f"{counted(runs, 'run')}, {counted(decisions, 'decision')} made again: {outcome}")
    af.terminal.document({"runs": runs, "decisions": decisions, "different": different})
    return 1 if different else 0


class _Judge:
    """Replays runs; a planner is built once per definition."""

    def __init__(self, store: "Store", catalogue: "WorkflowCatalogue") -> None:
        self._store = store
        self._catalogue = catalogue
        self._planners: dict[DefinitionHash, Planner] = {}

    async def safe_verdict(self, run: "RunId") -> Verdict:
        """The verdict; a run that cannot be read or planned is one that differs."""
        from runtime.errors import AgentFlowError

        try:
            return await self.verdict(run)
        except AgentFlowError as error:
            return Verdict(run_id=run, is_equal=False, divergence=str(error))

    async def verdict(self, run: "RunId", *, from_seq: int = 1) -> Verdict:
        """Replay one run from an entry on. Raises Corrupt, NotFound, Unavailable; Invalid for no such entry."""
        from appliance.cli.journal import entries
        from runtime.domain.history import seq_at
        from runtime.domain.run import fold
        from runtime.engine.replay import decision_digest, definitions_of
        from runtime.engine.replay import replay as decide_again

        journal = await entries(self._store, run)
        state = fold(run, journal)
        seq_at(run, journal, str(from_seq))
        planners = {each: await self._planner(each) for each in definitions_of(journal)}
        found = decide_again(run, journal, planners[definitions_of(journal)[0]], others=planners, from_seq=from_seq)
        return Verdict(
            run_id=run,
            workflow=state.workflow,
            status=state.status,
            is_equal=found.divergence is None,
            decisions=found.decisions,
            entries=len(journal),
            decision_digest=decision_digest(journal),
            divergence=str(found.divergence) if found.divergence else None,
        )

    async def _planner(self, definition: "DefinitionHash") -> "Planner":
        from runtime.planners.lifecycle import planner_for

        if definition not in self._planners:
            self._planners[definition] = planner_for(await self._catalogue.pinned(definition))
        return self._planners[definition]


def _draw(af: Af, verdict: Verdict) -> None:
    from appliance.cli.terminal import printable

    word = click.style("✓ equal", fg="green") if verdict.is_equal else click.style("✗ differs", fg="red")
    af.terminal.say(f"{word}  {verdict.run_id}  {counted(verdict.decisions, 'decision')} made again")
    if verdict.divergence:
        af.terminal.say(f"  {printable(verdict.divergence)}")
    if verdict.decision_digest:
        af.terminal.say(click.style(f"  digest  {verdict.decision_digest}", dim=True))
