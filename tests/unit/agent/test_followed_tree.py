"""A log that was restored is followed only where it proves that it stands for what this PC has seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tiny_log import TinyLog, signing_key

from securepc.agent import successor
from securepc.agent.trouble import Trouble
from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import merkle
from securepc.ledger.checkpoint import Checkpoint
from securepc.wire.signed.documents import b64encode


def restored(changes: int = 0, size: int = 9, root: bytes = bytes(32)) -> TinyLog:
    """A log whose backup held four leaves and some changes of registrar, when 9 had been seen elsewhere."""
    log = TinyLog()
    log.register("kept 1")
    for _ in range(changes):
        log.new_registrar()
    while len(log.leaves) < 4 + changes:
        log.register(f"kept {len(log.leaves)}")
    log.restored({"log": log.log.hex(), "size": size, "root": b64encode(root)})
    log.register("after")
    return log


def shown(log: TinyLog, places: list[int] | None = None) -> list[dict[str, Any]]:
    """What the manager answers."""
    places = log.registrar_leaves if places is None else places
    hashes = [merkle.leaf_hash(leaf) for leaf in log.leaves]
    return [
        {"index": i, "leaf": b64encode(log.leaves[i]), "proof": [b64encode(step) for step in proof]}
        for i, proof in zip(places, merkle.paths(hashes, places), strict=True)
    ]


def now(log: TinyLog) -> Checkpoint:
    root = merkle.root([merkle.leaf_hash(leaf) for leaf in log.leaves])
    return Checkpoint(checkpoints.origin_of(log.log, log.tree), len(log.leaves), root)


def seen(log: TinyLog, size: int, root: bytes = b"x" * 32) -> Checkpoint:
    return Checkpoint(checkpoints.origin_of(log.log), size, root)


@pytest.mark.parametrize("changes", [0, 2])
def test_it_follows_at_least_what_was_seen(changes: int) -> None:
    log = restored(changes)
    found = successor.accept(shown(log), now(log), seen(log, 8), [], log.log)
    assert found.kept == 4 + changes
    same = restored(changes, root=b"r" * 32)
    assert (
        successor.accept(shown(same), now(same), seen(same, 9, b"r" * 32), [], same.log).kept == 4 + changes
    )


def test_what_this_pc_knows_may_be_a_part_of_it() -> None:
    log = restored(size=2)  # the others had seen less than this PC, and nothing of this PC's is lost
    hashes = [merkle.leaf_hash(leaf) for leaf in log.leaves]
    last = seen(log, 4, merkle.root(hashes[:4]))

    def subtree(level: int, index: int) -> bytes:
        return merkle.root(hashes[index << level : (index + 1) << level])

    story = merkle.consistency_proof(4, len(hashes), subtree)
    assert successor.accept(shown(log), now(log), last, story, log.log).kept == len(log.leaves)


def _by_stranger(log: TinyLog) -> TinyLog:
    log.restored(signer=signing_key("a stranger"))
    return log


def _by_the_registrar_before() -> TinyLog:
    log = restored()
    before = log.registrar
    log.new_registrar()
    log.restored(signer=before)
    return log


BAD: dict[str, tuple[Callable[[], TinyLog], Callable[[TinyLog], Any], str]] = {
    "follows less than was seen": (lambda: restored(size=7), shown, "inconsistent"),
    "follows another tree of that size": (lambda: restored(size=8), shown, "inconsistent"),
    "signed by a stranger": (lambda: _by_stranger(restored()), shown, "inconsistent"),
    "signed by a registrar of before": (_by_the_registrar_before, shown, "inconsistent"),
    "a change of registrar left out": (
        lambda: restored(1),
        lambda log: shown(log, [i for i in log.registrar_leaves if i != 2]),
        "inconsistent",
    ),
    "not the first leaf": (restored, lambda log: shown(log, log.registrar_leaves[1:] * 2), "inconsistent"),
    "the same leaf twice": (restored, lambda log: shown(log, [0, 4, 4]), "inconsistent"),
    "a leaf of another kind": (restored, lambda log: shown(log, [0, 1]), "inconsistent"),
    "a leaf that is not in the tree": (
        restored,
        lambda log: [shown(log)[0], {**shown(log)[1], "index": 3}],
        "inconsistent",
    ),
    "no tree": (restored, lambda log: shown(log, [0]), "garbled"),
    "only changes of registrar": (lambda: restored(1), lambda log: shown(log, [0, 2]), "garbled"),
    "nothing": (restored, lambda log: None, "garbled"),
    "a number": (restored, lambda log: [0, 0], "garbled"),
}


@pytest.mark.parametrize("name", BAD)
def test_anything_else_is_not_followed(name: str) -> None:
    make, show, code = BAD[name]
    log = make()
    with pytest.raises(Trouble) as refused:
        successor.accept(show(log), now(log), seen(log, 8), [], log.log)
    assert refused.value.code == code


def test_a_checkpoint_of_another_tree_than_the_last_is_not_followed() -> None:
    log = restored()
    other = now(log)._replace(origin=checkpoints.origin_of(log.log, "0" * 16))
    with pytest.raises(Trouble, match="opened last"):
        successor.accept(shown(log), other, seen(log, 8), [], log.log)


def test_a_log_that_went_back_to_an_earlier_tree_is_not_followed() -> None:
    """What this PC knows is a tree that was opened later, and that this log never heard of."""
    log = restored()
    opened = _opened(log)
    later = Checkpoint(checkpoints.origin_of(log.log, "00" * 8), 6, b"x" * 32)
    assert successor.accept(shown(log), now(log), later, [], log.log, opened - 1).at == opened
    for when in (opened, opened + 1):
        with pytest.raises(Trouble) as refused:
            successor.accept(shown(log), now(log), later, [], log.log, when)
        assert "older than" in str(refused.value)
    # One of the trees that this log knows says by its place what came after it.
    assert successor.accept(shown(log), now(log), seen(log, 8), [], log.log, opened).at == opened


def _opened(log: TinyLog) -> int:
    return successor.accept(shown(log), now(log), seen(log, 8), [], log.log).at
