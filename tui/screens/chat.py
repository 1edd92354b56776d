"""Chat with a workflow: each message is a run, shown step by step, and what a run waits for is answered here."""

from collections.abc import Iterable
from secrets import token_hex
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import Input

from runtime.domain.canonical import Json
from runtime.domain.run import RunState
from runtime.errors import AgentFlowError
from tui.journal import pretty, status_of
from tui.lines import Line, fixed, wrap
from tui.link import Watch
from tui.panels.drawn import Lines
from tui.panels.runs import short
from tui.screens.asking import given
from tui.screens.views import Bar, Panel, ViewScreen
from tui.words import dollars, sign, span


class Turn:
    """A message, and the run that answers it."""

    def __init__(self, said: str) -> None:
        self.said = said
        self.watch: Watch | None = None
        self.problem = ""
        self.answered: list[tuple[str, str]] = []
        """What the person said to what the run asked."""
        self.output: Json = None
        """What the workflow's `output:` says, once the run has succeeded."""


class ChatScreen(ViewScreen):
    """One workflow, one message after the other."""

    VIEWS: ClassVar[tuple[tuple[str, str], ...]] = (("talk", "Chat"),)
    HELP: ClassVar[str] = (
        'Every message starts a run of the workflow with {"message": …} as its input; a message that is JSON is the '
        "input itself. The run is shown step by step. When it waits for somebody, the next message answers it."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "Help", key_display="F1"),
        Binding("ctrl+o", "open", "Open run", tooltip="the last run in full", priority=True),
        Binding("ctrl+g", "other", "Workflow", tooltip="another workflow", priority=True),
        Binding("escape", "back", "Back"),
    ]

    def __init__(self, workflow: str) -> None:
        super().__init__()
        self.workflow = workflow
        self.turns: list[Turn] = []
        self._session = f"chat-{token_hex(4)}"
        """What the runs of this screen have in common, for agents that remember what is said."""
        self._seen: object = None

    def panels(self) -> Iterable[Panel]:
        """What was said, and the line to say more."""
        hint = "message, or JSON as the run's input; Enter sends"
        yield Panel(
            "talk", f"Chat with {self.workflow}", 1, Lines(id="talk", has_cursor=False), Input(placeholder=hint)
        )

    def on_mount(self) -> None:
        """The line has the keyboard."""
        super().on_mount()
        for line in self.query(Input):
            line.focus()

    def show_changes(self) -> None:
        """Show what has changed."""
        talk = self.query_one("#talk", Lines)
        now_us, width = self.board_app.now_us(), talk.size.width - 1
        moving = any(turn.watch and not turn.watch.log.state.is_final for turn in self.turns)
        version = (
            [(turn.watch and turn.watch.version, turn.problem, len(turn.answered)) for turn in self.turns],
            now_us // 500_000 if moving else 0,
            width,
        )
        link = self.board_app.link
        status = ("● live", "good") if link.is_live else ("✗ not connected", "bad")
        self.query_one("#bar", Bar).say([(" AgentFlow ", "strong"), status])
        if version == self._seen or width <= 0:
            return
        self._seen = version
        lines = [line for turn in self.turns for line in turn_lines(turn, now_us, width)]
        talk.show(fixed(lines, empty=f"Ask {self.workflow} something."))
        talk.scroll_end(animate=False)

    @on(Input.Submitted)
    def _said(self, event: Input.Submitted) -> None:
        said = event.value.strip()
        if not said:
            return
        event.input.value = ""
        waiting = self._waiting()
        if waiting is not None:
            self.run_worker(self._answer(waiting, said))
        else:
            self.turns.append(Turn(said))
            self.run_worker(self._start(self.turns[-1]))
        self.tick()

    def _waiting(self) -> Turn | None:
        last = self.turns[-1] if self.turns else None
        return last if last and last.watch and last.watch.log.state.status == "waiting" else None

    async def _start(self, turn: Turn) -> None:
        try:
            body = given(turn.said) if turn.said[:1] == "{" else await self._asked(turn.said)
            run = await self.board_app.client.start(self.workflow, body)
        except AgentFlowError as error:
            turn.problem = error.message
            return
        turn.watch = Watch(self.board_app.client, run.run_id)
        await turn.watch.run()
        try:
            turn.output = (await self.board_app.client.run(run.run_id)).output
        except AgentFlowError as error:
            turn.problem = error.message
        turn.watch.version += 1

    async def _asked(self, said: str) -> Json:
        if await self.board_app.client.remembers(self.workflow):
            return {"message": said, "session": self._session}
        return {"message": said}

    async def _answer(self, turn: Turn, said: str) -> None:
        assert turn.watch is not None, "only a run waits"
        state = turn.watch.log.state
        signal = state.awaits()[0]
        try:
            found = await self.board_app.client.awaiting(state.run, signal)
            if task := found.task(signal):  # a word is a decision
                answer = given(said)
                answer = answer if isinstance(answer, dict) else {"decision": answer}
                await self.board_app.client.complete_task(task, answer)
            else:
                await self.board_app.client.signal(found.run_id, signal, given(said))
            turn.answered.append((signal, said))
            turn.problem = ""
        except AgentFlowError as error:
            turn.problem = error.message

    def action_open(self) -> None:
        """The last run in full."""
        if self.turns and self.turns[-1].watch is not None:
            self.board_app.open_run(self.turns[-1].watch.log.run)

    def action_other(self) -> None:
        """Another workflow."""
        self.app.pop_screen()
        self.board_app.chat()


def turn_lines(turn: Turn, now_us: int, width: int) -> list[Line]:
    """A message, what its run does, and what it answers."""
    lines: list[Line] = [[], *_quoted("you", turn.said, width, "busy")]
    for signal, said in turn.answered:
        lines += _quoted(f"you, for {signal}", said, width, "busy")
    if turn.problem:
        lines += wrap(f"✗ {turn.problem}", width, "bad")
    if turn.watch is None:
        return lines if turn.problem else [*lines, [("◔ asking …", "warn")]]
    state = turn.watch.log.state
    lines += _progress(state, now_us, width)
    if state.status == "succeeded":
        lines += _quoted(state.workflow, answer_text(turn.output), width, "good")
    elif state.error is not None:
        lines += wrap(f"✗ {state.error.code}: {state.error.message}", width, "bad")
    elif waited := state.awaits():
        decisions = [word for step in state.open if (task := state.steps[step].task) for word in task.terms.decisions]
        said = f"say {' or '.join(decisions)}" if decisions else "say it here"
        lines += wrap(f"◔ waits for {', '.join(waited)}: {said}", width, "warn")
    return lines


def answer_text(output: Json) -> str:
    """An answer as text: its `answer` or `text` where it has one, text as it is, else JSON; empty: not here yet."""
    if isinstance(output, dict):
        for name in ("answer", "text"):
            if isinstance(output.get(name), str):
                return pretty(output[name])
    return "" if output is None else pretty(output)


def _progress(state: RunState, now_us: int, width: int) -> list[Line]:
    steps = "  ".join(f"{sign(status_of(step))[0]} {step.step}" for step in state.steps.values())
    took = span(max(0, (state.ended_us if state.is_final else now_us) - state.started_us) / 1_000)
    tokens = state.usage.input_tokens + state.usage.output_tokens
    cost = dollars(state.usage.cost_usd_micros / 1_000_000)
    return wrap(f"{steps}   {took}  {tokens} tokens  {cost}  {short(state.run)}", width, "dim", indent="  ")


def _quoted(who: str, said: str, width: int, style: str) -> list[Line]:
    return [[(who, style)], *wrap(said, width, indent="  ")]
