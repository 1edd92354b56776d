"""Schedules, folders, mailboxes and messages acting: over a real store and bus, and a clock that moves by hand."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from appliance.triggers.desk import TRY_AGAIN_US, Acting, Active, consumer_of
from appliance.triggers.watching import EVERY_US, Watcher
from runtime.bus.local import LocalBus
from runtime.domain.canonical import Json, encode
from runtime.domain.ids import RunId
from runtime.domain.journal import rfc3339
from runtime.domain.trigger import FileDrop, How, Mailbox, OnMessage, Schedule, Trigger
from runtime.engine.clock import ManualClock
from runtime.errors import AgentFlowError, Invalid, NotFound, StoreFull, Unavailable
from runtime.store.journal import Journal
from tests.runtime.bus.samples import PATIENCE_S, open_bus, said
from tests.runtime.store.samples import begin, run_id

START_US = 1_767_225_600_000_000
MINUTE_S = 60


class StepClock(ManualClock):
    """A clock that is moved when whoever uses it sleeps."""

    def __init__(self) -> None:
        super().__init__(START_US)
        self._slept = asyncio.Event()

    async def sleep_until(self, at_us: int) -> None:
        if at_us > self.now_us():
            self._slept.set()
        await super().sleep_until(at_us)

    async def moves(self, seconds: float) -> None:
        """Time passes; returns when the one who was woken sleeps again."""
        await self.sleeps()
        self._slept.clear()
        self.advance(seconds)
        await self.sleeps()

    def wakes(self) -> None:
        """Nobody sleeps any more."""
        self._slept.clear()

    async def sleeps(self) -> None:
        """Somebody sleeps."""
        async with asyncio.timeout(PATIENCE_S):
            await self._slept.wait()


class Desk:
    """What the triggers of a test start."""

    def __init__(self, journal: Journal, bus: LocalBus, folder: Path) -> None:
        self.clock = StepClock()
        self.journal, self.bus, self.folder = journal, bus, folder
        self.fails: list[AgentFlowError] = []
        self.fired: list[tuple[str, Json]] = []
        self.failed: list[AgentFlowError] = []
        self._came = asyncio.Event()
        self._watcher = Watcher(journal, bus, self.clock, {"inbox": str(folder), "gone": str(folder / "gone")})

    @property
    def due(self) -> list[Json]:
        """The times that runs were started for."""
        return [data["due"] for _, data in self.fired if isinstance(data, dict)]

    async def has(self, count: int) -> None:
        """Wait until so many were started."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.fired) < count:
                self._came.clear()
                await self._came.wait()

    @asynccontextmanager
    async def watching(
        self, how: How, name: str = "t", workflow: str = "report"
    ) -> AsyncIterator["asyncio.Task[None]"]:
        """A trigger at work."""
        self.clock.wakes()
        each = Active(workflow=workflow, trigger=Trigger(name=name, kind="", how=how))
        task = asyncio.create_task(self._watcher.watch(Acting(each, self._fire, self._fail)))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _fire(self, data: dict[str, Json], key: str) -> RunId:
        if self.fails:
            raise self.fails.pop(0)
        self.fired.append((key, data))
        self._came.set()
        return RunId("r-1")

    async def _fail(self, error: AgentFlowError, what: str | None) -> None:
        if what is not None:
            assert what not in error.message, "names tell of people"
            self.failed.append(error)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    folder = tmp_path / "inbox"
    folder.mkdir()
    async with open_bus(tmp_path / "data") as (bus, journal):
        yield Desk(journal, bus, folder)


def at(minutes: int) -> str:
    """So long after the start of a test."""
    return rfc3339(START_US + minutes * MINUTE_S * 1_000_000)


async def test_a_schedule_starts_one_run_at_each_time(desk: Desk) -> None:
    async with desk.watching(Schedule(every="2m")):
        for _ in range(5):
            await desk.clock.moves(MINUTE_S)
    assert [at(2), at(4)] == desk.due
    assert 2 == len({key for key, _ in desk.fired})


async def test_a_schedule_goes_on_where_it_was(desk: Desk) -> None:
    """What was seen to before a restart is not made up for, and what passed meanwhile is, once."""
    async with desk.watching(Schedule(every="2m")):
        for _ in range(2):
            await desk.clock.moves(MINUTE_S)
    desk.clock.advance(7 * MINUTE_S)
    async with desk.watching(Schedule(every="2m")):
        await desk.clock.sleeps()
        await desk.has(2)
    assert [at(2), at(8)] == desk.due


async def test_a_new_schedule_makes_up_for_nothing(desk: Desk) -> None:
    async with desk.watching(Schedule(every="2m", missed="all")):
        await desk.clock.sleeps()
    assert [] == desk.due


