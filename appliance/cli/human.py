"""`af human`: what waits for people: list it, take it, give it to somebody, answer it."""

from typing import TYPE_CHECKING

import click

from appliance.cli.answering import follow_answer
from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.documents import read_input
from appliance.cli.words import RUN
from runtime.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.cli.hosts import LocalRuns, ServedRuns
    from appliance.runs.tasks import DoneView, TaskList, TaskView, Way
    from appliance.runs.views import RunView
    from runtime.domain.canonical import Json
    from runtime.domain.run import RunState, StepState
    from runtime.policies.human import Person

STATUSES = ["created", "assigned", "in_progress", "escalated"]
_as = click.option("--as", "actor", metavar="NAME", default="", help="Who does it; without it, cli.")
_role = click.option("--role", metavar="ROLE", default="", help="In what role.")
_note = click.option("--note", metavar="TEXT", default="", help="What is said with it; kept in the journal.")


@click.group(
    cls=Group,
    examples="""
        af human list --role approval_specialist
        af human show last
        af human claim last --as ann --role approval_specialist
        af human complete last --as ann --role approval_specialist --decision approve --comment "Fine."
    """,
)
def human() -> None:
    """List, take, assign, return and answer what waits for people.

    TASK is a run's id, a dot and a step, as in r-01….review; the run alone (an id, a unique beginning or end of one,
    or `last`) where it has one open task.
    """


@human.command(
    "list",
    examples="""
        af human list
        af human list --role supervisor --status escalated
        af human list --person ann --json | jq -r '.tasks[].task_id'
    """,
)
@click.option("--role", metavar="ROLE", default="", help="Only those that this role may answer.")
@click.option("--person", metavar="NAME", default="", help="Only those that this person has.")
@click.option("--status", type=click.Choice(STATUSES), help="Only these.")
@click.option("--workflow", metavar="NAME", default="", help="Only those of this workflow.")
@pass_af
def list_tasks(af: Af, role: str, person: str, *, status: str | None, workflow: str) -> None:
    """List open tasks, the longest wait first; runs that wait for a signal are among them."""
    page = af.run(_list(af, role=role, person=person, status=status or "", workflow=workflow))
    _say_list(af, page)
    af.terminal.document(page)


@human.command(
    "show",
    examples="""
        af human show last
        af human show r-01m8cdsmt9fym1424tv2m9w0zv.review --json | jq .history
        af human show last --restore
    """,
)
@click.argument("task", type=RUN)
@click.option("--restore", "is_restored", is_flag=True, help="With what its pseudonyms stand for; it is audited.")
@pass_af
def show_task(af: Af, task: str, *, is_restored: bool) -> None:
    """Show one task: what is asked, of whom, until when, and what happened to it."""
    view = af.run(_show(af, task, is_restored=is_restored))
    _say_task(af, view)
    af.terminal.document(view)


@human.command("claim", examples="af human claim last --as ann --role approval_specialist")
@click.argument("task", type=RUN)
@_as
@_role
@_note
@pass_af
def claim_task(af: Af, task: str, *, actor: str, role: str, note: str) -> None:
    """Take a task: nobody else can answer it from now on."""
    _moved(af, task, "taken", actor=actor, role=role, note=note)


@human.command("assign", examples="af human assign last bob --as max --role supervisor --note 'You know the customer.'")
@click.argument("task", type=RUN)
@click.argument("person")
@_as
@_role
@_note
@pass_af
def assign_task(af: Af, task: str, person: str, *, actor: str, role: str, note: str) -> None:
    """Name PERSON as the one who does a task."""
    _moved(af, task, "assigned", actor=actor, role=role, note=note, person=person)


@human.command("return", examples="af human return last --as ann --role approval_specialist --note 'Not my field.'")
@click.argument("task", type=RUN)
@_as
@_role
@_note
@pass_af
def return_task(af: Af, task: str, *, actor: str, role: str, note: str) -> None:
    """Give a task back to its role; its time runs on."""
    _moved(af, task, "returned", actor=actor, role=role, note=note)


