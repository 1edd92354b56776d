"""Budgets over a real file: they hold among many callers, over a restart, and when a caller is cancelled."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

import pytest

from runtime.costs.budget import Key
from runtime.domain.cost import Budget
from runtime.domain.egress import CostBound, Sender
from runtime.domain.ids import TenantId
from runtime.errors import Refused, StoreFull
from runtime.store import charges
from runtime.store.budgets import Budgets, Settle
from runtime.store.charges import Spending
from runtime.store.database import Database
from tests.runtime.store.samples import NOON_US

ACME = Sender(purpose="agent 'draft'", tenant=TenantId("acme"), workflow="support", agent="draft", run="r-1")
DAILY = Budget(scope=(("tenant", "*"),), per="day", usd_micros=1_000, set_by="budgets in the settings")
OF_RUN = Budget(scope=(("workflow", "support"),), per="run", usd_micros=1_000, set_by="policies.cost_budget")
CLOUD = CostBound(usd_micros=10, input_tokens=5, output_tokens=5, item="model:openai/gpt-4o", payee="api.example:443")
LOCAL = CostBound(input_tokens=30, output_tokens=20, item="model:local/smol")
ACME_TODAY: Key = ("day", NOON_US - NOON_US % 86_400_000_000, "tenant", "acme")


async def opened(database: Database, *budgets: Budget) -> Budgets:
    made = Budgets(database, lambda: NOON_US, budgets)
    await made.start()
    return made


@pytest.fixture
async def budgets(database: Database) -> AsyncIterator[Budgets]:
    made = await opened(database, DAILY)
    yield made
    await made.stop()


async def end(settle: Settle, spent: CostBound) -> None:
    """Settle, as the guard does."""
    pending = settle(spent)
    if pending is not None:
        await pending


async def spent(database: Database, key: Key = ACME_TODAY) -> tuple[int, int]:
    """Micro-dollars and tokens that the file has under a key."""
    return await database.read(lambda c: charges.spent_under(c, key))


async def by(database: Database, dimension: str) -> Sequence[Spending]:
    return await database.read(lambda c: charges.spending_by(c, dimension, (0, 2**62)))


async def test_two_hundred_callers_with_room_for_a_hundred_spend_exactly_that(
    budgets: Budgets, database: Database
) -> None:
    """All of them ask before one has settled."""

    async def call() -> bool:
        try:
            settle = await budgets.reserve(ACME, CLOUD)
        except Refused:
            return False
        await asyncio.sleep(0)
        await end(settle, CLOUD)
        return True

    passed = await asyncio.gather(*(call() for _ in range(200)))
    assert 100 == sum(passed)
    assert (1_000, 1_000) == await spent(database)


async def test_what_may_be_charged_for_is_in_the_file_before_it_is_sent(budgets: Budgets, database: Database) -> None:
    """A process that dies now leaves it there."""
    settle = await budgets.reserve(ACME, CLOUD)
    assert (10, 10) == await spent(database)
    await end(settle, CostBound(usd_micros=4, input_tokens=5, output_tokens=1))
    assert (4, 6) == await spent(database)
    await end(settle, CLOUD)
    assert (4, 6) == await spent(database), "a second time does nothing"


async def test_a_call_that_came_to_nothing_leaves_no_line(budgets: Budgets, database: Database) -> None:
    """The server was not there; nobody charges for that."""
    await end(await budgets.reserve(ACME, CLOUD), CostBound())
    assert [] == await by(database, "tenant")


async def test_another_process_goes_on_where_the_last_one_ended(database: Database) -> None:
    """A restart renews no budget, and what was under way counts as the most it can cost."""
    first = await opened(database, DAILY)
    await end(
        await first.reserve(ACME, CostBound(usd_micros=600, item="model:a/b", payee="x:1")), CostBound(usd_micros=500)
    )
    await first.reserve(ACME, CostBound(usd_micros=300, item="model:a/b", payee="x:1"))  # killed here
    second = await opened(database, DAILY)
    with pytest.raises(Refused, match=r"0\.0002 USD is left"):
        await second.reserve(ACME, CostBound(usd_micros=201, item="model:a/b", payee="x:1"))
    await end(await second.reserve(ACME, CostBound(usd_micros=200, item="model:a/b")), CostBound(usd_micros=200))
    assert (1_000, 0) == await spent(database)


async def test_a_local_call_that_died_with_its_process_is_given_back(database: Database) -> None:
    """Nobody charges for it, and the run makes it again."""
    tokens = Budget(per="day", tokens=100, set_by="a test")
    first = await opened(database, tokens)
    await first.reserve(ACME, LOCAL)  # killed here
    second = await opened(database, tokens)
    for _ in range(2):
        await end(await second.reserve(ACME, LOCAL), LOCAL)
    with pytest.raises(Refused, match=r"^budget\.exceeded"):
        await second.reserve(ACME, LOCAL)


async def test_a_budget_of_a_run_counts_what_the_run_spent_before_a_restart(database: Database) -> None:
    """A run goes on after a crash, and so does what it has spent."""
    sender = Sender(workflow="support", run="r-7", budgets=(OF_RUN,))
    first = await opened(database)
    await end(await first.reserve(sender, CostBound(usd_micros=900, item="model:a/b")), CostBound(usd_micros=900))
    second = await opened(database)
    with pytest.raises(Refused, match=r"0\.001 USD a run of workflow 'support'"):
        await second.reserve(sender, CostBound(usd_micros=101, item="model:a/b"))
    other = Sender(workflow="support", run="r-8", budgets=(OF_RUN,))
    await second.reserve(other, CostBound(usd_micros=1_000, item="model:a/b"))


async def test_claims_beyond_what_is_possible_are_counted_as_the_bound(
    budgets: Budgets, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """A lying server must neither break the ledger nor use up somebody's month."""
    settle = await budgets.reserve(ACME, CLOUD)
    await end(settle, CostBound(usd_micros=2**200, input_tokens=2**70, output_tokens=-(2**70)))
    assert (10, 5) == await spent(database)
    assert "more than it can" in caplog.text
    await end(await budgets.reserve(ACME, LOCAL), CostBound(input_tokens=2**70, output_tokens=2**70))
    await budgets.flush()
    assert {"openai/gpt-4o": 5, "local/smol": 30} == {
        line.name: line.input_tokens for line in await by(database, "model")
    }


