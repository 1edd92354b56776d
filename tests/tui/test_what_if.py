"""What-ifs, comparisons and causes on the screen, by keys."""

from pathlib import Path

import msgspec
import pytest

from runtime.domain.command import FinishRun, StartStep
from runtime.domain.event import ErrorInfo, RunStarted, StepFailed, StepSucceeded, Usage
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId
from runtime.domain.journal import Body, Entry
from runtime.domain.run import fold
from runtime.errors import Invalid
from tests.appliance.api.serving import Served, open_server
from tests.tui.screens import WIDE, Seen, ask, dashboard
from tui.lines import plain
from tui.panels.compared import answer_lines, cost_lines, pairs_source, side_lines, step_lines
from tui.panels.drawn import Lines
from tui.panels.why import named_in, screen_of, why_rows
from tui.screens.compare import CompareScreen
from tui.screens.dashboard import DashboardScreen
from tui.screens.run import RunScreen
from tui.screens.time_travel import TimeTravelScreen
from tui.screens.what_if import WhatIfScreen
from tui.screens.why import WhyScreen
from tui.shapes import Why
from tui.supposing import Comparison, Supposition, meant, places, shown, starting_point

LETTER = """
name: letter
output: {letter: "{{ steps.send.letter }}"}
agents:
  sort: {type: llm, prompt: "{{ input.text }}", model: {provider: scripted, answers: {".*": "cards"}}}
  send: {type: custom, handler: "actions.py:send", input: {kind: "{{ steps.sort.text }}", to: "{{ input.name }}"}}
planner: {type: sequential, agents: [sort, send]}
"""
ACTIONS = """
def send(task, ctx):
    return {"letter": f"Dear {task['to']}: {task['kind']}"}
"""
JOURNAL: list[Body] = [
    RunStarted(
        workflow="w", definition=DefinitionHash("h"), input={"text": "hi", "who": {"name": "Ada"}, "tags": ["a"]}
    ),
    StartStep(step=StepId("sort"), agent=AgentId("sorter")),
    StepSucceeded(step=StepId("sort"), output={"label": "cards", "a.b": 1}, usage=Usage(9, 1, 20)),
    StartStep(step=StepId("send"), agent=AgentId("sender")),
    StepFailed(step=StepId("send"), error=ErrorInfo("tool.broken", "it broke")),
    FinishRun(status="failed", error=ErrorInfo("tool.broken", "it broke")),
]
ENTRIES = [Entry(seq, seq * 1_000_000, body) for seq, body in enumerate(JOURNAL, 1)]


def test_every_value_that_a_run_came_to_can_be_supposed() -> None:
    """By its place as the API names it; a key that would be read as two is left within its mapping."""
    found = {place.name: place for place in places(fold(RunId("r"), ENTRIES))}
    assert [
        "input.text",
        "input.who.name",
        "input.tags",
        "sort.result",
        "send.result",
        "sorter",
    ] == list(found)
    assert (True, "tool.broken") == (found["sorter"].is_model, found["send.result"].error)


def test_a_what_if_sets_out_in_front_of_what_is_looked_at() -> None:
    """A failure is tried again; at the end nothing would be different, so the change says from where."""
    assert [1, 2, 3, 4, 4, 0, 0] == [starting_point(ENTRIES, seq) for seq in (1, 2, 3, 4, 5, 6, 9)]


@pytest.mark.parametrize(
    ("said", "recorded", "value"),
    [("42", "text", "42"), ("42", 7, 42), ("yes", 7, "yes"), ('"42"', 7, "42"), ('{"a": 1}', "x", {"a": 1})],
)
def test_what_is_typed_is_text_where_there_was_text(said: str, recorded: object, value: object) -> None:
    """So that nobody has to think of quotes; and every value is shown as it is typed."""
    assert value == meant(said, recorded)  # type: ignore[arg-type]  # JSON
    assert value == meant(shown(value), value)


def test_broken_json_is_told() -> None:
    """Not taken for text."""
    with pytest.raises(Invalid, match="begins like JSON"):
        meant('{"a": ', "x")


