"""What every MemoryStore promises, on a plain file, an encrypted one, and one without sqlite-vec."""

import struct
import sys
from collections.abc import AsyncIterator, Sequence
from hashlib import shake_128
from math import sqrt
from pathlib import Path

import pytest

from runtime.domain.ids import TenantId
from runtime.domain.memory import Collection, Document, MemoryQuery, Passage, Quote, Recalled
from runtime.errors import Invalid
from runtime.ports import MemoryStore
from runtime.store import lock
from runtime.store.key import Key
from runtime.store.memory import Memory

DIMENSIONS = 64
ACME = Collection(TenantId("acme"), "help")
GLOBEX = Collection(TenantId("globex"), "help")


def unit(parts: Sequence[float]) -> bytes:
    length = sqrt(sum(part * part for part in parts))
    return struct.pack(f"<{len(parts)}f", *(part / length for part in parts))


def vector(*parts: float) -> bytes:
    """A unit vector that starts with these parts."""
    return unit([*parts, *[0.0] * (DIMENSIONS - len(parts))])


def away(share: float, seed: int = 0) -> bytes:
    """A unit vector that far (0–1) from `away(0)` towards one that `seed` picks, with signs as mixed as real ones."""
    home, other = (shake_128(b"%d" % number).digest(DIMENSIONS) for number in (-1, seed))
    return unit([(1 - share) * (h - 127.5) + share * (o - 127.5) for h, o in zip(home, other, strict=True)])


def document(source: str, text: str, at: bytes, *, digest: str = "1") -> Document:
    passage = Passage(heading=source, text=text, vector=at, quotes=(Quote(text, at),))
    return Document(source=source, digest=digest, data={"title": source}, passages=(passage,))


def query(text: str, at: bytes, limit: int = 10) -> MemoryQuery:
    return MemoryQuery(text=text, vector=at, limit=limit)


def sources(found: Sequence[Recalled]) -> list[str]:
    return [passage.source for passage in found]


