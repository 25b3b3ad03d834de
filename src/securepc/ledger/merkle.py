"""Merkle trees of RFC 6962: heads, inclusion and consistency proofs, and trees that only grow.

Hashes are 32 bytes of SHA-256: leaf H(00 || data), node H(01 || left || right), empty tree H("").
Proof algorithms are those of RFC 9162, sections 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

EMPTY = hashlib.sha256(b"").digest()
HASH_SIZE = 32
MAX_PROOF = 63

_node = hashlib.sha256(b"\x01").copy
"""Where the hash of a node begins. A copy of it costs less than a new one: a sixth of a tree's time."""

Subtree = Callable[[int, int], bytes]
"""(level, index) → head of the full subtree over leaves [index << level, (index + 1) << level)."""


class ProofError(ValueError):
    """A proof that does not lead to the tree head it is for."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two neighbours."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The tree head over leaf hashes."""
    if not leaves:
        return EMPTY
    level = list(leaves)
    while len(level) > 1:
        pairs = iter(level)
        parents = []
        for left, right in zip(pairs, pairs, strict=False):
            node = _node()
            node.update(left + right)
            parents.append(node.digest())
        # An odd node at the end rises unpaired: RFC 6962 splits at the largest power of two below n.
        if len(level) & 1:
            parents.append(level[-1])
        level = parents
    return level[0]


def root_of(data: Sequence[bytes]) -> bytes:
    """The tree head over leaves' data."""
    return root([leaf_hash(one) for one in data])


class Frontier:
    """A tree that only grows, as the heads of its full subtrees, largest first (a compact range)."""

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        if len(self.hashes) != size.bit_count() or any(len(h) != HASH_SIZE for h in self.hashes):
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} full subtrees")

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add a leaf hash; gives each full subtree that this completed as (level, index, head)."""
        index, level, head = self.size, 0, leaf
        done = [(0, index, head)]
        while index & 1:
            head = node_hash(self.hashes.pop(), head)
            index >>= 1
            level += 1
            done.append((level, index, head))
        self.hashes.append(head)
        self.size += 1
        return done

    def root(self) -> bytes:
        """The tree head."""
        if not self.hashes:
            return EMPTY
        head = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            head = node_hash(left, head)
        return head

    def copy(self) -> Frontier:
        """An independent copy, for trying transactions."""
        return Frontier(self.size, self.hashes)


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """The hashes that lead from leaf `index` to the head of a tree of `size` leaves, leaf side first.

    Raises:
        ValueError: index outside the tree.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    return _path(index, 0, size, subtree)


def consistency_proof(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """The hashes that show the tree of `old` leaves to be a prefix of that of `new` leaves.

    Raises:
        ValueError: old > new.
    """
    if not 0 <= old <= new:
        raise ValueError(f"no consistency from {old} to {new}")
    if old in (0, new):
        return []
    return _subproof(old, 0, new, True, subtree)


def paths(leaves: Sequence[bytes], indexes: Iterable[int]) -> list[list[bytes]]:
    """The inclusion proofs of several leaves of a small tree held in memory, computed together.

    Raises:
        ValueError: an index outside the tree.
    """
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        level = levels[-1]
        levels.append([node_hash(*level[i : i + 2]) for i in range(0, len(level) - 1, 2)])
    size = len(leaves)
    return [inclusion_proof(index, size, lambda level, n: levels[level][n]) for index in indexes]


def root_from_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The tree head that an inclusion proof leads to.

    Raises:
        ProofError: index outside the tree or a proof of the wrong length.
    """
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size}")
    inner = (index ^ (size - 1)).bit_length()
    border = (index >> inner).bit_count()
    if len(proof) != inner + border:
        raise ProofError(f"an inclusion proof of {len(proof)} hashes; {inner + border} are needed")
    head = leaf
    for level, sibling in enumerate(proof[:inner]):
        head = node_hash(sibling, head) if index >> level & 1 else node_hash(head, sibling)
    for sibling in proof[inner:]:
        head = node_hash(sibling, head)
    return head


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], head: bytes) -> None:
    """Check that a leaf hash stands at `index` of the tree with this head.

    Raises:
        ProofError: it does not.
    """
    if root_from_inclusion(index, size, leaf, proof) != head:
        raise ProofError("the inclusion proof leads to another tree head")


def verify_consistency(old: int, new: int, old_head: bytes, new_head: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of `old` leaves is a prefix of that of `new` leaves.

    Raises:
        ProofError: it is not, or the proof is not one for these sizes.
    """
    if not 0 <= old <= new:
        raise ProofError(f"a tree cannot shrink from {old} to {new}")
    if old == new or old == 0:
        if proof:
            raise ProofError("a consistency proof that should be empty")
        if old == 0 and old_head != EMPTY:
            raise ProofError("the empty tree has another head")
        if old == new and old_head != new_head:
            raise ProofError("two heads for one size")
        return
    if not proof:
        raise ProofError("a consistency proof is missing")
    hashes = list(proof)
    if old & (old - 1) == 0:  # a power of two: the old head itself is where the walk starts
        hashes.insert(0, old_head)
    node, last = old - 1, new - 1
    while node & 1:
        node >>= 1
        last >>= 1
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise ProofError("a consistency proof that is too long")
        if node & 1 or node == last:
            first = node_hash(sibling, first)
            second = node_hash(sibling, second)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            second = node_hash(second, sibling)
        node >>= 1
        last >>= 1
    if last != 0 or first != old_head or second != new_head:
        raise ProofError("the consistency proof does not connect the two trees")


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _head(start: int, end: int, subtree: Subtree) -> bytes:
    """The head over leaves [start, end), start aligned as the recursion leaves it."""
    size = end - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return subtree(level, start >> level)
    middle = start + _split(size)
    return node_hash(_head(start, middle, subtree), _head(middle, end, subtree))


def _path(index: int, start: int, end: int, subtree: Subtree) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_path(index, start, middle, subtree), _head(middle, end, subtree)]
    return [*_path(index, middle, end, subtree), _head(start, middle, subtree)]


def _subproof(old: int, start: int, end: int, whole: bool, subtree: Subtree) -> list[bytes]:
    if old == end:
        return [] if whole else [_head(start, end, subtree)]
    middle = start + _split(end - start)
    if old <= middle:
        return [*_subproof(old, start, middle, whole, subtree), _head(middle, end, subtree)]
    return [*_subproof(old, middle, end, False, subtree), _head(start, middle, subtree)]