@human.command(
    "complete",
    examples="""
        af human complete last --as ann --role approval_specialist --decision approve
        af human complete last --as ann --role clerk --decision approve --field amount=12.5 --comment "Fine."
        af human complete r-01m8cdsmt9fym1424tv2m9w0zv.person --data '{"answer": "We have called you."}'
    """,
)
@click.argument("task", type=RUN)
@click.option("--decision", metavar="NAME", default="", help="One of the task's decisions.")
@click.option("--comment", metavar="TEXT", default="", help="Why; kept in the journal.")
@click.option("--field", "fields", metavar="NAME=VALUE", multiple=True, help="A field of its form; repeatable.")
@click.option("--data", metavar="JSON", help="The whole answer instead: JSON, @FILE, or - for stdin.")
@_as
@_role
@pass_af
def complete_task(
    af: Af,
    task: str,
    *,
    decision: str,
    comment: str,
    fields: tuple[str, ...],
    data: str | None,
    actor: str,
    role: str,
) -> int:
    """Answer a task, and follow its run to its end or its next wait."""
    from appliance.cli.report import run_report
    from appliance.cli.run import exit_code

    answer = _answer(decision, comment, fields, data)
    view = af.run_sealed(_complete(af, task, answer, _person(actor, role)))
    af.terminal.say(run_report(view, me=af.me))
    af.terminal.document(view)
    return exit_code(view)


def _answer(decision: str, comment: str, fields: "Sequence[str]", data: str | None) -> "Json":
    if data is not None:
        if decision or comment or fields:
            raise Invalid("human.answer", "--data is the whole answer; leave --decision, --comment and --field out")
        return read_input(data, "--data")
    if not decision:
        raise Invalid(
            "human.answer", "say --decision, or --data with the whole answer; af human show names what is taken"
        )
    found: dict[str, Json] = {"decision": decision}
    if comment:
        found["comment"] = comment
    if fields:
        found["fields"] = dict(_field(each) for each in fields)
    return found


def _field(given: str) -> "tuple[str, Json]":
    """`amount=12.5`: JSON behind the sign where it is some, else a text."""
    from runtime.engine.what_if import plain

    name, sign, value = given.partition("=")
    if not sign or not name:
        raise Invalid("human.form", f"--field {given[:40]!r} is no NAME=VALUE, such as amount=12.5")
    return name, plain(value)


def _person(actor: str, role: str) -> "Person":
    from appliance.cli.hosts import ACTOR
    from runtime.policies.human import Person

    return Person(actor or ACTOR, role)


def _moved(af: Af, task: str, how: "Way", *, actor: str, role: str, note: str, person: str = "") -> None:
    view = af.run(_move(af, task, how, by=_person(actor, role), note=note, person=person))
    _say_task(af, view)
    af.terminal.document(view)


async def _list(af: Af, *, role: str, person: str, status: str, workflow: str) -> "TaskList":
    from appliance.cli.journal import entries, open_journal, pinned, reading_catalogue
    from appliance.runs.tasks import is_wanted, steps_of, task_list, task_view, unfinished_runs
    from runtime.domain.run import fold
    from runtime.errors import Corrupt, NotFound

    async with open_journal(af.settings) as store:
        catalogue = reading_catalogue(store, af.settings.data)
        views = []
        async for summary in unfinished_runs(store):
            try:
                state = fold(summary.run, await entries(store, summary.run))
            except (Corrupt, NotFound):  # one damaged run hides no other; one may be erased by now
                continue
            steps = steps_of(state)
            definition = await pinned(catalogue, state.definition) if steps else None
            views += [task_view(state, step, definition) for step in steps]
    wanted = [view for view in views if is_wanted(view, role=role, person=person, status=status, workflow=workflow)]
    return task_list(wanted)


async def _show(af: Af, task: str, *, is_restored: bool) -> "TaskView":
    from appliance.cli.hosts import open_runs
    from appliance.cli.journal import entries, open_journal, pinned, reading_catalogue
    from appliance.cli.progress import RunProgress
    from appliance.runs.tasks import task_view
    from runtime.domain.run import fold

    state, step = await _found(af, task)
    if is_restored:
        async with open_runs(
            af.settings, "af human show", known=af.known, progress=RunProgress(af.terminal).work
        ) as opened:
            return await opened.restored_task(state.run, step.step)
    async with open_journal(af.settings) as store:
        told = await entries(store, state.run)
        definition = await pinned(reading_catalogue(store, af.settings.data), state.definition)
    state = fold(state.run, told)
    return task_view(state, state.steps[step.step], definition, entries=told)


