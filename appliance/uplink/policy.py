"""What of a run may go over the uplink: as its workflow's residency and class of data say, and as settings choose."""

from collections import OrderedDict
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from appliance.workflows import WorkflowCatalogue
from redaction.guard import Guard
from runtime.domain.bus import Posted
from runtime.domain.egress import Destination, Sender
from runtime.domain.envelope import Envelope
from runtime.domain.ids import RunId
from runtime.domain.subject import INBOX, matches
from runtime.domain.workflow import Workflow
from runtime.engine.dispatcher import sender_of
from runtime.errors import AgentFlowError, NotFound, Refused
from runtime.policies.residency import rules_of
from runtime.ports import StateStore

KEPT_RUNS = 2_000


class Leave(msgspec.Struct, frozen=True, kw_only=True):
    """What may leave of one definition's runs of one tenant."""

    sender: Sender
    payloads: tuple[str, ...]
    """Filters; none where an agent's own rules keep what it says here."""

    def envelope(self, posted: Posted) -> Envelope:
        """A message as it may be forwarded. Raises Corrupt."""
        made = posted.envelope()
        return made if _chosen(self.payloads, made.subject) else replace(made, payload=None)


class UplinkPolicy:
    """Looks up runs, and remembers."""

    def __init__(
        self,
        store: StateStore,
        workflows: WorkflowCatalogue,
        guard: Guard,
        destination: Destination,
        *,
        subjects: tuple[str, ...],
        payloads: tuple[str, ...],
    ) -> None:
        self._store = store
        self._workflows = workflows
        self._guard = guard
        self._destination = destination
        self._subjects = subjects
        self._payloads = payloads
        self._runs: OrderedDict[RunId, Leave | None] = OrderedDict()
        self._leaves: dict[tuple[str, str], Leave] = {}

    def wants(self, subject: str) -> bool:
        """Whether somebody asked for it; replies to requests are for who asked alone."""
        return _chosen(self._subjects, subject) and not subject.startswith(f"{INBOX}.")

    async def of(self, posted: Posted) -> Leave | None:
        """What may leave of a message; None where its run never was (a what-if, an import). Raises what the store does.

        A message that belongs to no run has no workflow's rules: whoever chose its subject knows what it holds.
        """
        run = posted.run
        if not run:
            sender = Sender(purpose="the uplink", tenant=posted.tenant)
            return self._leaves.setdefault((posted.tenant, ""), Leave(sender=sender, payloads=self._payloads))
        if run not in self._runs:
            self._runs[run] = await self._looked_up(run)
            if len(self._runs) > KEPT_RUNS:
                self._runs.popitem(last=False)
        self._runs.move_to_end(run)
        return self._runs[run]

    def forget(self, run: RunId) -> None:
        """Look a run up again: it has another definition now."""
        self._runs.pop(run, None)

    async def _looked_up(self, run: RunId) -> Leave | None:
        try:
            summary = await self._store.run(run)
        except NotFound:
            return None
        if summary.kind != "run":
            return None
        place = (summary.tenant, summary.definition)
        if place not in self._leaves:
            try:
                workflow: Workflow | None = await self._workflows.pinned(summary.definition)
            except AgentFlowError:
                workflow = None  # what can't be read can't say where it may go
            purpose = f"the uplink of workflow {summary.workflow!r}"
            self._leaves[place] = self._leave(
                Sender(purpose=purpose, tenant=summary.tenant, workflow=summary.workflow), workflow
            )
        return self._leaves[place]

    def _leave(self, sender: Sender, workflow: Workflow | None) -> Leave:
        if workflow is None:
            sender = replace(sender, data_class="unreadable")  # a class that no zone is open for
            return Leave(sender=sender, payloads=())
        data_class = str(workflow.policies.get("data_class") or "")
        sender = replace(
            sender,
            zone_rules=rules_of(workflow.policies, f"workflow {workflow.name!r}"),
            data_class=data_class,
            workflow_class=data_class,
        )
        payloads = self._payloads if self._all_agents_may(workflow) else ()
        return Leave(sender=sender, payloads=payloads)

    def _all_agents_may(self, workflow: Workflow) -> bool:
        """Whether no agent has rules of its own against the place: what it says turns up in others' inputs too."""
        try:
            for spec in workflow.agents.values():
                self._guard.check(self._destination, sender_of(workflow, spec))
        except Refused:
            return False
        return True


def _chosen(filters: Sequence[str], subject: str) -> bool:
    return any(matches(each, subject) for each in filters)
