"""A folder and its collection stay in step, and unchanged files cost nothing."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.domain.ids import DEFAULT_TENANT
from runtime.domain.memory import Collection, MemoryQuery, Recalled
from runtime.errors import NotFound, Unavailable
from runtime.memory.embedding import Embedder
from runtime.memory.ingest import Ingested, content_digest, ingest
from runtime.store.memory import Memory
from tests.runtime.memory.word_models import WordModels, open_memory, vector

HELP = Collection(DEFAULT_TENANT, "help")


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Memory]:
    async with open_memory(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    articles = tmp_path / "articles"
    (articles / "cards").mkdir(parents=True)
    (articles / "cards" / "lost.md").write_text(
        "---\nid: kb-1\ntitle: Lost cards\ncategory: cards\n---\nFreeze it in the app."
    )
    (articles / "fees.txt").write_text("Payments are free of charge.")
    return articles


async def take(folder: Path, memory: Memory, models: WordModels | None = None) -> Ingested:
    return await ingest(folder, HELP, embedder=Embedder(models or WordModels(), memory))


async def recall(memory: Memory, question: str) -> list[Recalled]:
    return list(await memory.search(HELP, MemoryQuery(text=question, vector=vector(question))))


async def test_files_become_documents_with_their_front_matter(folder: Path, memory: Memory) -> None:
    outcome = await take(folder, memory)
    assert (outcome.documents, outcome.saved, outcome.forgotten, outcome.problems) == (2, 2, 0, ())
    found = (await recall(memory, "freeze my lost card"))[0]
    assert (found.source, found.heading, found.text) == ("cards/lost.md", "Lost cards", "Freeze it in the app.")
    assert found.data == {"id": "kb-1", "title": "Lost cards", "category": "cards"}
    assert [quote.text for quote in found.quotes] == ["Freeze it in the app."]
    found = (await recall(memory, "payments free charge"))[0]
    assert found.data == {"id": "fees", "title": "fees"}


async def test_unchanged_files_are_not_embedded_again(folder: Path, memory: Memory) -> None:
    await take(folder, memory)
    models = WordModels()
    outcome = await take(folder, memory, models)
    assert (outcome.saved, models.texts) == (0, ["a probe"])


async def test_a_changed_file_takes_the_place_of_the_old_one(folder: Path, memory: Memory) -> None:
    await take(folder, memory)
    (folder / "fees.txt").write_text("Payments cost one pound.")
    assert (await take(folder, memory)).saved == 1
    assert "Payments are free of charge." not in {found.text for found in await recall(memory, "payments free")}


async def test_only_the_new_sentences_of_a_changed_file_are_embedded(folder: Path, memory: Memory) -> None:
    (folder / "fees.txt").write_text("Payments are free of charge. Transfers cost one pound.")
    await take(folder, memory)
    (folder / "fees.txt").write_text("Payments are free of charge. Transfers cost two pounds.")
    models = WordModels()
    await take(folder, memory, models)
    whole = "fees. Payments are free of charge. Transfers cost two pounds."
    assert models.texts == ["a probe", whole, "Transfers cost two pounds."]


async def test_removed_files_are_forgotten(folder: Path, memory: Memory) -> None:
    await take(folder, memory)
    (folder / "fees.txt").unlink()
    outcome = await take(folder, memory)
    assert (outcome.documents, outcome.forgotten) == (1, 1)
    assert {found.source for found in await recall(memory, "payments free of charge")} == {"cards/lost.md"}


async def test_another_engine_embeds_everything_anew(folder: Path, memory: Memory) -> None:
    """Vectors of two engines in one collection could not be compared."""
    await take(folder, memory)
    assert (await take(folder, memory, WordModels(engine="words 2"))).saved == 2


async def test_files_that_cannot_be_taken_are_listed_and_hold_up_nothing(folder: Path, memory: Memory) -> None:
    await take(folder, memory)
    (folder / "cards" / "lost.md").write_text("---\nid: kb-1\n")
    (folder / "latin.md").write_bytes(b"caf\xe9")
    (folder / "empty.md").write_text("\n")
    (folder / "out.md").symlink_to("/etc/hostname")
    (folder / "gone.md").symlink_to(folder / "nowhere.md")
    os.mkfifo(folder / "pipe.md")
    (folder / "new.md").write_text("A new article.")
    outcome = await take(folder, memory)
    assert {(problem.file, problem.code) for problem in outcome.problems} == {
        ("cards/lost.md", "ingest.front_matter"),
        ("latin.md", "ingest.not_utf8"),
        ("empty.md", "ingest.empty"),
        ("out.md", "ingest.outside"),
        ("gone.md", "ingest.unreadable"),
        ("pipe.md", "ingest.no_file"),
    }
    assert (outcome.saved, outcome.forgotten) == (1, 0)
    assert set(await memory.sources(HELP)) == {"cards/lost.md", "fees.txt", "new.md"}


async def test_hidden_and_other_files_are_left_out(folder: Path, memory: Memory) -> None:
    (folder / ".git").mkdir()
    for name in (".git/notes.md", ".draft.md", "photo.jpg", "README"):
        (folder / name).write_text("Not an article.")
    assert (await take(folder, memory)).documents == 2


async def test_a_missing_folder_forgets_nothing(folder: Path, memory: Memory) -> None:
    await take(folder, memory)
    with pytest.raises(NotFound, match=r"ingest\.no_folder"):
        await take(folder / "elsewhere", memory)
    assert len(await memory.sources(HELP)) == 2


@pytest.mark.parametrize("failure", [Unavailable("model.worker_died", "it died"), asyncio.CancelledError()])
async def test_an_interrupted_ingestion_goes_on_where_it_stopped(
    folder: Path, memory: Memory, failure: BaseException
) -> None:
    with pytest.raises(type(failure)):
        await take(folder, memory, WordModels(fail_at=3, failure=failure))
    assert set(await memory.sources(HELP)) == {"cards/lost.md"}
    models = WordModels()
    assert (await take(folder, memory, models)).saved == 1
    assert models.texts == ["a probe", "fees. Payments are free of charge.", "Payments are free of charge."]


async def test_progress_counts_files_and_bytes(folder: Path, memory: Memory) -> None:
    seen: list[tuple[int, int, int]] = []
    embedder = Embedder(WordModels(), memory)
    outcome = await ingest(folder, HELP, embedder=embedder, progress=lambda *counts: seen.append(counts))
    sizes = [(folder / name).stat().st_size for name in ("cards/lost.md", "fees.txt")]
    assert seen == [(0, 2, 0), (1, 2, sizes[0]), (2, 2, sum(sizes))]
    assert outcome.size_bytes == sum(sizes)


def test_a_folders_digest_is_of_names_and_bytes(folder: Path) -> None:
    before = content_digest(folder)
    (folder / "notes.jpg").write_text("not an article")
    assert content_digest(folder) == before
    (folder / "fees.txt").rename(folder / "prices.txt")
    renamed = content_digest(folder)
    (folder / "prices.txt").write_text("Payments cost one pound.")
    assert len({before, renamed, content_digest(folder)}) == 3
