"""The memory file itself: its index can be lost, and the file too."""

import sys
from pathlib import Path

import pytest

from runtime.domain.ids import DEFAULT_TENANT
from runtime.domain.memory import Collection, Document, MemoryQuery, Passage, Recalled
from runtime.errors import Unavailable
from runtime.store import lock, vectors
from runtime.store.memory import Memory
from tests.runtime.memory.word_models import open_memory, vector

HELP = Collection(DEFAULT_TENANT, "help")
QUESTION = MemoryQuery(text="7", vector=vector("card number 7"), limit=5)


def documents(first: int, last: int) -> list[Document]:
    texts = {f"{number:04}": f"card number {number}" for number in range(first, last)}
    return [
        Document(source=source, digest="1", passages=(Passage(heading="", text=text, vector=vector(text)),))
        for source, text in texts.items()
    ]


async def found_in(folder: Path) -> list[Recalled]:
    async with open_memory(folder) as memory:
        return list(await memory.search(HELP, QUESTION))


async def test_what_was_saved_without_sqlite_vec_is_indexed_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data folder that moves between machines finds the same everywhere."""
    async with open_memory(tmp_path) as memory:
        await memory.save(HELP, documents(0, 10))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "sqlite_vec", None)
        async with open_memory(tmp_path) as memory:
            await memory.save(HELP, documents(5, 600))
            await memory.forget(HELP, ["0001"])
        searched = await found_in(tmp_path)
    assert await found_in(tmp_path) == searched
    async with open_memory(tmp_path) as memory:
        await memory.save(HELP, documents(600, 601))
        assert (await memory.search(HELP, QUESTION))[0] == searched[0]
        unindexed = await memory._database.read(lambda raw: raw.execute("SELECT * FROM unindexed").fetchall())
        bits = await memory._database.read(lambda raw: raw.execute("SELECT count(*) FROM bits_64").fetchone())
    assert (unindexed, bits) == ([], (600,))


async def test_vectors_that_have_no_bits_are_compared_one_by_one(tmp_path: Path) -> None:
    """The index takes multiples of eight dimensions only."""
    async with open_memory(tmp_path) as memory:
        short = Passage(heading="", text="", vector=vector("card")[: 4 * 3])
        await memory.save(HELP, [Document(source="a", digest="1", passages=(short,))])
        query = MemoryQuery(text="", vector=short.vector)
        assert [found.source for found in await memory.search(HELP, query)] == ["a"]


async def test_vectors_of_another_length_are_not_compared(tmp_path: Path) -> None:
    async with open_memory(tmp_path) as memory:
        await memory.save(HELP, documents(0, 3))
        assert await memory.search(HELP, MemoryQuery(text="card", vector=vector("card")[: 4 * 8])) == []


async def test_a_damaged_file_says_that_it_can_go(tmp_path: Path) -> None:
    async with open_memory(tmp_path) as memory:
        await memory.save(HELP, documents(0, 100))
    file = tmp_path / "memory.db"
    content = bytearray(file.read_bytes())
    content[4096 : 4096 * 3] = b"\xff" * (4096 * 2)
    content[100:200] = b"\xff" * 100
    file.write_bytes(content)
    with pytest.raises(Unavailable, match="remove it and start anew"):
        await found_in(tmp_path)
    file.unlink()
    assert await found_in(tmp_path) == []


async def test_a_reader_beside_the_writer_finds_what_is_saved(tmp_path: Path) -> None:
    with lock.hold(tmp_path, what="test", now_us=0) as held:
        writer, reader = Memory(tmp_path / "memory.db", lock=held), Memory(tmp_path / "memory.db", lock=None)
        await writer.start()
        await reader.start()
        await writer.save(HELP, documents(0, 10))
        assert (await reader.search(HELP, QUESTION))[0].source == "0007"
        with pytest.raises(Unavailable, match=r"store\.reader"):
            await reader.save(HELP, documents(0, 1))
        await reader.stop()
        await writer.stop()


def test_the_index_proposes_fewer_than_it_is_asked_to_replace() -> None:
    """Below this the index would be built and never used."""
    assert vectors.CANDIDATES < vectors.READ_ALL_UP_TO