async def test_whoever_is_cancelled_while_it_is_written_gets_nothing_and_keeps_nothing(
    budgets: Budgets, database: Database
) -> None:
    """The line may be durable by then, so it is taken back."""
    await end(await budgets.reserve(ACME, CLOUD), CostBound())  # from now on it waits for nothing but the write
    asking = asyncio.ensure_future(budgets.reserve(ACME, CLOUD))
    await asyncio.sleep(0)
    asking.cancel()
    assert isinstance((await asyncio.gather(asking, return_exceptions=True))[0], asyncio.CancelledError)
    await budgets.stop()
    assert (0, 0) == await spent(database)
    for _ in range(100):  # nothing is set aside any more
        await end(await budgets.reserve(ACME, CLOUD), CLOUD)


async def test_settling_goes_on_when_whoever_waits_for_it_is_cancelled(budgets: Budgets, database: Database) -> None:
    """A client that hangs up must not leave its call open."""
    settle = await budgets.reserve(ACME, CLOUD)
    settling = asyncio.ensure_future(end(settle, CostBound(usd_micros=3)))
    await asyncio.sleep(0)
    settling.cancel()
    await asyncio.gather(settling, return_exceptions=True)
    await budgets.stop()
    assert (3, 0) == await spent(database)


async def test_what_costs_nothing_and_no_budget_counts_is_added_up_by_the_hour(database: Database) -> None:
    """A thousand local calls a second write no thousand lines, and still show in the report."""
    made = await opened(database, DAILY)
    commits = database.commits
    for _ in range(50):
        assert None is (await made.reserve(ACME, LOCAL))(CostBound(input_tokens=3, output_tokens=2))
    assert commits == database.commits
    await made.stop()
    await end(await made.reserve(ACME, LOCAL), CostBound(input_tokens=3, output_tokens=2))
    await made.stop()
    assert [Spending("local/smol", calls=51, input_tokens=153, output_tokens=102)] == await by(database, "model")
    assert (0, 255) == await spent(database)


