"""Dead letters: messages that somebody was to take and did not, and why; each can be delivered once more."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType

from runtime.errors import AgentFlowError
from tui.lines import Column, Line, Source, Span, listed, named, wrap
from tui.panels.drawn import Lines
from tui.screens.asking import Shown
from tui.screens.views import Bar, Panel, ViewScreen
from tui.shapes import Letter
from tui.words import age, counted, micros

COLUMNS = (
    Column("letter", 6, is_right=True),
    Column("for", 14),
    Column("tries", 5, is_right=True),
    Column("age", 5, is_right=True),
    Column("why", 0),
)
EMPTY = "Every message was taken by whom it was for."


class DeadScreen(ViewScreen):
    """Asked for when it is opened, and after each key that changes something."""

    VIEWS: ClassVar[tuple[tuple[str, str], ...]] = (("dead", "Dead letters"),)
    HELP: ClassVar[str] = (
        "A consumer is a name under which somebody takes messages of the bus. One that it did not take, however often "
        "it was delivered, is a dead letter: it is kept, with the reason, until it is delivered once more and taken."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "retry", "Deliver again", tooltip="deliver this one once more"),
        Binding("R", "retry_all", "All again", tooltip="deliver all of them once more"),
        Binding("u", "ask", "Look again", tooltip="ask for the list anew"),
    ]

    def __init__(self, letters: Sequence[Letter]) -> None:
        super().__init__()
        self.letters = list(letters)
        self._version = 0

    def panels(self) -> Iterable[Panel]:
        """One list."""
        yield Panel("dead", "Dead letters", 1, Lines(id="dead", classes="main"))

    def show_changes(self) -> None:
        """Ages once a second."""
        now_us = self.board_app.now_us()
        self.query_one("#bar", Bar).say([(" Dead letters  ", "strong"), (counted(len(self.letters), "message"), "dim")])
        self.draw("dead", (self._version, now_us // 1_000_000), lambda _: letters_source(self.letters, now_us))

    @on(Lines.Chosen, "#dead")
    def _open(self, event: Lines.Chosen) -> None:
        found = next((letter for letter in self.letters if str(letter.id) == event.key), None)
        if found is not None:
            self.app.push_screen(Shown(f"Letter {found.id}", letter_lines(found)))

    def action_ask(self) -> None:
        """The list as it is now."""
        self.run_worker(self._ask(), group="dead", exclusive=True)

    def action_retry(self) -> None:
        """This one."""
        if key := self.query_one("#dead", Lines).key:
            self.run_worker(self._retry([int(key)]), group="dead", exclusive=True)

    def action_retry_all(self) -> None:
        """All that are listed."""
        if self.letters:
            self.run_worker(self._retry([letter.id for letter in self.letters]), group="dead", exclusive=True)

    async def _retry(self, ids: Sequence[int]) -> None:
        try:
            await self.board_app.client.retry(ids)
        except AgentFlowError as error:
            self.board_app.complain("It is not delivered again", error)
            return
        self.notify(f"{counted(len(ids), 'message')} will be delivered once more.")
        await self._ask()

    async def _ask(self) -> None:
        try:
            self.letters = await self.board_app.client.dead_letters()
        except AgentFlowError as error:
            self.board_app.complain("Dead letters", error)
            return
        self._version += 1
        self.tick()


def letters_source(letters: Sequence[Letter], now_us: int) -> Source:
    """The list, newest first."""
    return listed(COLUMNS, letters, lambda letter: _cells(letter, now_us), lambda letter: str(letter.id), empty=EMPTY)


def letter_lines(letter: Letter, width: int = 71) -> list[Line]:
    """One in full."""
    facts = (
        ("for", letter.consumer),
        ("subject", letter.subject),
        ("message", letter.message or "kept no longer"),
        ("deliveries", str(letter.deliveries)),
        ("given up", letter.at),
        ("again", "asked for, and not over yet" if letter.is_retried else "not asked for"),
    )
    return [*named(facts, width, room=12), [], *wrap(letter.reason, width, "bad")]


def _cells(letter: Letter, now_us: int) -> Sequence[Span]:
    return (
        (str(letter.id), "dim"),
        (letter.consumer, "strong"),
        (str(letter.deliveries), "dim"),
        (age(micros(letter.at), now_us), "dim"),
        ("◔ delivered again" if letter.is_retried else f"✗ {letter.reason}", "warn" if letter.is_retried else "bad"),
    )
