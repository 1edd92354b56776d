"""Memory without people's data: pseudonyms are embedded and saved, and who asks gets the values."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from redaction.minimise import VaultMinimiser
from redaction.presets import PRESETS
from runtime.agents.rag import RagAgent
from runtime.domain.canonical import Json
from runtime.domain.ids import DEFAULT_TENANT, AgentId
from runtime.domain.memory import Collection
from runtime.domain.minimise import of_collection
from runtime.domain.workflow import AgentSpec
from runtime.memory.embedding import Embedder
from runtime.memory.ingest import Ingested, ingest
from runtime.ports import Minimiser
from runtime.store.lock import hold
from runtime.store.memory import Memory
from runtime.store.vaults import Vaults
from tests.runtime.agents.tasks import Context, task
from tests.runtime.memory.word_models import WordModels, open_memory

HELP = Collection(DEFAULT_TENANT, "help")
MAIL = "anna.kovacs@example.com"
CARD = "4111 1111 1111 1111"


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Memory]:
    async with open_memory(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
async def minimiser(tmp_path: Path) -> AsyncIterator[VaultMinimiser]:
    policy = PRESETS["default"].patterns_only()
    (tmp_path / "vaults").mkdir()
    with hold(tmp_path / "vaults", what="test", now_us=0) as lock:
        vaults = Vaults(tmp_path / "vaults", lock=lock, key=None)
        policies = {"journal": policy, "memory": policy}
        minimiser = VaultMinimiser(vaults, is_always=True, policies=policies, now_us=lambda: 1)  # type: ignore[arg-type]
        yield minimiser
        minimiser.stop()
        await vaults.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    articles = tmp_path / "articles"
    articles.mkdir()
    (articles / f"case {MAIL}.md").write_text(
        f"---\nid: kb-1\ntitle: A lost card of {MAIL}\n---\nThe card {CARD} of the customer was lost. Write to {MAIL}."
    )
    (articles / "fees.txt").write_text("Payments are free of charge.")
    return articles


async def take(folder: Path, memory: Memory, minimiser: Minimiser | None, models: WordModels | None = None) -> Ingested:
    embedder = Embedder(models or WordModels(), memory)
    return await ingest(folder, HELP, embedder=embedder, minimiser=minimiser)


async def test_no_value_is_embedded_or_saved(
    folder: Path, memory: Memory, minimiser: VaultMinimiser, tmp_path: Path
) -> None:
    """Vectors of a text give much of it away, so it must not be embedded either."""
    models = WordModels()
    outcome = await take(folder, memory, minimiser, models)
    assert (2, 2, ()) == (outcome.documents, outcome.saved, outcome.problems)
    assert [] == [text for text in models.texts if "anna" in text or "4111" in text]
    await memory.stop()
    held = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert b"Payments are free" in held
    assert b"anna.kovacs" not in held
    assert b"4111" not in held


async def test_an_agent_gets_the_values(folder: Path, memory: Memory, minimiser: VaultMinimiser) -> None:
    """An answer with a pseudonym in it helps no customer."""
    await take(folder, memory, minimiser)
    spec = AgentSpec(id=AgentId("search"), type="rag", memory={"long_term": {"collection": "help"}})
    rag = RagAgent(spec, folder=str(folder), models=WordModels(), memory=memory, minimiser=minimiser)
    output = (await rag.act(task("card customer lost"), Context(WordModels()))).output
    hit = msgspec.convert(output, dict[str, Json])["hits"][0]  # type: ignore[index]
    assert f"A lost card of {MAIL}" == hit["title"]  # type: ignore[index,call-overload]
    assert f"The card {CARD} of the customer was lost. Write to {MAIL}." == hit["text"]  # type: ignore[index,call-overload]
    assert f"case {MAIL}.md" == hit["source"]  # type: ignore[index,call-overload]


async def test_unchanged_files_cost_nothing_and_keep_their_pseudonyms(
    folder: Path, memory: Memory, minimiser: VaultMinimiser
) -> None:
    """A folder is looked through at every start."""
    await take(folder, memory, minimiser)
    before = await memory.sources(HELP)
    outcome = await take(folder, memory, minimiser)
    assert (0, 0) == (outcome.saved, outcome.forgotten)
    assert before == await memory.sources(HELP)


async def test_what_was_saved_before_is_saved_anew(folder: Path, memory: Memory, minimiser: VaultMinimiser) -> None:
    """Whoever turns minimisation on wants it of what is there already."""
    await take(folder, memory, None)
    outcome = await take(folder, memory, minimiser)
    assert (2, 2, 1) == (outcome.documents, outcome.saved, outcome.forgotten)
    assert [] == [source for source in await memory.sources(HELP) if "anna" in source]


async def test_a_document_that_may_not_be_kept_is_named_and_holds_up_nothing(
    folder: Path, memory: Memory, tmp_path: Path
) -> None:
    """One file with a password in it must not cost the others."""
    policy = PRESETS["phi"].patterns_only()
    (folder / "secret.txt").write_text("The password: hunter2-Xy9!")
    (tmp_path / "strict").mkdir()
    with hold(tmp_path / "strict", what="test", now_us=0) as lock:
        vaults = Vaults(tmp_path / "strict", lock=lock, key=None)
        policies = {"journal": policy, "memory": policy}
        strict = VaultMinimiser(vaults, is_always=True, policies=policies, now_us=lambda: 1)  # type: ignore[arg-type]
        outcome = await take(folder, memory, strict)
        strict.stop()
        await vaults.stop()
    assert 2 == outcome.documents
    assert [("minimise.blocked", "secret.txt")] == [(each.code, each.file) for each in outcome.problems]


async def test_a_purge_by_age_leaves_memory_whole(folder: Path, memory: Memory, minimiser: VaultMinimiser) -> None:
    """What is remembered has no end of its own; only naming the collection purges it."""
    await take(folder, memory, minimiser)
    assert 0 == await minimiser.purge(DEFAULT_TENANT, before_us=10)
    assert 0 < await minimiser.purge(DEFAULT_TENANT, scopes=[of_collection(HELP).scope])
