"""An agency arrives: its file is read through once, then its keys, rows and leaves are taken.

1. nothing is written before the whole file was seen to be authentic
2. its keys, in one transaction of the key store
3. its rows, in one transaction of the database; with them it stands still here ("arriving")
4. its leaves and the block that adopts its log, in one transaction of the ledger
5. it is at home

Each may be the last before the power goes; doing it again goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from securepc.ledger import chain, merkle, moving
from securepc.ledger.keys import KeyStore
from securepc.ledger.keys.moved import Key
from securepc.ledger.state import LogState, MoveRecord, Refused, moves
from securepc.ledger.store import Store, StoreError
from securepc.ledger.store.arrivals import Arrival
from securepc.manager import clock
from securepc.manager.database import Database
from securepc.manager.keyring.model import KeyNotice
from securepc.manager.moves import parcel, tables
from securepc.manager.moves.leaving import Block, CannotMove, Header, Leaf, Progress, require_one_machine
from securepc.manager.moves.model import Move
from securepc.manager.moves.parcel import ParcelError
from securepc.manager.moves.service import ARRIVING
from securepc.wire.signed.canonical import Malformed

_key = msgspec.msgpack.Decoder(tuple[Any, ...])
_row = msgspec.msgpack.Decoder(tuple[str, dict[str, Any]])
_block = msgspec.msgpack.Decoder(Block)
_leaf = msgspec.msgpack.Decoder(Leaf)


class Arrived(NamedTuple):
    """An agency that is at home here now. `renamed`: sign-in names that others had already."""

    log: bytes
    name: str
    size: int
    notice: bytes
    renamed: dict[str, str]


class Parcel:
    """A file that was read through: authentic, whole, and made for this manager."""

    def __init__(self, path: Path, keys: KeyStore, progress: Progress = lambda done, total: None) -> None:
        """Raises:
        ParcelError: it is not.
        OSError: it cannot be read.
        """
        self._path = path
        self._box = keys.transfer_key()
        self.hashes: list[bytes] = []
        found: list[Header] = []

        def identity(payload: bytes) -> bytes:
            found.append(_header(payload))
            return found[0].identity

        with path.open("rb") as file:
            for kind, payload in parcel.checked(file, self._box, identity):
                if kind == parcel.LEAF:
                    self.hashes.append(merkle.leaf_hash(_read(_leaf.decode, payload).leaf))
                    if len(self.hashes) % 500 == 0:
                        progress(len(self.hashes), found[0].leaves)
        self.header = found[0]
        try:
            self.proof = moves.read(self.header.proof)
            self.state: LogState = moves.proven(self.proof, self.header.log)
        except (Malformed, Refused) as error:
            raise ParcelError(f"its proof: {error}") from None
        if (self.proof.genesis.beginning, self.proof.size) != (self.header.chain, len(self.hashes)):
            raise ParcelError("its leaves are not those of its proof")

    def keys(self) -> Iterator[Key]:
        """The keys, for `KeyStore.unpack`."""
        return (_read(_key.decode, payload) for payload in self._payloads(parcel.KEY))

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows, for `tables.Arriving`."""
        return (_read(_row.decode, payload) for payload in self._payloads(parcel.ROW))

    def arrivals(self, progress: Progress) -> Iterator[Arrival]:
        """The leaves, block by block."""
        done = 0
        found: Block | None = None
        items: list[tuple[bytes, bytes | None]] = []
        for kind, payload in self._records(parcel.BLOCK, parcel.LEAF):
            if kind == parcel.BLOCK:
                if found is not None:
                    raise ParcelError("a block without its leaves")
                found, items = _read(_block.decode, payload), []
                continue
            one = _read(_leaf.decode, payload)
            items.append((one.leaf, one.body))
            if found is None:
                raise ParcelError("a leaf without its block")
            if len(items) == found.count:
                done += found.count
                progress(done, self.header.leaves)
                yield Arrival(found.block, found.key, found.signature, items)
                found = None
        if found is not None:
            raise ParcelError("a block without its leaves")

    def _payloads(self, wanted: int) -> Iterator[bytes]:
        return (payload for _, payload in self._records(wanted))

    def _records(self, *wanted: int) -> Iterator[tuple[int, bytes]]:
        with self._path.open("rb") as file:
            for kind, payload in parcel.read(file, self._box):
                if kind in wanted:
                    yield kind, payload


