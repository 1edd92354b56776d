"""The tree, held to the vectors of transparency-dev/merkle and to itself."""

import json
from base64 import b64decode
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.audit.tree import (
    EMPTY_ROOT,
    Growing,
    consistency,
    inclusion,
    is_consistent,
    is_included,
    leaf_hash,
    root_of,
)
from tests.shared import shared

LEAVES = [leaf_hash(bytes([number])) for number in range(70)]


def vectors() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shared("conformance/merkle/rfc6962_vectors.json").read_text())
    return found


def test_roots_are_those_of_rfc_6962() -> None:
    roots = vectors()["roots"]
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in roots["leaf_inputs_hex"]]
    assert roots["root_by_size_hex"] == [root_of(leaves[:size]).hex() for size in range(9)]


def test_every_published_proof_is_judged_as_it_should_be() -> None:
    """All but one, which succeeds for those who take what is no hash for one."""
    judged = 0
    for case in vectors()["inclusion"]:
        proof = [b64decode(each) for each in case["proof"] or ()]
        found = is_included(
            b64decode(case["leafHash"]),
            case["leafIdx"],
            size=case["treeSize"],
            root=b64decode(case["root"]),
            proof=proof,
        )
        if case["wantErr"] or not case["placeholder_hash"]:
            assert (case["id"], not case["wantErr"]) == (case["id"], found)
            judged += 1
    for case in vectors()["consistency"]:
        proof = [b64decode(each) for each in case["proof"] or ()]
        old_root, root = b64decode(case["root1"]), b64decode(case["root2"])
        found = is_consistent(old_root, root, old_size=case["size1"], size=case["size2"], proof=proof)
        if case["wantErr"] or not case["placeholder_hash"]:
            assert (case["id"], not case["wantErr"]) == (case["id"], found)
            judged += 1
    assert 195 == judged


@given(size=st.integers(0, 70))
def test_a_tree_that_grows_has_the_root_of_all_its_leaves(size: int) -> None:
    growing = Growing()
    for leaf in LEAVES[:size]:
        growing.append(leaf)
    assert root_of(LEAVES[:size]) == growing.root()
    assert growing.root() == Growing(size, b"".join(growing.peaks)).root()


@settings(max_examples=200)
@given(data=st.data())
def test_proofs_prove_what_they_should_and_nothing_else(data: st.DataObject) -> None:
    """A proof of one record is none of another, nor in another tree."""
    size = data.draw(st.integers(1, 70))
    index, old_size = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    leaves = LEAVES[:size]
    root, proof = root_of(leaves), inclusion(leaves, index)
    assert is_included(leaves[index], index, size=size, root=root, proof=proof)
    other = data.draw(st.integers(0, size).filter(lambda each: each != index))
    assert not is_included(leaves[index], other, size=size, root=root, proof=proof)
    assert not is_included(sha256(b"other").digest(), index, size=size, root=root, proof=proof)
    grown, old_root = consistency(leaves, old_size), root_of(leaves[:old_size])
    assert is_consistent(old_root, root, old_size=old_size, size=size, proof=grown)
    assert not is_consistent(sha256(b"other").digest(), root, old_size=old_size, size=size, proof=grown)


def test_every_tree_begins_with_the_empty_one() -> None:
    assert is_consistent(EMPTY_ROOT, root_of(LEAVES), old_size=0, size=70, proof=[])


def test_peaks_that_do_not_fit_the_size_are_refused() -> None:
    with pytest.raises(ValueError, match="2 perfect subtrees"):
        Growing(3, bytes(32))
