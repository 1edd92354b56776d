"""Time travel: a run at any point of its journal, and what each entry changed."""

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.timer import Timer
from textual.widget import Widget

from runtime.domain.event import StepFailed
from tui.journal import change_texts, told
from tui.lines import Line, Source, fixed, wrap
from tui.link import Watch
from tui.panels.drawn import Lines
from tui.panels.plan_tree import plan_lines
from tui.panels.run import entry_lines, head_lines, step_lines, steps_source
from tui.panels.slider import Slider
from tui.screens.asking import BOX_WIDTH, Shown
from tui.screens.views import Bar, Panel, ViewScreen
from tui.words import clock

PLAY_S = 0.5


class TimeTravelScreen(ViewScreen):
    """Folds the journal up to where the slider is; the server is asked for nothing but the journal."""

    VIEWS: ClassVar[tuple[tuple[str, str], ...]] = (
        ("changes", "Changes"),
        ("state", "State"),
        ("plan", "Plan"),
        ("entry", "Entry"),
    )
    HELP: ClassVar[str] = (
        "The run as it was behind one entry of its journal. ← and → go from entry to entry, [ and ] ten at a time, < "
        "and > to the first and the last. On the track ✗ is a failure, ◆ a signal from outside, ⚑ the end. Changes are "
        "against the entry before. Enter on a step of the state shows it as it was."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "by(-1)", "Earlier", key_display="←", tooltip="the entry before"),
        Binding("right,l", "by(1)", "Later", key_display="→", tooltip="the next entry"),
        Binding("left_square_bracket", "by(-10)", "Ten back", show=False, key_display="[", tooltip="ten entries back"),
        Binding("right_square_bracket", "by(10)", "Ten on", show=False, key_display="]", tooltip="ten entries on"),
        Binding("less_than_sign", "to_end(0)", "First", show=False, key_display="<", tooltip="the first entry"),
        Binding("greater_than_sign", "to_end(1)", "Last", show=False, key_display=">", tooltip="the last entry"),
        Binding("f", "failure", "Failure", tooltip="the next failure"),
        Binding("s", "suppose", "What if", tooltip="suppose something else from this entry on, and run it"),
        Binding("w", "why", "Why", tooltip="why the run failed"),
        Binding("p", "play", "Play", show=False, tooltip="from here to the end, two entries a second"),
        Binding("y", "copy", "Copy id", show=False, tooltip="copy the run's id"),
    ]

    def __init__(self, watch: Watch, seq: int = 0) -> None:
        """`seq`: the entry to begin with; 0: the last one."""
        super().__init__()
        self._first_seq = seq
        self.followed = watch
        self._playing: Timer | None = None

    def on_mount(self) -> None:
        """Begin where that was asked for."""
        super().on_mount()
        if self._first_seq:
            self.query_one("#slider", Slider).ask(self._first_seq)

    def heads(self) -> Iterable[Widget]:
        """The slider, and the entry where it is."""
        yield Slider(id="slider")
        yield Bar(id="where", has_cursor=False)

    def panels(self) -> Iterable[Panel]:
        """In the order of their numbers."""
        yield Panel("changes", "What this entry changed", 1, Lines(id="changes", classes="main", has_cursor=False))
        yield Panel("state", "State behind it", 2, Lines(id="state", classes="main"))
        yield Panel("plan", "Plan behind it", 3, Lines(id="plan", classes="main", has_cursor=False))
        yield Panel("entry", "The entry", 4, Lines(id="entry", classes="main", has_cursor=False))

    @property
    def seq(self) -> int:
        """Where the slider is."""
        return self.query_one("#slider", Slider).seq

    def show_changes(self) -> None:
        """A run that goes on has more entries each time."""
        slider, log = self.query_one("#slider", Slider), self.followed.log
        if self._drawn.get("slider") != self.followed.version:
            self._drawn["slider"] = self.followed.version
            slider.over(list(log.entries))
        if not log.entries:
            self.query_one("#bar", Bar).say(
                [(" Time travel  ", "strong"), (self.followed.problem or "reading …", "warn")]
            )
            return
        seq = max(1, self.seq)
        app = self.board_app
        shape = app.shape if app.followed is self.followed else None
        self.draw("changes", seq, self._changes)
        self.draw("state", seq, lambda _: steps_source(log.state_at(seq), log.entries[seq - 1].at_us))
        self.draw("plan", (seq, shape is None), lambda w: fixed(plan_lines(shape, log.state_at(seq), w), empty="…"))
        self.draw("entry", seq, lambda w: fixed(entry_lines(log.entries[seq - 1], w)))
        self._say()

    def _say(self) -> None:
        log, seq = self.followed.log, max(1, self.seq)
        entry = log.entries[seq - 1]
        head = head_lines(log.state_at(seq), entry.at_us, self.size.width)[0]
        self.query_one("#bar", Bar).say([(" Time travel  ", "strong"), *head])
        since_s = (entry.at_us - log.entries[0].at_us) / 1_000_000
        self.query_one("#where", Bar).say(
            [
                (f" entry {seq} of {len(log.entries)}  ", "strong"),
                (f"{clock(entry.at_us)}Z +{since_s:.3f} s  ", "dim"),
                (entry.body.TYPE, "busy"),
                (f"  {told(entry.body)}"[: self.size.width], ""),
            ]
        )

    def _changes(self, width: int) -> Source:
        lines: list[Line] = []
        for place, before, after in change_texts(self.followed.log.changes_at(max(1, self.seq))):
            lines.append([(place, "head")])
            if before:
                lines += [[("  − ", "bad"), *line[1:]] for line in wrap(before, width - 4, "dim")[:4]]
            if after:
                lines += [[("  + ", "good"), *line[1:]] for line in wrap(after, width - 4)[:6]]
            elif not after:
                lines.append([("  gone", "dim")])
        return fixed(lines, empty="This entry changed nothing that the state holds.")

    @on(Slider.At)
    def _at(self) -> None:
        self.tick()

    @on(Lines.Chosen, "#state")
    def _open_step(self, event: Lines.Chosen) -> None:
        log, seq = self.followed.log, max(1, self.seq)
        if event.key:
            lines = step_lines(log.state_at(seq), event.key, BOX_WIDTH, log.entries[:seq])
            self.app.push_screen(Shown(f"Step behind entry {seq}", lines))

    def action_by(self, steps: int) -> None:
        """The slider, from wherever the keyboard is."""
        self.query_one("#slider", Slider).action_by(steps)

    def action_to_end(self, last: int) -> None:
        """The first or the last entry."""
        self.query_one("#slider", Slider).action_to_end(last)

    def action_failure(self) -> None:
        """The next failure behind this entry; from the last one, the first."""
        failed = [entry.seq for entry in self.followed.log.entries if isinstance(entry.body, StepFailed)]
        if not failed:
            self.notify("No step of this run has failed.", timeout=3)
            return
        self.query_one("#slider", Slider).go_to(next((seq for seq in failed if seq > self.seq), failed[0]))

    def action_suppose(self) -> None:
        """What if it had gone on otherwise from here?"""
        self.board_app.suppose(self.followed.log.run, self.seq)

    def action_why(self) -> None:
        """Why the run failed."""
        self.board_app.explain(self.followed.log.run)

    def action_play(self) -> None:
        """Play, or stop."""
        if self._playing is not None:
            self._stop()
            return
        self._playing = self.set_interval(PLAY_S, self._play)

    def action_copy(self) -> None:
        """The run's id, to the clipboard."""
        self.board_app.copy(self.followed.log.run)

    def _play(self) -> None:
        if self.seq >= len(self.followed.log.entries):
            self._stop()
        else:
            self.action_by(1)

    def _stop(self) -> None:
        if self._playing is not None:
            self._playing.stop()
            self._playing = None
