"""The dashboard: the list of runs, the six panels, and what waits for a person."""

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from tui.board import FILTERS, Filter
from tui.lines import Line, Source, fixed
from tui.panels.agents import agents_source
from tui.panels.costs import cost_lines
from tui.panels.drawn import Lines
from tui.panels.memory import collection_lines, recall_lines
from tui.panels.plan_tree import plan_lines
from tui.panels.runs import runs_source, short, summary
from tui.panels.timeline import bars_of, timeline
from tui.panels.tool_calls import call_lines, calls_source
from tui.panels.waiting import key_of, waits_source
from tui.screens.asking import Shown
from tui.screens.views import Bar, Panel, ViewScreen
from tui.words import clock, sign

NO_RUN = "Choose a run in the list."
SLOW_TICKS = 4
"""Once a second, what was not heard of is asked for."""


class DashboardScreen(ViewScreen):
    """The first screen."""

    VIEWS: ClassVar[tuple[tuple[str, str], ...]] = (
        ("runs", "Runs"),
        ("timeline", "Timeline"),
        ("plan", "Plan"),
        ("agents", "Agents"),
        ("calls", "Calls"),
        ("memory", "Memory"),
        ("costs", "Costs"),
        ("waiting", "Waiting"),
    )
    HELP: ClassVar[str] = (
        "Everything that runs here, live. The list on the first view holds every run; Timeline and Plan tell of the "
        "one that the cursor is on, Calls too once o is pressed. All else tells of the whole appliance."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/", tooltip="search runs; Esc clears"),
        Binding("f", "filter", "Filter", tooltip="all, open, waiting, failed, succeeded, what-ifs"),
        Binding("t", "travel", "Time travel", tooltip="the run at any point of its journal"),
        Binding("w", "why", "Why", tooltip="why the run that the cursor is on failed"),
        Binding("s", "suppose", "What if", show=False, tooltip="suppose something else of the run, and run it"),
        Binding("m", "mark", "Mark", show=False, tooltip="mark a run, to be compared with another"),
        Binding("v", "compare", "Compare", show=False, tooltip="two runs side by side: m marks one or both of them"),
        Binding("c", "chat", "Chat", tooltip="chat with a workflow"),
        Binding("a", "answer", "Answer", tooltip="answer what waits for a person"),
        Binding("x", "cancel", "Cancel", show=False, tooltip="stop the run that the cursor is on"),
        Binding("o", "only", "Only this run", show=False, tooltip="calls of all runs, or of the chosen one"),
        Binding("n", "next_collection", "Next collection", show=False, tooltip="the next collection of memory"),
        Binding("y", "copy", "Copy id", show=False, tooltip="copy the run's id"),
        Binding("l", "dead", "Dead letters", show=False, tooltip="messages that nobody took, and why"),
        Binding("r", "retry", "Reconnect", show=False, tooltip="connect now, and ask every panel anew"),
        Binding("escape", "back", "Back", show=False, tooltip="to the list, without search, filter and marks"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.filter: Filter = "all"
        self.search = ""
        self.collection = ""
        self._asked = ""
        self._is_only = False
        self.marked: list[str] = []
        """Runs to be compared, at most two."""
        self._ticks = 0

    def heads(self) -> Iterable[Widget]:
        """The search line, when it is asked for."""
        search = Input(placeholder="words of an id, workflow, step or error; Enter keeps, Esc clears", id="search")
        search.display = False
        yield search

    def panels(self) -> Iterable[Panel]:
        """In the order of their numbers."""
        runs = Panel("runs", "Runs", 1, Bar(id="counts", has_cursor=False), Lines(id="runs", classes="main"))
        runs.border_subtitle = "Enter opens · s what if · m marks · v compares"
        yield runs
        yield Panel("timeline", "Timeline", 2, Lines(id="timeline", classes="main", has_cursor=False))
        yield Panel("plan", "Plan", 3, Lines(id="plan", classes="main", has_cursor=False))
        yield Panel("agents", "Agents", 4, Lines(id="agents", classes="main"))
        yield Panel("calls", "Tool calls", 5, Lines(id="calls", classes="main"))
        question = Input(placeholder="Enter: ask this collection", id="question")
        yield Panel("memory", "Memory", 6, question, Lines(id="memory", classes="main", has_cursor=False))
        yield Panel("costs", "Costs", 7, Lines(id="costs", classes="main", has_cursor=False))
        yield Panel("waiting", "Waiting for people", 8, Lines(id="waiting", classes="main"))

    def show_changes(self) -> None:
        """Show what has changed; ages once a second."""
        self._ticks += 1
        app = self.board_app
        second = app.now_us() // 1_000_000
        self.query_one("#bar", Bar).say(self._head())
        of_list = (app.board.version, self.filter, self.search, second, tuple(self.marked), app.link.cut_off)
        self.draw("runs", of_list, lambda _: self._runs())
        watch = app.followed
        live = 0 if watch is None or watch.is_whole else app.now_us() // 250_000
        of_run = (watch and watch.log.run, watch and watch.version, app.shape is not None)
        self.draw("timeline", (*of_run, live), self._timeline)
        self.draw("plan", of_run, self._plan)
        polled = app.polled
        self.draw("agents", (polled.version("agents"), second), lambda _: agents_source(polled.agents, app.now_us()))
        self.draw("calls", (polled.version("calls"), second), lambda _: calls_source(polled.calls, app.now_us()))
        self.draw("costs", polled.version("costs"), lambda w: fixed(cost_lines(polled.costs, w)))
        self.draw("waiting", (polled.version("waiting"), second), lambda _: waits_source(polled.waits, app.now_us()))
        of_memory = (polled.version("memory"), self.collection, self._asked, polled.recall)
        self.draw("memory", of_memory, self._memory)
        if self._ticks % SLOW_TICKS == 0:
            self._glance()
        app.poll([name for name, _ in self.VIEWS if self.is_seen(name)], run=self._only_run)

    def _glance(self) -> None:
        """Ask for what is not known of the runs on the screen."""
        if self.is_seen("runs"):
            seen = map(self.board_app.board.run, self.query_one("#runs", Lines).seen_keys()[:50])
            self.board_app.glance([run.run for run in seen if run is not None and not run.doing])

    def _head(self) -> Line:
        app = self.board_app
        link, now_us = app.link, app.now_us()
        title: Line = [(" AgentFlow ", "strong")]
        if link.is_live:
            again = "  (connected again)" if now_us - link.back_us < 5_000_000 else ""
            title += [("● live", "good"), (f" {app.board.rate(now_us):.0f}/s{again}", "dim")]
        elif link.cut_off:
            wait_s = max(0, link.next_us - now_us) // 1_000_000
            known = f"; known until {clock(link.heard_us)}" if link.heard_us else ""
            title += [(f"✗ not connected: trying again in {wait_s} s, r now{known}", "bad")]
        else:
            title += [("◔ connecting", "warn")]
        if waiting := len(app.polled.waits.waits):
            title += [("  ", ""), (f"◔ {waiting} waiting for a person", "warn")]
        if app.polled.costs.alerts:
            title += [("  ", ""), (f"⚠ {len(app.polled.costs.alerts)} budget alerts", "bad")]
        used = sum(len(said) for said, _ in title)
        stamp = f"{clock(now_us)}Z "
        return [*title, (" " * max(1, app.size.width - used - len(stamp)), ""), (stamp, "dim")]

    def _runs(self) -> Source:
        app = self.board_app
        shown = app.board.listed(self.filter, self.search)
        counts = self.query_one("#counts", Bar)
        line = summary(app.board, len(shown), self.filter, self.search, marked=self.marked, width=counts.size.width)
        counts.say([(f"✗ {app.link.cut_off}", "bad")] if app.link.cut_off else line)
        if not app.link.has_listed and not shown:
            return fixed([], empty="Listing the runs …" if not app.link.problem else app.link.problem)
        is_filtered = self.filter != "all" or bool(self.search)
        return runs_source(shown, app.now_us(), is_filtered=is_filtered, marked=self.marked)

    def _timeline(self, width: int) -> Source:
        watch = self.board_app.followed
        if watch is None:
            return fixed([], empty=NO_RUN)
        state = watch.log.state
        mark, _ = sign(state.status)
        self.query_one("#panel-timeline", Panel).border_subtitle = f"{mark} {state.status} {short(state.run)}"
        return fixed(timeline(bars_of(watch.log.entries), self.board_app.now_us(), width), empty=watch.problem or "…")

    def _plan(self, width: int) -> Source:
        app = self.board_app
        if app.followed is None:
            return fixed([], empty=NO_RUN)
        self.query_one("#panel-plan", Panel).border_subtitle = app.followed.log.state.workflow
        return fixed(plan_lines(app.shape, app.followed.log.state, width), empty=app.followed.problem or "…")

    def _memory(self, width: int) -> Source:
        polled = self.board_app.polled
        names = [found.name for found in polled.collections]
        if self.collection not in names:
            self.collection = names[0] if names else ""
        panel = self.query_one("#panel-memory", Panel)
        panel.border_subtitle = f"{self.collection}{' · n next' if len(names) > 1 else ''}" if names else ""
        if self._asked and polled.recall is not None:
            return fixed(recall_lines(polled.recall, width))
        if self._asked and polled.recall_problem:
            return fixed([], empty=polled.recall_problem)
        return fixed(collection_lines(polled.collections, width))

    @property
    def _only_run(self) -> str:
        watch = self.board_app.followed
        return watch.log.run if self._is_only and watch is not None else ""

    @on(Lines.Moved, "#runs")
    def _moved(self, event: Lines.Moved) -> None:
        self.board_app.look_at(event.key)

    @on(Lines.Chosen, "#runs")
    def _opened(self, event: Lines.Chosen) -> None:
        self.board_app.open_run(event.key)

    @on(Lines.Chosen, "#memory")
    def _asking(self) -> None:
        self.query_one("#question", Input).focus()

    @on(Lines.Chosen, "#agents")
    def _of_agent(self, event: Lines.Chosen) -> None:
        if "/" in event.key:
            self.search = event.key.partition("/")[0]
            self.go("runs")

    @on(Lines.Chosen, "#calls")
    def _call(self, event: Lines.Chosen) -> None:
        found = next((call for call in self.board_app.polled.calls if str(call.seq) == event.key), None)
        if found is not None:
            self.app.push_screen(Shown("Call", call_lines(found)))

    @on(Lines.Chosen, "#waiting")
    def _wait(self, event: Lines.Chosen) -> None:
        found = next((wait for wait in self.board_app.polled.waits.waits if key_of(wait) == event.key), None)
        if found is not None:
            self.board_app.answer(found.run_id, found.signal, found.why)

    @on(Input.Changed, "#search")
    def _searched(self, event: Input.Changed) -> None:
        self.search = event.value
        self.tick()

    @on(Input.Submitted, "#search")
    def _kept(self) -> None:
        self.query_one("#search").display = bool(self.search)
        self.go("runs")

    @on(Input.Submitted, "#question")
    def _questioned(self, event: Input.Submitted) -> None:
        self._asked = event.value.strip()
        if self._asked and self.collection:
            self.board_app.recall(self.collection, self._asked)
            self.query_one("#memory", Lines).focus()
        else:
            self.tick()

    def action_search(self) -> None:
        """The search line."""
        search = self.query_one("#search", Input)
        search.display = True
        self.go("runs")
        search.focus()

    def action_filter(self) -> None:
        """The next filter."""
        self.filter = FILTERS[(FILTERS.index(self.filter) + 1) % len(FILTERS)]
        self.go("runs")

    def choose_filter(self, chosen: Filter) -> None:
        """This filter."""
        self.filter = chosen
        self.go("runs")

    def action_travel(self) -> None:
        """The chosen run, at any point."""
        if key := self.query_one("#runs", Lines).key:
            self.board_app.travel(key)

    def action_why(self) -> None:
        """Why the chosen run failed."""
        self.board_app.explain(self.query_one("#runs", Lines).key)

    def action_suppose(self) -> None:
        """What if something had been otherwise in the chosen run?"""
        if key := self.query_one("#runs", Lines).key:
            self.board_app.suppose(key)

    def action_mark(self) -> None:
        """Mark the chosen run, or mark it no longer; a third one takes the place of the second."""
        key = self.query_one("#runs", Lines).key
        if key in self.marked:
            self.marked.remove(key)
        elif key:
            self.marked = [*self.marked[:1], key]
        self.go("runs")

    def action_compare(self) -> None:
        """The two that are marked; one and the chosen run; without one, say how."""
        chosen = [*self.marked, self.query_one("#runs", Lines).key]
        if not self.marked or not chosen[1] or chosen[0] == chosen[1]:
            self.notify("m marks a run, v compares it with the one that the cursor is on.", timeout=4)
        else:
            self.board_app.compare(chosen[0], chosen[1])

    def on_screen_resume(self) -> None:
        """Another run may have been looked at meanwhile."""
        if self._is_ready:
            self.board_app.look_at(self.query_one("#runs", Lines).key)
        super().on_screen_resume()

    def action_chat(self) -> None:
        """Chat with a workflow."""
        self.board_app.chat()

    def action_answer(self) -> None:
        """Answer the chosen run, where it waits; else show what waits."""
        run = self.board_app.board.run(self.query_one("#runs", Lines).key)
        if self.active == "waiting":
            self.query_one("#waiting", Lines).action_choose()
        elif run is not None and run.status == "waiting":
            self.board_app.answer(run.run)
        else:
            self.go("waiting")

    def action_cancel(self) -> None:
        """Stop the chosen run, once it is said why."""
        self.board_app.cancel(self.query_one("#runs", Lines).key)

    def only(self, run: str) -> None:
        """The cursor on this run, and its calls alone."""
        self.query_one("#runs", Lines).choose_key(run)
        self.board_app.look_at(run)
        self._is_only = False
        self.action_only()

    def action_only(self) -> None:
        """Calls of the chosen run, or of all."""
        self._is_only = not self._is_only
        panel = self.query_one("#panel-calls", Panel)
        panel.border_subtitle = f"only {short(self._only_run)}" if self._only_run else ""
        self.board_app.polled.forget("calls")
        self.go("calls")

    def action_next_collection(self) -> None:
        """The next collection of memory."""
        names = [found.name for found in self.board_app.polled.collections]
        if names:
            self.collection = names[(names.index(self.collection) + 1) % len(names)] if self.collection else names[0]
            self._asked = ""
            self.board_app.polled.recall = None
            self.go("memory")

    def action_copy(self) -> None:
        """The run's id, to the clipboard."""
        self.board_app.copy(self.query_one("#runs", Lines).key)

    def action_dead(self) -> None:
        """Messages of the bus that were not taken."""
        self.board_app.dead_letters()

    def action_retry(self) -> None:
        """Try to connect now, and ask every panel anew."""
        self.board_app.link.retry()
        self.board_app.polled.forget()

    def back(self) -> None:
        """Esc: clear the search and the filter, then go to the list."""
        search = self.query_one("#search", Input)
        search.value, search.display = "", False
        self.search, self.filter, self.marked = "", "all", []
        self.go("runs")
