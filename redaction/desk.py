"""Where payloads are redacted: one set of pseudonyms per run, off the event loop, and nothing passes on a failure."""

import asyncio
import hmac
import logging
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from redaction.names.host import NamesHost
from redaction.payloads import Looked, is_bare, redacted, size_of
from redaction.placeholders import Pseudonyms
from redaction.presets import RedactionPolicy
from redaction.redactor import Redactor
from redaction.seen import Seen
from runtime.domain.egress import Outbound, Sender
from runtime.errors import AgentFlowError, Unavailable

Payload = TypeVar("Payload")

KEPT_RUNS = 2_000
"""Runs whose pseudonyms are kept; of the one used longest ago a value may get another one."""
INLINE_BYTES = 4_096
"""Payloads up to this size are looked through on the spot where patterns are enough: 4 kB take about a millisecond."""

log = logging.getLogger(__name__)


class Exchanged(msgspec.Struct, frozen=True):
    """A payload as it may leave, and how its values come back."""

    payload: object
    looked: Looked
    pseudonyms: Pseudonyms


class _Case:
    """One run's redactor under one policy; worked on by one thread at a time."""

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self.lock = threading.Lock()


class RedactionDesk:
    """Redacts for the guard."""

    def __init__(
        self,
        key: bytes,
        *,
        names: NamesHost | None = None,
        threads: int = 2,
        timeout_s: float = 60.0,
        values_per_run: int = 50_000,
    ) -> None:
        """`key`: secret bytes, at least 16; hashes and pseudonyms agree where it is the same.

        `names`: looks for names and places where a policy wants that; None makes one, whose worker starts when it is
        first needed. `threads`: payloads that are looked through at once. `timeout_s`: for one payload; when it is
        over, nothing leaves. `values_per_run`: when a run has so many pseudonyms, it begins anew.
        """
        self._key = key
        self._names = names or NamesHost()
        self._timeout_s = timeout_s
        self._values_per_run = values_per_run
        self._cases: OrderedDict[tuple[str, str, int], _Case] = OrderedDict()
        """By tenant, run and policy, the last by its identity: two files may give the same name. A case holds its
        policy, so nothing else has that identity."""
        self._seen: dict[str, Seen] = {}
        """By tenant: how fast an answer comes must not tell one tenant what another has sent."""
        self._threads = ThreadPoolExecutor(threads, "redaction")

    def stop(self) -> None:
        """End the worker and let the threads go. Safe to call twice."""
        self._names.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def warm_up(self) -> None:
        """Have the worker that finds names load its model now rather than at the first payload.

        One that does not come up is logged: the payloads that need it will be refused.
        """
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._names.start)
        except Unavailable as error:
            log.error("%s", error)

    async def redact(self, outbound: Outbound[Payload], policy: RedactionPolicy, name: str) -> Exchanged:
        """What may leave of a payload.

        `name`: how the policy calls the destination. Raises Refused when the policy blocks it, and Unavailable when
        the redactor fails or does not answer in time.
        """
        if is_bare(outbound.payload):
            policy = policy.patterns_only()  # it has no sentences, in which alone names can be told
        case = self._case(outbound.sender, policy)
        try:
            is_quick = not policy.names and size_of(outbound.payload) <= INLINE_BYTES
            if is_quick and case.lock.acquire(blocking=False):  # the loop never waits for a thread
                try:
                    return _exchanged(case, outbound.payload, name)
                finally:
                    case.lock.release()
            async with asyncio.timeout(self._timeout_s):
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._threads, _work, case, outbound.payload, name)
        except AgentFlowError:
            raise
        except TimeoutError:
            self._forget(outbound.sender, policy)
            raise _unavailable(outbound, f"did not answer within {self._timeout_s:g} s") from None
        except Exception as error:  # the edge of the redactor: whatever goes wrong in it, nothing leaves
            log.error("redaction failed with %s", type(error).__name__)
            raise _unavailable(outbound, f"failed with {type(error).__name__}") from None

    def _case(self, sender: Sender, policy: RedactionPolicy) -> _Case:
        if not sender.run:
            return self._opened(sender, policy)
        place = (sender.tenant, sender.run, id(policy))
        case = self._cases.get(place)
        if case is None or len(case.redactor.pseudonyms) >= self._values_per_run:
            case = self._cases[place] = self._opened(sender, policy)
            if len(self._cases) > KEPT_RUNS:
                self._cases.popitem(last=False)
        self._cases.move_to_end(place)
        return case

    def _opened(self, sender: Sender, policy: RedactionPolicy) -> _Case:
        seen = self._seen.setdefault(sender.tenant, Seen())
        return _Case(Redactor(policy, self._key_of(sender), names=self._names, seen=seen))

    def _forget(self, sender: Sender, policy: RedactionPolicy) -> None:
        """A thread may still hold it; the next payload of the run does not wait for that one."""
        self._cases.pop((sender.tenant, sender.run, id(policy)), None)

    def _key_of(self, sender: Sender) -> bytes:
        return hmac.digest(self._key, f"{sender.tenant}\0{sender.run}".encode(), "sha256")


def _work(case: _Case, payload: object, name: str) -> Exchanged:
    with case.lock:
        return _exchanged(case, payload, name)


def _exchanged(case: _Case, payload: object, name: str) -> Exchanged:
    done, looked = redacted(case.redactor, payload, name)
    return Exchanged(done, looked, case.redactor.pseudonyms)


def _unavailable(outbound: Outbound[Payload], reason: str) -> Unavailable:
    return Unavailable(
        "redaction.unavailable",
        f"the redactor {reason}, so nothing of what {outbound.sender.purpose} wants to send leaves",
    )
