"""What if: a point of a run, values that are supposed to be others, and a run of it that has no effect."""

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget

from runtime.domain.canonical import Json
from runtime.errors import AgentFlowError, Invalid
from tui.lines import Line, fixed, wrap
from tui.link import Watch
from tui.panels.drawn import Lines
from tui.panels.run import head_lines
from tui.panels.supposed import ADD, AT, DEFINITION, SCRIPT, TOOLS, Row, rows, rows_source, value_lines
from tui.panels.supposed import ANSWERS as ANSWERS_ROW
from tui.screens.asking import Asked, Picked
from tui.screens.views import Bar, Panel, ViewScreen
from tui.supposing import ANSWERS, Supposition, meant, places, shown, starting_point

OWN = "(the run's own)"


class WhatIfScreen(ViewScreen):
    """A form over one run; what it comes to is shown beside the run."""

    VIEWS: ClassVar[tuple[tuple[str, str], ...]] = (("form", "What if"), ("value", "Value"))
    HELP: ClassVar[str] = (
        "Suppose that something had been otherwise, and run it from there. Choose a value and press Enter to say what "
        "it is to be; r runs it. What happened up to the change is taken as it stands, an agent that is asked what it "
        "was asked before gives the recorded answer, and everything else is asked anew. Tools and requests have no "
        "effect unless you say so. It is a run of its own, marked as a what-if; the list shows those with the filter "
        "what-if."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "run", "Run it", tooltip="run it, and hold both side by side"),
        Binding("u", "undo", "Undo", tooltip="leave this value as it was"),
        Binding("left,h", "by(-1)", "Earlier", key_display="←", tooltip="set out from an earlier entry"),
        Binding("right,l", "by(1)", "Later", key_display="→", tooltip="set out from a later entry"),
        Binding("plus", "add", "Other value", show=False, key_display="+", tooltip="a value that is not in the list"),
        Binding("y", "copy", "Copy command", show=False, tooltip="the same for a shell"),
    ]

    def __init__(self, watch: Watch, at: int | None = None) -> None:
        """`at`: the entry that was looked at when this was asked for; None: none, and the change says from where."""
        super().__init__()
        self.followed = watch
        self.supposed = Supposition()
        self._asked_at = at
        self._version = 0

    def heads(self) -> Iterable[Widget]:
        """Which run it is."""
        head = Lines(id="head", has_cursor=False)
        head.can_focus = False
        yield head

    def panels(self) -> Iterable[Panel]:
        """In the order of their numbers."""
        yield Panel("form", "What if", 1, Lines(id="form", classes="main"))
        yield Panel("value", "The value", 2, Lines(id="value", classes="main", has_cursor=False))

    def show_changes(self) -> None:
        """Show what has changed."""
        watch = self.followed
        if watch.log.entries and self._asked_at is not None:
            self.supposed.at, self._asked_at = starting_point(watch.log.entries, self._asked_at), None
        self._say()
        version = (watch.version, self._version)
        self.draw("form", version, lambda _: rows_source(self._rows()))
        key = self.query_one("#form", Lines).key
        self.draw("value", (version, key), lambda w: fixed(value_lines(self._row(key), self.supposed, w)))

    def _rows(self) -> list[Row]:
        log = self.followed.log
        return rows(places(log.state), self.supposed, log.entries) if log.entries else []

    def _row(self, key: str) -> Row | None:
        return next((row for row in self._rows() if row.key == key), None)

    def _say(self) -> None:
        watch = self.followed
        told: Line = [(" What if  ", "strong"), ("r runs it; nothing has an effect", "dim")]
        if self.supposed.live_tools:
            told = [(" What if  ", "strong"), ("r runs it; TOOLS AND REQUESTS HAVE THEIR EFFECT", "bad")]
        if watch.problem and not watch.log.entries:
            told = [(" What if  ", "strong"), (watch.problem, "bad")]
        self.query_one("#bar", Bar).say(told)
        lines = head_lines(watch.log.state, self.board_app.now_us(), self.size.width - 2)[:2]
        self.query_one("#head", Lines).show(fixed(lines))

    @on(Lines.Moved, "#form")
    def _moved(self) -> None:
        self.tick()

    @on(Lines.Chosen, "#form")
    def _chosen(self, event: Lines.Chosen) -> None:
        row = self._row(event.key)
        if row is None:
            return
        if row.key == ANSWERS_ROW:
            self.supposed.answers = ANSWERS[(ANSWERS.index(self.supposed.answers) + 1) % len(ANSWERS)]
        elif row.key == TOOLS:
            self.supposed.live_tools = not self.supposed.live_tools
        elif row.key == DEFINITION:
            self.run_worker(self._pick_definition(), group="ask", exclusive=True)
        elif row.key == SCRIPT:
            self.run_worker(self._ask_script(), group="ask", exclusive=True)
        elif row.key == ADD:
            self.action_add()
        elif row.place is not None:
            self.run_worker(self._ask_value(row), group="ask", exclusive=True)
        self._changed()

    async def _ask_value(self, row: Row) -> None:
        assert row.place is not None, "the others are settings"
        place = row.place
        if place.is_model:
            about = [*wrap(f"a model in place of what {place.name} asks, as PROVIDER/MODEL", 66)]
            said = await self._ask(
                row.name, about, "such as local/smollm2-360m-instruct", self.supposed.models.get(place.name, "")
            )
            if said:
                self.supposed.models[place.name] = said
        else:
            recorded = f"it failed with {place.error}" if place.error else shown(place.value)
            about = [[("as recorded  ", "dim"), (recorded[:300].replace("\n", " "), "")]]
            before = self.supposed.set.get(row.key, place.value)
            said = await self._ask(row.name, about, "text, or JSON", "" if before is None else shown(before))
            if said is not None:
                self._set(row.key, said, place.value)
        self._changed()

    async def _ask(self, title: str, about: list[Line], hint: str, value: str = "") -> str | None:
        asked = Asked(title, about, hint=hint, button="Suppose", may_be_empty=True, value=value)
        return await self.app.push_screen_wait(asked)

    def _set(self, name: str, said: str, recorded: Json) -> None:
        try:
            value = meant(said, recorded)
        except Invalid as error:
            self.board_app.complain("That is no value", error)
            return
        if value == recorded and recorded is not None:
            self.supposed.set.pop(name, None)
        else:
            self.supposed.set[name] = value

    async def _pick_definition(self) -> None:
        try:
            with self.board_app.keys.held():
                names = [OWN, *await self.board_app.client.workflows()]
        except AgentFlowError as error:
            self.board_app.complain("The workflows cannot be listed", error)
            return
        picked = await self.app.push_screen_wait(Picked("Another definition", names, empty=""))
        if picked is not None:
            self.supposed.definition = "" if picked == OWN else picked
            self._changed()

    async def _ask_script(self) -> None:
        about = wrap('states and what they come to, such as {"classify": {"label": "cards"}}', 66)
        said = await self._ask(
            "Script", about, "JSON", shown(dict(self.supposed.script)) if self.supposed.script else ""
        )
        if said is None:
            return
        try:
            script = meant(said, {})
        except Invalid as error:
            self.board_app.complain("That is no script", error)
            return
        if isinstance(script, dict):
            self.supposed.script = script
            self._changed()
        else:
            self.notify("A script is a mapping from states to what they come to.", severity="warning")

    def action_by(self, steps: int) -> None:
        """Set out from another entry; 0 is up to the change."""
        self.supposed.at = min(max(0, self.supposed.at + steps), len(self.followed.log.entries))
        self._changed()

    def action_undo(self) -> None:
        """As it was."""
        key = self.query_one("#form", Lines).key
        self.supposed.set.pop(key, None)
        self.supposed.models.pop(key.removeprefix("model "), None)
        if key == AT:
            self.supposed.at = 0
        elif key == DEFINITION:
            self.supposed.definition = ""
        self._changed()

    def action_add(self) -> None:
        """A value that the list does not show."""
        self.run_worker(self._add(), group="ask", exclusive=True)

    async def _add(self) -> None:
        about = wrap("a value that is not recorded: its place, then = and what it is to be", 66)
        said = await self._ask("Another value", about, "input.FIELD=VALUE or STEP.result.FIELD=VALUE")
        name, equals, value = (said or "").partition("=")
        if equals and name.strip():
            self._set(name.strip(), value.strip(), None)
        elif said:
            self.notify("Write it as input.FIELD=VALUE or STEP.result.FIELD=VALUE.", severity="warning")
        self._changed()

    def action_run(self) -> None:
        """Run it, and hold both side by side."""
        self.run_worker(self._run(), group="run", exclusive=True)

    async def _run(self) -> None:
        app, run = self.board_app, self.followed.log.run
        try:
            with app.keys.held():
                fork = await app.client.what_if(run, self.supposed.body())
        except AgentFlowError as error:
            app.complain("It cannot be run so", error)
            return
        app.compare(run, fork.run_id)

    def action_copy(self) -> None:
        """The command."""
        self.board_app.copy(self.supposed.command(self.followed.log.run))

    def _changed(self) -> None:
        self._version += 1
        self.tick()
