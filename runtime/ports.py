"""The seams of the house: Protocols that more than one thing implements, each with one contract suite.

Nothing here has behaviour. Constructors store; `start` and `stop` act.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

import msgspec

from runtime.domain.audit import AuditEntry
from runtime.domain.bus import DEFAULT_TERMS, Batch, ConsumerState, DeadLetter, Delivery, Failure, Posted, Terms
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatChunk, ChatReply, ChatRequest, EmbedReply, EmbedRequest, ModelInfo
from runtime.domain.command import Command
from runtime.domain.egress import APPLIANCE, Cleared, Sender
from runtime.domain.envelope import Envelope
from runtime.domain.event import NO_USAGE, Event, Usage
from runtime.domain.exec_profile import Answer, DriverReport, ExecProfile, Guarantee, Isolation, Outcome, Program
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId, TenantId
from runtime.domain.journal import Entry, Row
from runtime.domain.mail import Mail, MailReply
from runtime.domain.memory import Collection, Document, MemoryQuery, Recalled
from runtime.domain.minimise import Holder
from runtime.domain.run import RunState
from runtime.domain.sql import SqlQuery, SqlReply
from runtime.domain.subject import EVERYTHING
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.domain.workflow import AgentSpec


class Planner(Protocol):
    """Decides what to do next. Pure: equal state and event give equal commands. Built once per definition."""

    def decide(self, state: RunState, event: Event) -> Sequence[Command]:
        """The commands that follow from `event`, which has already been folded into `state`."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at one step, as an agent sees it."""

    run: RunId
    step: StepId
    state: str
    agent: AgentId
    attempt: int
    tenant: TenantId
    workflow: str
    definition: DefinitionHash
    input: Json
    """The agent's `input:` rendered over the run's data; the run's input when it has none."""
    data: dict[str, Json]
    """What templates see: `input`, `steps` (state → output), `response` (the last output), `error` (the last error),
    and whatever else the agent's templates name."""
    idempotency_key: str
    """Equal for every attempt at this step, also after a crash: `run/step`."""


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent answered."""

    output: Json
    usage: Usage = NO_USAGE
    evidence: dict[str, Json] | None = None


class ModelAccess(Protocol):
    """The models as an agent reaches them: routed, cleared by the guard, counted."""

    async def complete(self, request: ChatRequest, *, sender: Sender = APPLIANCE) -> ChatReply:
        """Ask a chat model. Raises Refused, Unavailable or StepFailure."""

    async def embed(self, request: EmbedRequest, *, sender: Sender = APPLIANCE) -> EmbedReply:
        """Embed texts. Raises Refused, Unavailable or StepFailure."""


class HttpAccess(Protocol):
    """HTTP as an agent reaches it: cleared by the guard, sent through the door."""

    async def send(self, request: HttpRequest, *, sender: Sender = APPLIANCE) -> HttpReply:
        """Send one request. Raises Refused (policy), Unavailable (no answer) or Invalid (no such URL)."""


class MailAccess(Protocol):
    """Mail as a tool reaches it: cleared by the guard, handed in by the door."""

    async def send(self, mail: Mail, *, sender: Sender = APPLIANCE) -> MailReply:
        """Hand one mail in. Raises Refused (policy), Unavailable, StepFailure (turned away) or Invalid."""


class SqlAccess(Protocol):
    """Databases as a tool reaches them: cleared by the guard, asked by the door."""

    async def send(self, query: SqlQuery, *, sender: Sender = APPLIANCE) -> SqlReply:
        """Ask one statement. Raises Refused (policy, operation), Unavailable, StepFailure or Invalid."""


class Egress(Protocol):
    """A door to the outside. It sends what the guard has cleared, and nothing else."""

    async def send(self, cleared: Cleared[HttpRequest]) -> HttpReply:
        """Send and return the reply, whatever its status. Raises Refused, Unavailable, StepFailure or Invalid."""


class StepContext(Protocol):
    """What an agent may reach while it acts."""

    models: ModelAccess
    http: HttpAccess
    folder: str
    """The definition's own files, read-only, as they were when the definition was stored."""

    def offered(self) -> Sequence[ToolSpec]:
        """The tools of the agent's `tools:` list that are there, in its order; a call shows whether it is allowed."""

    async def call_tool(self, tool: str, arguments: dict[str, Json]) -> Json:
        """Call a tool of the agent's `tools:` list. Raises Refused for any other."""

    async def run_program(self, own: ToolSpec, runs: Program, content: bytes, *, stdin: bytes = b"") -> Outcome:
        """Run the agent's own program in WebAssembly, under a tool's profile. Raises Refused, Unavailable, Invalid."""

    async def pay_for_memory(self, layer: str, operation: str) -> None:
        """Pay for an operation on a layer of memory before it is done. Raises Refused where no budget has room."""


