"""The Merkle tree over an audit chain: roots, and proofs that a record is in it or that it only grew. RFC 6962, 2.1.

A leaf's hash is SHA-256(0x00 ‖ record), a node's SHA-256(0x01 ‖ left ‖ right), the empty tree's SHA-256("").
Proofs are checked as RFC 9162, 2.1.3.2 and 2.1.4.2, spells it out.
"""

from collections.abc import Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(record: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(b"\x00" + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node above two others."""
    return sha256(b"\x01" + left + right).digest()


class Growing:
    """A tree that grows leaf by leaf, of which only the perfect subtrees' roots are kept: 32 bytes for each bit of
    its size."""

    __slots__ = ("peaks", "size")

    def __init__(self, size: int = 0, peaks: bytes = b"") -> None:
        """`peaks`: the roots of its perfect subtrees from left to right, largest first. Raises ValueError when there
        are not as many as `size` has bits that are set."""
        if len(peaks) != HASH_BYTES * size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} perfect subtrees")
        self.size = size
        self.peaks = split(peaks)

    def append(self, leaf: bytes) -> None:
        """Add a leaf by its hash."""
        peaks, size = self.peaks, self.size
        while size & 1:
            leaf = sha256(b"\x01" + peaks.pop() + leaf).digest()
            size >>= 1
        peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The tree's root now."""
        if not self.peaks:
            return EMPTY_ROOT
        *rest, found = self.peaks
        for peak in reversed(rest):
            found = node_hash(peak, found)
        return found


def split(hashes: bytes) -> list[bytes]:
    """Hashes that were joined."""
    return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaves' hashes."""
    if not leaves:
        return EMPTY_ROOT
    level = leaves
    while len(level) > 1:
        level = level_above(level)
    return level[0]


def level_above(level: Sequence[bytes]) -> list[bytes]:
    """The nodes above a level's; a last one without a neighbour stands for itself, as RFC 6962's split has it."""
    above = [sha256(b"\x01" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
    if len(level) % 2:
        above.append(level[-1])
    return above


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The proof that leaf `index`, from 0, is in the tree of these leaves."""
    proof = []
    level = leaves
    while len(level) > 1:
        if (beside := index ^ 1) < len(level):
            proof.append(level[beside])
        level, index = level_above(level), index >> 1
    return proof


def consistency(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """The proof that the tree of these leaves begins with the one of the first `old_size`, which is not empty."""
    return [] if old_size == len(leaves) else _subproof(leaves, old_size, is_whole=True)


def _subproof(leaves: Sequence[bytes], old_size: int, *, is_whole: bool) -> list[bytes]:
    if old_size == len(leaves):
        return [] if is_whole else [root_of(leaves)]
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = leaves[:middle], leaves[middle:]
    if old_size <= middle:
        return [*_subproof(left, old_size, is_whole=is_whole), root_of(right)]
    return [*_subproof(right, old_size - middle, is_whole=False), root_of(left)]


def is_included(leaf: bytes, index: int, *, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that leaf `index` is in the tree of this size and root."""
    if not 0 <= index < size or not _are_hashes(leaf, root, *proof):
        return False
    at, last, found = index, size - 1, leaf
    for beside in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(beside, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def is_consistent(old_root: bytes, root: bytes, *, old_size: int, size: int, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that the tree of `size` begins with the one of `old_size`; every tree begins with the
    empty one."""
    if not 0 <= old_size <= size or not _are_hashes(old_root, root, *proof):
        return False
    if old_size in (0, size):
        return not proof and old_root == (EMPTY_ROOT if old_size == 0 else root)
    path = [old_root, *proof] if old_size.bit_count() == 1 else list(proof)
    if not path:
        return False
    at, last = old_size - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old_found = found = path[0]
    for beside in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old_found, found = node_hash(beside, old_found), node_hash(beside, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        at, last = at >> 1, last >> 1
    return last == 0 and (old_found, found) == (old_root, root)


def _are_hashes(*found: bytes) -> bool:
    return all(len(each) == HASH_BYTES for each in found)
