"""What the guard does around a call: redacts, reserves, writes it down, gives values back, settles, fails closed."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator

import pytest
from msgspec.structs import replace

from redaction.desk import RedactionDesk
from redaction.guard import Guard
from redaction.names.host import NamesHost
from redaction.policy import EgressPolicy
from redaction.presets import PRESETS, RedactionPolicy
from runtime.domain.audit import AuditEntry
from runtime.domain.chat import ChatMessage, ChatRequest
from runtime.domain.egress import CostBound, Destination, Outbound, Sender
from runtime.errors import AgentFlowError, Refused, StepFailure, StoreFull, Unavailable
from tests.redaction.workers import end_once_asked

MAIL = "ada.lovelace@example.com"
SITE = Destination("model", "site", "127.0.0.1:8000")
PATTERNS = PRESETS["default"].patterns_only()


def policy(redaction: RedactionPolicy | None = PATTERNS, **fields: object) -> EgressPolicy:
    return EgressPolicy(redaction=(("*", redaction),), **fields)  # type: ignore[arg-type]  # fields of the policy


def asking(text: str, sender: Sender | None = None, bound: CostBound | None = None) -> Outbound[ChatRequest]:
    return Outbound(
        destination=SITE,
        payload=ChatRequest(model="m", messages=(ChatMessage("user", text),)),
        sender=sender or Sender(run="r-1"),
        bound=bound or CostBound(),
    )


class Books:
    """Keeps what is recorded and reserved, in order."""

    def __init__(self) -> None:
        self.lines: list[AuditEntry] = []
        self.order: list[str] = []
        self.settled: list[CostBound] = []

    async def record(self, entry: AuditEntry) -> None:
        self.lines.append(entry)
        self.order.append(entry.event)

    async def reserve(self, sender: Sender, bound: CostBound) -> Callable[[CostBound], Awaitable[None]]:
        self.order.append("reserved")

        async def settle(spent: CostBound) -> None:
            self.settled.append(spent)
            self.order.append("settled")

        return settle


@pytest.fixture
def books() -> Books:
    return Books()


async def test_a_value_leaves_as_a_pseudonym_and_comes_back(books: Books) -> None:
    guard = Guard(policy(), record=books.record)
    async with guard.passage(asking(f"I am {MAIL}")) as passage:
        sent = passage.cleared.payload.messages[0].content
        assert MAIL not in sent
        placeholder = sent.removeprefix("I am ")
        assert f"Dear {MAIL}!" == passage.text(f"Dear {placeholder}!")
        restorer = passage.restorer()
        assert restorer is not None
        told = "".join(restorer.feed(char) for char in f"Dear {placeholder}!") + restorer.end()
        assert f"Dear {MAIL}!" == told
    assert ["egress.sent", "egress.settled"] == books.order
    assert {"EMAIL:pseudonymise": 1} == books.lines[0].found
    assert "default" == books.lines[0].policy
    assert MAIL not in repr(books.lines)


async def test_a_run_keeps_its_pseudonyms_and_another_has_its_own() -> None:
    guard = Guard(policy())

    async def sent(run: str, text: str) -> str:
        return (await guard.clear(asking(text, Sender(run=run)))).payload.messages[0].content

    first = await sent("r-1", MAIL)
    assert first == await sent("r-1", MAIL)
    assert first != await sent("r-2", MAIL)
    assert first != await sent("r-1", "bob@example.com")


async def test_a_conversation_without_end_does_not_grow_without_end() -> None:
    """A client may call every request of its life by one name. What is under way keeps its values."""
    guard = Guard(policy(), RedactionDesk(b"k" * 32, values_per_run=2))
    async with guard.passage(asking(f"{MAIL} and b@example.com")) as first:
        told = first.cleared.payload.messages[0].content
        async with guard.passage(asking("c@example.com")) as second:
            assert "<EMAIL_1" in second.cleared.payload.messages[0].content
            assert "c@example.com" == second.text(second.cleared.payload.messages[0].content)
        assert f"{MAIL} and b@example.com" == first.text(told)


async def test_policies_of_one_name_are_two_policies() -> None:
    """Files may be called alike, or not at all: what one lets pass the other may block, within one run too."""
    lenient = replace(PRESETS["secrets-only"], name="unnamed")
    strict = replace(PRESETS["strict"].patterns_only(), name="unnamed")
    guard = Guard(EgressPolicy(redaction=(("http/site", lenient), ("model/site", strict))))
    first = Outbound(destination=Destination("http", "site", "127.0.0.1:80"), payload=MAIL, sender=Sender(run="r-1"))
    assert MAIL == (await guard.clear(first)).payload
    assert "[EMAIL]" == (await guard.clear(asking(MAIL))).payload.messages[0].content


async def test_the_line_is_written_before_leave_and_the_budget_before_the_line(books: Books) -> None:
    guard = Guard(policy(), record=books.record, reserve=books.reserve)
    bound = CostBound(usd_micros=9, input_tokens=10, output_tokens=10)
    async with guard.passage(asking("hello", bound=bound)) as passage:
        assert ["reserved", "egress.sent"] == books.order
        passage.spent = CostBound(usd_micros=4, input_tokens=1, output_tokens=2)
    assert ["reserved", "egress.sent", "settled", "egress.settled"] == books.order
    assert [CostBound(usd_micros=4, input_tokens=1, output_tokens=2)] == books.settled
    assert (4, 1, 2, "ok") == (
        books.lines[1].usd_micros,
        books.lines[1].input_tokens,
        books.lines[1].output_tokens,
        books.lines[1].outcome,
    )
    assert books.lines[0].passage == books.lines[1].passage


async def test_an_answer_that_says_nothing_of_its_cost_costs_the_bound(books: Books) -> None:
    async with Guard(policy(), reserve=books.reserve).passage(asking("hello", bound=CostBound(usd_micros=9))):
        pass
    assert [CostBound(usd_micros=9)] == books.settled


async def test_a_call_that_fails_gives_back_what_was_reserved(books: Books) -> None:
    guard = Guard(policy(), record=books.record, reserve=books.reserve)
    with pytest.raises(StepFailure):
        async with guard.passage(asking("hello", bound=CostBound(usd_micros=9))):
            raise StepFailure("model.server_failed", "it broke")
    assert ([CostBound()], "model.server_failed") == (books.settled, books.lines[-1].outcome)


async def test_a_call_that_is_cancelled_is_settled_all_the_same(books: Books) -> None:
    guard = Guard(policy(), record=books.record, reserve=books.reserve)
    inside = asyncio.Event()

    async def call() -> None:
        async with guard.passage(asking("hello", bound=CostBound(usd_micros=9))):
            inside.set()
            await asyncio.Event().wait()

    calling = asyncio.create_task(call())
    await inside.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert ([CostBound()], "cancelled") == (books.settled, books.lines[-1].outcome)


async def test_nothing_leaves_when_the_log_takes_no_line(books: Books) -> None:
    """And what was reserved is free again."""

    async def full(entry: AuditEntry) -> None:
        raise StoreFull("store.full", "the disk is full")

    guard = Guard(policy(), record=full, reserve=books.reserve)
    with pytest.raises(StoreFull):
        await guard.clear(asking("hello"))
    assert [CostBound()] == books.settled


class SlowLog(Books):
    """Takes the last line of a call only when it is told to, or not at all."""

    def __init__(self, error: AgentFlowError | None = None) -> None:
        super().__init__()
        self.may_go_on = asyncio.Event()
        self.error = error

    async def record(self, entry: AuditEntry) -> None:
        if entry.event == "egress.settled":
            await self.may_go_on.wait()
            if self.error is not None:
                raise self.error
        await super().record(entry)


async def test_an_answer_does_not_wait_for_its_last_line_and_a_stop_does() -> None:
    """A sync of the disk takes 8 ms, and the line that says what has left is durable already."""
    log = SlowLog()
    guard = Guard(policy(), record=log.record)
    async with guard.passage(asking("hello")):
        pass
    assert ["egress.sent"] == log.order
    stopping = asyncio.create_task(guard.written())
    await asyncio.sleep(0)
    assert not stopping.done()
    log.may_go_on.set()
    await stopping
    assert ["egress.sent", "egress.settled"] == log.order


async def test_an_answer_is_not_lost_with_its_last_line(caplog: pytest.LogCaptureFixture) -> None:
    """What was paid for is handed over, and the log says what it lacks."""
    log = SlowLog(StoreFull("store.full", "the disk is full"))
    guard = Guard(policy(), record=log.record)
    log.may_go_on.set()
    async with guard.passage(asking("hello")):
        pass
    await guard.written()
    assert ["egress.sent"] == log.order
    assert "store.full" in caplog.text


async def test_calls_wait_when_too_many_last_lines_are_behind() -> None:
    """A disk that hangs must not fill the memory."""
    log = SlowLog()
    guard = Guard(policy(), record=log.record, behind=2)
    for _ in range(2):
        async with guard.passage(asking("hello")):
            pass
    third = asyncio.create_task(guard.clear(asking("hello")))
    await asyncio.wait([third], timeout=0)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not third.done()
    log.may_go_on.set()
    await third
    await guard.written()
    assert 3 == log.order.count("egress.settled")


async def test_a_refusal_by_the_budget_is_in_the_log(books: Books) -> None:
    async def nothing_left(sender: Sender, bound: CostBound) -> Callable[[CostBound], Awaitable[None]]:
        raise Refused("budget.exceeded", "nothing is left")

    with pytest.raises(Refused, match="nothing is left"):
        await Guard(policy(), record=books.record, reserve=nothing_left).clear(asking("hello"))
    assert [("egress.refused", "budget.exceeded")] == [(line.event, line.outcome) for line in books.lines]


async def test_a_refusal_stands_when_the_log_takes_no_line() -> None:
    async def full(entry: AuditEntry) -> None:
        raise StoreFull("store.full", "the disk is full")

    with pytest.raises(Refused, match="air-gapped"):
        await Guard(policy(mode="air_gapped"), record=full).clear(asking("hello"))


async def test_what_is_too_large_does_not_leave() -> None:
    with pytest.raises(Refused, match=r"egress\.max_bytes"):
        await Guard(policy(max_bytes=10)).clear(asking("eleven chars"))


async def test_a_tenant_that_sends_too_often_waits() -> None:
    guard = Guard(policy(per_minute=2))
    for _ in range(2):
        await guard.clear(asking("hello"))
    with pytest.raises(Refused, match=r"egress\.per_minute") as refused:
        await guard.clear(asking("hello"))
    assert refused.value.retryable
    await guard.clear(replace(asking("hello"), destination=Destination("model", "site", "127.0.0.1:9000")))


async def test_the_appliances_own_workers_leave_no_line(books: Books) -> None:
    local = replace(asking(MAIL), destination=Destination("model", "local"))
    cleared = await Guard(EgressPolicy(), record=books.record).clear(local)
    assert (MAIL, []) == (cleared.payload.messages[0].content, books.lines)


async def test_an_error_inside_the_redactor_lets_nothing_out(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug must not be a way out, and its text may hold the value."""

    def broken(*_: object) -> object:
        raise ValueError(f"cannot handle {MAIL}")

    monkeypatch.setattr("redaction.desk.redacted", broken)
    with pytest.raises(Unavailable, match="nothing of what") as told:
        await Guard(policy(), record=books.record).clear(asking(MAIL))
    assert MAIL not in str(told.value)
    assert ["egress.refused"] == books.order