async def test_all_missed_times_can_be_made_up_for(desk: Desk) -> None:
    schedule = Schedule(every="2m", missed="all", overlap="allow")
    async with desk.watching(schedule):
        await desk.clock.sleeps()
    desk.clock.advance(7 * MINUTE_S)
    async with desk.watching(schedule):
        await desk.has(3)
    assert [at(2), at(4), at(6)] == desk.due


async def test_a_run_that_cannot_be_started_for_now_is_tried_again(desk: Desk) -> None:
    """A full disk at three in the morning must not cost the report of the night."""
    desk.fails = [StoreFull("store.full", "no room"), Unavailable("store.closed", "not now")]
    async with desk.watching(Schedule(every="2m")):
        await desk.clock.moves(MINUTE_S)
        await desk.clock.moves(MINUTE_S)
        await desk.clock.moves(TRY_AGAIN_US / 1e6)
        await desk.clock.moves(TRY_AGAIN_US / 1e6)
    assert [at(2)] == desk.due


async def test_an_input_that_fits_no_run_does_not_hold_up_the_next_time(desk: Desk) -> None:
    desk.fails = [Invalid("run.input", "not that")]
    async with desk.watching(Schedule(every="2m")):
        for _ in range(4):
            await desk.clock.moves(MINUTE_S)
    assert [at(4)] == desk.due


async def test_a_run_that_goes_on_leaves_times_out_and_is_told_of_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """A schedule of a second, and a run that waits a week for somebody, would fill the log."""
    await begin(desk.journal, 1)
    await desk.journal.triggers.fired("report", "t", at_us=START_US, run=run_id(1))
    async with desk.watching(Schedule(every="1m")):
        for _ in range(3):
            await desk.clock.moves(MINUTE_S)
    assert ([], 1) == (desk.due, len(caplog.records))


