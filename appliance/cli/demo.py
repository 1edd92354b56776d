"""`af demo`: a template's own questions, from end to end, with what is on this machine."""

import shlex
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.templates import QUESTIONS
from runtime.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.cli.hosts import Runs
    from appliance.cli.progress import RunProgress
    from appliance.runs.views import RunView
    from models.folder import Manifest
    from runtime.domain.canonical import Json
    from runtime.domain.workflow import Workflow


class Shown(msgspec.Struct, frozen=True):
    """One question and what came of it."""

    question: "Json"
    run: "RunView"
    took_ms: float


@click.command(
    cls=Command,
    examples="""
        af demo support
        af demo support --data ./trial
        af demo devops-deployment
    """,
)
@click.argument("template", default="support")
@pass_af
def demo(af: Af, template: str) -> int:
    """Run the examples of a TEMPLATE: `support`, a bank's customers and its knowledge base, or another.

    Everything is on this machine: the models, the articles, the journal. Nothing is sent anywhere.
    """
    file = _questions(template)
    manifests = _models(af, file.parent)
    names = ", ".join(f"{m.name} {_role(m)}" for m in manifests) or "none is needed"
    af.terminal.say(f"{click.style('Models here:', bold=True)} {names}\n")
    shown = af.run_sealed(_demonstrate(af, template, file))
    _draw_end(af, template, shown)
    af.terminal.document(
        {
            "models": [manifest.name for manifest in manifests],
            "runs": [one.run for one in shown],
            "totals": {
                "input_tokens": sum(one.run.usage.input_tokens for one in shown),
                "output_tokens": sum(one.run.usage.output_tokens for one in shown),
                "cost_usd": sum(one.run.usage.cost_usd for one in shown),
                "duration_ms": round(sum(one.took_ms for one in shown)),
            },
        }
    )
    return 1 if any(one.run.status in ("failed", "cancelled") for one in shown) else 0


def _questions(template: str) -> Path:
    from appliance.workflows import TEMPLATES

    file = TEMPLATES / template / QUESTIONS
    if not file.is_file():
        known = ", ".join(sorted(path.parent.name for path in TEMPLATES.glob(f"*/{QUESTIONS}")))
        raise NotFound("demo.unknown", f"no demo is called {template!r}; there are: {known}")
    return file


def kinds_of_models(workflow: "Workflow") -> set[str]:
    """Which kinds of models the runs of a workflow ask, with those of its steps: `chat`, `embedding`."""
    from appliance.costs.preflight import embedding_of

    found = {"chat"} if workflow.llm is not None else set()
    for spec in workflow.agents.values():
        if spec.subrun is not None:
            found |= kinds_of_models(spec.subrun.workflow)
        elif spec.type == "llm":
            found.add("chat")
        elif embedding_of(spec) is not None:
            found.add("embedding")
    return found


def _models(af: Af, folder: Path) -> "list[Manifest]":
    """The manifests of the models that the demo needs. Raises Unavailable when one is not here."""
    from appliance.loader import load
    from models.catalog import CATALOG
    from models.folder import list_models

    here = {manifest.name: manifest for manifest in list_models(af.settings.models_folder)}
    needed = kinds_of_models(load(folder))
    wanted = [known.name for known in CATALOG if known.kind in needed]
    missing = [name for name in wanted if name not in here]
    if missing:
        raise Unavailable(
            "demo.no_models",
            f"the demo needs {' and '.join(missing)}, not in {af.settings.models_folder}. Fetch once: af models fetch; "
            "or bring them: af models add FILE, or AGENTFLOW_MODELS=FOLDER",
            retryable=False,
        )
    return [here[name] for name in wanted]


def _role(manifest: "Manifest") -> str:
    return "writes" if manifest.kind == "chat" else "sorts and finds"


