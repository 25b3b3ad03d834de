"""`securepc`, whose validator proposes forged blocks, each in another way, and votes for them itself.

What it forged goes into the file that is its first argument: a line a proposal, the way and the transactions.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path

from securepc.cli import main
from securepc.ledger.abci import abci_pb2 as pb
from securepc.ledger.abci import again
from securepc.ledger.abci.app import ACCEPT, Application
from securepc.wire.signed import block as blocks
from securepc.wire.signed.batch import is_batch
from securepc.wire.signed.block import Item, Transaction

written = Path(sys.argv.pop(1))


def bad_signature(one: Transaction) -> list[Transaction]:
    first = one.items[0]
    leaf = first.leaf[:-1] + bytes([first.leaf[-1] ^ 1])
    return [Transaction(one.log, [Item(leaf, first.body), *one.items[1:]])]


def left_out(one: Transaction) -> list[Transaction]:
    return [Transaction(one.log, one.items[1:])]


def reordered(one: Transaction) -> list[Transaction]:
    return [Transaction(one.log, [one.items[1], one.items[0], *one.items[2:]])]


def other_payload(one: Transaction) -> list[Transaction]:
    first = one.items[0]
    return [Transaction(one.log, [Item(first.leaf, bytes(len(first.body))), *one.items[1:]])]


def twice(one: Transaction) -> list[Transaction]:
    return [one, one]


WAYS: tuple[Callable[[Transaction], list[Transaction]], ...]
WAYS = (bad_signature, left_out, reordered, other_payload, twice)
ways = itertools.cycle(WAYS)
prepare = Application.prepare_proposal


def forge(application: Application, asked: pb.PrepareProposal) -> pb.Transactions:
    honest = prepare(application, asked)
    for data in honest.txs:
        one = blocks.parse_transaction(again.plain(data))
        if len(one.items) < 2 or not is_batch(one.items[0].leaf):
            continue
        way = next(ways)
        forged = [blocks.encode_transaction(made) for made in way(one)]
        with written.open("a", encoding="utf-8") as file:
            line = {"way": way.__name__, "height": asked.height, "forged": [made.hex() for made in forged]}
            file.write(json.dumps(line) + "\n")
        return pb.Transactions(txs=forged)
    return honest


Application.prepare_proposal = forge  # type: ignore[method-assign]
Application.process_proposal = lambda *_: pb.Verdict(status=ACCEPT)  # type: ignore[method-assign, assignment]
main()
