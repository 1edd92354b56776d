"""The audit log: append-only, chained, a tree; whatever is tampered with is named."""

from collections.abc import AsyncIterator
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.audit.levels import Levels
from runtime.audit.note import NoteKey
from runtime.audit.record import AuditRow, Checking, detail_of, digest, entry_in, row_of
from runtime.domain.audit import AuditEntry, tool_entry
from runtime.domain.canonical import encode
from runtime.domain.command import FinishRun
from runtime.domain.egress import Destination, Sender
from runtime.domain.event import CancelRequested, SignalReceived
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.errors import Corrupt
from runtime.store.audit import AuditLog
from runtime.store.audit_check import ChainReport, check
from runtime.store.database import Database
from runtime.store.journal import Journal, journal_database
from runtime.store.lock import hold
from runtime.store.signing import SigningKey, verify_ed25519
from tests.runtime.store.samples import DEFINITION, beginning, entries, run_id

ENTRY = AuditEntry(
    event="egress.sent",
    passage="p1",
    sender=Sender(purpose="agent 'draft'", workflow="support", run="r-1"),
    destination=Destination("model", "site", "127.0.0.1:8000"),
    found={"EMAIL:pseudonymise": 2},
)
KEY = SigningKey(bytes(range(32)))
NAMED = KEY.named("agentflow.local/audit/test/default")
TRIGGERS = ("audit_record_keeps", "audit_record_stays", "audit_checkpoint_keeps", "audit_checkpoint_stays")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    with hold(tmp_path, what="test", now_us=0) as lock:
        opened = journal_database(tmp_path, lock=lock)
        await opened.start()
        yield opened
        await opened.stop()


async def filled(database: Database, *, lines: int = 3) -> AuditLog:
    log = AuditLog(database, lambda: 1_000_000)
    for _ in range(lines):
        await log.append(ENTRY)
    return log


async def checked(log: AuditLog, *, outside: str | None = None, key: NoteKey = NAMED) -> ChainReport:
    return await log.aside(partial(check, tenant=DEFAULT_TENANT, key=key, verify=verify_ed25519, outside=outside))


async def tampered(database: Database, *statements: str) -> None:
    """What somebody with the file and its key can do: take the triggers away first."""
    gone = [f"DROP TRIGGER {name}" for name in TRIGGERS]
    await database.write(lambda c: [c.execute(statement) for statement in (*gone, *statements)])


async def test_lines_are_numbered_by_tenant(database: Database) -> None:
    log = AuditLog(database, lambda: 1)
    other = AuditEntry(event="tool.called", sender=Sender(tenant=TenantId("acme")))
    assert [1, 2, 1, 3] == [await log.append(each) for each in (ENTRY, ENTRY, other, ENTRY)]
    assert [("acme", 1), ("default", 3)] == [(head.tenant, head.size) for head in await log.heads()]
    assert [2, 3] == [row.seq for row in await log.newest(DEFAULT_TENANT, 2)]


async def test_a_whole_chain_is_whole(database: Database) -> None:
    log = await filled(database)
    assert await log.sign(DEFAULT_TENANT, NAMED, KEY.sign)
    assert await log.sign(DEFAULT_TENANT, NAMED, KEY.sign) is None
    await log.append(ENTRY)
    found = await checked(log)
    assert (4, 1, None) == (found.records, found.checkpoints, found.fault)


async def test_records_hold_no_name(database: Database) -> None:
    """They may be published; and equal details have different hashes, so that none can be guessed."""
    log = await filled(database)
    rows = await log.read(DEFAULT_TENANT)
    records = b"".join(row.record for row in rows)
    assert not any(name in records for name in (b"draft", b"support", b"127.0.0.1", b"EMAIL"))
    assert 3 == len({row.detail for row in rows})