@pytest.fixture(scope="module")
def names() -> Iterator[NamesHost]:
    host = NamesHost(timeout_s=3.0)
    yield host
    host.stop()


@pytest.mark.parametrize(("fault", "city"), [(signal.SIGKILL, "Manchester"), (signal.SIGSTOP, "Sheffield")])
async def test_nothing_leaves_when_the_worker_is_killed_or_hangs(
    names: NamesHost, books: Books, fault: signal.Signals, city: str
) -> None:
    """And the next payload finds a new worker."""
    text = f"Then Nicholas Hargreaves from {city} phoned on Monday."
    desk = RedactionDesk(b"k" * 32, names=names)
    guard = Guard(policy(PRESETS["default"]), desk, record=books.record)
    await asyncio.to_thread(names.start)
    cleared = await guard.clear(asking("Please call Margaret Whitfield in Birmingham about the invoice."))
    assert "Whitfield" not in cleared.payload.messages[0].content
    [pid] = names.pids
    end_once_asked(pid, fault)
    with pytest.raises(Unavailable) as told:
        await guard.clear(asking(text))
    assert ("redaction.unavailable", 4) == (told.value.code, told.value.exit_code)
    assert "Hargreaves" not in str(told.value)
    assert ["egress.sent", "egress.settled", "egress.refused"] == books.order
    again = await guard.clear(asking(text))
    assert "Hargreaves" not in again.payload.messages[0].content


async def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(AgentFlowError) as told:
        async with Guard(policy()).passage(asking("hello")):
            raise Refused("tool.not_granted", "no")
    assert told.value.code == "tool.not_granted"