def test_a_supposition_is_the_same_for_a_shell() -> None:
    """Quoted, and read back as the very values."""
    supposed = Supposition(
        at=7,
        set={"sort.result.label": "it's 2", "input.n": 3, "input.s": "3"},
        models={"sorter": "local/small"},
        answers="scripted",
        script={"send": {"ok": True}},
        live_tools=True,
    )
    assert (
        "af what-if r-1 --at 7 --set 'sort.result.label=it'\\''s 2' --set input.n=3 --set 'input.s=\"3\"' "
        '--model sorter=local/small --with scripted --script \'{"send":{"ok":true}}\' --live-tools'
    ) == supposed.command("r-1")
    body = supposed.body()
    assert isinstance(body, dict)
    assert {"send": {"ok": True}} == body["suppose"]["script"]  # type: ignore[index,call-overload]  # a mapping


def test_two_runs_side_by_side() -> None:
    """Who they are, each step, what is different, and the cost."""
    view = msgspec.convert(
        {
            "left": {"run_id": "r-a", "workflow": "w", "status": "failed", "usage": {"input_tokens": 9}},
            "right": {
                "run_id": "r-b", "workflow": "w", "status": "succeeded",
                "usage": {"input_tokens": 12, "cost_usd": 0.25}, "spent": {"input_tokens": 3, "cost_usd": 0.1},
                "what_if": {"run_id": "r-a", "at": 4, "values": {"changes": [["send", [], "x"]]}},
            },
            "parting": {"left_seq": 5, "right_seq": 6, "left": "step.failed send", "right": "step.succeeded send"},
            "steps": [
                {"step": "sort", "verdict": "equal", "left": {"status": "succeeded", "duration_ms": 8},
                 "right": {"status": "succeeded", "reused": True}},
                {"step": "send", "verdict": "different", "left": {"status": "failed", "error": "tool.broken"},
                 "right": {"status": "succeeded"}},
                {"step": "more", "verdict": "only_right", "right": {"status": "succeeded", "is_other_input": True}},
            ],
            "output_changes": [{"path": ["letter"], "after": "Dear Ada"}],
            "tokens_difference": 3, "cost_usd_difference": 0.25,
        },
        Comparison,
    )  # fmt: skip
    head = plain(side_lines(view, 76))
    for word in (
        "A ✗ failed",
        "B ✓ succeeded",
        "what-if of r-a from entry 4",
        "they part: A entry 5 step.failed send  B entry 6 step.succeeded send",
    ):
        assert word in head
    assert "B costs $0.25 more than A, with 3 tokens more" in head
    source = pairs_source(view, 76)
    said = [plain([source.line(index, 76)]) for index in range(source.count)]
    assert [["sort", "="], ["send", "≠"], ["more", ">"]] == [line.split()[:2] for line in said]
    assert ("✓ 8 ms" in said[0], "✓ recorded" in said[0], "✗ tool.broken" in said[1]) == (True, True, True)
    assert ("✓ supposed" in said[1], "– not here" in said[2]) == (True, True)
    states = [fold(RunId("r"), ENTRIES), fold(RunId("r"), ENTRIES)]
    assert "B  ✓ supposed" in plain(step_lines("send", view, states, 60))
    assert "tool.broken: it broke" in plain(step_lines("send", view, states, 60))
    assert "answer.letter\n  A nothing\n  B Dear Ada" in plain(answer_lines(view, states, 60))
    assert "really spent $0.1 and 3 tokens" in plain(cost_lines(view, 76)).replace("\n", " ")
    unchanged = msgspec.structs.replace(view, output_changes=[])
    assert "tool.broken: it broke" in plain(answer_lines(unchanged, states, 60))