REWORDED = """
UPDATE audit_record SET record = CAST(replace(CAST(record AS TEXT), 'sent', 'lost') AS BLOB) WHERE seq = 2"""
ADDED = "INSERT INTO audit_record SELECT chain, 4, record, leaf, detail FROM audit_record WHERE seq = 3"
SWAPPED = """UPDATE audit_record SET detail = (SELECT detail FROM audit_record WHERE seq = 1) WHERE seq = 2"""
CUT = (
    "DELETE FROM audit_record WHERE seq = 3",
    "UPDATE audit_chain SET size = 2, peaks = (SELECT leaf FROM audit_record WHERE seq = 1)",
)


@pytest.mark.parametrize(
    ("statements", "fits", "fault"),
    [
        ([REWORDED], 1, "2 was"),
        (["UPDATE audit_record SET record = x'7b7d' WHERE seq = 2"], 1, "record 2 was changed: it is no record"),
        ([SWAPPED], 1, "record 2: its detail was changed"),
        (["UPDATE audit_record SET leaf = zeroblob(32) WHERE seq = 2"], 1, "record 2 was changed: its leaf"),
        (["DELETE FROM audit_record WHERE seq = 2"], 1, "record 2 is missing"),
        (["DELETE FROM audit_record WHERE seq = 3"], 2, "records behind 2 were taken away"),
        (["DELETE FROM audit_record"], 0, "records behind 0 were taken away"),
        (["UPDATE audit_chain SET prev = zeroblob(32)"], 3, "the end of the chain was changed"),
        (CUT, 2, "the records behind 2 were taken away: the checkpoint covers 3"),
        (["DELETE FROM audit_record", "DELETE FROM audit_chain"], 0, "none"),
        (["UPDATE audit_checkpoint SET note = replace(note, 'default', 'other')"], 0, "none of this appliance's"),
        ([ADDED], 3, "record 4 was put behind"),
        (["UPDATE audit_checkpoint SET peaks = zeroblob(64)"], 0, "the checkpoint at 3 has other subtrees"),
        (["UPDATE audit_checkpoint SET peaks = x''"], 0, "the checkpoint at 3 has other subtrees"),
    ],
)  # fmt: skip
async def test_tampering_is_named(database: Database, statements: list[str], fits: int, fault: str) -> None:
    log = await filled(database)
    kept = await log.sign(DEFAULT_TENANT, NAMED, KEY.sign)
    assert kept
    await tampered(database, *statements)
    found = await checked(log, outside=kept.note if fault == "none" else None)
    expected = "the checkpoint that is kept outside covers 3" if fault == "none" else fault
    assert (fits, True) == (found.records, expected in (found.fault or "")), found.fault


async def test_a_cut_tail_shows_against_what_was_kept_outside(database: Database) -> None:
    """Also where the checkpoints in the file were cut with it, and the end was set to what it was."""
    log = await filled(database, lines=2)
    before = await database.read(lambda c: c.execute("SELECT size, prev, peaks FROM audit_chain").fetchone())
    await log.append(ENTRY)
    kept = await log.sign(DEFAULT_TENANT, NAMED, KEY.sign)
    assert kept
    await tampered(database, "DELETE FROM audit_record WHERE seq = 3", "DELETE FROM audit_checkpoint")
    await database.write(lambda c: c.execute("UPDATE audit_chain SET size = ?, prev = ?, peaks = ?", before))
    assert (await checked(log)).fault is None
    assert "the records behind 2 were taken away" in str((await checked(log, outside=kept.note)).fault)


async def test_a_history_written_anew_shows_against_what_was_kept_outside(database: Database, tmp_path: Path) -> None:
    """By somebody who has the key and the file."""
    log = await filled(database)
    kept = await log.sign(DEFAULT_TENANT, NAMED, KEY.sign)
    assert kept
    await tampered(database, "DELETE FROM audit_record", "DELETE FROM audit_checkpoint", "DELETE FROM audit_chain")
    log.chains.forget()
    await filled(database, lines=5)
    assert (await checked(log)).fault is None
    assert "has another root" in str((await checked(log, outside=kept.note)).fault)


