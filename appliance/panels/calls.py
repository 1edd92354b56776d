"""Calls that left or were refused, and calls of tools, out of the audit log: one line for each passage, however many
lines of the log tell of it.

Takes whatever facts a line has beside those that every line has (`driver`, `cpu_ms`, …), so that a new
kind of line is shown before this page knows it. A line never holds a value.
"""

from collections.abc import Mapping, Sequence

import msgspec

from appliance.runs.causes import manual_of
from runtime.audit.record import AuditRow
from runtime.domain.canonical import Json
from runtime.domain.ids import TenantId
from runtime.domain.journal import rfc3339
from runtime.domain.units import USD_MICROS
from runtime.store.audit import AuditLog

LOOKED_AT = 2_000
"""Newest lines of the log that one look takes in: some 10 ms."""
PREFIXES = ("egress.", "tool.")
_KNOWN = frozenset({"event", "passage", "sender", "destination", "size_bytes", "policy", "found", "outcome", "subject"})
_SPENT = frozenset({"usd_micros", "input_tokens", "output_tokens"})


class CallView(msgspec.Struct, frozen=True, kw_only=True):
    """One call."""

    seq: int
    """The first line of the log that tells of it."""
    at: str
    verdict: str
    """`allowed`, `refused`, or `failed` when it was allowed and did not go well."""
    outcome: str
    """`ok`, or the code of the refusal or the failure; empty while it is under way."""
    why: str
    """What the manual says of that code, and what to do; empty where it says nothing."""
    kind: str
    """`model`, `http`, `tool`, …"""
    target: str
    """The tool, or the host, or the zone of what was called."""
    zone: str
    agent: str
    workflow: str
    run: str
    step: str
    purpose: str
    policy: str
    """The redaction policy that was applied; of a tool the profile that it ran under. Empty: none."""
    found: dict[str, int]
    """How many values were found, by `ENTITY:action`."""
    sent_bytes: int
    received_bytes: int
    duration_ms: int | None
    cost_usd: float
    tokens: int
    facts: dict[str, Json]
    """What else the log says, such as the driver and what was used."""


class CallsView(msgspec.Struct, frozen=True, kw_only=True):
    """Calls, newest first."""

    calls: list[CallView]


class _Body(msgspec.Struct, frozen=True):
    entry: dict[str, Json]


_body = msgspec.json.Decoder(_Body)


async def newest_calls(log: AuditLog, *, tenant: str, run: str, limit: int) -> CallsView:
    """The newest calls of a tenant; `run`: of this run alone, empty: of all."""
    lines = await log.newest(TenantId(tenant), LOOKED_AT)
    entries = [(line, _body.decode(line.detail).entry) for line in lines]
    told = [(line, entry) for line, entry in entries if _is_told(entry, tenant, run)]
    return CallsView(calls=list(reversed(calls_of(told)))[:limit])


def calls_of(told: Sequence[tuple[AuditRow, Mapping[str, Json]]]) -> list[CallView]:
    """One call for each passage, in the order of their first lines."""
    passages: dict[str, list[tuple[AuditRow, Mapping[str, Json]]]] = {}
    for line, entry in told:
        passages.setdefault(str(entry.get("passage") or f"line {line.seq}"), []).append((line, entry))
    return [_call(lines) for lines in passages.values()]


def _is_told(entry: Mapping[str, Json], tenant: str, run: str) -> bool:
    sender = _part(entry, "sender")
    return (
        str(entry["event"]).startswith(PREFIXES)
        and sender.get("tenant", "default") == tenant
        and run in ("", sender.get("run"))
    )


def _call(lines: Sequence[tuple[AuditRow, Mapping[str, Json]]]) -> CallView:
    (begun, first), (ended, last) = lines[0], lines[-1]
    sender, destination = _part(first, "sender"), _part(first, "destination")
    facts = {name: value for _, entry in lines for name, value in entry.items() if name not in _KNOWN | _SPENT}
    is_settled = last is not first
    outcome = str(last.get("outcome") or "")
    return CallView(
        seq=begun.seq,
        at=rfc3339(begun.at_us),
        verdict=_verdict(str(last["event"]), outcome),
        outcome=outcome,
        why=_why(outcome),
        kind=str(destination.get("kind") or str(first["event"]).partition(".")[0]),
        target=str(first.get("subject") or destination.get("host") or destination.get("zone") or ""),
        zone=str(destination.get("zone") or ""),
        agent=str(sender.get("agent") or ""),
        workflow=str(sender.get("workflow") or ""),
        run=str(sender.get("run") or ""),
        step=str(sender.get("step") or ""),
        purpose=str(sender.get("purpose") or ""),
        policy=str(last.get("policy") or first.get("policy") or ""),
        found={name: _count(number) for name, number in _part(first, "found").items()},
        sent_bytes=_count(first.get("size_bytes")),
        received_bytes=_count(last.get("size_bytes")) if is_settled else 0,
        duration_ms=(ended.at_us - begun.at_us) // 1_000 if is_settled else None,
        cost_usd=_count(last.get("usd_micros")) / USD_MICROS,
        tokens=_count(last.get("input_tokens")) + _count(last.get("output_tokens")),
        facts=facts,
    )


def _verdict(event: str, outcome: str) -> str:
    if event.endswith(".refused"):
        return "refused"
    return "allowed" if outcome in ("", "ok") else "failed"


def _why(code: str) -> str:
    meaning, advice = manual_of(code)
    return f"{meaning}; {advice}" if meaning and advice not in ("", "nothing") else meaning


def _part(entry: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    found = entry.get(name)
    return found if isinstance(found, dict) else {}


def _count(value: Json) -> int:
    return int(value) if isinstance(value, int | float) else 0
