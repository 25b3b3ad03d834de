"""A receipt is believed only where everything in it is proved."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from securepc.agent import receipt
from securepc.agent.trouble import Trouble
from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import merkle, proof
from securepc.ledger.checkpoint import Checkpoint
from securepc.ledger.note import ED25519, VerifierKey
from securepc.wire import keys
from securepc.wire.signed.documents import b64encode

LOG = bytes(16)
SIGNER = keys.SigningKey(b"l" * 32)
LOG_KEY = VerifierKey(checkpoints.origin_of(LOG), ED25519, SIGNER.public)
LEAVES = [b"leaf %d" % i for i in range(40)]
OLD, NEW = 21, 33
SENT = [(5, LEAVES[20]), (6, LEAVES[22]), (7, LEAVES[32])]


def subtree(level: int, index: int) -> bytes:
    return merkle.root([merkle.leaf_hash(x) for x in LEAVES[index << level : (index + 1) << level]])


def root(size: int) -> bytes:
    return merkle.root([merkle.leaf_hash(x) for x in LEAVES[:size]])


def note(size: int, *, root_: bytes | None = None, key: VerifierKey = LOG_KEY, signer: Any = SIGNER) -> str:
    return checkpoints.sign(Checkpoint(key.name, size, root_ or root(size)), key, signer.sign)


def answer(old: int = OLD, new: int = NEW) -> dict[str, Any]:
    return {
        "checkpoint": note(new),
        "batches": [
            {
                "epoch": epoch,
                "index": LEAVES.index(leaf),
                "proof": [b64encode(h) for h in merkle.inclusion_proof(LEAVES.index(leaf), new, subtree)],
            }
            for epoch, leaf in SENT
        ],
        "consistency": [b64encode(h) for h in merkle.consistency_proof(old, new, subtree)],
        "watermark": None,
    }


def last(size: int = OLD) -> Checkpoint:
    return Checkpoint(LOG_KEY.name, size, root(size))


def test_an_honest_receipt_is_believed_and_kept_as_a_tlog_proof() -> None:
    verified = receipt.verify(answer(), SENT, last(), [LOG_KEY], LOG)
    assert verified.checkpoint == last(NEW)
    assert [(r.epoch, r.proof.leaf_index) for r in verified.receipts] == [(5, 20), (6, 22), (7, 32)]
    for kept, (_, leaf) in zip(verified.receipts, SENT, strict=True):
        parsed = proof.parse(kept.proof.encode())
        head = checkpoints.verify(parsed.checkpoint, LOG_KEY, keys.verify)
        merkle.verify_inclusion(
            parsed.leaf_index, head.size, merkle.leaf_hash(leaf), parsed.hashes, head.root
        )


def test_the_first_receipt_needs_no_history() -> None:
    first = answer(old=0)
    assert first["consistency"] == []
    assert receipt.verify(first, SENT, receipt.empty(LOG_KEY), [LOG_KEY], LOG).checkpoint.size == NEW


def change(path: str, value: Any) -> Any:
    def apply(it: dict[str, Any]) -> None:
        *way, name = path.split(".")
        for step in way:
            it = it[int(step)] if step.isdigit() else it[step]
        it[int(name) if name.isdigit() else name] = value  # type: ignore[index]

    return apply


FOREIGN = keys.SigningKey(b"x" * 32)
OTHER_LOG = VerifierKey(checkpoints.origin_of(b"o" * 16), ED25519, SIGNER.public)
FORGED = {
    "signed by another key": change("checkpoint", note(NEW, signer=FOREIGN)),
    "checkpoint of another log": change("checkpoint", note(NEW, key=OTHER_LOG)),
    "not a note": change("checkpoint", "hello\n"),
    "rolled back": change("checkpoint", note(OLD - 1)),
    "rewritten before": change("checkpoint", note(NEW, root_=merkle.root([b"\1" * 32] * NEW))),
    "one size, two roots": lambda it: it.update(checkpoint=note(OLD, root_=b"\2" * 32), consistency=[]),
    "consistency changed": change("consistency.0", b64encode(b"\3" * 32)),
    "consistency missing": change("consistency", []),
    "inclusion changed": change("batches.1.proof.0", b64encode(b"\3" * 32)),
    "inclusion missing": change("batches.2.proof", []),
    "proof of another leaf": change("batches.0.index", 19),
    "index beyond the log": change("batches.0.index", NEW),
    "negative index": change("batches.0.index", -1),
    "batch left out": lambda it: it["batches"].pop(),
    "batches in another order": lambda it: it["batches"].reverse(),
    "another epoch": change("batches.0.epoch", 4),
    "one batch twice": lambda it: it["batches"].append(it["batches"][0]),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_receipt_is_an_inconsistency(name: str) -> None:
    forged = copy.deepcopy(answer())
    FORGED[name](forged)
    with pytest.raises(Trouble) as refused:
        receipt.verify(forged, SENT, last(), [LOG_KEY], LOG)
    assert refused.value.code == "inconsistent"
    assert refused.value.ja
    assert refused.value.en


@pytest.mark.parametrize(
    "path",
    ["checkpoint", "batches", "consistency", "batches.0.index", "batches.0.epoch", "batches.1.proof"],
)
@pytest.mark.parametrize(
    "value", [None, 7, "x", [], {}, [[]], ["x"], ["\ud800"], True, 1.5, "a" * 70_000, [b64encode(b"1")] * 200]
)
def test_what_is_no_receipt_is_not_an_alarm_but_never_believed(path: str, value: Any) -> None:
    garbled = answer()
    change(path, value)(garbled)
    with pytest.raises(Trouble) as refused:
        receipt.verify(garbled, SENT, last(), [LOG_KEY], LOG)
    assert refused.value.code in ("garbled", "inconsistent")