async def test_one_failure_after_another_is_told_of_once(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.fails = [Invalid("run.input_invalid", "not that")] * 3
    async with desk.watching(Schedule(every="1m")):
        for _ in range(4):
            await desk.clock.moves(MINUTE_S)
    assert ([at(4)], 1) == (desk.due, len(caplog.records))


async def test_a_file_is_taken_when_it_rests(desk: Desk) -> None:
    """One that is still being written has no run of its first half."""
    async with desk.watching(FileDrop("inbox", "*.csv")):
        await desk.clock.sleeps()
        (desk.folder / "a.csv").write_text("1")
        await desk.clock.moves(EVERY_US / 1e6)
        (desk.folder / "a.csv").write_text("1,2")
        await desk.clock.moves(EVERY_US / 1e6)
        assert [] == desk.fired
        await desk.clock.moves(EVERY_US / 1e6)
    ((_, data),) = desk.fired
    file = data["file"]  # type: ignore[call-overload,index]
    assert ("a.csv", "1,2", 3) == (file["name"], file["text"], file["size_bytes"])  # type: ignore[call-overload,index]
    assert "1,2" == Path(file["path"]).read_text()  # type: ignore[call-overload,arg-type,index]
    assert ["taken"] == [path.name for path in desk.folder.iterdir()]


async def test_what_is_no_dropped_file_is_left_alone(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("x")
    (desk.folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    (desk.folder / ".hidden.csv").write_text("x")
    (desk.folder / "half.csv.part").write_text("x")
    (desk.folder / "other.txt").write_text("x")
    (desk.folder / "sub.csv").mkdir()
    (desk.folder / "z.csv").write_text("x")
    async with desk.watching(FileDrop("inbox", "*.csv*")):
        await desk.clock.moves(EVERY_US / 1e6)
        await desk.clock.moves(EVERY_US / 1e6)
    assert ["z.csv"] == [data["file"]["name"] for _, data in desk.fired]  # type: ignore[call-overload,index]


async def test_a_file_that_stays_has_one_run_for_each_time_that_it_is_written(desk: Desk) -> None:
    drop = FileDrop("inbox", after="keep")
    (desk.folder / "a").write_text("1")
    async with desk.watching(drop):
        for _ in range(3):
            await desk.clock.moves(EVERY_US / 1e6)
    async with desk.watching(drop):  # as after a restart: the key is the same, and finds the run
        await desk.clock.moves(EVERY_US / 1e6)
        (desk.folder / "a").write_text("22")
        await desk.clock.moves(EVERY_US / 1e6)
        await desk.clock.moves(EVERY_US / 1e6)
    first, again, other = (key for key, _ in desk.fired)
    assert first == again != other


async def test_a_file_whose_run_cannot_be_started_stays_and_is_tried_again(desk: Desk) -> None:
    desk.fails = [Unavailable("store.full", "no room")]
    (desk.folder / "a").write_text("1")
    async with desk.watching(FileDrop("inbox")):
        await desk.clock.moves(EVERY_US / 1e6)
        assert (desk.folder / "a").exists()
        await desk.clock.moves(TRY_AGAIN_US / 1e6)
    assert (1, False) == (len(desk.fired), (desk.folder / "a").exists())


async def test_files_may_have_any_name(desk: Desk) -> None:
    """Names are bytes to a file system, up to 255 of them, and none may end what looks into the folder."""
    names = [b"caf\xe9.txt", b"n" * 255, "\N{SNOWMAN}".encode() * 85, b"new\nline", b"--help"]
    for name in names:
        Path(os.fsdecode(os.fsencode(desk.folder) + b"/" + name)).write_bytes(name)
    async with desk.watching(FileDrop("inbox")):
        await desk.clock.moves(EVERY_US / 1e6)
    files = [data["file"] for _, data in desk.fired]  # type: ignore[call-overload,index]
    assert sorted(names) == sorted(Path(file["path"]).read_bytes() for file in files)  # type: ignore[call-overload,arg-type,index]
    assert ["taken"] == [path.name for path in desk.folder.iterdir()]
    encode(files)


async def test_a_file_that_stays_and_that_no_run_can_name_is_told_of_once(desk: Desk) -> None:
    Path(os.fsdecode(os.fsencode(desk.folder) + b"/caf\xe9")).write_bytes(b"1")
    (desk.folder / "z").write_text("2")
    async with desk.watching(FileDrop("inbox", after="keep")):
        for _ in range(3):
            await desk.clock.moves(EVERY_US / 1e6)
    assert (["trigger.file"], 1) == ([error.code for error in desk.failed], len(desk.fired))


async def test_the_same_file_dropped_again_is_taken_and_holds_up_nobody(desk: Desk) -> None:
    """`cp -p` brings the same name, time and content: it has its run."""
    for _ in range(2):
        (desk.folder / "a").write_text("1")
        os.utime(desk.folder / "a", (1, 1))
        (desk.folder / "z").write_text("2")
        async with desk.watching(FileDrop("inbox")):
            await desk.clock.moves(EVERY_US / 1e6)
    first, _, again, _ = (key for key, _ in desk.fired)
    assert first == again
    assert [] == desk.failed
    assert ["taken"] == [path.name for path in desk.folder.iterdir()]


async def test_a_file_that_has_no_run_does_not_stand_among_the_taken(desk: Desk) -> None:
    desk.fails = [Invalid("run.input_invalid", "not that")]
    (desk.folder / "a").write_text("1")
    async with desk.watching(FileDrop("inbox")):
        await desk.clock.moves(EVERY_US / 1e6)
    assert ["a"] == sorted(path.name for path in desk.folder.rglob("*") if path.is_file())


async def test_a_file_that_cannot_be_moved_is_told_of_once_and_others_go_on(desk: Desk) -> None:
    (desk.folder / "bill").write_text("1")
    (desk.folder / "taken").write_text("in the way")
    async with desk.watching(FileDrop("inbox", "bill")):
        await desk.clock.moves(EVERY_US / 1e6)
        await desk.clock.moves(EVERY_US / 1e6)
        assert (1, []) == (len(desk.failed), desk.fired)
        (desk.folder / "taken").unlink()
        await desk.clock.moves(EVERY_US / 1e6)
    assert 1 == len(desk.fired)


async def test_a_clock_that_was_set_back_stops_no_schedule(desk: Desk) -> None:
    """A machine that once believed in 2036 is not to be silent until then."""
    await desk.journal.triggers.move("report", "t", START_US + 3_650 * 86_400_000_000)
    async with desk.watching(Schedule(every="2m")):
        for _ in range(2):
            await desk.clock.moves(MINUTE_S)
    assert [at(2)] == desk.due


async def test_a_folder_that_is_not_there_is_named(desk: Desk) -> None:
    for name, kind in (("nowhere", NotFound), ("gone", Unavailable)):
        async with desk.watching(FileDrop(name)) as task:
            with pytest.raises(kind, match=name):
                await task


async def test_a_folder_that_is_no_maildir_is_named(desk: Desk) -> None:
    """Who looks into the wrong one would wait for ever."""
    async with desk.watching(Mailbox("inbox")) as task:
        with pytest.raises(Unavailable, match="inbox/new cannot be read"):
            await task


async def test_a_mail_starts_a_run_and_is_seen(desk: Desk) -> None:
    (desk.folder / "new").mkdir()
    mail = desk.folder / "new" / "1.host"
    head = b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\nSubject: Hi\n"
    mail.write_bytes(head + b"Content-Type: text/plain; charset=nonsense\n\nHall\xf6chen")
    async with desk.watching(Mailbox("inbox")):
        await desk.clock.moves(EVERY_US / 1e6)
    ((_, data),) = desk.fired
    told = data["mail"]  # type: ignore[call-overload,index]
    assert ("Jürgen <j@example.org>", "Hi") == (told["from"], told["subject"])  # type: ignore[call-overload,index]
    assert "Hall" in told["text"]  # type: ignore[call-overload,index,operator]
    assert ["1.host:2,S"] == [path.name for path in (desk.folder / "cur").iterdir()]


NESTED = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(2_000))
ODD_MAILS = {
    "nested": NESTED,
    "bytes": b"From: J\xf6rg <j@example.org>\nSubject: gr\xfc\xdfe\n\nb\xf6dy\n",
    "half": b"Subject: =?utf-8?q?=ED=A0=80?=\nContent-Type: text/html\n\n=ED=A0=80",
    "named": b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b\n"
    b'Content-Disposition: attachment; filename="=?utf-8?q?=ED=A0=80?=.pdf"\n\nx\n--b\n'
    b"Content-Disposition: attachment; filename*=nosuch''%ff%fe.pdf\n\nx\n--b--\n",
    "without": b"Content-Type: multipart/mixed\n\nno boundary\n",
    "inner": b"Content-Type: message/rfc822\n\nSubject: inner\n\ninner\n",
    "empty": b"",
    "zero": b"Subject: a\0b\n\n\0",
    "caf\udce9": b"Subject: last\n\nlast\n",
}


COSTLY_MAILS = {
    "head": b"To: " + b"a@b.c, " * 40_000 + b"\n\nx",
    "field": b"Content-Type: text/plain; " + b"a*0=b;\r\n " * 20_000 + b"\n\nx",
    "fields": b"Content-Type: multipart/mixed; boundary=b\r\r" + b"--b\rContent-Type: a/b; c=d\r\rx\r" * 6_000,
    "parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 11_000,
}


async def test_a_mail_that_takes_an_hour_to_read_is_refused(desk: Desk) -> None:
    """Anybody can send one, and others wait behind it."""
    (desk.folder / "new").mkdir()
    for name, content in COSTLY_MAILS.items():
        (desk.folder / "new" / f"{name}.host").write_bytes(content)
    (desk.folder / "new" / "z").write_bytes(b"Content-Type: text/plain\n\n" + b"--\nhi\n" * 5_000)
    async with desk.watching(Mailbox("inbox")):
        await desk.clock.moves(EVERY_US / 1e6)
    assert (["trigger.mail"] * 4, 1) == ([error.code for error in desk.failed], len(desk.fired))


async def test_no_mail_ends_what_takes_mails(desk: Desk) -> None:
    """Anybody can send one."""
    (desk.folder / "new").mkdir()
    for name, content in ODD_MAILS.items():
        (desk.folder / "new" / name).write_bytes(content)
    async with desk.watching(Mailbox("inbox")):
        await desk.clock.moves(EVERY_US / 1e6)
        await desk.clock.moves(EVERY_US / 1e6)
    left = [path.name for path in (desk.folder / "new").iterdir()]
    assert (["nested"], ["trigger.mail"]) == (left, [error.code for error in desk.failed])
    assert len(ODD_MAILS) - 1 == len(desk.fired)
    for _, data in desk.fired:
        encode(data)


async def test_a_message_starts_a_run(desk: Desk) -> None:
    async with desk.watching(OnMessage("orders.>"), name="Order 1"):
        await _until(lambda: bool(desk.bus.counts()))
        await desk.bus.publish(said("orders.created", 17))
        await desk.has(1)
        assert [consumer_of("report", "Order 1")] == [view.name for view in desk.bus.counts()]
    ((key, data),) = desk.fired
    assert 17 == data["message"]["payload"]  # type: ignore[call-overload,index]
    assert key.startswith("message/")


async def test_a_workflow_is_not_started_by_its_own_runs(desk: Desk) -> None:
    """Each run would start the next one; those of others may."""
    async with desk.watching(OnMessage("runs.>"), workflow="support"):
        await _until(lambda: bool(desk.bus.counts()))
        await begin(desk.journal, 1)
        await _until(lambda: desk.bus.counts()[0].lag == 0)
    assert [] == desk.fired
    async with desk.watching(OnMessage("runs.>")):
        await _until(lambda: len(desk.bus.counts()) == 2)
        await begin(desk.journal, 2)
        await desk.has(2)


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0)
