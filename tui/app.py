"""The application: what all screens share, and what they ask for."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

import msgspec
from textual import events
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import Hit, Hits, Provider
from textual.driver import Driver
from textual.filter import LineFilter
from textual.message_pump import MessagePump
from textual.notifications import SeverityLevel
from textual.screen import Screen

from runtime.errors import AgentFlowError, Invalid
from tui.board import FILTERS, Board, Filter
from tui.client import Client
from tui.framed import LETTERS_ALONE
from tui.keys import Keys
from tui.lines import Line
from tui.link import Link, Watch
from tui.panels.runs import short
from tui.polled import Polled
from tui.screens.asking import Asked, Picked, given, waiting_lines
from tui.screens.chat import ChatScreen, answer_text
from tui.screens.compare import CompareScreen
from tui.screens.dashboard import DashboardScreen
from tui.screens.dead import DeadScreen
from tui.screens.run import RunScreen
from tui.screens.task import decided
from tui.screens.time_travel import TimeTravelScreen
from tui.screens.views import ViewScreen
from tui.screens.what_if import WhatIfScreen
from tui.screens.why import WhyScreen
from tui.shapes import PlanShape
from tui.themes import THEMES

FRAME_S = 0.25
"""Changes are drawn four times a second, however many there are."""
LOOK_S = 0.15
"""How long the cursor rests on a run before its journal is asked for."""


class FindRun(Provider):
    """Runs by any of their words, in the palette."""

    async def search(self, query: str) -> Hits:
        """The newest that fit."""
        app = self.app
        assert isinstance(app, Dashboard), "the palette is the application's own"
        for run in app.board.listed("all", query)[:12]:
            said = f"open run {run.run}"
            yield Hit(1.0, said, lambda run=run.run: app.open_run(run), help=f"{run.workflow} {run.status}")


class Dashboard(App[None]):
    """Screens over one server."""

    TITLE = "AgentFlow"
    CSS_PATH = "app.tcss"
    COMMANDS = App.COMMANDS | {FindRun}
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "theme", "Theme", show=False, tooltip="dark, light, high contrast"),
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True),
        Binding("q", "quit", "Quit", tooltip="leave; runs go on"),
    ]

    def __init__(
        self,
        client: Client,
        *,
        now_us: Callable[[], int],
        theme: str = "af-dark",
        driver_class: type[Driver] | None = None,
    ) -> None:
        """`driver_class`: None for the terminal's, or the browser's."""
        super().__init__(driver_class=driver_class)
        self.client = client
        self.now_us = now_us
        self.board = Board()
        self.link = Link(client, self.board, now_us=now_us)
        self.polled = Polled(client)
        self.keys = Keys(super().on_event, self._holders)
        self.followed: Watch | None = None
        """The run that the cursor is on."""
        self.shape: PlanShape | None = None
        """Its definition's plan."""
        self._shapes: dict[str, PlanShape] = {}
        self._glanced: set[str] = set()
        """Runs that were asked about, and answered for."""
        self._is_glancing = False
        for each in THEMES:
            self.register_theme(each)
        self.theme = theme

    def on_mount(self) -> None:
        """Connect, and draw four times a second."""
        self.push_screen(DashboardScreen())
        self.run_worker(self.keys.run(), group="keys")
        self.run_worker(self.link.run(), group="link")
        self.set_interval(FRAME_S, self._frame)

    async def on_event(self, event: events.Event) -> None:
        """Keys go one after the other.

        The keyboard stays where it is when the window loses it: a browser's tab begins with that, and would show no
        cursor and half of the keys.
        """
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            self.keys.take(event)
        elif not isinstance(event, events.AppBlur):
            await super().on_event(event)

    def _holders(self) -> list[MessagePump]:
        """Who hears of a key: what has the focus, what it is in, the screen, the application."""
        return list((self.focused or self.screen).ancestors_with_self)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What every line goes through before it is drawn."""
        return [*super().get_line_filters(), *LETTERS_ALONE]

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Say something at the edge of the screen; what is said may be data, and is shown as it stands."""
        super().notify(message, title=title, severity=severity, timeout=timeout, markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: everything by its name."""
        for theme in THEMES:
            yield SystemCommand(f"Theme: {theme.name[3:]}", "change all colours", lambda t=theme.name: self._wear(t))
        if isinstance(screen, ViewScreen):
            for name, title in screen.VIEWS:
                yield SystemCommand(f"View: {title}", "show this view", lambda n=name: screen.go(n))
            yield SystemCommand("Help", "what every key does here", screen.action_help)
        if isinstance(screen, DashboardScreen):
            for chosen in FILTERS:
                yield SystemCommand(f"Runs: {chosen}", "filter the list", lambda c=chosen: screen.choose_filter(c))
            yield SystemCommand("Search runs", "by id, workflow, step, error", screen.action_search)
            yield SystemCommand("Answer what waits", "a run that waits for a person", screen.action_answer)
            yield SystemCommand("Why", "why the chosen run failed", screen.action_why)
            yield SystemCommand("Time travel", "the chosen run at any point", screen.action_travel)
            yield SystemCommand("What if", "suppose something else of the chosen run", screen.action_suppose)
            yield SystemCommand("Mark to compare", "the chosen run", screen.action_mark)
            yield SystemCommand("Compare", "two runs side by side", screen.action_compare)
        if isinstance(screen, RunScreen | TimeTravelScreen):
            yield SystemCommand("Why", "why this run failed", screen.action_why)
            yield SystemCommand("What if", "suppose something else of this run", screen.action_suppose)
        yield SystemCommand("Dead letters", "messages that nobody took, and why", self.dead_letters)
        yield SystemCommand("Chat with a workflow", "ask it, and see what it does", self.chat)
        yield SystemCommand("Quit", "leave; runs go on", self.action_quit)

    def _frame(self) -> None:
        screens = self.screen_stack  # there are none while it closes
        if screens and isinstance(screens[-1], ViewScreen):
            screens[-1].tick()

    def poll(self, names: Iterable[str], *, run: str = "") -> None:
        """Ask for panels that are seen, those whose answers are old."""
        if self.link.is_live:
            for name in ("waiting", *names):
                if self.polled.due(name, self.now_us()):
                    self.run_worker(self.polled.ask(name, run=run), group=f"poll-{name}", exclusive=True)

    def recall(self, collection: str, text: str) -> None:
        """Search memory."""
        self.run_worker(self.polled.ask_memory(collection, text), group="recall", exclusive=True)

    def look_at(self, run: str) -> None:
        """Follow this run from now on."""
        if run and (self.followed is None or self.followed.log.run != run):
            self.follow(Watch(self.client, run))

    def follow(self, watch: Watch) -> None:
        """Follow it again, where another run was looked at meanwhile."""
        if watch is not self.followed:
            self.followed, self.shape = watch, None
            self.run_worker(self._follow(watch), group="watch", exclusive=True)

    async def _follow(self, watch: Watch) -> None:
        await asyncio.sleep(LOOK_S)
        self.run_worker(self._find_shape(watch), group="shape", exclusive=True)
        await watch.run()

    async def _find_shape(self, watch: Watch) -> None:
        while not (definition := watch.log.state.definition):
            await asyncio.sleep(FRAME_S)
        if definition not in self._shapes:
            try:
                self._shapes[definition] = await self.client.plan(definition)
            except AgentFlowError as error:
                self.notify(error.message, title="The plan cannot be shown", severity="warning")
                return
        if watch is self.followed:
            self.shape = self._shapes[definition]

    def open_run(self, run: str) -> None:
        """One run in full."""
        self.look_at(run)
        if self.followed is not None:
            self.push_screen(RunScreen(self.followed))

    def travel(self, run: str, seq: int = 0) -> None:
        """One run at any point of its journal; `seq`: to begin with, 0 for the last one."""
        self.look_at(run)
        if self.followed is not None:
            self.push_screen(TimeTravelScreen(self.followed, seq))
            self.run_worker(self._read(self.followed), group="read", exclusive=True)

    def suppose(self, run: str, seq: int | None = None) -> None:
        """What if? `seq`: the entry that is looked at, None where none is."""
        self.look_at(run)
        if self.followed is not None:
            self.push_screen(WhatIfScreen(self.followed, seq))
            self.run_worker(self._read(self.followed), group="read", exclusive=True)

    def compare(self, left: str, right: str) -> None:
        """Two runs side by side."""
        self.push_screen(CompareScreen(left, right))

    def to_list(self, view: str, chosen: Filter = "all", *, only: str = "") -> None:
        """Back to the first screen, to a view of it; `only`: with the cursor on this run, and its calls alone."""
        while not isinstance(self.screen, DashboardScreen):
            self.pop_screen()
        self.screen.choose_filter(chosen)
        if only:
            self.screen.only(only)
        self.screen.go(view)

    async def _read(self, watch: Watch) -> None:
        """Keys are meant for the entries, so they wait until those are here that are known of."""
        known = self.board.run(watch.log.run)
        with self.keys.held():
            while (
                watch is self.followed
                and not watch.is_whole
                and len(watch.log.entries) < (known.entries if known else 1)
            ):
                await asyncio.sleep(FRAME_S / 10)

    def dead_letters(self) -> None:
        """Messages of the bus that were not taken."""
        self.run_worker(self._dead_letters(), group="dead", exclusive=True)

    async def _dead_letters(self) -> None:
        try:
            with self.keys.held():
                letters = await self.client.dead_letters()
        except AgentFlowError as error:
            self.complain("Dead letters", error)
            return
        self.push_screen(DeadScreen(letters))

    def chat(self) -> None:
        """Choose a workflow, and chat with it."""
        self.run_worker(self._chat(), group="chat", exclusive=True)

    async def _chat(self) -> None:
        try:
            with self.keys.held():
                names = await self.client.workflows()
        except AgentFlowError as error:
            self.complain("Chat", error)
            return
        empty = (
            "No workflow is here. Publish one: PUT /v1/workflows/NAME, or put it into workflows/ of the data folder."
        )
        name = await self.push_screen_wait(Picked("Chat with a workflow", names, empty=empty))
        if name:
            self.push_screen(ChatScreen(name))

    def answer(self, run: str, signal: str = "", why: str = "") -> None:
        """Ask what to answer to a run that waits, and send it."""
        self.run_worker(self._answer(run, signal, why), group="answer", exclusive=True)

    async def _answer(self, run: str, signal: str, why: str) -> None:
        try:
            with self.keys.held():
                found = await self.client.awaiting(run, signal)
            if not found.awaiting and not signal:
                raise Invalid("run.waits_for_nothing", "the run waits for nobody any more")
            signal = signal or found.awaiting[0]
            if task := found.task(signal):
                if done := await decided(self, await self.client.task(task)):
                    self.polled.forget("waiting")
                    self.notify(done, title=short(run))
                return
            about = waiting_lines(found.workflow, found.run_id, signal, why, answer_text(found.output))
            hint = 'text, or JSON such as {"answer": "…"}'
            said = await self.push_screen_wait(Asked("Answer", about, hint=hint, button="Send"))
            if said is not None:
                await self.client.signal(found.run_id, signal, given(said))
                self.polled.forget("waiting")
                self.notify(f"{signal} was answered; the run goes on.", title=short(run))
        except AgentFlowError as error:
            self.complain("The answer was not taken", error)

    def explain(self, run: str) -> None:
        """Say why a run failed."""
        if run:
            self.run_worker(self._explain(run), group="why", exclusive=True)

    async def _explain(self, run: str) -> None:
        try:
            with self.keys.held():
                why = await self.client.why(run)
        except AgentFlowError as error:
            self.complain("No cause can be told", error)
            return
        self.push_screen(WhyScreen(why))

    def glance(self, runs: Sequence[str]) -> None:
        """Ask what runs do of which nothing was heard since the screens were opened, once for each."""
        asked = [run for run in runs if run not in self._glanced]
        if asked and self.link.is_live and not self._is_glancing:
            self._is_glancing = True
            self.run_worker(self._glance(asked), group="glance")

    async def _glance(self, runs: Sequence[str]) -> None:
        try:
            found = await self.client.glances(runs)
        except (AgentFlowError, msgspec.MsgspecError):
            return  # the list is as good as it was; it is asked again
        finally:
            self._is_glancing = False
        self._glanced.update(runs)
        for each in found:
            self.board.glanced(each)

    def cancel(self, run: str) -> None:
        """Ask why, and stop a run."""
        known = self.board.run(run)
        if known is None or known.status in ("succeeded", "failed", "cancelled"):
            self.notify("Only a run that is open can be cancelled.", severity="warning")
            return
        self.run_worker(self._cancel(run, known.workflow), group="cancel", exclusive=True)

    async def _cancel(self, run: str, workflow: str) -> None:
        about: list[Line] = [
            [(workflow, "strong"), (f"  {run}", "dim")],
            [("stops what it is doing, for good", "bad")],
        ]
        asked = Asked("Cancel the run", about, hint="why, for the journal", button="Cancel run", may_be_empty=True)
        why = await self.push_screen_wait(asked)
        if why is None:
            return
        try:
            await self.client.cancel(run, why)
            self.notify("The run was cancelled.", title=short(run))
        except AgentFlowError as error:
            self.complain("The run was not cancelled", error)

    def copy(self, text: str) -> None:
        """To the clipboard, where the terminal allows it."""
        if text:
            self.copy_to_clipboard(text)
            self.notify(text, title="Copied")

    def complain(self, title: str, error: AgentFlowError) -> None:
        """Say what went wrong."""
        self.notify(error.message, title=title, severity="error", timeout=10)

    def action_theme(self) -> None:
        """The next look."""
        names = [theme.name for theme in THEMES]
        self._wear(names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0])

    def _wear(self, theme: str) -> None:
        self.theme = theme
        self.notify(theme.removeprefix("af-"), title="Theme", timeout=2)