def take(store: Store, keys: KeyStore, database: Database, found: Parcel, progress: Progress) -> Arrived:
    """Steps 2 to 5, with all three open and nobody else at them.

    Raises:
        CannotMove: it is at home here already, did not leave for here, or is not what it must be.
        StoreFull, DatabaseFull: no room; to be repeated.
    """
    header = found.header
    known = store.state.log(header.log)
    done = known is not None and _adopted(known, found)
    if not done:
        _refuse_early(store, known, found)
        try:
            keys.unpack(header.log, found.keys())
        except ValueError as error:
            raise _wrong(error) from None
    renamed = {} if done and not _arriving(database, header.log) else _rows(keys, database, found)
    if not done:
        _adopt(store, keys, found, known, progress)
    with database.write() as session, suppress(KeyError):
        row = session.get(Move, header.log)
        if row is not None and row.state == ARRIVING:
            session.delete(row)
    return Arrived(header.log, header.name, header.leaves, header.notice, renamed)


def _refuse_early(store: Store, known: LogState | None, found: Parcel) -> None:
    """Before anything is written: what the rules would refuse in the end."""
    require_one_machine(store.genesis.voted)
    said = found.state.registry.get(MoveRecord)
    if said is None or not said.away or said.chain != store.genesis.beginning:
        raise CannotMove(
            "この会社の移転先は、このマネージャーではありません。", "the agency did not leave for here."
        )
    if known is not None:
        here = known.registry.get(MoveRecord)
        if here is None or not here.away:
            raise CannotMove("この会社はここで動いています。", "the agency is at home here.")


def _adopted(known: LogState, found: Parcel) -> bool:
    """Whether this very file was taken before."""
    record = known.registry.get(MoveRecord)
    return record is not None and (record.away, record.chain, record.leaf) == (
        False,
        found.header.chain,
        found.header.leaves,
    )


def _arriving(database: Database, log: bytes) -> bool:
    with database.read() as session:
        row = session.get(Move, log)
        return row is not None and row.state == ARRIVING


def _rows(keys: KeyStore, database: Database, found: Parcel) -> dict[str, str]:
    header = found.header
    with database.write() as session:
        row = session.get(Move, header.log)
        if row is not None:
            session.delete(row)
            session.flush()
        session.add(
            Move(
                log=header.log,
                state=ARRIVING,
                at=clock.now(),
                identity=header.identity,
                address=header.address,
                chain=header.chain,
                number=header.number,
                notice=header.notice,
            )
        )
        try:
            taking = tables.Arriving(session, keys, header.log)
            taking.take(found.rows())
        except tables.WrongRow as error:
            raise _wrong(error) from None
        # What PCs are told of the way here; the next change of a key is numbered above it.
        session.merge(KeyNotice(log=header.log, number=header.number, at=clock.now(), frame=header.notice))
        return taking.renamed


def _adopt(store: Store, keys: KeyStore, found: Parcel, known: LogState | None, progress: Progress) -> None:
    log, proof = found.header.log, found.proof
    if known is not None:
        try:
            proof = moving.continued(proof, known.size, found.hashes)
        except (ValueError, IndexError) as error:
            raise _wrong(error) from None
    try:
        data = moving.adoption(log, proof, clock.now(), keys.log(log).registrar.sign)
        chain.adopt(store, keys, data, found.arrivals(progress), clock.now())
    except (Refused, Malformed, ParcelError, KeyError) as error:
        raise _wrong(error) from None
    except StoreError as error:
        if type(error) is not StoreError:
            raise
        raise _wrong(error) from None


def _wrong(error: Exception) -> CannotMove:
    return CannotMove(f"移転ファイルを受け入れられません({error})。", f"the file cannot be taken ({error}).")


def _header(payload: bytes) -> Header:
    found: Header = _read(msgspec.msgpack.Decoder(Header).decode, payload)
    if len(found.log) != 16 or len(found.identity) != 32 or not 1 <= len(found.name) <= 200:
        raise ParcelError("a header that is none")
    return found


def _read(decode: Callable[[bytes], Any], payload: bytes) -> Any:
    try:
        return decode(payload)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ParcelError(f"a record that is none: {error}") from None