def test_each_part_of_a_cause_leads_somewhere() -> None:
    """An entry of a journal, a run, a command by the screen that does the same, or to be copied."""
    link = {"run_id": "r-2", "workflow": "inner", "step": "look", "kind": "failed", "code": "model.broken", "seq": 3}
    why = msgspec.convert(
        {
            "run_id": "r-1", "workflow": "outer", "status": "failed", "first": link, "chain": [link, {"code": "x"}],
            "signature": {"before": 1, "looked_at": 2, "runs": ["r-0"]}, "succeeded": 1,
            "differences": [{"what": "input.text", "here": "bad", "there": "'fine'"}],
            "next": [{"command": "runs show r-2 --at 3", "why": "then"}, {"command": "doctor", "why": "all else"}],
        },
        Why,
    )  # fmt: skip
    keys = [key for _, key in why_rows(why, 76) if key]
    assert ["at r-2 3", "at r-1 0", "run r-0", "do runs show r-2 --at 3", "do doctor", "do doctor"] == keys
    assert ("Enter: time travel", "") == (screen_of("runs show r-2 --at 3"), screen_of("doctor"))
    assert (["r-2"], 3) == named_in("runs show r-2 --at 3")
    said = plain([line for line, _ in why_rows(why, 76)])
    assert "in run r-2 of inner" in said
    assert "1 of 2 other failed runs" in said


async def test_a_key_waits_for_the_form_that_is_being_drawn(data_folder: Path) -> None:
    """Pressed behind the key that opens it, and so before there is a row to move over."""
    async with _with_letters(data_folder) as served:
        await ask(served, "letter", input={"text": "x", "name": "Ada"})
        async with dashboard(served) as seen:
            for _ in range(3):
                await seen.press("t", "s", "down")
                rows = seen.lines("form").splitlines()
                await seen.until(lambda: seen.app.screen.query_one("#form", Lines).key == "input.text", str(rows))
                await seen.press("escape", "escape")


async def test_a_what_if_is_asked_for_from_the_slider(data_folder: Path) -> None:
    """Choose a point, change a value, run it: both side by side, with the difference in cost; listed by itself."""
    async with _with_letters(data_folder) as served:
        run = await ask(served, "letter", input={"text": "x", "name": "Ada"})
        async with dashboard(served) as seen:
            await seen.press("t")
            await seen.until(lambda: " entry " in seen.lines("where"), "the slider")
            await seen.press("less_than_sign", "s")
            await seen.until(lambda: "input.name" in seen.lines("form"), "the form")
            assert isinstance(seen.app.screen, WhatIfScreen)
            assert 1 == seen.app.screen.supposed.at
            await seen.press("enter", "end", *"belle", "enter")
            assert {"input.name": "Adabelle"} == seen.app.screen.supposed.set
            await seen.press("r")
            await seen.until(lambda: "✓ recorded" in seen.lines("pairs"), "the comparison")
            assert isinstance(seen.app.screen, CompareScreen)
            await seen.until(lambda: "B ✓ succeeded" in seen.lines("sides"), "the end of the what-if")
            assert "B costs as much as A" in seen.lines("sides")
            await seen.press("down", "enter")
            await seen.until(lambda: "Dear Adabelle: cards" in seen.lines("both"), "both answers")
            await seen.press("3")
            await seen.until(lambda: "A Dear Ada: cards" in seen.lines("answers"), "the difference")
            await seen.press("x")
            await seen.until(lambda: "A ✓ succeeded  letter" in seen.lines("sides"), "swapped")
            assert "what-if of" in seen.lines("sides").splitlines()[0]
            await seen.press("escape", "escape", "escape")
            assert isinstance(seen.app.screen, DashboardScreen)
            assert "1 of 1 runs" in seen.lines("counts")
            await seen.press(*"fffff")
            await seen.until(lambda: "1 of 1 runs · what-if" in seen.lines("counts"), "the what-if by itself")
            assert run[-10:] not in seen.lines("runs")


