"""The costs: spending by the hour, what is left of budgets, alerts, and what runs were expected to take against what
they took."""

from collections.abc import Iterator, Sequence

from runtime.domain.units import USD_MICROS
from tui.lines import Column, Line, header, row, wrap
from tui.shapes import BudgetLine, Costs, Estimated, Spent
from tui.words import count, dollars, meter, sparkline

MODELS = (
    Column("model", 0),
    Column("calls", 6, is_right=True),
    Column("tokens", 8, is_right=True),
    Column("cost", 10, is_right=True),
)
ESTIMATES = (
    Column("preflight of", 0),
    Column("expected", 9, is_right=True),
    Column("took", 8, is_right=True),
    Column("off by", 8, is_right=True),
    Column("", 11, from_width=50),
)
MOST = 12
OPEN = ("new", "running", "waiting")


def cost_lines(costs: Costs, width: int) -> list[Line]:
    """The whole panel."""
    return [
        *_total(costs, width),
        *(line for alert in costs.alerts for line in _alert(alert.level, alert.message, width)),
        *_budgets(costs.budgets, width),
        *_models(costs.by_model, width),
        *_estimates(costs.estimates, width),
    ]


def _total(costs: Costs, width: int) -> Iterator[Line]:
    total, room = costs.total, max(8, width - 26)
    tokens = total.input_tokens + total.output_tokens
    yield [
        ("last 24 h  ", "head"),
        (dollars(total.cost_usd), "strong"),
        (f"  {count(tokens)} tokens  {count(total.calls)} calls", ""),
    ]
    spent = [hour.cost_usd for hour in costs.hours]
    if any(spent):
        yield [("money by hour  ", "dim"), (sparkline(spent, room), "busy"), (f"  most {dollars(max(spent))}", "dim")]
    used = [float(hour.tokens) for hour in costs.hours]
    yield [
        ("tokens by hour ", "dim"),
        (sparkline(used, room), "busy"),
        (f"  most {count(max(used, default=0))}", "dim"),
    ]


def _alert(level: str, message: str, width: int) -> list[Line]:
    return wrap(f"⚠ {level}: {message}", width, "bad" if level == "spent" else "warn")


def _budgets(budgets: Sequence[BudgetLine], width: int) -> Iterator[Line]:
    if not budgets:
        yield [("no budget is set; `budgets` in config.yaml sets one", "dim")]
        return
    yield []
    yield [("budgets: what is left", "head")]
    for budget in budgets[:MOST]:
        ratio, left = _left(budget)
        style = "bad" if ratio <= 0 else "warn" if ratio < 0.2 else "good"
        kind = "" if budget.is_hard else " (warns)"
        (_, first), *rest = wrap(f"{left} of {budget.budget}{kind}", width, indent=" " * 16)
        yield [(f"{meter(ratio, 10)} {ratio:>4.0%} ", style), first]
        yield from rest


def _left(budget: BudgetLine) -> tuple[float, str]:
    """What is left, 0–1, and in words, of money or of tokens, whichever is nearer its end."""
    found: list[tuple[float, str]] = []
    if budget.limit_usd_micros is not None and budget.left_usd_micros is not None:
        share = budget.left_usd_micros / max(1, budget.limit_usd_micros)
        found.append((share, dollars(budget.left_usd_micros / USD_MICROS)))
    if budget.limit_tokens is not None and budget.left_tokens is not None:
        found.append((budget.left_tokens / max(1, budget.limit_tokens), f"{count(budget.left_tokens)} tokens"))
    return min(found, default=(1.0, "all"))


def _models(spent: Sequence[Spent], width: int) -> Iterator[Line]:
    if spent:
        yield []
        yield header(MODELS, width)
    for line in spent[:MOST]:
        tokens = count(line.input_tokens + line.output_tokens)
        cells = ((line.name or "nobody", ""), (count(line.calls), "dim"), (tokens, "dim"), (dollars(line.cost_usd), ""))
        yield row(MODELS, cells, width)


def _estimates(estimates: Sequence[Estimated], width: int) -> Iterator[Line]:
    yield []
    if not estimates:
        yield [("no run was estimated before it began; `preflight: always` in config.yaml does", "dim")]
        return
    yield header(ESTIMATES, width)
    for run in estimates[:MOST]:
        off = run.tokens_error_ratio
        style = "dim" if off is None else "good" if abs(off) <= 0.25 else "warn"
        most = max(run.tokens, run.tokens_p50, 1)
        bars = f"{meter(run.tokens_p50 / most, 5)} {meter(run.tokens / most, 5)}"
        cells = (
            (run.workflow, ""),
            (count(run.tokens_p50), "dim"),
            (count(run.tokens), ""),
            (f"{off:+.0%}" if off is not None else "open" if run.status in OPEN else "–", style),
            (bars, "dim"),
        )
        yield row(ESTIMATES, cells, width)
