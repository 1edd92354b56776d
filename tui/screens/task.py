"""A task for people: what is asked, what may be decided, and what is said with it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.domain.canonical import Json
from runtime.errors import Invalid
from tui.lines import Line, wrap
from tui.screens.asking import Asked, Picked, given
from tui.shapes import HumanTask
from tui.words import age, micros

if TYPE_CHECKING:
    from tui.app import Dashboard

WIDTH = 72
TITLE_LINES, MOST_LINES = 2, 13
"""Of a title, and of all that is told; the list below it has room on a screen of 24 lines."""
TAKE, RETURN = "take it", "give it back"


async def decided(app: "Dashboard", task: HumanTask) -> str:
    """Ask for a decision on a task, and send it; what came of it, empty where the person thinks better of it.

    Raises what the server says against it.
    """
    lines = task_lines(task, app.now_us())
    choices = [*task.decisions, RETURN if task.taken_by or task.assignee else TAKE]
    chosen = await app.push_screen_wait(Picked(_title(task), choices, empty="", lines=lines))
    if chosen is None:
        return ""
    if chosen in (TAKE, RETURN) and chosen not in task.decisions:
        await app.client.move_task(task.task_id, "claim" if chosen == TAKE else "return")
        return f"{task.step} was {'taken' if chosen == TAKE else 'given back'}."
    answer: dict[str, Json] = {"decision": chosen}
    if task.form is not None:
        hint = 'fields of the form: amount=12.5 reason="late"'
        said = await app.push_screen_wait(
            Asked(f"{chosen}: its form", form_lines(task.form), hint=hint, button="Next", may_be_empty=True)
        )
        if said is None:
            return ""
        answer |= {"fields": fields_of(said)} if said else {}
    about: list[Line] = [*lines[:1], [("decided: ", ""), (chosen, "strong")]]
    comment = await app.push_screen_wait(
        Asked("Answer", about, hint="why, for the journal; may be empty", button="Send", may_be_empty=True)
    )
    if comment is None:
        return ""
    answer |= {"comment": comment} if comment else {}
    await app.client.complete_task(task.task_id, answer)
    return f"{task.step}: {chosen}; the run goes on."


def task_lines(task: HumanTask, now_us: int) -> list[Line]:
    """What is asked, of whom, and until when."""
    whose = task.taken_by or task.assignee or " or ".join(task.roles) or "anybody"
    has = {"in_progress": " has taken it", "assigned": " is to do it"}.get(task.status, "")
    lines = [*wrap(task.title.split("\n")[0], WIDTH, "strong")[:TITLE_LINES], [(task.task_id, "dim")]]
    lines += wrap(f"{'' if has else 'for '}{whose}{has}{_until(task, now_us)}", WIDTH)
    if task.level:
        lines.append([(f"its time ran out {task.level}×", "warn")])
    told = wrap(task.instructions, WIDTH) if task.instructions else []
    room = MOST_LINES - 2 - len(lines)
    if told:
        lines += [[("", "")], *told[:room]]
    if len(told) > room:
        lines.append([(f"… {len(told) - room} more lines: af human show {task.run_id}", "dim")])
    return lines


def form_lines(form: Json) -> list[Line]:
    """The fields of a form, a line each."""
    properties = form.get("properties") if isinstance(form, dict) else None
    required = form.get("required") if isinstance(form, dict) else None
    lines: list[Line] = []
    for name, rule in (properties if isinstance(properties, dict) else {}).items():
        kind = str(rule.get("type", "any")) if isinstance(rule, dict) else "any"
        must = ", required" if isinstance(required, list) and name in required else ""
        lines.append([(name, "strong"), (f"  {kind}{must}", "dim")])
    return lines or [[("any fields", "dim")]]


def fields_of(said: str) -> Json:
    """`amount=12.5 reason="too late"`, or JSON. Raises Invalid for what is neither."""
    if said[:1] == "{":
        return given(said)
    import shlex

    from runtime.domain.canonical import parse

    found: dict[str, Json] = {}
    try:
        words = shlex.split(said)
    except ValueError as error:
        raise Invalid("human.form", f"the fields cannot be read: {error}") from None
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise Invalid("human.form", f"{word[:40]!r} is no NAME=VALUE, such as amount=12.5")
        try:
            found[name] = parse(value.encode())
        except Invalid:
            found[name] = value
    return found


def _title(task: HumanTask) -> str:
    return f"Task of {task.workflow}"


def _until(task: HumanTask, now_us: int) -> str:
    ends: Sequence[tuple[str | None, str]] = (
        (task.escalates_at, "goes to the next role"),
        (task.expires_at, "expires"),
    )
    told = [f"  {word} in {age(2 * now_us - micros(at), now_us)}" for at, word in ends if at]
    return "".join(told)