class Agent(Protocol):
    """Acts on tasks. One instance serves every run of its definition; `act` may run concurrently."""

    async def start(self) -> None:
        """Get ready (load examples, index a folder, spawn a worker). Called once, before the first task."""

    async def stop(self) -> None:
        """Release what `start` took. Safe to call twice."""

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Do the task. Cancellation really stops the work. Raises StepFailure, Refused, Unavailable or Invalid."""


AgentFactory = Callable[[AgentSpec, str, Sender], Agent]
"""Makes an agent from its specification, the folder of its definition's files, and on whose behalf it gets ready."""


class ModelBackend(Protocol):
    """One way to run models."""

    id: str
    """Dotted id, such as `model.llama_cpp`."""

    async def start(self) -> None:
        """Get ready to answer; loading a model may wait until it is first asked."""

    async def stop(self) -> None:
        """Release everything, workers included. Safe to call twice."""

    async def complete(self, cleared: Cleared[ChatRequest]) -> ChatReply:
        """Answer. Cancellation stops the work. Raises Invalid (too long, bad schema), Unavailable or StepFailure."""

    def stream(self, cleared: Cleared[ChatRequest]) -> AsyncIterator[ChatChunk]:
        """Answer piece by piece; the last chunk carries the reply."""

    async def embed(self, cleared: Cleared[EmbedRequest]) -> EmbedReply:
        """One vector per text."""

    async def count_tokens(self, cleared: Cleared[ChatRequest]) -> int:
        """Input tokens of a request, exact with the model's own template and tokenizer where it has one here."""

    def describe(self) -> Sequence[ModelInfo]:
        """The models this backend can answer with."""


RunKind = Literal["run", "what_if", "imported"]


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a list of runs."""

    run: RunId
    workflow: str
    definition: DefinitionHash
    tenant: TenantId
    status: str
    created_us: int
    updated_us: int
    seq: int
    kind: RunKind = "run"
    """`what_if`: it asks what would have been; `imported`: it came from elsewhere, and is only looked at."""
    origin: str = ""
    """Of a what-if the run that it sets out from; of an imported run where it came from."""


class StateStore(Protocol):
    """The durable journal of every run, with its index and the definitions that runs are pinned to."""

    async def append(
        self,
        run: RunId,
        expected_seq: int,
        entries: Sequence[Entry],
        *,
        idempotency_key: str | None = None,
        status: str | None = None,
    ) -> int:
        """Write the entries of one decision in a single transaction; return the run's last sequence number.

        Durable when this returns. The first append of a run (expected_seq 0) starts with RunStarted and may bind
        an idempotency key. `status`: what lists of runs say from then on; None: what the entries say by themselves.
        Raises SequenceConflict, Conflict (key taken), StoreFull or Invalid.
        """

    async def read(self, run: RunId, *, after_seq: int = 0, limit: int = 1_000) -> Sequence[Row]:
        """Rows of one run behind `after_seq`, in order."""

    async def runs(
        self,
        *,
        status: Sequence[str] = (),
        workflow: str = "",
        kinds: Sequence[RunKind] = (),
        limit: int = 100,
        before: RunId | None = None,
    ) -> Sequence[RunSummary]:
        """Newest first; `before` pages on. Without `status` or `kinds`: all of them."""

    async def run(self, run: RunId) -> RunSummary:
        """One run. Raises NotFound."""

    async def run_by_key(self, idempotency_key: str) -> RunId | None:
        """The run that an idempotency key was bound to."""

    def follow(self, cursor: int = 0) -> AsyncIterator[tuple[int, Row]]:
        """Every row of every run behind `cursor`, in commit order, then new ones as they become durable."""

    async def head(self) -> int:
        """The cursor behind the newest row; 0 when there is none."""

    async def save_definition(
        self, definition: DefinitionHash, name: str, document: bytes, at_us: int, *, files: Sequence[bytes] = ()
    ) -> None:
        """Keep a definition, together with project files that it names; saving either twice is no error.

        Durable, all of it or nothing, when this returns.
        """

    async def definition(self, definition: DefinitionHash) -> tuple[str, bytes]:
        """Name and document. Raises NotFound."""

    async def definitions(self) -> Sequence[tuple[str, DefinitionHash, int]]:
        """Name, hash and time saved, newest first."""

    async def missing_files(self, hashes: Sequence[str]) -> frozenset[str]:
        """Those of these sha256, in hex, whose project files are not kept here."""

    async def file(self, sha256: str) -> bytes:
        """The project file with this sha256, in hex. Raises NotFound; Corrupt when its bytes are others."""


Receive = Callable[[Delivery], Awaitable[None]]
"""Takes a message. Returning acknowledges it; raising has it delivered again later, or makes it a dead letter at once
where the error says that a retry cannot help."""

Leave = Callable[[], Awaitable[None]]
"""Ends a subscription: what it has not acknowledged goes to the others of its consumer, or waits."""


class MessageBus(Protocol):
    """Envelopes from whoever publishes to whoever subscribes: at least once, in order per run, one tenant's only."""

    async def publish(self, envelope: Envelope) -> bool:
        """Have a message delivered; durable when this returns. False: one with its id is there already.

        Raises Invalid for an envelope or a subject that may not be published, StoreFull or Unavailable.
        """

    async def subscribe(
        self,
        tenant: TenantId,
        wanted: str,
        receive: Receive,
        *,
        consumer: str = "",
        start: int | None = None,
        terms: Terms = DEFAULT_TERMS,
    ) -> Leave:
        """Have what a filter chooses handed to `receive`.

        `consumer`: a name under which the place in the stream is kept, also over a crash; those that subscribe with
        the same one are a group, and one of them gets each message. Empty: everything, until it leaves.
        `start`: the position behind which a consumer that is new begins; None: what comes from now on.
        Raises Invalid for a filter or a name that is none, Conflict where the group wants something else.
        """

    async def request(self, envelope: Envelope, *, timeout_s: float) -> Envelope:
        """Publish and wait for the reply. Raises Unavailable when none comes in time, or nobody is there to give it."""

    def replay(
        self, tenant: TenantId, wanted: str = EVERYTHING, *, after: int = 0, since_us: int = 0
    ) -> AsyncIterator[Delivery]:
        """What was published so far, in order: behind a position, and not from before an instant."""