async def test_another_appliances_database_is_known_by_its_key(database: Database) -> None:
    log = await filled(database)
    await log.sign(DEFAULT_TENANT, NAMED, KEY.sign)
    assert "none of this appliance's" in str((await checked(log, key=SigningKey(bytes(32)).named(NAMED.name))).fault)


async def test_nothing_is_signed_that_does_not_go_on_from_what_was_signed(database: Database) -> None:
    """Else a checkpoint would vouch for a history that was changed."""
    log = await filled(database)
    await log.sign(DEFAULT_TENANT, NAMED, KEY.sign)
    await log.append(ENTRY)
    await tampered(database, "UPDATE audit_record SET leaf = zeroblob(32) WHERE seq = 4")
    with pytest.raises(Corrupt, match="nothing more is signed"):
        await log.sign(DEFAULT_TENANT, NAMED, KEY.sign)


@pytest.mark.parametrize("table", ["audit_record", "audit_checkpoint"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET chain = 7"])
async def test_the_file_itself_refuses_changes(database: Database, table: str, statement: str) -> None:
    log = await filled(database)
    await log.sign(DEFAULT_TENANT, NAMED, KEY.sign)
    with pytest.raises(Exception, match="append-only"):
        await database.write(lambda c: c.execute(statement.format(table)))


CHAIN: list[AuditRow] = []
PREV = "0" * 64
for number in range(1, 9):
    CHAIN.append(row_of("run.started", "r-1", detail_of(ENTRY, f"{number:032x}"), seq=number, at_us=number, prev=PREV))
    PREV = digest(CHAIN[-1].record)


def first_fault(rows: list[AuditRow]) -> str:
    checking = Checking()
    return next((fault for row in rows if (fault := checking.fault(row))), "")


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 7), st.sampled_from(["record", "leaf", "detail"]), st.integers(0, 10**6), st.integers(1, 255))
def test_any_flipped_bit_is_noticed_in_its_row_or_the_next(index: int, field: str, place: int, flip: int) -> None:
    """Of a record, its leaf, or its detail."""
    row = CHAIN[index]
    held = bytearray(getattr(row, field))
    held[place % len(held)] ^= flip
    flipped = row._replace(**{field: bytes(held)})  # type: ignore[arg-type]  # one of the three
    rows = [*CHAIN[:index], flipped, *CHAIN[index + 1 :]]
    assert "" == first_fault(CHAIN)
    assert f"record {index + 1}" in first_fault(rows)


@settings(max_examples=100)
@given(st.integers(0, 7), st.integers(0, 7))
def test_rows_that_are_left_out_doubled_or_exchanged_are_noticed(index: int, other: int) -> None:
    assert first_fault(CHAIN[:index] + CHAIN[index + 1 :]) or index == 7
    assert first_fault([*CHAIN[: index + 1], CHAIN[index], *CHAIN[index + 1 :]])
    if index != other:
        exchanged = list(CHAIN)
        exchanged[index], exchanged[other] = exchanged[other], exchanged[index]
        assert first_fault(exchanged)


