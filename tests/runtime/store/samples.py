"""Runs and entries for the tests of the stores."""

from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

from runtime.domain.canonical import Json
from runtime.domain.command import StartStep
from runtime.domain.event import RunStarted, StepSucceeded
from runtime.domain.ids import DefinitionHash, RunId, StepId
from runtime.domain.journal import Body, Entry
from runtime.ports import StateStore

T = TypeVar("T")

NOON_US = 1_767_268_800_000_000
DEFINITION = DefinitionHash("sha256:" + "d" * 64)


def run_id(number: int) -> RunId:
    return RunId(f"r-{number:026d}")


def entries(after_seq: int, *bodies: Body, at_us: int = NOON_US) -> Sequence[Entry]:
    """The bodies as the entries behind `after_seq`."""
    return [Entry(seq, at_us, body) for seq, body in enumerate(bodies, after_seq + 1)]


def beginning(*, workflow: str = "support", input: Json = None, at_us: int = NOON_US) -> Sequence[Entry]:
    """The first decision of a run."""
    return entries(
        0,
        RunStarted(workflow=workflow, definition=DEFINITION, input=input),
        StartStep(step=StepId("step2")),
        at_us=at_us,
    )


def step(after_seq: int, *, output: Json = None, at_us: int = NOON_US) -> Sequence[Entry]:
    """A step that succeeded, and the next one."""
    return entries(
        after_seq,
        StepSucceeded(step=StepId(f"step{after_seq}"), output=output, duration_ms=12),
        StartStep(step=StepId(f"step{after_seq + 2}")),
        at_us=at_us,
    )


async def begin(store: StateStore, number: int, *, workflow: str = "support", key: str | None = None) -> RunId:
    run = run_id(number)
    await store.append(run, 0, beginning(workflow=workflow), idempotency_key=key)
    return run


async def take(rows: AsyncIterator[T], count: int) -> list[T]:
    """The next `count` items."""
    return [await anext(rows) for _ in range(count)]