async def test_all_of_a_what_if_is_said_by_keys(served: Served) -> None:
    """Settings, values that are not recorded, undoing; what cannot be supposed is refused in words."""
    await ask(served, "failing")
    async with dashboard(served) as seen:
        await seen.press("s")
        await seen.until(lambda: "break.result" in seen.lines("form"), "the form")
        screen = seen.app.screen
        assert isinstance(screen, WhatIfScreen)
        await seen.press("plus", *"bad=1", "enter", "r")
        await seen.until(lambda: "STEP.result.FIELD" in _notices(seen), "a refusal")
        await seen.press("down", "down", "down", "u", "g", "down", "enter", *"by hand", "enter")
        assert {"break.result": "by hand"} == screen.supposed.set
        await seen.press("2")
        await seen.until(lambda: "by hand" in seen.lines("value"), "the value in full")
        await seen.press("1", "u", "down", "enter", *"local/x", "enter")
        assert ({}, {"break": "local/x"}) == (screen.supposed.set, screen.supposed.models)
        await seen.press("u", "down", "enter", *"input.text=ho", "enter", "right", "right", "left")
        assert ({"input.text": "ho"}, 1) == (screen.supposed.set, screen.supposed.at)
        await seen.press("end", "enter", "up", "enter")
        assert (True, "recorded") == (screen.supposed.live_tools, screen.supposed.answers)
        await seen.press("enter", "down", "enter", *'{"break": {}}', "enter")
        assert ("scripted", {"break": {}}) == (screen.supposed.answers, screen.supposed.script)
        await seen.press("up", "up", "enter")
        await seen.until(lambda: "Another definition" in seen.text(), "the workflows")
        await seen.press("down", "enter")
        assert "ask" == screen.supposed.definition
        await seen.press("u")
        assert "" == screen.supposed.definition


async def test_two_runs_of_the_list_are_compared(served: Served) -> None:
    """Marked with letters; one that is marked and the one under the cursor are enough."""
    await ask(served, "echo")
    await ask(served, "failing")
    await ask(served, "echo")
    async with dashboard(served, size=WIDE) as seen:
        await seen.press("v")
        assert "m marks a run" in _notices(seen)
        await seen.press("m", "down", "m")
        assert ("[A] echo" in seen.lines("runs"), "[B] failing" in seen.lines("runs")) == (True, True)
        assert "v compares" in seen.lines("counts")
        await seen.press("m", "down", "v")
        await seen.until(lambda: "they part" in seen.lines("sides") or "the same" in seen.lines("sides"), "compared")
        assert "= the same" not in seen.lines("pairs")
        assert ["say", "="] == seen.lines("pairs").split()[:2]
        await seen.press("o")
        assert isinstance(seen.app.screen, RunScreen)
        await seen.press("escape", "t")
        assert isinstance(seen.app.screen, TimeTravelScreen)
        await seen.press("escape", "escape", "escape")
        assert "runs" in seen.lines("counts")


async def test_a_cause_leads_to_where_it_began(served: Served) -> None:
    """One key from the list to the cause, one more to the entry, to a what-if, to a run that succeeded."""
    await ask(served, "failing")
    async with dashboard(served) as seen:
        await seen.press("w")
        assert isinstance(seen.app.screen, WhyScreen)
        assert "step break failed  model.broken  entry 3" in seen.lines("text")
        await seen.press("enter")
        await seen.until(lambda: "entry 3 of 4" in seen.lines("where"), "the first cause")
        await seen.press("w", "s")
        await seen.until(lambda: "entry 2 of 4" in seen.lines("form"), "the form")
        await seen.press("escape", "v")
        assert "No run of failing has succeeded yet." in _notices(seen)
        await seen.press("end", "enter")
        await seen.until(lambda: "[4 Agents]" in seen.text(), "the models")
        assert isinstance(seen.app.screen, DashboardScreen)


def _with_letters(data: Path):  # type: ignore[no-untyped-def]  # as open_server gives it
    folder = data / "workflows" / "letter"
    folder.mkdir(parents=True)
    (folder / "workflow.yaml").write_text(LETTER)
    (folder / "actions.py").write_text(ACTIONS)
    return open_server(data)


def _notices(seen: Seen) -> str:
    return " ".join(notice.message for notice in seen.app._notifications)
