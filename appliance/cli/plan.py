"""`af plan`: what a run will take, before it begins."""

from typing import TYPE_CHECKING

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.documents import read_input
from appliance.cli.words import WORKFLOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.costs.forecasts import BudgetPlanView, PlanView, StepPlanView
    from runtime.domain.canonical import Json

WORDS = {
    "fits": ("✓ fits", "green"),
    "may_not_fit": ("! may not fit", "yellow"),
    "does_not_fit": ("✗ does not fit", "red"),
    "not_estimated": ("? not estimated", "yellow"),
}


@click.command(
    cls=Command,
    examples="""
        af plan support --input '{"message": "My card was swallowed, what now?"}'
        af plan ./my-desk --input @question.json --json | jq .cost_usd.p95
    """,
)
@click.argument("workflow", type=WORKFLOW)
@click.option("--input", "given", metavar="JSON", help="The input: JSON, @FILE, or - for stdin.")
@click.option("--as", "role", metavar="ROLE", default="", help="The role to ask in, whose budgets are asked too.")
@pass_af
def plan(af: Af, workflow: str, *, given: str | None, role: str) -> None:
    """Say what a run of WORKFLOW with this input will take: tokens and money, for each agent and in all.

    Prompts are counted by the model's own tokenizer where it is on this machine; answers, and what the run will visit,
    are learned from its past runs. No model is asked.
    """
    view = af.run_sealed(_forecast(af, workflow, read_input(given), role=role))
    _draw(af, view)
    af.terminal.document(view)


async def _forecast(af: Af, workflow: str, given: "Json", *, role: str) -> "PlanView":
    from appliance.cli.hosts import open_runs
    from appliance.cli.progress import RunProgress

    progress = RunProgress(af.terminal)
    try:
        async with open_runs(af.settings, "af plan", known=af.known, progress=progress.work) as runs:
            return await runs.forecast(await runs.target(workflow), given, role=role)
    finally:
        progress.clear()


def _draw(af: Af, view: "PlanView") -> None:
    from appliance.cli.terminal import printable, table
    from appliance.cli.units import money

    rows = [row for step in view.steps for row in _rows(step)]
    if rows:
        head = ("AGENT", "VISITS", "INPUT", "OUTPUT", "COST", "MODEL")
        af.terminal.say(table(head, rows, right=(1, 2, 3, 4)) + "\n")
    tokens, cost = view.tokens, view.cost_usd
    words = f"{tokens.p50:,} tokens, at most {tokens.p95:,} in 95 % of runs"
    af.terminal.say(f"{click.style(words, bold=True)} · {money(cost.p50)}, at most {money(cost.p95)}")
    runs = view.learned_from_runs
    learned = f"learned from {runs:,} past run{'s' if runs > 1 else ''}" if runs else "from the definition"
    af.terminal.say(click.style(f"{learned}; = is counted exactly, ~ is estimated", dim=True))
    for budget in view.budgets:
        af.terminal.say("  " + _budget(budget))
    for model in view.unpriced_models:
        af.terminal.note(f"nobody has said what {printable(model)} costs; name it under prices in the settings")


def _rows(step: "StepPlanView", depth: int = 0) -> "Iterator[tuple[str, ...]]":
    """The line of an agent, and below it, set in, those of the workflow that it runs."""
    import msgspec

    agent, *others = _row(step)
    yield (f"{'  ' * depth}{agent}", *others)
    if not isinstance(step.within, msgspec.UnsetType):
        for each in step.within.steps:
            yield from _rows(each, depth + 1)


def _row(step: "StepPlanView") -> tuple[str, ...]:
    import msgspec

    from appliance.cli.terminal import printable
    from appliance.cli.units import money

    costs = _range(money(step.cost_usd.p50), money(step.cost_usd.p95))
    visits = f"{step.expected_visits:.2f}".removesuffix(".00")
    if not isinstance(step.within, msgspec.UnsetType):
        runs = _range(f"{step.within.runs.p50:,}", f"{step.within.runs.p95:,}")
        taken = _range(f"{step.input_tokens.p50:,}", f"{step.input_tokens.p95:,}")
        answered = _range(f"{step.output_tokens.p50:,}", f"{step.output_tokens.p95:,}")
        what = f"{runs} × {printable(step.within.workflow)}"
        return printable(step.agent), visits, f"~{taken}", answered, costs, what
    if step.model is None:
        return printable(step.agent), visits, "–", "–", costs, ""
    mark = "=" if step.input_is_exact else "~"
    given = mark + _range(f"{step.input_tokens.p50:,}", f"{step.input_tokens.p95:,}")
    answered = _range(f"{step.output_tokens.p50:,}", f"{step.output_tokens.p95:,}")
    return printable(step.agent), visits, given, answered, costs, printable(step.model)


def _range(least: str, most: str) -> str:
    return least if least == most else f"{least}–{most}"


def _budget(budget: "BudgetPlanView") -> str:
    from appliance.cli.terminal import printable
    from appliance.cli.units import money
    from runtime.domain.units import USD_MICROS

    words, color = WORDS[budget.verdict]
    kind = "" if budget.is_hard else " (soft)"
    left = ""
    if budget.verdict == "not_estimated":
        usd = [] if budget.left_usd_micros is None else [money(budget.left_usd_micros / USD_MICROS)]
        tokens = [] if budget.left_tokens is None else [f"{budget.left_tokens:,} tokens"]
        left = f", {' and '.join([*usd, *tokens])} left"
    return f"{click.style(words, fg=color)}  {printable(budget.budget)}{kind}{left}"