class BusStore(Protocol):
    """What the bus remembers: the journal's entries, messages besides, how far consumers have come, dead letters."""

    def listen(self, listener: Callable[[Batch], None]) -> None:
        """Have every batch handed over as soon as it is durable, in order; `listener` must be quick."""

    async def keep(self, envelope: Envelope) -> bool:
        """Keep a message; durable when this returns. False: one with its id is there already."""

    async def page(self, after: int, *, limit: int = 256, since_us: int = 0) -> Batch:
        """What lies behind a position, in order; with `since_us` only what happened from then on."""

    async def head(self) -> int:
        """The position of the newest message."""

    async def open_consumer(self, tenant: TenantId, name: str, wanted: str, *, start: int, at_us: int) -> ConsumerState:
        """The consumer of that name, which begins behind `start` when it is new; from here on it wants `wanted`."""

    async def consumers(self, tenant: TenantId | None = None) -> Sequence[ConsumerState]:
        """Every durable consumer, by name."""

    async def move(self, tenant: TenantId, name: str, cursor: int) -> None:
        """Keep how far a consumer has come, forward or back. Raises NotFound."""

    async def failures(self, tenant: TenantId, name: str) -> Sequence[Failure]:
        """What a consumer was given before, and has not taken."""

    async def note(self, tenant: TenantId, name: str, failure: Failure) -> None:
        """Keep that a consumer did not take a message."""

    async def bury(self, tenant: TenantId, name: str, failure: Failure, *, at_us: int) -> None:
        """Make a message a dead letter of a consumer, or one again."""

    async def dead(
        self, tenant: TenantId, *, consumer: str = "", ids: Sequence[int] = (), limit: int = 100
    ) -> Sequence[DeadLetter]:
        """Dead letters, newest first."""

    async def revive(self, tenant: TenantId, ids: Sequence[int], *, at_us: int) -> Sequence[DeadLetter]:
        """Mark dead letters to be delivered once more; those that are there and were not marked."""

    async def revived(self, tenant: TenantId, name: str) -> Sequence[tuple[DeadLetter, Posted]]:
        """What is marked so of a consumer, with the messages."""

    async def resolve(self, tenant: TenantId, letter: int) -> None:
        """Forget a dead letter that was taken after all."""


class Minimiser(Protocol):
    """Keeps people's data out of what is written, and gives it back to those who work with it."""

    is_always: bool
    """Whether every run is minimised; otherwise those whose workflow asks for it."""

    async def kept(self, holder: Holder, value: Json) -> Json:
        """The value as it may be kept; what its pseudonyms stand for is durable when this returns.

        Equal values of one holder get equal pseudonyms, also after a restart. Raises Refused for what may not be kept
        or cannot be looked through, Unavailable or StoreFull when that cannot be said now.
        """

    async def compared(self, holder: Holder, value: Json) -> Json:
        """The same without keeping anything, to compare with what was kept before."""

    async def restored(self, holder: Holder, value: Json) -> Json:
        """The value with what its pseudonyms stand for; those that were purged stay pseudonyms."""


