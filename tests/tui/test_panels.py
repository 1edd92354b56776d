"""What the panels draw of a run, from its entries alone."""

from collections.abc import Iterable

import msgspec
import pytest
from rich.cells import cell_len

from runtime.domain.command import AwaitSignal, FinishRun, KeepTree, Replan, StartStep
from runtime.domain.event import (
    ErrorInfo,
    RunStarted,
    SignalReceived,
    StepFailed,
    StepSucceeded,
    SubrunsWaiting,
    SubrunWait,
    ToolUse,
    Usage,
)
from runtime.domain.exec_profile import Used
from runtime.domain.ids import DefinitionHash, RunId, StepId
from runtime.domain.journal import Body, Entry, envelope_of, write
from runtime.domain.run import RunState, fold
from runtime.domain.tree import TreeMemory
from tui import shapes
from tui.journal import RunLog, change_texts, entry_of, told
from tui.lines import Line, plain
from tui.panels.agents import agents_source
from tui.panels.costs import cost_lines
from tui.panels.memory import recall_lines
from tui.panels.plan_tree import plan_lines
from tui.panels.run import head_lines, journal_source, step_lines, steps_source
from tui.panels.slider import track
from tui.panels.timeline import bars_of, timeline
from tui.panels.tool_calls import call_lines, calls_source

SECOND = 1_000_000
RUN = RunId("r-01m81ws673nhc5ydjhy5epyge7")
LIFE: list[tuple[int, Body]] = [
    (0, RunStarted(workflow="refund", definition=DefinitionHash("sha256:1"), input={"message": "late"}, actor="ada")),
    (0, StartStep(step=StepId("classify"))),
    (2, StepFailed(step=StepId("classify"), error=ErrorInfo("step.timeout", "took too long", True), duration_ms=2_000)),
    (2, StartStep(step=StepId("classify"), attempt=2, delay_ms=1_000)),
    (5, StepSucceeded(step=StepId("classify"), output={"label": "refund"}, attempt=2, usage=Usage(9, 1, 20))),
    (5, AwaitSignal(step=StepId("approve"), signal="approval", why="amount > 100")),
    (9, SignalReceived(name="approval", payload={"ok": True}, actor="bob")),
    (9, FinishRun(status="succeeded", state="done")),
]
SHAPE = shapes.PlanShape(
    workflow="refund",
    definition_hash="sha256:1",
    planner="fsm",
    machines=[
        shapes.Machine(
            initial="classify",
            nodes=[
                shapes.Node(
                    name="classify",
                    kind="agent",
                    agent="classify",
                    leads_to=[shapes.Edge("approve", "success"), shapes.Edge("given_up", "error")],
                ),
                shapes.Node(
                    name="approve", kind="wait", waits_for="approval", leads_to=[shapes.Edge("done", "success")]
                ),
                shapes.Node(name="done", kind="final"),
                shapes.Node(name="given_up", kind="final"),
            ],
        )
    ],
)


def _log(count: int = len(LIFE), life: list[tuple[int, Body]] = LIFE) -> RunLog:
    log = RunLog(RUN)
    for seq, (second, body) in enumerate(life[:count], 1):
        log.take(Entry(seq, second * SECOND, body))
    return log


def test_an_envelope_reads_back_as_its_entry() -> None:
    """The stream's bytes are what the hash covers, and mean what was written."""
    for seq, (second, body) in enumerate(LIFE, 1):
        entry = Entry(seq, second * SECOND, body)
        assert entry == entry_of(envelope_of(write(RUN, entry)))


def test_an_entry_that_comes_twice_is_taken_once() -> None:
    """After a reconnect the stream may begin where it was."""
    log = _log()
    log.take(Entry(8, 9 * SECOND, LIFE[-1][1]))
    assert (8, "succeeded") == (len(log.entries), log.state.status)


def test_the_state_behind_any_entry_and_what_each_changed() -> None:
    """Time travel: the engine's own fold, and the difference to the entry before."""
    log = _log()
    assert ["running", "failed", "waiting", "succeeded"] == [
        next(iter(reversed(log.state_at(seq).steps.values()))).status for seq in (2, 3, 6, 7)
    ]
    changed = {place: (before, after) for place, before, after in change_texts(log.changes_at(5))}
    assert ("running", "succeeded") == changed["steps.classify.status"]
    assert ("00:00:02.000Z", "00:00:05.000Z") == changed["steps.classify.ended_us"]
    assert "seq" not in changed