async def test_runs_are_told_of_in_the_transaction_of_their_journal(database: Database) -> None:
    """With the hashes of their entries, and at their end of the whole journal."""
    log = AuditLog(database, lambda: 5)
    journal, run = Journal(database, log.chains), run_id(1)
    await journal.append(run, 0, beginning())
    await journal.append(run, 2, entries(2, SignalReceived(name="person", actor="anna", payload="secret")))
    await journal.append(run, 3, entries(3, CancelRequested(reason="secret"), FinishRun(status="cancelled")))
    rows = await log.read(DEFAULT_TENANT)
    actions = [b'"action":"run.started"', b'"human.decided"', b'"cancel.requested"', b'"run.finished"']
    assert [True] * 4 == [action in row.record for action, row in zip(actions, rows, strict=True)]
    assert b"secret" not in b"".join(row.detail for row in rows)
    assert (4, None) == ((found := await checked(log)).entries, found.fault)
    rewritten = "UPDATE event SET hash = zeroblob(32) WHERE run_seq = 4"
    await database.write(lambda c: [c.execute("DROP TRIGGER event_keeps"), c.execute(rewritten)])
    assert "record 3 has another hash for entry 4 of run" in str((await checked(log)).fault)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("tenant = 'acme'", "of tenant 'acme'"),
        ("workflow = 'other'", "of workflow 'other'"),
        ("status = 'succeeded'", "has 'succeeded' there, and ended as 'cancelled'"),
    ],
)
async def test_a_run_that_is_listed_as_another_is_named(database: Database, change: str, fault: str) -> None:
    """Whose it is and how it ended stands in the list of runs as well, which no entry of its journal covers."""
    log = AuditLog(database, lambda: 5)
    journal, run = Journal(database, log.chains), run_id(1)
    await journal.append(run, 0, beginning())
    await journal.append(run, 2, entries(2, CancelRequested(), FinishRun(status="cancelled")))
    assert (await checked(log)).fault is None
    await database.write(lambda c: c.execute(f"UPDATE run SET {change}"))
    assert fault in str((await checked(log)).fault)


async def test_an_entry_that_no_line_tells_of_is_covered_by_the_end_of_its_run(database: Database) -> None:
    """Rewriting the answer of a step, hash and all, shows."""
    log = AuditLog(database, lambda: 5)
    journal, run = Journal(database, log.chains), run_id(1)
    await journal.append(run, 0, beginning())
    await journal.append(run, 2, entries(2, CancelRequested(), FinishRun(status="cancelled")))
    rewritten = "UPDATE event SET hash = zeroblob(32) WHERE run_seq = 2"
    await database.write(lambda c: [c.execute("DROP TRIGGER event_keeps"), c.execute(rewritten)])
    assert "the journal of run" in str((await checked(log)).fault)


async def test_a_decision_that_is_refused_leaves_no_line(database: Database) -> None:
    log = AuditLog(database, lambda: 5)
    journal = Journal(database, log.chains)
    await journal.append(run_id(1), 0, beginning())
    with pytest.raises(Exception, match="sequence"):
        await journal.append(run_id(1), 0, beginning())
    assert 1 == len(await log.read(DEFAULT_TENANT))


async def test_definitions_are_told_of_when_they_change(database: Database) -> None:
    log = AuditLog(database, lambda: 5)
    journal = Journal(database, log.chains)
    for _ in range(2):
        await journal.save_definition(DEFINITION, "support", b"{}", 1)
    assert 1 == len(await log.read(DEFAULT_TENANT))


@pytest.mark.parametrize(
    ("levels", "events"),
    [
        ({}, ["tool.called", "tool.settled", "egress.sent", "vault.erased"]),
        ({"*": "basic"}, ["tool.called", "egress.sent", "vault.erased"]),
        ({"default": "none"}, ["vault.erased"]),
        ({"*/search": "none"}, ["egress.sent", "vault.erased"]),
        ({"default": "none", "default/search": "full"}, ["tool.called", "tool.settled", "vault.erased"]),
        ({"acme": "none"}, ["tool.called", "tool.settled", "egress.sent", "vault.erased"]),
    ],
)
async def test_levels_say_what_is_written(database: Database, levels: dict[str, str], events: list[str]) -> None:
    """By tenant and tool; what was erased is written whatever they say."""
    log = AuditLog(database, lambda: 5, Levels(levels))  # type: ignore[arg-type]  # checked where settings are read
    await log.append(tool_entry("tool.called", "search", Sender(), passage="p"))
    await log.append(tool_entry("tool.settled", "search", Sender(), passage="p"))
    await log.append(ENTRY)
    await log.append(AuditEntry(event="vault.erased"))
    records = [row.record.decode() for row in await log.read(DEFAULT_TENANT)]
    assert events == [record.split('"')[3] for record in records]


