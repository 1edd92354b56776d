"""`af costs`: what was spent, and what is left of every budget."""

import os
from typing import TYPE_CHECKING

import click
from msgspec import UNSET

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from appliance.costs.estimates import AccuracyView
    from appliance.costs.report import Asked, BudgetView, By, ChargeBackView, ChargeView, CostsView, SpendingView

DIMENSIONS = ["tenant", "workflow", "agent", "role", "model", "tool", "memory"]


@click.command(
    cls=Command,
    examples="""
        af costs
        af costs --by agent --since 7d
        af costs --since 2026-01-01 --json | jq .total.cost_usd
        af costs --since 2026-01-01 --until 2026-02-01 --charge-back --csv > january.csv
    """,
)
@click.option(
    "--by", type=click.Choice(DIMENSIONS), default="model", show_default=True, help="What the lines are added up by."
)
@click.option(
    "--since",
    "--period",
    "since",
    metavar="WHEN",
    default="month",
    show_default=True,
    help="Begin of the period: month, today, 12h, 7d, or a date; days and months are of UTC.",
)
@click.option(
    "--until", metavar="WHEN", default="now", show_default=True, help="End of the period, as --since; not part of it."
)
@click.option("--charge-back", "has_charge_back", is_flag=True, help="Bills: each tenant's workflows, models, tools.")
@click.option("--csv", "is_csv", is_flag=True, help="The lines as CSV, amounts in whole micro-dollars.")
@pass_af
def costs(af: Af, by: "By", since: str, *, until: str, has_charge_back: bool, is_csv: bool) -> None:
    """Show what was spent, and what is left of the budgets in the settings.

    Calls that cost money are here at once, free ones of a running server within a few seconds.
    """
    from appliance.costs.report import Asked

    if is_csv and af.terminal.is_json:
        raise click.UsageError("--csv and --json are two forms of the same; keep one")
    asked = Asked(by=by, since=since, until=until, has_charge_back=has_charge_back)
    view = af.run(_read(af, asked))
    if is_csv:
        for line in _csv(view):
            click.echo(line, nl=False)
        return
    _draw(af, view)
    af.terminal.document(view)


async def _read(af: Af, asked: "Asked") -> "CostsView":
    from appliance.config.costs import budgets_of
    from appliance.costs.report import CostsView, costs_view
    from appliance.costs.report import SpendingView as Line
    from runtime.domain.journal import rfc3339
    from runtime.engine.clock import SystemClock
    from runtime.store.charges import Charges
    from runtime.store.journal import JOURNAL_FILE, Journal, journal_database
    from runtime.store.keyring import database_key

    data, now_us = af.settings.data, SystemClock().now_us()
    if not (data / JOURNAL_FILE).exists():
        nothing = Line(name="", calls=0, input_tokens=0, output_tokens=0, cost_usd=0.0, cost_usd_micros=0)
        begin, end = map(rfc3339, asked.between_us(now_us))
        return CostsView(
            since=begin,
            until=end,
            by=asked.by,
            spending=[],
            total=nothing,
            whole=nothing,
            budgets=[],
            estimates=[],
            charge_back=[] if asked.has_charge_back else UNSET,
        )
    database = journal_database(
        data, lock=None, key=database_key(os.environ, af.settings.data), durability=af.settings.durability
    )
    await database.start()
    try:
        limits = budgets_of(af.settings.budgets)
        return await costs_view(Charges(database), Journal(database), limits, asked, now_us=now_us)
    finally:
        await database.stop()