def test_one_move_of_the_slider_folds_the_journal_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five views show one state; of a run of thousands of steps each fold takes a tenth of a second."""
    log, folds = _log(), 0

    def counted(run: RunId, entries: Iterable[Entry]) -> RunState:
        nonlocal folds
        folds += 1
        return fold(run, entries)

    monkeypatch.setattr("tui.journal.fold", counted)
    log.changes_at(5)
    states = [log.state_at(5) for _ in range(3)]
    assert (1, fold(log.run, log.entries[:5])) == (folds, states[-1])


def test_the_timeline_has_a_bar_for_each_attempt_on_one_axis() -> None:
    """Retries, waits and what came from outside stand where they happened."""
    bars = bars_of(_log().entries)
    assert [
        ("classify", "failed", 0, 2),
        ("classify #2", "succeeded", 3, 5),
        ("approve", "succeeded", 5, 9),
        ("⇥ approval", "signal", 9, 9),
        ("⚑ done", "succeeded", 9, 9),
    ] == [(bar.name, bar.state, bar.from_us // SECOND, bar.to_us // SECOND) for bar in bars]
    lines = [plain([line]) for line in timeline(bars, 9 * SECOND, 80)]
    assert "+9.0 s" in lines[0]
    assert "✗ classify" in lines[1]
    assert "step.timeout" in lines[1]
    assert lines[1].index("▚") < lines[2].index("█") < lines[3].index("█") < lines[4].index("◆")
    assert all(len(line) <= 80 for line in lines)
    assert [] == timeline([], 0, 80)


def test_what_runs_reaches_to_now() -> None:
    """A bar that stands still looks like a run that stands still."""
    bars = bars_of(_log(2).entries)
    short, long = (plain(timeline(bars, now_s * SECOND, 60)).splitlines()[1] for now_s in (1, 60))
    assert (short.split()[-2:], long.split()[-1]) == (["1.0", "s"], "1m00s")


def test_the_plan_says_where_the_run_is_and_what_is_next() -> None:
    """The signs of the states, one moment after the other."""
    assert "○ classify" in plain(plan_lines(SHAPE, RunLog(RUN).state, 70))
    assert "▸ next" in plain(plan_lines(SHAPE, RunLog(RUN).state, 70)).splitlines()[0]
    waiting = plain(plan_lines(SHAPE, _log(6).state, 70)).splitlines()
    assert "✓ classify" in waiting[0]
    assert "◔ approve" in waiting[2]
    assert "done" in waiting[4]
    assert "▸ next" in waiting[4]
    running = plain(plan_lines(SHAPE, _log(2).state, 70))
    assert "▹ if it fails" in running
    within = _log(2)
    within.take(Entry(3, 0, SubrunsWaiting(step=StepId("classify"), waits=(SubrunWait(RunId("r-2"), ("approval",)),))))
    assert "◔ classify" in plain(plan_lines(SHAPE, within.state, 70)), "a run of its own waits for a person"
    ended = plain(plan_lines(SHAPE, _log().state, 70)).splitlines()
    assert "✓ done" in ended[4]
    assert "○ given_up" in ended[5]


def test_a_tree_is_drawn_with_the_state_of_each_node() -> None:
    """The letters that the journal keeps stand for the nodes in order."""
    nodes = [
        shapes.Node(name="selector", kind="selector", depth=0),
        shapes.Node(name="sequence", kind="sequence", depth=1),
        shapes.Node(name="input.broken", kind="condition", depth=2),
        shapes.Node(name="fix", kind="action", depth=2, agent="fix"),
        shapes.Node(name="look", kind="action", depth=1, agent="look"),
    ]
    machine = shapes.Machine(initial="selector", nodes=nodes)
    shape = shapes.PlanShape(workflow="w", definition_hash="h", planner="behavior_tree", machines=[machine])
    log = _log(1)
    log.take(Entry(2, 0, KeepTree(memory=TreeMemory("rffir"))))
    assert [
        "● selector  running",
        "├─ ✗ sequence  failed",
        "│  ├─ ✗ input.broken  condition  failed",
        "│  └─ ○ fix  action",
        "└─ ● look  action  running",
    ] == plain(plan_lines(shape, log.state, 70)).splitlines()


def test_the_tree_of_a_run_that_ended_runs_no_more() -> None:
    """Its last tick is not kept, and a node that is over forgets its children: their steps tell how they came out."""
    nodes = [
        shapes.Node(name="sequence", kind="sequence", depth=0),
        shapes.Node(name="parallel", kind="parallel", depth=1),
        shapes.Node(name="classify", kind="action", depth=2, agent="classify"),
        shapes.Node(name="approve", kind="wait", depth=1),
    ]
    machine = shapes.Machine(initial="sequence", nodes=nodes)
    shape = shapes.PlanShape(workflow="w", definition_hash="h", planner="behavior_tree", machines=[machine])
    said = []
    for entries in (6, 8):
        state = _log(entries).state
        state.tree = TreeMemory("rsir")
        said.append(plain(plan_lines(shape, state, 70)).splitlines())
    waits, ended = said
    assert ("● sequence  running", "└─ ◔ approve  wait  waiting") == (waits[0], waits[3])
    assert [
        "✓ sequence  succeeded",
        "├─ ✓ parallel  succeeded",
        "│  └─ ✓ classify  action  succeeded",
        "└─ ✓ approve  wait  succeeded",
    ] == ended


def test_what_changed_the_plan_is_told_beneath_it() -> None:
    """Why the run went another way is no less than where it is."""
    log = _log(3)
    log.take(Entry(4, 0, Replan(trigger="agent_failure", strategy="conservative", state="classify", why="it failed")))
    assert "↻ conservative in classify: it failed" in plain(plan_lines(SHAPE, log.state, 70))


def test_one_run_in_full() -> None:
    """Head, steps, one step, the journal."""
    log = _log()
    head = plain(head_lines(log.state, 10 * SECOND, 76))
    assert "✓ succeeded  refund" in head
    assert "by ada  took 9.0 s  9 tokens in, 1 out  $0.00002" in head
    assert "waits for approval" in plain(head_lines(_log(6).state, 10 * SECOND, 76))
    steps = steps_source(log.state, 10 * SECOND)
    said = plain(steps.line(index, 100) for index in range(steps.count))
    assert '{"label": "refund"}' in said
    assert "⇥ approval" in said
    assert "step.timeout: took too long" in plain(step_lines(_log(3).state, "classify", 76))
    assert '"message": "late"' in plain(step_lines(log.state, "", 76))
    journal = journal_source(log.entries)
    assert 8 == journal.count
    assert "    signal.awaited" not in plain([journal.line(6, 80)])


def test_the_answer_of_a_map_stands_in_front_of_its_runs() -> None:
    """It has up to a thousand of them, and nobody scrolls over all for an answer."""
    state = fold(_log().run, _log().entries)
    step = next(iter(state.steps.values()))
    step.runs = [RunId(f"r-{number}") for number in range(1_000)]
    lines = plain(step_lines(state, step.step, 76)).splitlines()
    assert "answer" in lines[:5]
    assert (["runs of its own", "r-0"], "r-999") == (lines[-1001:-999], lines[-1])


def test_the_tools_of_a_step_are_told_with_what_held_them() -> None:
    """Of every attempt: what came of each call, its profile, its sandbox, its time and cost."""
    uses = (
        ToolUse(
            tool="look_up",
            outcome="ok",
            profile="sha256:0123456789",
            driver="gvisor",
            wall_ms=12,
            used=Used(9, 8_000_000, 80),
        ),
        ToolUse(tool="pay", outcome="ok", profile="sha256:0123456789", is_cached=True, cost_usd_micros=20),
        ToolUse(tool="drop", outcome="tool.not_granted"),
    )
    log = _log(2)
    log.take(Entry(3, SECOND, StepSucceeded(step=StepId("classify"), output=1, calls=uses)))
    said = plain(step_lines(log.state, "classify", 76, log.entries))
    assert "✓ look_up  gvisor  profile 01234567  12 ms" in said
    assert "cpu 9 ms · 8.0 MB at most · 80 B out" in said
    assert "✓ pay  from the cache  profile 01234567  0 ms  $0.00002" in said
    assert "⊘ drop  tool.not_granted" in said


def test_every_entry_says_something_on_one_line() -> None:
    """A line break in an answer must not tear a list apart."""
    for _, body in LIFE:
        assert told(body)
    evil = StepSucceeded(step=StepId("say"), output="one\ntwo\x1b[31m")
    assert "\n" not in told(evil)
    assert "\x1b" not in told(evil)


def test_the_slider_marks_failures_signals_and_the_end() -> None:
    """What one looks for is found without trying every entry."""
    log = _log()
    said = plain([track(log.entries, 1, 40)])
    assert ("●", "✗", "◆", "⚑") == (said[0], said[11], said[33], said[39])
    assert "●" == plain([track(log.entries, 8, 40)])[39]


def test_agents_servers_calls_costs_and_memory_say_what_they_know() -> None:
    """One line each, with the state as a word."""
    agent = shapes.AgentLine(
        workflow="w", agent="say", kind="llm", health="failing", limit=16, working=2, queued=1, answered=5, failed=3,
        failed_in_a_row=3, last_error="model.broken", mean_ms=80, active_at="2026-01-31T12:00:00.000000Z",
    )  # fmt: skip
    server = shapes.ServerLine(
        name="vllm", kind="openai", zone="site", health="model.server_failed", breaker="open", rest_s=9, latency_ms=None
    )
    source = agents_source(shapes.Agents([agent], [server]), 0)
    said = plain(source.line(index, 160) for index in range(source.count))
    for word in ("✗ failing", "2/16", "model.broken", "⊘ open 9.0 s", "model.server_failed"):
        assert word in said
    call = shapes.Call(
        seq=3, at="2026-01-31T12:00:00.000000Z", verdict="refused", outcome="tool.not_granted", kind="tool",
        target="drop", zone="local", agent="say", workflow="w", run="r", step="s", purpose="agent 'say'", policy="p",
        facts={"driver": "gvisor"},
    )  # fmt: skip
    assert "⊘ refused" in plain([calls_source([call], 0).line(0, 120)])
    assert "gvisor" in plain(call_lines(call))
    held = msgspec.structs.replace(call, verdict="allowed", outcome="ok", policy="sha256:0123456789")
    assert "gvisor 01234567" in plain([calls_source([held], 0).line(0, 140)])
    for facts, word in (({"driver": "gvisor", "is_cached": True}, "cache 01234567"), ({}, "inside 01234567")):
        assert word in plain([calls_source([msgspec.structs.replace(held, facts=facts)], 0).line(0, 140)])
    assert "from the cache    no" in plain(call_lines(held))
    used = msgspec.structs.replace(held, facts={"used": {"cpu_ms": 9, "output_bytes": 2_000}})
    assert "used              cpu 9 ms · memory not counted · 2.0 kB out" in plain(call_lines(used))
    costs = msgspec.convert(
        {
            "hours": [{"at": "x", "calls": 1, "tokens": 5, "cost_usd": 0.5}],
            "alerts": [{"level": "low", "message": "19% left"}],
            "budgets": [{"budget": "5 USD a day", "limit_usd_micros": 5_000_000, "left_usd_micros": 500_000}],
            "estimates": [
                {"run_id": "r", "workflow": "w", "status": "succeeded", "started_at": "x", "tokens_p50": 120,
                 "tokens_p95": 200, "tokens": 100, "cost_usd_p50": 0, "cost_usd": 0, "tokens_error_ratio": 0.2},
            ],
        },
        shapes.Costs,
    )  # fmt: skip
    told_costs = plain(cost_lines(costs, 70))
    for word in ("⚠ low: 19% left", "10% $0.5 of", "+20%", "█"):
        assert word in told_costs
    passage = shapes.Passage(
        source="a.md",
        position=0,
        heading="Cards",
        text="freeze it",
        similarity=0.7,
        words_ratio=1.0,
        score=0.8,
        why="near",
    )
    found = plain(recall_lines(shapes.Recall(collection="help", passages=[passage], confidence=0.9), 70))
    for word in ("90% sure", "score 0.800", "meaning", "near", "freeze it"):
        assert word in found


def test_nothing_that_tells_things_apart_is_cut_off() -> None:
    """Whose budget it is, which workflow an agent of a common name is of, a profile's hash, who asked."""
    scope = f"30 tokens a day of workflow {'w' * 64!r}"
    budget = shapes.BudgetLine(budget=scope, limit_tokens=30, left_tokens=12)
    assert _letters(scope) in _letters(cost_lines(shapes.Costs(budgets=[budget]), 62))
    agent = shapes.AgentLine(
        workflow="first", agent="ask", kind="llm", health="idle", limit=16, working=0, queued=0, answered=0, failed=0,
        failed_in_a_row=0, last_error="", mean_ms=None, active_at=None,
    )  # fmt: skip
    agents = [agent, msgspec.structs.replace(agent, workflow="other"), msgspec.structs.replace(agent, agent="say")]
    said = plain(map(lambda index: agents_source(shapes.Agents(agents), 0).line(index, 62), range(3)))
    assert ["ask of first", "ask of other", "say"] == [line.partition("  ")[0] for line in said.splitlines()]
    call = shapes.Call(
        seq=3, at="2026-01-31T12:00:00.000000Z", verdict="allowed", outcome="ok", kind="tool", target="t" * 90,
        zone="local", agent="say", workflow="w", run="r", step="s", purpose=f"agent {'a' * 64!r} of workflow 'w'",
        policy=f"sha256:{'0123456789abcdef' * 4}",
    )  # fmt: skip
    told = call_lines(call)
    assert max(cell_len(plain([line])) for line in told) <= 71
    for whole in ("t" * 90, "0123456789abcdef" * 4, f"agent {'a' * 64!r} of workflow 'w'"):
        assert _letters(whole) in _letters(told)


def _letters(said: Iterable[Line] | str) -> str:
    """What stands there, wherever it was wrapped."""
    return "".join((said if isinstance(said, str) else plain(said)).split())