async def _move(af: Af, task: str, how: "Way", *, by: "Person", note: str, person: str) -> "TaskView":
    from appliance.cli.hosts import open_runs
    from appliance.cli.progress import RunProgress
    from appliance.runs.tasks import VERBS
    from runtime.domain.event import TaskMoved

    state, step = await _found(af, task)
    to = by.name if how == "taken" else person
    moved = TaskMoved(step=step.step, how=how, person=to, actor=by.name, role=by.role, note=note)
    async with open_runs(
        af.settings, f"af human {VERBS[how]}", known=af.known, progress=RunProgress(af.terminal).work
    ) as opened:
        await opened.move_task(state.run, moved)
    return await _show(af, f"{state.run}.{step.step}", is_restored=False)


async def _complete(af: Af, task: str, answer: "Json", by: "Person") -> "RunView":
    state, step = await _found(af, task)

    async def act(opened: "LocalRuns | ServedRuns") -> None:
        if step.task:
            await opened.answer_task(state.run, step.step, answer, by)
        else:
            await opened.signal(state.run, step.signal, answer, by)

    return await follow_answer(af, state.run, "af human complete", act)


async def _found(af: Af, task: str) -> "tuple[RunState, StepState]":
    from appliance.cli.journal import entries, find_run, open_journal
    from appliance.runs.tasks import chosen, parts_of_id
    from runtime.domain.run import fold

    name, step = parts_of_id(task)
    async with open_journal(af.settings) as store:
        run = await find_run(store, name)
        state = fold(run, await entries(store, run))
    return state, chosen(state, step)


def _say_list(af: Af, page: "TaskList") -> None:
    from appliance.cli.terminal import printable, table

    if not page.tasks:
        af.terminal.say("nothing waits for people")
    else:
        rows = [
            (
                each.task_id,
                each.status,
                printable(_whose(each)),
                _until(each),
                printable(each.title.split("\n")[0]),
            )
            for each in page.tasks
        ]
        af.terminal.say(table(("TASK", "STATUS", "FOR", "UNTIL", "TITLE"), rows))
    if page.more:
        af.terminal.note("only the newest 1,000 runs were looked at")


def _whose(view: "TaskView") -> str:
    return view.taken_by or view.assignee or ", ".join(view.roles) or "anybody"


def _until(view: "TaskView") -> str:
    from appliance.cli.units import local_time, microseconds

    next_at = min(filter(None, (view.escalates_at, view.expires_at)), default=None)
    return local_time(microseconds(next_at)) if next_at else "–"


def _say_task(af: Af, view: "TaskView") -> None:
    import json

    from appliance.cli.terminal import printable

    lines = [f"{view.task_id}  {view.status}", f"  {view.title}", *_facts(view)]
    if view.instructions:
        lines += ["", *(f"  {line}" for line in view.instructions.split("\n"))]
    if view.form is not None and view.status in STATUSES:
        lines += ["", "  fields", *(f"    {line}" for line in json.dumps(view.form, indent=2).split("\n"))]
    if view.answer is not None:
        lines += ["", f"  answer  {json.dumps(view.answer, ensure_ascii=False)}"]
    lines += ["", *(f"  {line}" for line in map(_done_line, view.history))]
    if view.status in STATUSES:
        lines += ["", "  answer with", f"    {af.me} human complete {view.task_id} {_how(view)}"]
    af.terminal.say("\n".join(printable(line) for line in lines))


def _facts(view: "TaskView") -> list[str]:
    from appliance.cli.units import local_time, microseconds

    def at(told: str | None) -> str:
        return local_time(microseconds(told)) if told else ""

    facts = {
        "workflow": view.workflow,
        "for": ", ".join(view.roles) or view.assignee or "anybody",
        "assignee": view.assignee,
        "taken by": view.taken_by,
        "decisions": ", ".join(view.decisions),
        "because": view.why,
        "opened": at(view.opened_at),
        "escalates": at(view.escalates_at),
        "expires": at(view.expires_at),
        "decided by": view.decided_by,
    }
    return [f"  {name:<11} {value}" for name, value in facts.items() if value]


def _how(view: "TaskView") -> str:
    if not view.decisions:
        return "--data JSON"
    role = f"--role {view.roles[0]} " if view.roles and not (view.taken_by or view.assignee) else ""
    return f"--as {view.taken_by or view.assignee or 'NAME'} {role}--decision {'|'.join(view.decisions)}"


def _done_line(done: "DoneView") -> str:
    from appliance.cli.units import local_time, microseconds

    role = f" ({done.role})" if done.role else ""
    by = f" by {done.actor}{role}" if done.actor else ""
    return f"{local_time(microseconds(done.at))}  {done.what}{by}{f': {done.said}' if done.said else ''}"