@pytest.mark.parametrize(
    ("levels", "wanted", "expected"),
    [
        ({}, "", "full"),
        ({}, "basic", "basic"),
        ({}, "none", "none"),
        ({"*": "basic"}, "none", "basic"),
        ({"*": "basic"}, "full", "full"),
        ({"*/*": "basic"}, "", "basic"),
        ({"*/*": "none", "*/search": "basic"}, "", "basic"),
        ({"*/*": "none", "default": "full"}, "", "none"),
        ({"default/*": "basic", "*/*": "none"}, "", "basic"),
    ],
)
def test_a_workflow_may_ask_for_more(levels: dict[str, str], wanted: str, expected: str) -> None:
    """And for less where the operator says nothing: who writes workflows does not switch the operator's log off."""
    assert expected == Levels(levels).level("default", "search", wanted)  # type: ignore[arg-type]  # as above


async def test_what_a_workflow_asks_for_does_not_stand_in_the_line(database: Database) -> None:
    """It is no fact of the call."""
    log = AuditLog(database, lambda: 5)
    await log.append(tool_entry("tool.called", "search", Sender(), passage="p", wanted="basic"))
    await log.append(tool_entry("tool.settled", "search", Sender(), passage="p", wanted="basic"))
    rows = await log.read(DEFAULT_TENANT)
    assert ["tool.called"] == [entry_in(row.detail).event for row in rows]
    assert b"wanted" not in rows[0].detail


async def old_format(database: Database, tenants: list[str]) -> list[bytes]:
    """Lines as they were written before, one chain for all."""
    prev, bodies = "0" * 64, []
    for seq, tenant in enumerate(tenants, 1):
        held = {
            "event": "egress.sent",
            "passage": f"p{seq}",
            "sender": {"tenant": tenant},
            "destination": {"kind": "model", "zone": "site"},
        }
        bodies.append(encode({"v": 1, "seq": seq, "at_us": seq, "prev": prev, "entry": held}))
        prev = sha256(bodies[-1]).hexdigest()
    hashes = [sha256(body).digest() for body in bodies]
    rows = [(seq, seq, *row) for seq, row in enumerate(zip(hashes, bodies, strict=True), 1)]
    await database.write(lambda c: c.executemany("INSERT INTO audit VALUES(?,?,?,?)", rows))
    head = (len(tenants), hashes[-1])
    await database.write(lambda c: c.execute("UPDATE audit_head SET seq = ?, hash = ?", head))
    return bodies


async def test_lines_of_the_first_format_are_taken_over_with_their_hashes(database: Database) -> None:
    """Once; their numbers stay, and each record's data_hash is the hash that the line had."""
    bodies = await old_format(database, ["default", "default", "acme"])
    log = AuditLog(database, lambda: 9)
    assert (3, 0) == (await log.take_over(), await log.take_over())
    rows = await log.read(DEFAULT_TENANT)
    assert bodies[:2] == [row.detail for row in rows[:2]]
    assert sha256(bodies[1]).hexdigest().encode() in rows[1].record
    assert b'"audit.migrated"' in rows[2].record
    assert (1, 3) == tuple(head.size for head in await log.heads())
    assert (3, None) == ((found := await checked(log)).records, found.fault)


async def test_a_broken_log_of_the_first_format_is_taken_over_and_called_broken(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await old_format(database, ["default", "default"])
    await database.write(lambda c: [c.execute("DROP TRIGGER audit_fixed"), c.execute("UPDATE audit SET at_us = 7")])
    log = AuditLog(database, lambda: 9)
    await log.take_over()
    assert "line 1 was changed" in (await log.read(DEFAULT_TENANT))[-1].detail.decode()
    assert "is broken" in caplog.text
