"""An agency leaves: it stands still, its log says so, and all of it is put in a file for the other manager.

Every step may be repeated; a killed export is run again. The agency stands still from the first step on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import func, select

from securepc import __version__
from securepc.ledger import moving
from securepc.ledger.chain import Committed
from securepc.ledger.state import MoveRecord
from securepc.manager import clock
from securepc.manager.audit import service as audit
from securepc.manager.home import sync_folder
from securepc.manager.keyring.model import KeyNotice
from securepc.manager.moves import parcel, tables
from securepc.manager.moves.card import Card, Receipt
from securepc.manager.moves.model import Move
from securepc.manager.moves.service import GONE, LEAVING
from securepc.wire import notice
from securepc.wire.notice import Notice
from securepc.wire.shapes import prepared

if TYPE_CHECKING:
    from securepc.manager.core import Manager

Progress = Callable[[int, int], None]


class CannotMove(Exception):
    """Why not, in both languages."""

    def __init__(self, ja: str, en: str) -> None:
        super().__init__(en)
        self.ja = ja
        self.en = en


def require_one_machine(voted: bool) -> None:
    """No log leaves a chain of validators, and none is brought to one: each of them would need all its leaves
    (docs/decisions/0033). Asked before anything is done, so that no agency stands between two chains.

    Raises:
        CannotMove: validators order the blocks.
    """
    if voted:
        raise CannotMove(
            "検証ノードが順序を決める台帳では、会社を移転できません。",
            "where validators order blocks, no agency can move.",
        )


@prepared
class Header(msgspec.Struct, forbid_unknown_fields=True):
    """The first record: who sends which agency, and the proof of its log."""

    version: str
    log: bytes
    name: str
    identity: bytes
    chain: bytes
    address: str
    number: int
    notice: bytes
    leaves: int
    proof: bytes


class Block(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A block of the log; so many leaves follow it."""

    block: bytes
    key: bytes
    signature: bytes
    count: int


class Leaf(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A leaf with its body; None where it was dropped."""

    leaf: bytes
    body: bytes | None


def export(manager: Manager, log: bytes, card: Card, path: Path, progress: Progress) -> None:
    """Let an agency go to the manager of a card, and write the file for it. The manager was not started.

    Raises:
        CannotMove: validators order blocks, or it left for another manager.
        StoreError, DatabaseFull, OSError: not done; to be repeated.
    """
    require_one_machine(manager.log.genesis().voted)
    if card.chain == manager.log.genesis().beginning:
        raise CannotMove("移転先がこのマネージャー自身です。", "that is the card of this very manager.")
    if log in manager.waiting:
        raise CannotMove(
            "復元の途中の会社は移せません。", "an agency whose restore is not finished cannot move."
        )
    row = _stand_still(manager, log, card)
    _close(manager, log, card)
    _write(manager, row, card, path, progress)


def confirm(manager: Manager, receipt: Receipt) -> Move:
    """The other manager has the agency: from now on PCs are told to go there.

    Raises:
        CannotMove: no agency left for that manager.
    """
    with manager.database.write() as session:
        row = session.get(Move, receipt.log)
        if row is None or row.state not in (LEAVING, GONE) or row.identity != receipt.identity:
            raise CannotMove(
                "この受領書の会社は、そのマネージャーへ移転していません。",
                "the agency of this receipt did not leave for that manager.",
            )
        row.state = GONE
        return row


def _stand_still(manager: Manager, log: bytes, card: Card) -> Move:
    """From the end of this on nothing is taken for the agency, whatever happens."""
    with manager.database.write() as session:
        row = session.get(Move, log)
        if row is not None:
            if row.state != LEAVING or (row.identity, row.chain) != (card.identity, card.chain):
                raise CannotMove(
                    f"この会社はすでに {row.address} へ移転しています。",
                    f"it has left for {row.address} already.",
                )
            return row
        newest = session.scalar(select(func.max(KeyNotice.number)).where(KeyNotice.log == log)) or 0
        keys = manager.keys
        checkpoints = keys.verifier_key(log, manager.log.origins(log)[-1])
        said = Notice(
            log,
            clock.now(),
            newest + 1,
            keys.identity.public,
            card.identity,
            str(checkpoints),
            keys.log(log).commands.public,
            card.address,
        )
        row = Move(
            log=log,
            state=LEAVING,
            at=said.at,
            identity=card.identity,
            address=card.address,
            chain=card.chain,
            number=said.number,
            notice=notice.frame(said, keys.identity.sign),
        )
        session.add(row)
        data = {"name": "manager", "previous": manager.address, "state": card.address}
        audit.record(session, log, "admin.setting", "cli", data)
        return row


def _close(manager: Manager, log: bytes, card: Card) -> None:
    """The log's last leaf here."""
    known = [record for record in manager.log.records(log) if isinstance(record, MoveRecord)]
    if known and known[0].away and known[0].chain == card.chain:
        return
    leaf = moving.leaving(log, card.chain, clock.now(), manager.keys.log(log).registrar.sign)
    done: Future[Committed] = manager.submit(log, leaf)
    done.result()


def _write(manager: Manager, row: Move, card: Card, path: Path, progress: Progress) -> None:
    draft = path.with_name(path.name + ".part")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        writer = parcel.Writer(file, card.box)
        proof = moving.prove(manager.log, row.log)
        agency = manager.devices.agency(row.log)
        assert agency is not None
        header = Header(
            __version__,
            row.log,
            agency.name,
            manager.keys.identity.public,
            manager.log.genesis().beginning,
            row.address,
            row.number,
            row.notice,
            proof.size,
            proof.encode(),
        )
        writer.put(parcel.HEADER, msgspec.msgpack.encode(header))
        for key in manager.keys.parcel(row.log):
            writer.put(parcel.KEY, msgspec.msgpack.encode(key))
        with manager.database.read() as session:
            for one in tables.leaving(session, manager.keys, row.log):
                writer.put(parcel.ROW, msgspec.msgpack.encode(one))
        done = 0
        for arrival in manager.log.departing(row.log):
            count = len(arrival.items)
            block = Block(arrival.block, arrival.key, arrival.signature, count)
            writer.put(parcel.BLOCK, msgspec.msgpack.encode(block))
            for item in arrival.items:
                writer.put(parcel.LEAF, msgspec.msgpack.encode(Leaf(*item)))
            done += count
            progress(done, proof.size)
        writer.close(manager.keys.identity.sign)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_folder(path.absolute().parent)