@pytest.fixture(params=["plain", "encrypted", "without-sqlite-vec"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MemoryStore]:
    if request.param == "without-sqlite-vec":
        monkeypatch.setitem(sys.modules, "sqlite_vec", None)
    key = Key("ab" * 32) if request.param == "encrypted" else None
    with lock.hold(tmp_path / "data", what="test", now_us=0) as held:
        memory = Memory(tmp_path / "data" / "memory.db", lock=held, key=key)
        await memory.start()
        yield memory
        await memory.stop()


async def test_what_was_saved_is_found_whole(store: MemoryStore) -> None:
    saved = document("kb-1", "Freeze the card in the app.", vector(1, 1))
    await store.save(ACME, [saved])
    (found,) = await store.search(ACME, query("frozen", vector(1, 1)))
    passage = saved.passages[0]
    assert (found.source, found.position, found.data) == ("kb-1", 0, {"title": "kb-1"})
    assert (found.heading, found.text, found.quotes) == (passage.heading, passage.text, passage.quotes)
    assert found.similarity == pytest.approx(1.0, abs=1e-6)


async def test_meaning_and_words_both_find(store: MemoryStore) -> None:
    """A passage that only one of the searches finds is found; one that both find comes first."""
    far = [document(f"far-{n:03}", "Nothing of the kind.", away(1, n)) for n in range(600)]
    await store.save(ACME, [*far, document("meaning", "Nothing of the kind.", away(0.1))])
    await store.save(ACME, [document("words", "The IBAN stands on the statement.", unit([-1.0] * DIMENSIONS))])
    await store.save(ACME, [document("both", "Your IBAN.", away(0.2))])
    found = await store.search(ACME, query("Where is my iban?", away(0)))
    assert sources(found)[0] == "both"
    assert set(sources(found)[:3]) == {"both", "meaning", "words"}
    by_source = {passage.source: passage.words_ratio for passage in found}
    assert (by_source["meaning"], max(by_source.values())) == (0.0, 1.0)


async def test_the_nearest_come_first_among_many(store: MemoryStore) -> None:
    """More documents than the index proposes, so that proposing and rescoring are both needed."""
    steps = [(index * 37) % 600 for index in range(600)]
    await store.save(ACME, [document(f"{step:03}", "", away(step / 600)) for step in steps])
    found = await store.search(ACME, query("", away(0), limit=5))
    assert sources(found) == ["000", "001", "002", "003", "004"]


async def test_equal_passages_come_in_the_order_of_their_sources(store: MemoryStore) -> None:
    """Whatever the order they were saved in, so that answers do not depend on the history of the file."""
    for source in ("b", "c", "a"):
        await store.save(ACME, [document(source, "The same words.", vector(1))])
    assert sources(await store.search(ACME, query("words", vector(1)))) == ["a", "b", "c"]


async def test_a_document_takes_the_place_of_its_source(store: MemoryStore) -> None:
    await store.save(ACME, [document("kb-1", "The old limit.", vector(1))])
    await store.save(ACME, [document("kb-1", "The new fee.", vector(0, 1), digest="2")])
    assert [found.text for found in await store.search(ACME, query("limit", vector(1)))] == ["The new fee."]
    assert await store.sources(ACME) == {"kb-1": "2"}


async def test_a_refused_save_keeps_nothing(store: MemoryStore) -> None:
    with pytest.raises(Invalid, match=r"memory\.bad_vector"):
        await store.save(ACME, [document("good", "", vector(1)), document("bad", "", b"123")])
    with pytest.raises(Invalid, match="NaN"):
        await store.save(ACME, [document("bad", "", struct.pack("<2f", 1, float("nan")))])
    assert await store.sources(ACME) == {}


async def test_forgotten_documents_are_not_found(store: MemoryStore) -> None:
    await store.save(ACME, [document(source, "card", vector(1)) for source in ("a", "b", "c")])
    assert await store.forget(ACME, ["b", "never-saved"]) == 1
    assert sources(await store.search(ACME, query("card", vector(1)))) == ["a", "c"]
    assert await store.forget(ACME) == 2
    assert (await store.search(ACME, query("card", vector(1))), await store.sources(ACME)) == ([], {})


async def test_no_search_reaches_another_tenant(store: MemoryStore) -> None:
    """Tried with the same collection name, and with names that would mean more if they were not data."""
    secret = document("secret", "The merger closes on Friday.", vector(1))
    await store.save(ACME, [secret])
    await store.save(GLOBEX, [document("own", "Nothing.", vector(-1))])
    ask = query('merger" OR heading:secret OR "friday', vector(1))
    assert sources(await store.search(GLOBEX, ask)) == ["own"]
    for name in ("", "%", "help' OR '1'='1", 'help" OR tenant="acme', "acme", "*", "acme/help", "help\0"):
        assert await store.search(Collection(GLOBEX.tenant, name), ask) == []
    for tenant in ("acme' --", "", "%", "ACME", "acme\0"):
        assert await store.search(Collection(TenantId(tenant), "help"), ask) == []
        assert await store.sources(Collection(TenantId(tenant), "help")) == {}


async def test_no_forgetting_reaches_another_tenant(store: MemoryStore) -> None:
    await store.save(ACME, [document("kb-1", "card", vector(1))])
    await store.save(GLOBEX, [document("kb-1", "card", vector(1))])
    assert await store.forget(GLOBEX, ["kb-1"]) == 1
    assert await store.forget(GLOBEX) == 0
    assert await store.sources(ACME) == {"kb-1": "1"}


async def test_another_tenants_documents_change_no_score(store: MemoryStore) -> None:
    """Shared word statistics would let one tenant's upload be seen in another's ranking."""
    await store.save(ACME, [document(f"kb-{n}", f"card {'fee ' * n}", vector(1, n)) for n in range(4)])
    before = await store.search(ACME, query("card fee", vector(1)))
    await store.save(GLOBEX, [document(f"x-{n}", "fee", vector(1)) for n in range(50)])
    assert await store.search(ACME, query("card fee", vector(1))) == before


async def test_vectors_are_known_by_tenant_model_and_digest(store: MemoryStore) -> None:
    kept = {b"\x01" * 32: vector(1), b"\x02" * 32: vector(0, 1)}
    await store.keep_vectors(ACME.tenant, "minilm", kept)
    digests = [*kept, b"\x03" * 32]
    assert await store.known_vectors(ACME.tenant, "minilm", digests) == kept
    assert await store.known_vectors(ACME.tenant, "another", digests) == {}
    assert await store.known_vectors(GLOBEX.tenant, "minilm", digests) == {}


async def test_artefacts_are_known_by_tenant_kind_and_digest(store: MemoryStore) -> None:
    """What takes minutes to make is made once."""
    await store.keep_artefact(ACME.tenant, "classifier", "d1", b"\x00first")
    await store.keep_artefact(ACME.tenant, "classifier", "d1", b"\x00second")
    assert await store.artefact(ACME.tenant, "classifier", "d1") == b"\x00second"
    for tenant, kind, digest in ((GLOBEX.tenant, "classifier", "d1"), (ACME.tenant, "x", "d1"), (ACME.tenant, "x", "")):
        assert await store.artefact(tenant, kind, digest) is None


async def test_only_the_newest_artefacts_of_a_kind_stay(store: MemoryStore) -> None:
    """A workflow that is edited a hundred times leaves a hundred classifiers behind."""
    await store.keep_artefact(GLOBEX.tenant, "classifier", "0", b"theirs")
    for number in range(25):
        await store.keep_artefact(ACME.tenant, "classifier", str(number), b"ours")
        await store.keep_artefact(ACME.tenant, "classifier", "0", b"used again")
    found = [await store.artefact(ACME.tenant, "classifier", str(number)) for number in range(25)]
    assert found == [b"used again", *[None] * 5, *[b"ours"] * 19]
    assert await store.artefact(GLOBEX.tenant, "classifier", "0") == b"theirs"


async def test_a_question_without_telling_words_is_searched_by_meaning(store: MemoryStore) -> None:
    await store.save(ACME, [document("kb-1", "What is it?", vector(1))])
    for text in ("", "what is it", '"', "NEAR(", "\0", "( * ^ -", "x" * 10_000):
        assert sources(await store.search(ACME, query(text, vector(1)))) == ["kb-1"]


async def test_collections_are_counted_by_tenant(store: MemoryStore) -> None:
    """What nobody can list, nobody can look into; another tenant's are not even named."""
    assert [] == list(await store.collections(ACME.tenant))
    await store.save(ACME, [document("kb-1", "One.", vector(1)), document("kb-2", "Two.", vector(0, 1))])
    await store.save(GLOBEX, [document("kb-1", "Three.", vector(1))])
    assert [("help", 2, 2)] == [tuple(found) for found in await store.collections(ACME.tenant)]
