"""What the audit log costs to write, and to verify when it has grown large."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from appliance.bench.engine import Goal, Result
from runtime.domain.audit import AuditEntry
from runtime.domain.command import FinishRun, StartStep
from runtime.domain.egress import Destination, Sender
from runtime.domain.event import RunStarted, StepSucceeded
from runtime.domain.ids import DEFAULT_TENANT, DefinitionHash, RunId, StepId
from runtime.domain.journal import Body, Entry
from runtime.store.audit import AuditLog
from runtime.store.audit_check import check
from runtime.store.database import Database
from runtime.store.journal import Journal, journal_database
from runtime.store.lock import hold
from runtime.store.signing import SigningKey, verify_ed25519
from runtime.store.verification import verify_rows

_AT_ONCE = 500
_LINES_PER_RUN = 20
"""Of a run's lines so many tell of what left, and two of the run itself."""
_CHECKPOINTS = 100


def bench(*, records: int, folder: Path, report: Callable[[str], None]) -> Result:
    """Write so many records, with the runs that some of them are about, and verify all of it."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        return asyncio.run(_bench(records, Path(place), report))


async def _bench(records: int, folder: Path, report: Callable[[str], None]) -> Result:
    key = SigningKey(bytes(32))
    named = key.named("agentflow.local/audit/bench/default")
    with hold(folder, what="bench", now_us=0) as lock:
        database = journal_database(folder, lock=lock, durability="normal")
        await database.start()
        try:
            log = AuditLog(database, lambda: 1_767_268_800_000_000)
            report(f"writing {records:,} records")
            began, cpu = time.perf_counter(), time.process_time()
            await _write(database, log, records, lambda: log.sign(DEFAULT_TENANT, named, key.sign))
            wrote_s, wrote_cpu_s = time.perf_counter() - began, time.process_time() - cpu
            report("verifying them, and the journal")
            began = time.perf_counter()
            work = partial(check, tenant=DEFAULT_TENANT, key=named, verify=verify_ed25519)
            chain = await log.aside(work)
            journal = await log.aside(verify_rows)
            verified_s = time.perf_counter() - began
        finally:
            await database.stop()
        size = sum(each.stat().st_size for each in folder.glob("journal.db*"))
    found = {
        "records": float(chain.records),
        "checkpoints": float(chain.checkpoints),
        "journal entries": float(journal.entries),
        "s to write": wrote_s,
        "µs of CPU per record": wrote_cpu_s / records * 1e6,
        "s to verify": verified_s,
        "µs to verify one": verified_s / records * 1e6,
        "bytes kept per record": size / records,
    }
    goals = [
        Goal(name="s to verify a million records", value=verified_s / records * 1e6, limit=60),
        Goal(name="records that are whole", value=chain.records, limit=records, at_least=True),
    ]
    return Result(rows={"audit": found}, goals=goals, notes=[chain.fault] if chain.fault else [])


async def _write(database: Database, log: AuditLog, records: int, sign: Callable[[], Awaitable[object]]) -> None:
    journal, written, signed = Journal(database, log.chains), 0, 0
    while written < records:
        runs = max(1, min(_AT_ONCE, records - written) // (_LINES_PER_RUN + 2))
        first = written
        await asyncio.gather(*(_run(journal, log, first + number) for number in range(runs)))
        written += runs * (_LINES_PER_RUN + 2)
        if records - written < _LINES_PER_RUN + 2:
            await asyncio.gather(*(log.append(_entry("r-rest", n)) for n in range(records - written)))
            written = records
        if written * _CHECKPOINTS // records > signed:
            signed = written * _CHECKPOINTS // records
            await sign()


async def _run(journal: Journal, log: AuditLog, number: int) -> None:
    run = RunId(f"r-{number:026d}")
    started = RunStarted(workflow="bench", definition=DefinitionHash("sha256:" + "0" * 64), input={"number": number})
    step = StepId("draft")
    bodies: tuple[Body, ...] = (started, StartStep(step=step))
    await journal.append(run, 0, [Entry(seq, 1, body) for seq, body in enumerate(bodies, 1)])
    await asyncio.gather(*(log.append(_entry(run, n)) for n in range(_LINES_PER_RUN)))
    ended: tuple[Body, ...] = (StepSucceeded(step=step, output="x" * 200), FinishRun(status="succeeded"))
    await journal.append(run, 2, [Entry(seq, 2, body) for seq, body in enumerate(ended, 3)])


def _entry(run: str, number: int) -> AuditEntry:
    return AuditEntry(
        event="egress.settled" if number % 2 else "egress.sent",
        passage=f"{number // 2:016x}",
        sender=Sender(purpose="agent 'draft' of workflow 'bench'", workflow="bench", agent="draft", run=run),
        destination=Destination("model", "site", "gpu-1:8000"),
        size_bytes=number,
    )
