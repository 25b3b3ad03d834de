"""Ordering transactions into blocks: try them on scratch state, sign, write. Without threads or a clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from securepc.ledger import block
from securepc.ledger.block import Signer, Signers
from securepc.ledger.state import Refused, State, moves
from securepc.ledger.store import Store, StoreError
from securepc.ledger.store.arrivals import Arrival, bring
from securepc.wire.signed import block as blocks
from securepc.wire.signed.block import Transaction
from securepc.wire.signed.canonical import Malformed


@dataclass(frozen=True, slots=True)
class Committed:
    """Where a transaction stands: in the block at `height`, its leaves at `indexes` of the log, in order.

    The indexes follow each other from `first_index`, unless leading batches had been accepted before.
    """

    height: int
    log: bytes
    first_index: int
    count: int
    indexes: tuple[int, ...]


Outcome = Committed | Refused


def append(store: Store, signers: Signers, data: Sequence[bytes], now: int) -> list[Outcome]:
    """Put transactions in one block, if any is acceptable, and make it durable.

    Gives for each transaction where it stands or why it was refused; the rules judge them in the order of
    their logs, then in the order given. `now` is microseconds since 1970 UTC; block time still only rises.

    Raises:
        StoreFull, StoreError: the block could not be written. None of it was.
    """
    outcomes: dict[int, Outcome] = {}
    parsed: list[tuple[int, Transaction]] = []
    for number, encoded in enumerate(data):
        try:
            parsed.append((number, blocks.parse_transaction(encoded)))
        except Malformed as error:
            outcomes[number] = Refused("malformed", str(error))
    time, height = max(now, store.time + 1), store.height + 1
    state = store.state.scratch()
    accepted: list[Transaction] = []
    resent: list[int] = []
    for number, transaction in sorted(parsed, key=lambda pair: pair[1].log):
        try:
            indexes, applied = _apply(state, transaction, time, signers)
        except Refused as refused:
            outcomes[number] = refused
            continue
        outcomes[number] = Committed(height, transaction.log, indexes[0], len(indexes), indexes)
        if applied is not None:
            accepted.append(applied)
        else:
            resent.append(number)
    if accepted:
        args = (store.genesis.chain, store.head, height, time, accepted, state, signers)
        store.write(block.build(*args, *_hands(store, signers)))
    for number in resent:
        outcomes[number] = _placed(store, outcomes[number])
    return [outcomes[number] for number in range(len(data))]


def adopt(store: Store, signers: Signers, data: bytes, arrivals: Iterable[Arrival], now: int) -> Committed:
    """A block of one `adopt`, with the leaves that the log had before: all of it is durable, or nothing.

    Raises:
        Refused: the rules do not accept it.
        Malformed: not a transaction.
        StoreFull, StoreError: not written, or the leaves are not those that the transaction proves.
    """
    transaction = blocks.parse_transaction(data)
    time, height = max(now, store.time + 1), store.height + 1
    known, state = store.state.log(transaction.log), store.state.scratch()
    (appended,) = state.apply(transaction, time)
    adopted = moves.proven(moves.read(appended.body), transaction.log)
    args = (store.genesis.chain, store.head, height, time, [transaction], state, signers)
    staged = block.build(*args, *_hands(store, signers))
    store.write(staged, lambda db, numbers: bring(db, numbers, known, adopted, arrivals))
    return Committed(height, transaction.log, appended.place, 1, (appended.place,))


def _hands(store: Store, signers: Signers) -> tuple[bytes, Signer]:
    """Which key signs the blocks after the next one (empty: the same), and which signs the next one.

    A key that is to follow is named by the first block there is; from then on it signs, whether or not those
    who hold the keys have noticed.

    Raises:
        StoreError: the key that the chain asks for is not here.
    """
    own, coming = signers.block_key(), signers.next_block_key()
    if store.genesis.voted:  # nobody signs
        return b"", own
    if own.public == store.block_keys.last:
        return (coming.public if coming is not None else b""), own
    if coming is not None and coming.public == store.block_keys.last:
        return b"", coming
    raise StoreError("the chain's blocks are signed by a key that is not in this key store")


def _apply(
    state: State, transaction: Transaction, time: int, signers: Signers
) -> tuple[tuple[int, ...], Transaction | None]:
    """The indexes of a transaction's leaves, and what of it is new: all, its end, or nothing.

    A batch that is there already keeps its place, so that a device can send again what was not answered.
    """
    known: tuple[int, ...] = ()
    try:
        signers.log_key(transaction.log)
    except KeyError:
        raise Refused("unknown-log", f"{transaction.log.hex()} has no key here") from None
    while True:
        try:
            appended = state.apply(transaction, time)
        except Refused as refused:
            if not refused.known:
                raise
            known = refused.known
            transaction = Transaction(transaction.log, transaction.items[len(known) :])
            if not transaction.items:
                return known, None
        else:
            return (*known, *(leaf.place for leaf in appended)), transaction


def _placed(store: Store, outcome: Outcome) -> Outcome:
    """With the height at which its last leaf stands, which may be long before this block."""
    assert isinstance(outcome, Committed)
    return replace(outcome, height=store.height_of(outcome.log, outcome.indexes[-1]))
