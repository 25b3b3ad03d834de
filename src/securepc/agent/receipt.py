"""A receipt: the proof that batches of this device are in its log (docs/formats/receipt.md). Pure.

Accepted only if all of this holds:

1. the checkpoint is signed by the log's key and names this log;
2. it is no smaller than the last one, and the last one's tree is a prefix of its tree;
3. each batch that was sent is answered, in order, and its exact leaf stands where the answer says;
4. where it shows a checkpoint that witnesses cosigned, the log's key signed that one, too, and its tree is a
   prefix of the checkpoint's. Whether the witnesses are the policy's quorum is asked when a batch is to be
   forgotten, of the policy in force then;
5. where it shows what validators voted of this log, that tree is a prefix of the checkpoint's, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from securepc.agent import known, successor, voted
from securepc.agent.successor import Successor
from securepc.agent.trouble import garbled, inconsistent
from securepc.agent.voted import Shown
from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import merkle
from securepc.ledger.checkpoint import Checkpoint
from securepc.ledger.merkle import EMPTY, MAX_PROOF, ProofError
from securepc.ledger.note import NoteError, VerifierKey, parse_key
from securepc.ledger.note import parse as parse_note
from securepc.ledger.proof import TlogProof
from securepc.wire import keys
from securepc.wire.signed import documents
from securepc.wire.signed.canonical import Malformed

_MAX_NOTE = 64 * 1024


class Receipt(NamedTuple):
    """That a batch is in the log: `proof` leads from its leaf, at `proof.leaf_index`, to a checkpoint, which
    is inside."""

    epoch: int
    proof: TlogProof


class Verified(NamedTuple):
    """What an answer proved. `note` is the checkpoint as signed, `cosigned` one of the same log with
    witnesses' lines, which nobody has checked yet, or None; `watermark` the frame, not yet judged. Where
    the log went on as another tree, `successor` says how, and nothing else counts before that is taken in.
    `voted` is what validators voted of it: nobody has asked yet who they are."""

    checkpoint: Checkpoint
    note: bytes
    receipts: list[Receipt]
    cosigned: bytes | None
    watermark: object
    successor: Successor | None = None
    voted: Shown | None = None


def empty(log_key: VerifierKey) -> Checkpoint:
    """What a device knows of its log before its first receipt."""
    return Checkpoint(log_key.name, 0, EMPTY)


def verify(
    answer: dict[str, Any],
    sent: Sequence[tuple[int, bytes]],
    last: Checkpoint,
    log_keys: Sequence[VerifierKey],
    log: bytes,
    opened: int = 0,
) -> Verified:
    """Judge the answer to an upload of `sent`: (epoch, leaf) of each batch of this log. The first key signs
    new checkpoints, the others signed old ones. `opened`: when the tree of `last` was, as `successor.accept`
    has it.

    Raises:
        Trouble: "garbled" where it is no receipt at all, "inconsistent" where it is one that is wrong.
    """
    note, batches, consistency, cosigned, since, watermark = _shape(answer)
    shown = _shown(answer.get("voted"))
    try:
        checkpoint = checkpoints.verify(note, log_keys[0], keys.verify)
    except NoteError as error:
        raise inconsistent(f"the checkpoint: {error}") from None
    if checkpoint.origin != last.origin and last.size:
        found = successor.accept(answer.get("trees"), checkpoint, last, consistency, log, opened)
        return Verified(checkpoint, note, [], None, None, found)
    if checkpoint.size < last.size:
        raise inconsistent(f"the log has shrunk from {last.size} to {checkpoint.size} leaves")
    try:
        merkle.verify_consistency(last.size, checkpoint.size, last.root, checkpoint.root, consistency)
    except ProofError as error:
        raise inconsistent(f"from {last.size} to {checkpoint.size} leaves: {error}") from None
    if [epoch for epoch, _, _ in batches] != [epoch for epoch, _ in sent]:
        raise inconsistent("it answers for other batches than were sent")
    receipts = []
    for (epoch, leaf), (_, index, proof) in zip(sent, batches, strict=True):
        try:
            merkle.verify_inclusion(index, checkpoint.size, merkle.leaf_hash(leaf), proof, checkpoint.root)
        except ProofError as error:
            raise inconsistent(f"epoch {epoch} at leaf {index}: {error}") from None
        receipts.append(Receipt(epoch, TlogProof(index, tuple(proof), note)))
    if cosigned is not None:
        _continues(cosigned, since, checkpoint, log_keys)
    if shown is not None:
        _leads(*shown, checkpoint, log)
    return Verified(
        checkpoint, note, receipts, cosigned, watermark, voted=shown[0] if shown is not None else None
    )


def cosigned_size(note: bytes, log_keys: Sequence[VerifierKey], witnesses: Sequence[str], quorum: int) -> int:
    """The size of a log that so many of these witnesses (verifier keys) have cosigned; 0 where they have
    not."""
    try:
        trusted = [parse_key(key) for key in witnesses]
        checkpoint = known.by_any(lambda key: checkpoints.verify(note, key, keys.verify), log_keys)
        found = checkpoints.cosignatures(parse_note(note), trusted, keys.verify)
    except NoteError:
        return 0
    return checkpoint.size if len(found) >= quorum else 0


def _continues(
    note: bytes, since: Sequence[bytes], checkpoint: Checkpoint, log_keys: Sequence[VerifierKey]
) -> None:
    try:
        before = known.by_any(lambda key: checkpoints.verify(note, key, keys.verify), log_keys)
        merkle.verify_consistency(before.size, checkpoint.size, before.root, checkpoint.root, since)
    except (NoteError, ProofError) as error:
        raise inconsistent(f"the cosigned checkpoint: {error}") from None


def _leads(shown: Shown, since: Sequence[bytes], checkpoint: Checkpoint, log: bytes) -> None:
    if shown.log != log:
        raise inconsistent("what validators voted is of another log")
    try:
        merkle.verify_consistency(shown.size, checkpoint.size, shown.root, checkpoint.root, since)
    except ProofError as error:
        raise inconsistent(f"the log that validators voted for: {error}") from None


def _shown(value: Any) -> tuple[Shown, list[bytes]] | None:
    if value is None:
        return None
    try:
        since = _hashes(value["since"])
        return voted.read({name: found for name, found in value.items() if name != "since"}), since
    except (KeyError, TypeError, AttributeError, Malformed):
        raise garbled("not what validators voted") from None


_Batch = tuple[int, int, list[bytes]]


def _shape(
    answer: dict[str, Any],
) -> tuple[bytes, list[_Batch], list[bytes], bytes | None, list[bytes], object]:
    try:
        note, watermark = _note(answer["checkpoint"]), answer.get("watermark")
        cosigned = _note(answer["cosigned"]) if answer.get("cosigned") is not None else None
        since = _hashes(answer.get("since", []))
        batches = []
        for item in answer["batches"]:
            epoch, index = item["epoch"], item["index"]
            if type(epoch) is not int or type(index) is not int:
                raise TypeError
            batches.append((epoch, index, _hashes(item["proof"])))
        consistency = _hashes(answer["consistency"])
    except (KeyError, TypeError, Malformed):
        raise garbled("not a receipt") from None
    return note, batches, consistency, cosigned, since, watermark


def _note(value: Any) -> bytes:
    if not isinstance(value, str) or len(value) > _MAX_NOTE:
        raise TypeError
    return value.encode("utf-8", "surrogatepass")


def _hashes(value: Any) -> list[bytes]:
    if not isinstance(value, list) or len(value) > 2 * MAX_PROOF:
        raise TypeError
    return [documents.b64decode(item, 32) for item in value]