async def test_a_soft_budget_warns_in_the_log_and_whoever_listens(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each name and period."""
    heard: list[tuple[str, str]] = []

    async def listen(sender: Sender, bound: CostBound, budget: str) -> None:
        heard.append((sender.purpose, budget))

    soft = Budget(scope=(("model", "openai/gpt-4o"),), per="hour", usd_micros=15, is_hard=False, set_by="a test")
    made = Budgets(database, lambda: NOON_US, (soft,), on_warning=listen)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await end(await made.reserve(ACME, CLOUD), CLOUD)
    assert [("agent 'draft'", "0.000015 USD an hour of model 'openai/gpt-4o'")] == heard
    assert 1 == caplog.text.count("may go over the budget of 0.000015 USD an hour of model 'openai/gpt-4o'")


async def test_a_warning_that_nobody_can_keep_gives_the_call_back(database: Database) -> None:
    """The audit log is full: nothing leaves, so nothing is set aside."""

    async def full(sender: Sender, bound: CostBound, budget: str) -> None:
        raise StoreFull("store.full", "the disk is full")

    soft = Budget(per="day", usd_micros=5, is_hard=False, set_by="a test")
    made = Budgets(database, lambda: NOON_US, (soft,), on_warning=full)
    with pytest.raises(StoreFull):
        await made.reserve(ACME, CLOUD)
    await made.stop()
    assert (0, 0) == await spent(database)


async def test_a_store_that_takes_nothing_for_long_is_told_of_once(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every few seconds all night; what was spent is kept meanwhile."""
    tries, enough = 0, asyncio.Event()

    async def full(work: object) -> None:
        nonlocal tries
        tries += 1
        if tries == 3:
            enough.set()
        raise StoreFull("store.full", "the disk is full")

    monkeypatch.setattr("runtime.store.budgets.WRITE_EVERY_S", 0)
    made = await opened(database, DAILY)
    with monkeypatch.context() as failing:
        failing.setattr(database, "write", full)
        await end(await made.reserve(ACME, LOCAL), LOCAL)
        await enough.wait()
    await made.stop()
    assert 1 == caplog.text.count("what was spent cannot be written yet")
    assert [("local/smol", 1)] == [(each.name, each.calls) for each in await by(database, "model")]


async def test_spending_is_told_by_name_the_dearest_first(database: Database) -> None:
    """What is open counts as its bound and is told apart."""
    made = await opened(database)
    shop = Sender(tenant=TenantId("shop"), workflow="billing")
    await made.reserve(shop, CostBound(usd_micros=70, input_tokens=7, item="model:a/b", payee="x:1"))
    for cost in (20, 30):
        await end(await made.reserve(ACME, CostBound(usd_micros=cost, item="model:a/c")), CostBound(usd_micros=cost))
    assert [
        Spending("shop", calls=1, usd_micros=70, input_tokens=7, open_usd_micros=70, open_tokens=7),
        Spending("acme", calls=2, usd_micros=50),
    ] == await by(database, "tenant")
    assert ["a/b", "a/c"] == [line.name for line in await by(database, "model")]
    assert [] == await by(database, "tool")


async def test_a_budgets_counts_are_told_for_each_name(database: Database) -> None:
    """What `af costs` shows of the budgets."""
    made = await opened(database, DAILY, OF_RUN)
    for run, cost in (("r-1", 20), ("r-2", 30), ("r-2", 40)):
        sender = Sender(tenant=TenantId("acme"), workflow="support", run=run)
        await end(await made.reserve(sender, CostBound(usd_micros=cost, item="model:a/b")), CostBound(usd_micros=cost))
    counts = await database.read(lambda c: charges.counts_of(c, DAILY, NOON_US))
    assert [(ACME_TODAY, 90)] == [(key, line.usd_micros) for key, line in counts]
    runs = await database.read(lambda c: charges.counts_of(c, OF_RUN, NOON_US))
    assert [("r-2", 70), ("r-1", 20)] == [(key[1], line.usd_micros) for key, line in runs]
    assert [] == await database.read(lambda c: charges.counts_of(c, DAILY, NOON_US, tenant="shop"))
    whole = Budget(per="month", usd_micros=5, set_by="a test")
    everybody = await database.read(lambda c: charges.counts_of(c, whole, NOON_US))
    assert [90] == [line.usd_micros for _, line in everybody]
    of_model = Budget(scope=(("model", "*"),), per="hour", tokens=5, set_by="a test")
    models = await database.read(lambda c: charges.counts_of(c, of_model, NOON_US))
    assert [("model", "a/b")] == [key[2:] for key, _ in models]


@pytest.mark.parametrize(
    ("bound", "counted"),
    [
        (CostBound(usd_micros=600, input_tokens=3, item="model:a/b", payee="x:1"), (600, 3)),
        (CostBound(input_tokens=3, item="model:a/b", payee="x:1", has_price=False), (0, 3)),
        (CostBound(input_tokens=3, item="model:vllm/b", payee="x:1"), (0, 0)),
        (CostBound(usd_micros=600, item="tool:create_ticket"), (0, 0)),
        (CostBound(usd_micros=600, input_tokens=3, item="model:local/b"), (0, 0)),
    ],
    ids=["paid server", "server without a price", "free server", "tool", "local model"],
)
async def test_a_crash_gives_back_what_nobody_charges_for(
    database: Database, bound: CostBound, counted: tuple[int, int]
) -> None:
    """The next process finds what a server may charge for at its bound, and nothing of the rest."""
    tokens = Budget(scope=DAILY.scope, per="day", tokens=1_000, set_by="the test")
    first = await opened(database, tokens, DAILY) if bound.has_price else await opened(database, tokens)
    await first.reserve(ACME, bound)  # killed here
    await opened(database, tokens, DAILY)
    assert counted == await spent(database)
