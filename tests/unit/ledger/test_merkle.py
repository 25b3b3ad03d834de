"""Merkle trees against RFC 6962, section 2.1, written down a second time as the RFC has it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securepc.ledger import merkle
from securepc.ledger.merkle import Frontier, ProofError

LEAVES = [merkle.leaf_hash(b"%d" % n) for n in range(300)]


def split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def head(leaves: Sequence[bytes]) -> bytes:
    """MTH(D[n])."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + head(leaves[:k]) + head(leaves[k:])).digest()


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), head(leaves[k:])]
    return [*path(m - k, leaves[k:]), head(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b)."""
    if m == len(leaves):
        return [] if whole else [head(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), head(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), head(leaves[:k])]


def subtree(level: int, index: int) -> bytes:
    return head(LEAVES[index << level : (index + 1) << level])


sizes = st.integers(1, len(LEAVES))


def test_a_leaf_is_hashed_apart_from_a_node() -> None:
    assert merkle.leaf_hash(b"abc") == hashlib.sha256(b"\x00abc").digest()
    assert merkle.node_hash(b"l" * 32, b"r" * 32) == hashlib.sha256(b"\x01" + b"l" * 32 + b"r" * 32).digest()
    assert head([]) == merkle.EMPTY


@pytest.mark.parametrize("size", range(70))
def test_heads(size: int) -> None:
    assert merkle.root(LEAVES[:size]) == head(LEAVES[:size])
    frontier = Frontier()
    for leaf in LEAVES[:size]:
        for level, index, done in frontier.append(leaf):
            assert done == subtree(level, index)
    assert frontier.root() == head(LEAVES[:size])
    assert frontier.copy().root() == Frontier(size, frontier.hashes).root() == frontier.root()


def test_a_copy_grows_alone() -> None:
    frontier = Frontier()
    frontier.append(LEAVES[0])
    copy = frontier.copy()
    copy.append(LEAVES[1])
    assert (frontier.root(), copy.root()) == (head(LEAVES[:1]), head(LEAVES[:2]))


@pytest.mark.parametrize(("size", "hashes"), [(1, []), (2, [bytes(32)] * 2), (1, [bytes(31)])])
def test_frontiers_that_are_none(size: int, hashes: list[bytes]) -> None:
    with pytest.raises(ValueError, match="full subtrees"):
        Frontier(size, hashes)


@given(size=sizes, data=st.data())
def test_inclusion(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves, root = LEAVES[:size], head(LEAVES[:size])
    expected = path(index, leaves)
    assert merkle.inclusion_proof(index, size, subtree) == expected
    assert merkle.paths(leaves, [index, index]) == [expected, expected]
    merkle.verify_inclusion(index, size, LEAVES[index], expected, root)


@given(size=sizes, data=st.data())
def test_changed_inclusion_proofs(size: int, data: st.DataObject) -> None:
    """No other proof, leaf or index goes with the head; another size only where the way up is the same."""
    index = data.draw(st.integers(0, size - 1))
    root, proof = head(LEAVES[:size]), path(index, LEAVES[:size])
    other = data.draw(st.integers(0, size + 3))
    wrong = [
        (index, size, LEAVES[index], [*proof, bytes(32)]),
        (index, size, bytes(32), proof),
        (-1, size, LEAVES[index], proof),
        (size, size, LEAVES[index], proof),
    ]
    if other != index:
        wrong.append((other, size, LEAVES[index], proof))
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        wrong += [
            (index, size, LEAVES[index], proof[:at] + proof[at + 1 :]),
            (index, size, LEAVES[index], [*proof[:at], bytes(32), *proof[at + 1 :]]),
        ]
        swapped = [*proof[:at], *reversed(proof[at:])]
        if swapped != proof:
            wrong.append((index, size, LEAVES[index], swapped))
    for arguments in wrong:
        with pytest.raises(ProofError):
            merkle.verify_inclusion(*arguments, root)


@settings(deadline=None)
@given(new=sizes, data=st.data())
def test_consistency(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, new))
    proof = merkle.consistency_proof(old, new, subtree)
    assert proof == (subproof(old, LEAVES[:new], True) if old else [])
    heads = head(LEAVES[:old]), head(LEAVES[:new])
    merkle.verify_consistency(old, new, *heads, proof)
    wrong: list[tuple[int, int, bytes, bytes, list[bytes]]] = [
        (old, new, *heads, [*proof, bytes(32)]),
        (old, new, heads[0], bytes(32), proof),
        (old, new, bytes(32), heads[1], proof),
        (new + 1, new, *heads, proof),
        (-1, new, *heads, proof),
    ]
    if old == 0:
        del wrong[1]  # an empty tree is a prefix of whatever there is
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        wrong += [
            (old, new, *heads, proof[:at] + proof[at + 1 :]),
            (old, new, *heads, [*proof[:at], bytes(32), *proof[at + 1 :]]),
            (old, new, *heads, []),
        ]
    for arguments in wrong:
        with pytest.raises(ProofError):
            merkle.verify_consistency(*arguments)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3)])
def test_no_proof_of_what_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="is not in a tree of"):
        merkle.inclusion_proof(index, size, subtree)
    with pytest.raises(ValueError, match="is not in a tree of"):
        merkle.paths(LEAVES[:size], [index])
    with pytest.raises(ValueError, match="no consistency"):
        merkle.consistency_proof(4, 3, subtree)


def test_huge_trees() -> None:
    """Proofs in trees that nobody can hold: one path of a tree of 2**62 equal leaves."""
    levels = [bytes(32)]
    for _ in range(62):
        levels.append(merkle.node_hash(levels[-1], levels[-1]))
    proof = merkle.inclusion_proof(2**61 + 12_345, 2**62, lambda level, _: levels[level])
    assert len(proof) == 62
    merkle.verify_inclusion(2**61 + 12_345, 2**62, bytes(32), proof, levels[62])
