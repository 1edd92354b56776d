"""Asking twice for one run: the Idempotency-Key header, as draft-ietf-httpapi-idempotency-key-header-07 has it.

The journal is the memory. A key is bound to its run in the very append that starts the run, so it holds across
restarts, and what was asked for (workflow and input) stands in the run's first entry, to compare a retry with.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from appliance.api.problems import HttpError
from appliance.auth.callers import Caller
from runtime.domain.canonical import Json
from runtime.domain.event import RunStarted
from runtime.domain.ids import RunId
from runtime.domain.journal import read
from runtime.domain.workflow import Workflow
from runtime.errors import Conflict, Invalid

if TYPE_CHECKING:
    from appliance.wiring import Appliance

KEY_PATTERN = "^[!-~]([ -~]{0,253}[!-~])?$"
OURS = "\n"
"""Behind the tenant in keys that are made here: it stands in none that a client sends."""


class Submitted(msgspec.Struct, frozen=True):
    """A run that somebody asked for."""

    run: RunId
    is_replay: bool
    """Whether an earlier request with the same key had already started it."""


class Submissions:
    """Starts runs, each key at most once."""

    def __init__(self, appliance: Appliance) -> None:
        self._appliance = appliance
        self._in_flight: dict[str, asyncio.Event] = {}

    async def submit(
        self,
        workflow: Workflow,
        input: Json,
        caller: Caller,
        key: str | None,
        *,
        with_estimate: bool = False,
        traceparent: str = "",
        is_ours: bool = False,
    ) -> Submitted:
        """Start a run, or find the one that the key stands for. The run is durable when this returns.

        `is_ours`: the key was made here, of what the run is for, and equals none that a client sends; a definition
        that was replaced in between may make another input of that.
        Raises HttpError 422 when the key stands for another request, Conflict while the first request with the
        key is still on its way to the disk.
        """
        begin = partial(self._begin, workflow, input, caller, with_estimate=with_estimate, traceparent=traceparent)
        if key is None:
            run = await begin(None)
            return Submitted(run, is_replay=False)
        scoped = f"{caller.tenant}{OURS if is_ours else '/'}{key}"
        while is_ours and scoped in self._in_flight:
            await self._in_flight[scoped].wait()
        if scoped in self._in_flight:
            raise Conflict(
                "idempotency.in_flight",
                "the first request with this Idempotency-Key has not been answered yet; send it again in a second",
            )
        self._in_flight[scoped] = asyncio.Event()
        try:
            known = await self._appliance.store.run_by_key(scoped)
            if known is None:
                return Submitted(await begin(scoped), is_replay=False)
            if not is_ours:
                await self._expect_same(known, workflow, input)
            return Submitted(known, is_replay=True)
        finally:
            self._in_flight.pop(scoped).set()

    async def _begin(
        self,
        workflow: Workflow,
        input: Json,
        caller: Caller,
        key: str | None,
        *,
        with_estimate: bool,
        traceparent: str,
    ) -> RunId:
        appliance = self._appliance
        estimate = None
        if with_estimate or appliance.settings.preflight == "always":
            estimate = await appliance.estimate(workflow, input, tenant=caller.tenant)
        return await appliance.engine.submit(
            workflow,
            input,
            tenant=caller.tenant,
            actor=caller.actor,
            role=caller.role,
            estimate=estimate,
            traceparent=traceparent,
            idempotency_key=key,
        )

    async def _expect_same(self, run: RunId, workflow: Workflow, input: Json) -> None:
        first = read((await self._appliance.store.read(run, limit=1))[0]).body
        assert isinstance(first, RunStarted), "a journal starts with RunStarted"
        # the name, not the hash: a definition that was replaced in between does not make a retry another request
        if first.workflow != workflow.name or not await self._appliance.engine.is_input(run, first, input):
            raise HttpError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "idempotency.key_reused",
                f"this Idempotency-Key belongs to run {run!r}, which was asked for with another workflow or input; "
                "use a new key for a new request",
            )


def key_of(header: str | None) -> str | None:
    """The key in an Idempotency-Key header, with or without the quotes of a structured field. Raises Invalid."""
    if header is None:
        return None
    key = header[1:-1] if len(header) > 2 and header[0] == header[-1] == '"' else header
    if not re.fullmatch(KEY_PATTERN, key):
        raise Invalid(
            "idempotency.bad_key",
            "an Idempotency-Key is 1 to 255 printable ASCII characters with no space at its ends, such as a UUID; "
            f"found {len(key)} characters",
        )
    return key