async def _demonstrate(af: Af, template: str, file: Path) -> list[Shown]:
    from appliance.cli.hosts import open_runs
    from appliance.cli.progress import RunProgress
    from appliance.cli.terminal import hanging
    from runtime.domain.canonical import parse

    questions = [parse(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    progress = RunProgress(af.terminal)
    shown = []
    af.parting = f"what was done is kept; see: {af.me} runs list"
    try:
        progress.line.show("▸ opening the data folder …")
        async with open_runs(af.settings, "af demo", known=af.known, progress=progress.work) as runs:
            for number, question in enumerate(questions, start=1):
                title = hanging(f"{number} of {len(questions)}  {_text(question)}", indent=8)
                af.terminal.say(click.style(title, bold=True, fg="cyan"))
                shown.append(await _ask(runs, template, question, progress))
                _draw(af, shown[-1])
    finally:
        progress.clear()
    return shown


async def _ask(runs: "Runs", template: str, question: "Json", progress: "RunProgress") -> Shown:
    began = monotonic()
    run = await runs.submit(await runs.target(template), question)
    view = await runs.view(await runs.watched(run, progress.step))
    progress.clear()
    return Shown(question, view, (monotonic() - began) * 1_000)


def _draw(af: Af, shown: Shown) -> None:
    from appliance.cli.report import answer, path, trouble
    from appliance.cli.units import money
    from runtime.domain.units import span

    run = shown.run
    words = [f"\n{text}\n" for text in list(answer(run))[:1]] if run.status == "succeeded" else []
    parts = [path(run), "\n".join(_articles(run)), *words, trouble(run)]
    if isinstance(run.awaiting, list):
        parts.append(f"  {click.style('nothing here answers that: it waits for a person', fg='yellow')}")
    used = f"{run.usage.input_tokens:,} tokens in, {run.usage.output_tokens:,} out"
    totals = f"  {used} · {span(shown.took_ms)} · {money(run.usage.cost_usd)} · {run.run_id}"
    parts.append(click.style(totals, dim=True))
    af.terminal.say("\n".join(part for part in parts if part) + "\n")


def _articles(run: "RunView") -> "Iterator[str]":
    """What the search found, best first."""
    from appliance.cli.terminal import clip, columns, printable

    for step in run.steps:
        found = step.result.get("hits") if isinstance(step.result, dict) else None
        for hit in found if isinstance(found, list) else []:
            if isinstance(hit, dict):
                score = hit.get("score")
                shown = f"{score:.2f}" if isinstance(score, float) else "    "
                text = f"{shown}  {printable(hit.get('article', ''))}  {printable(hit.get('title', ''))}"
                yield "  " + clip(f"{click.style('found', dim=True)} {text}", columns() - 2)


def _text(question: "Json") -> str:
    from appliance.cli.terminal import compact

    message = question.get("message") if isinstance(question, dict) else None
    return compact(message if isinstance(message, str) else question)


def _draw_end(af: Af, template: str, shown: list[Shown]) -> None:
    from appliance.cli.report import PAYLOADS
    from appliance.cli.units import money
    from runtime.domain.units import span

    tokens = sum(one.run.usage.input_tokens + one.run.usage.output_tokens for one in shown)
    cost = money(sum(one.run.usage.cost_usd for one in shown))
    took = span(sum(one.took_ms for one in shown))
    answered = sum(one.run.status == "succeeded" for one in shown)
    waiting = [one.run for one in shown if one.run.status == "waiting"]
    outcome = f"{len(shown)} questions: {answered} answered" + (f", {len(waiting)} for a person" if waiting else "")
    settings = af.settings
    af.terminal.say(f"{click.style(outcome, bold=True)} · {tokens:,} tokens · {took} · {cost}")
    af.terminal.say(f"  kept in {settings.data}\n  models  {settings.models_folder}\n")
    af.terminal.say("Now try")
    for run in waiting[:1]:
        which = "last" if run is shown[-1].run else run.run_id
        for name in run.awaiting if isinstance(run.awaiting, list) else []:
            payload = shlex.quote(PAYLOADS.get(name, '{"answer": "Sorry, only banking."}'))
            af.terminal.say(f"  {af.me} runs signal {which} {name} --data {payload}")
    for command, what in (
        ("runs list", "what was run"),
        ("replay --all --check", "decide everything again, and compare"),
        (f"init my-project --template {template}", "make it yours"),
        ("serve", "the same over HTTP"),
    ):
        af.terminal.say(f"  {f'{af.me} {command}':<37}  {what}")