class MemoryStore(Protocol):
    """Documents that agents search by meaning and by words. No call reaches another tenant's."""

    async def save(self, collection: Collection, documents: Sequence[Document]) -> None:
        """Put documents into a collection, each in place of the one of its source; all of them or none.

        Raises Invalid for a vector that is not float32 bytes, StoreFull when the disk is.
        """

    async def search(self, collection: Collection, query: MemoryQuery) -> Sequence[Recalled]:
        """The passages that fit best, best first, ties by source and position. An unknown collection is empty."""

    async def forget(self, collection: Collection, sources: Sequence[str] | None = None) -> int:
        """Forget some documents, or with None the whole collection; return how many there were."""

    async def sources(self, collection: Collection) -> Mapping[str, str]:
        """Source → digest of every document of a collection."""

    async def collections(self, tenant: TenantId) -> Sequence[tuple[str, int, int]]:
        """Name, documents and passages of every collection of a tenant, by name."""

    async def known_vectors(self, tenant: TenantId, model: str, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The vectors kept for these digests of texts; digests without one are left out."""

    async def keep_vectors(self, tenant: TenantId, model: str, vectors: Mapping[bytes, bytes]) -> None:
        """Keep vectors by the digest of their text, so that no text is embedded twice."""

    async def artefact(self, tenant: TenantId, kind: str, digest: str) -> bytes | None:
        """What was made of a kind and kept under this digest; None when there is nothing, or no longer."""

    async def keep_artefact(self, tenant: TenantId, kind: str, digest: str, content: bytes) -> None:
        """Keep what can be made again, under the digest of all that decides it; only the newest of a kind stay."""


class Clock(Protocol):
    """Time and new ids, so that neither is taken anywhere else."""

    def now_us(self) -> int:
        """Microseconds since 1970-01-01 UTC; never decreases within a process."""

    async def sleep_until(self, at_us: int) -> None:
        """Return at or after the instant."""

    def new_run_id(self) -> RunId:
        """A fresh id; later ids sort after earlier ones."""


class ToolContext(Protocol):
    """What a tool may use for one call; nothing here reaches beyond the call's profile."""

    sender: Sender
    """On whose behalf: tenant, run, step, role, budgets."""
    profile: ExecProfile
    http: HttpAccess
    """Cleared by the guard and sent by the door, to the hosts of the profile's `egress_allow` alone."""
    mail: MailAccess
    """The same for mail."""
    sql: SqlAccess
    """The same for databases."""
    clock: Clock

    async def run(self, program: bytes, *, stdin: bytes = b"") -> Outcome:
        """Run a program under the profile, in the first sandbox that holds all of it. Raises Unavailable."""

    async def reveal(self, secret: str, *, host: str = "") -> str:
        """The value of a secret that the profile names, for a host or for this machine. Raises Refused or NotFound."""


class Tool(Protocol):
    """A capability that agents call by name. Made from its specification when it is first called."""

    spec: ToolSpec

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        """Do it. A repeated idempotency key has the effect once and returns the same answer.

        Cancellation really stops the work. Raises StepFailure, Refused, Unavailable or Invalid.
        """


@runtime_checkable
class ProgramTool(Protocol):
    """A tool that starts a program, which its profile names."""

    def program(self, call: ToolCall) -> Program:
        """What the call runs. Raises Invalid where the arguments say none."""


class Sandbox(Protocol):
    """One way to run a program that may do nothing it was not given."""

    id: str
    """Dotted id, such as `sandbox.bubblewrap`."""
    isolation: Isolation

    async def probe(self) -> DriverReport:
        """Find out by trying what it can hold on this machine; what was found stays until the kernel or it changes."""

    def enforces(self, profile: ExecProfile) -> frozenset[Guarantee]:
        """What it can hold of this profile here; nothing before it was probed."""

    async def run(
        self,
        profile: ExecProfile,
        program: bytes,
        *,
        stdin: bytes = b"",
        secrets: Mapping[str, str] | None = None,
        egress: Answer | None = None,
    ) -> Outcome:
        """Run `program` (source or module; nothing where `argv` says it all); wait until nothing of it is left.
        `secrets`: those that the profile names; `egress`: what answers at its door, where the profile has one.
        Cancellation ends it. Raises Unavailable where the driver itself fails: that is no fault of the program's.
        """

    async def stop(self) -> None:
        """End what it keeps running between calls. Safe to call twice."""


Sleep = Callable[[float], Awaitable[None]]

Record = Callable[[AuditEntry], Awaitable[object]]
"""Writes a line of the audit log; durable when it returns. Raises Unavailable or StoreFull: then what it tells of
must not happen."""

Progress = Callable[[str, int, int], None]
"""Told what takes long (`classify: examples embedded`), how much of it is done, and how much there is."""


async def nothing_recorded(entry: AuditEntry) -> None:
    """Where nobody keeps an audit log."""
