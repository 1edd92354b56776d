"""`af simulate`: what a plan would do, were its steps to come to this."""

import asyncio
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.documents import read_document, read_input
from appliance.cli.report import arrows, status
from appliance.cli.terminal import printable
from appliance.cli.words import WORKFLOW
from runtime.domain.telling import decided, told
from runtime.domain.units import span

if TYPE_CHECKING:
    from runtime.domain.canonical import Json
    from runtime.domain.workflow import Workflow
    from runtime.engine.simulate import Beat, Simulation


@click.command(
    cls=Command,
    examples="""
        af simulate support --outcomes outcomes.yaml
        echo '{"search": "F"}' | af simulate ./my-project --outcomes -
        af simulate support --outcomes outcomes.yaml --json | jq .path
        af simulate ./fraud --agent risk_scorer --outcomes outcomes.yaml
        af simulate tree.xml --outcomes outcomes.json --ticks 5 --json
    """,
)
@click.argument("workflow", type=WORKFLOW)
@click.option("--outcomes", required=True, metavar="FILE", help="YAML or JSON, state: outcome; - reads stdin.")
@click.option("--input", "given", metavar="JSON", help="The run's input: JSON, @FILE, or - for stdin.")
@click.option(
    "--ticks", type=click.IntRange(1, 10_000), metavar="N", help="Tick a behaviour tree N times, with scripted leaves."
)
@click.option("--agent", metavar="NAME", help="Drive the plan of this agent's own, or the workflow that it runs.")
@pass_af
def simulate(af: Af, workflow: str, outcomes: str, given: str | None, ticks: int | None, agent: str | None) -> None:
    """Drive the planner of WORKFLOW with scripted results. No agent, model or store is touched.

    \b
    An outcome is
      S or F         success with {}, or failure; FS fails first, then succeeds
      output: {…}    success with this output
      error: {code, message, retryable}
      signal: {…}    somebody answers a waiting state with this
    or a list of these, taken in turn by visits and retries; the last repeats.
    A state that is not named succeeds with {}; a quality gate passes.

    With --ticks, WORKFLOW may also be a behaviour tree alone, in YAML or XML, and an outcome is a row of S (success),
    F (failure) and R (running), taken in turn by the calls of that leaf; time limits never pass.
    """
    if ticks is not None:
        from appliance.cli.simulate_tree import simulate_tree

        if given is not None or agent is not None:
            raise click.UsageError("--ticks drives a tree by its outcomes alone; leave --input and --agent out")
        simulate_tree(af, workflow, outcomes=outcomes, ticks=ticks)
        return
    if workflow.endswith(".xml"):
        raise click.UsageError("a behaviour tree alone is ticked: add --ticks N")
    from appliance.cli.catalogue import find_definition
    from runtime.engine.simulate import script_of, simulate

    if outcomes == "-" and given == "-":
        raise click.UsageError("only one of --outcomes and --input can be read from stdin")
    definition = _plan_of(asyncio.run(find_definition(af.settings, workflow)), agent)
    script = script_of(read_document(outcomes, "--outcomes"))
    simulation = simulate(definition, read_input(given), script)
    _draw(af, simulation)
    for name in simulation.unused:
        af.terminal.complain(f"warning: outcomes name {name!r}, which this run never entered")
    af.terminal.document(_document(simulation, definition.name, definition.hash))


def _plan_of(workflow: "Workflow", agent: str | None) -> "Workflow":
    """What is driven: the workflow, or what one of its agents runs. Raises NotFound for one that runs nothing."""
    from runtime.domain.ids import AgentId
    from runtime.errors import NotFound

    if agent is None:
        return workflow
    spec = workflow.agents.get(AgentId(agent))
    if spec is not None and spec.subrun is not None:
        return spec.subrun.workflow
    planned = ", ".join(repr(str(name)) for name, each in workflow.agents.items() if each.subrun is not None)
    raise NotFound(
        "agent.no_plan",
        f"agent {agent!r} of workflow {workflow.name!r} has no plan of its own; those that have: {planned or 'none'}",
    )


def _draw(af: Af, simulation: "Simulation") -> None:
    started_us = simulation.state.started_us
    for beat in simulation.beats:
        at = span((beat.at_us - started_us) / 1_000)
        af.terminal.say(f"{at:>10}  {beat.event.TYPE:<17} {_without_input(beat)}".rstrip())
        for command in beat.commands:
            af.terminal.say(click.style(f"{'':>12}→ {command.TYPE:<15} {printable(decided(command))}", fg="cyan"))
    af.terminal.say(f"\n{arrows(simulation.state.path)}\n\n{status(simulation.state.status)}")
    if simulation.state.error is not None:
        af.terminal.say(f"  {simulation.state.error.code}: {simulation.state.error.message}")


def _without_input(beat: "Beat") -> str:
    from runtime.domain.event import RunStarted

    return beat.event.workflow if isinstance(beat.event, RunStarted) else printable(told(beat.event))


def _document(simulation: "Simulation", workflow: str, definition: str) -> dict[str, "Json"]:
    state = simulation.state
    return {
        "run_id": state.run,
        "workflow": workflow,
        "definition_hash": definition,
        "status": state.status,
        "output": state.output,
        "path": list(state.path),
        "error": msgspec.to_builtins(state.error),
        "decisions": [
            {
                "seq": beat.seq,
                "at_ms": (beat.at_us - state.started_us) // 1_000,
                "event": {"type": beat.event.TYPE, "data": msgspec.to_builtins(beat.event)},
                "commands": [{"type": command.TYPE, "data": msgspec.to_builtins(command)} for command in beat.commands],
            }
            for beat in simulation.beats
        ],
    }