def _draw(af: Af, view: "CostsView") -> None:
    from appliance.cli.terminal import table
    from appliance.cli.units import local_time, microseconds, money

    begin = local_time(microseconds(view.since))[:-3]
    if not view.spending:
        on = {"tool": " on tools", "memory": " on memory"}.get(view.by, "")
        af.terminal.say(f"nothing was spent{on} since {begin}")
    else:
        lines = [*map(_line, view.spending), *([_line(view.total, name="total")] if len(view.spending) > 1 else [])]
        head = (view.by.upper(), "CALLS", "INPUT", "OUTPUT", "COST")
        af.terminal.say(table(head, lines, right=(1, 2, 3, 4)))
        af.terminal.say(f"\nsince {begin}; input and output in tokens")
    if view.whole.cost_usd_micros != view.total.cost_usd_micros:
        kinds = " and ".join(f"--by {each}" for each in ("model", "tool", "memory") if each != view.by)
        af.terminal.say(f"models, tools, requests and memory together {money(view.whole.cost_usd)}; see {kinds}")
    for bill in view.charge_back or ():
        af.terminal.say("\n" + _bill(bill))
    if view.estimates:
        af.terminal.say("\n" + _accuracy(view.estimates))
    if view.budgets:
        rows = [(_kind(each), *_amounts(each), _named(each)) for each in view.budgets]
        af.terminal.say("\n" + table(("", "SPENT", "LEFT", "BUDGET"), rows, right=(1, 2)))


def _line(line: "SpendingView | ChargeView", *, name: str = "") -> tuple[str, ...]:
    from appliance.cli.terminal import printable
    from appliance.cli.units import money

    counts = (f"{count:,}" for count in (line.calls, line.input_tokens, line.output_tokens))
    return (name or printable(line.name) or "–", *counts, money(line.cost_usd))


def _bill(bill: "ChargeBackView") -> str:
    from appliance.cli.terminal import printable, table

    rows = [(printable(line.workflow) or "–", line.kind, *_line(line)) for line in bill.lines]
    head = ("WORKFLOW", "", "", "CALLS", "INPUT", "OUTPUT", "COST")
    total = ("total", "", *_line(bill.total, name=" "))
    title = click.style(f"tenant {printable(bill.tenant)}", bold=True)
    return f"{title}\n{table(head, [*rows, total], right=(3, 4, 5, 6))}"


def _accuracy(found: "Sequence[AccuracyView]") -> str:
    from appliance.cli.terminal import printable, table

    rows = [
        (
            printable(each.workflow),
            f"{each.runs:,}",
            f"{each.tokens_median_error_ratio:.1%}",
            f"{each.within_p95_ratio:.0%}",
        )
        for each in found
    ]
    return table(("ESTIMATES OF", "RUNS", "MEDIAN ERROR", "WITHIN P95"), rows, right=(1, 2, 3))


def _csv(view: "CostsView") -> "Iterator[str]":
    """The lines of the report; of a charge-back its own."""
    import csv
    import io

    counts = ("calls", "input_tokens", "output_tokens", "cost_usd_micros")
    head: tuple[str, ...] = (view.by, *counts)
    rows: list[tuple[object, ...]] = [(line.name, *(getattr(line, name) for name in counts)) for line in view.spending]
    if view.charge_back is not UNSET:
        head = ("tenant", "workflow", "kind", "name", *counts)
        rows = [
            (bill.tenant, line.workflow, line.kind, line.name, *(getattr(line, name) for name in counts))
            for bill in view.charge_back
            for line in bill.lines
        ]
    for row in (head, *rows):
        text = io.StringIO()
        csv.writer(text).writerow(row)
        yield text.getvalue()


def _kind(budget: "BudgetView") -> str:
    return "hard" if budget.is_hard else "soft"


def _named(budget: "BudgetView") -> str:
    from appliance.cli.terminal import printable

    return printable(f"{budget.budget}, run …{budget.run[-8:]}" if budget.run else budget.budget)


def _amounts(budget: "BudgetView") -> tuple[str, str]:
    """What is spent and left: the money where that is limited, and the tokens where those are."""
    from appliance.cli.units import money
    from runtime.domain.units import USD_MICROS

    spent, left = [], []
    if budget.left_usd_micros is not None:
        spent.append(money(budget.spent_usd_micros / USD_MICROS))
        left.append(money(budget.left_usd_micros / USD_MICROS))
    if budget.left_tokens is not None:
        spent.append(f"{budget.spent_tokens:,} tokens")
        left.append(f"{budget.left_tokens:,} tokens")
    return ", ".join(spent), ", ".join(left)
