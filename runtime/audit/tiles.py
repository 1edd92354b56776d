"""The audit log as files that public tools read: tiles (C2SP tlog-tiles) and proofs (C2SP tlog-proof). Pure.

A tile holds 256 hashes of one level of the tree, or fewer where the tree ends; an entry bundle the records below one.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence

from runtime.audit.record import MAX_RECORD_BYTES
from runtime.audit.tree import inclusion, root_of
from runtime.errors import Invalid

WIDTH = 256
"""Hashes of a tile."""
PROOF = "c2sp.org/tlog-proof@v1"


def tile_path(kind: str, number: int, width: int = WIDTH) -> str:
    """Where a tile is: `tile/0/x001/x234/067`, `tile/entries/003.p/12`; `kind`: a level, or `entries`."""
    groups = [f"{number % 1_000:03d}"]
    while number := number // 1_000:
        groups.insert(0, f"x{number % 1_000:03d}")
    return f"tile/{kind}/{'/'.join(groups)}" + ("" if width == WIDTH else f".p/{width}")


def hash_tiles(leaves: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """Path and content of every tile of hashes, level by level."""
    level, hashes = 0, leaves
    while hashes:
        above = []
        for number in range(0, len(hashes), WIDTH):
            tile = hashes[number : number + WIDTH]
            yield tile_path(str(level), number // WIDTH, len(tile)), b"".join(tile)
            if len(tile) == WIDTH:
                above.append(root_of(tile))
        level, hashes = level + 1, above


def entry_bundle(records: Sequence[bytes]) -> bytes:
    """Records as an entry bundle holds them. Raises Invalid for one that is too long."""
    for record in records:
        if len(record) > MAX_RECORD_BYTES:
            raise Invalid("audit.record_too_long", f"a record of {len(record):,} bytes fits no bundle")
    return b"".join(len(record).to_bytes(2, "big") + record for record in records)


def proof(leaves: Sequence[bytes], index: int, note: str) -> str:
    """The proof that leaf `index` is in the tree of these leaves, whose checkpoint is `note`."""
    hashes = "".join(f"{b64encode(each).decode()}\n" for each in inclusion(leaves, index))
    return f"{PROOF}\nindex {index}\n{hashes}\n{note}"
